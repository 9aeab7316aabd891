"""SQLite files, opened ``mode=ro``: a missing file is an error and never created.

NAME is the path. OPTIONS: ``text_factory`` (a callable from bytes, or the name of an encoding
such as ``"latin-1"``), ``immutable`` (True for a file on read-only media) and the keywords of
``sqlite3.connect``: ``timeout``, ``detect_types``, ``check_same_thread``, ``cached_statements``.
"""

from __future__ import annotations

import codecs
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..exceptions import SpecError
from ..rows.remarks import Remark, Unequal
from .base import Source, prepared

KEYS = frozenset({"NAME", "OPTIONS"})
REQUIRED: tuple[str, ...] = ("NAME",)
_KEYWORDS = frozenset({"timeout", "detect_types", "check_same_thread", "cached_statements"})
_OWN_OPTIONS = frozenset({"text_factory", "immutable"})


def connect(source: Source) -> Any:
    """Open the file; FileNotFoundError, sqlite3.Error or SpecError if that fails."""
    options = source.options
    unknown = sorted(options.keys() - _KEYWORDS - _OWN_OPTIONS)
    if unknown:
        raise SpecError(
            f"{source.where}: sqlite has no OPTIONS {', '.join(unknown)}. "
            f"It knows {', '.join(sorted(_KEYWORDS | _OWN_OPTIONS))}."
        )
    decoder = _decoder(source, options.pop("text_factory", str))
    path = Path(source.get("NAME")).expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    uri = f"file:{quote(str(path))}?mode=ro"
    if options.pop("immutable", False):
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, **options, uri=True, isolation_level=None)
    connection.text_factory = decoder
    return prepared(connection, make_read_only)


def make_read_only(connection: Any) -> None:
    """Refuse writes and hold one snapshot until the connection is closed.

    The first query takes the snapshot; reading the schema now tells a file that is no database.
    """
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA schema_version").fetchall()
    if not connection.in_transaction:
        connection.execute("BEGIN")


def _decoder(source: Source, factory: Any) -> Callable[[bytes], Any]:
    if not isinstance(factory, str):
        return factory  # type: ignore[no-any-return]
    try:
        encoding = codecs.lookup(factory).name
    except LookupError as error:
        raise SpecError(
            f"{source.where}: OPTIONS text_factory: {error}. "
            'Give a function from bytes to text, or an encoding such as "latin-1".'
        ) from error
    return lambda data: data.decode(encoding)


@contextmanager
def watched(found: list[Remark]) -> Iterator[None]:
    """Let what is executed inside put into ``found`` what ``detect_types`` cannot convert.

    Python has one set of converters for all connections, and a cursor looks them up when it
    executes: so they are other ones for that moment, and do the same with all else.
    """
    converters = sqlite3.converters
    own = dict(converters)
    converters.update((name, _telling(convert, found)) for name, convert in own.items())
    try:
        yield
    finally:
        converters.update(own)


def _telling(convert: Callable[[bytes], Any], found: list[Remark]) -> Callable[[bytes], Any]:
    def told(data: bytes) -> Any:
        try:
            value = convert(data)
        except Exception:  # whatever a project's own converter makes of a wrong value
            value = Unequal.BEYOND_PYTHON(text := data.decode("utf-8", "replace"), text)
        if value is None:  # Django's
            value = Unequal.IMPOSSIBLE_DATE(None, data.decode("utf-8", "replace"))
        if type(value) is Remark:
            found.append(value)
        return value

    return told
