"""Errors and names in words that people can use; never with a password in them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .redaction import redact


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


def suggest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean ...?`` or the known words, to be appended to a sentence."""
    known = sorted(known)
    if close := get_close_matches(word, known, n=1):
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(known)}." if known else ""
