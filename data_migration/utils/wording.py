"""Errors and names in words that people can use; never with a password in them."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from difflib import get_close_matches

from django.db import Error

from ..exceptions import DataMigrationError
from .redaction import redact


def error_text(error: BaseException, label: str = "", kept: str = "") -> str:
    """What went wrong, for people: on one line, without secrets.

    An error of this package is such a sentence already. ``label`` names what it stopped, and a
    fault in a hook of it is located; ``kept`` says what stays of it.
    """
    if isinstance(error, DataMigrationError):
        return redact(str(error))
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return f"{label} was stopped at once. {kept}".rstrip()
    where = f"{label}: {hook_of(error)}" if label else ""
    if isinstance(error, Error):
        where += f"{'the' if label else 'The'} target database says: "
    name = type(error).__name__
    return f"{where}{name}: {words(error)}." if words(error) != name else f"{where}{name}."


def hook_of(error: BaseException | None) -> str:
    """``hook_before_save, line 12: `` when the error came out of a hook, else nothing."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    hooks = [frame for frame in frames if frame.name.startswith("hook_")]
    return f"{hooks[0].name}, line {hooks[0].lineno}: " if hooks else ""


def exit_text(error: SystemExit) -> str:
    """Where ``sys.exit()`` was called, and with which words."""
    frames = traceback.extract_tb(error.__traceback__)
    last = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    said = f", with: {words(error)}" if error.code else ""
    return f"{hook_of(error) or last}sys.exit() was called{said}"


def words(error: BaseException) -> str:
    """What the driver said, on one line, without secrets and without a full stop."""
    line = " ".join(redact(_said(error)).split()).rstrip(".")
    return line or type(error).__name__


def _said(error: BaseException) -> str:
    diagnosis = getattr(error, "diag", None)
    if primary := getattr(diagnosis, "message_primary", None):  # PostgreSQL, without the query
        hint = getattr(diagnosis, "message_hint", None)
        return f"{primary}. {hint}" if hint else str(primary)
    match error.args:
        case [int() as code, str() as text, *_]:  # MySQL drivers
            return f"{text} ({code})"
        case [str() as state, str() as text] if state in text:  # ODBC
            return text
    return str(error)


def printable_cause(error: BaseException) -> BaseException | None:
    """``error`` to be raised from, or None if a traceback of it would print a secret."""
    link: BaseException | None = error
    while link is not None:
        if any(redact(text) != text for text in (str(link), repr(link))):
            return None
        link = link.__cause__ or link.__context__
    return error


def number_of(count: int, noun: str) -> str:
    """``1 row`` or ``2 rows``."""
    ending = "es" if noun.endswith("ch") else "s"
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{ending}"


def suggest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean ...?`` or the known words, to be appended to a sentence."""
    known = sorted(known)
    return guess(word, known) or (f" Known: {', '.join(known)}." if known else "")


def guess(word: str, known: Iterable[str]) -> str:
    """`` Did you mean ...?``, or nothing where no known word is like it."""
    close = get_close_matches(word, sorted(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def line_within(error: BaseException, within: str) -> str:
    """File and line from which an error came: the deepest whose path has ``within`` in it."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if within in frame.filename]
    return f"{inside[-1].filename}, line {inside[-1].lineno}" if inside else ""


def import_error_text(module: str, error: BaseException, within: str) -> str:
    """Why a module cannot be imported, and the file and line that a person has to open: the
    deepest one whose path has ``within`` in it, if there is one.
    """
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}, line {error.lineno}"
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = line_within(error, within) or f"{frame.filename}, line {frame.lineno}"
    cause = f"{type(error).__name__}: {redact(str(error))}"
    return f"{module} cannot be imported: {cause} ({where})."
