"""A legacy key: its text for people, its hash for the ledger, and the way back.

A key is one value or a tuple of them. Text and numbers stay apart: ``'01581'``, ``'1581'`` and
``1581`` are three keys. ``7``, ``7.0`` and ``Decimal("7")`` are one, since drivers differ in how
they return the same column.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from hashlib import blake2b
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

#: Whole numbers of 64 bits are their own hash, in their order, which keeps the index of the
#: links compact; the hashes of other keys have a version digit and so never meet them.
_OFFSET = 1 << 63
#: PostgreSQL has 16,383 places. To write a number of a thousand million ones takes for ever.
_PLACES = 20_000
_LIMIT = 1 << 64

_write = json.JSONEncoder(ensure_ascii=False).encode
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def key_text(key: Any) -> str:
    """``7``, ``"01581"`` or ``["DE", 7]``: JSON; what JSON has no form for is ``{"date": ...}``.

    Every database can keep it as text: what none can encode is escaped. Raises :exc:`TypeError`
    for a value that cannot identify a row.
    """
    try:
        text = _written(key)
    except ValueError as error:  # Python writes no number of more than 4300 digits
        raise TypeError(f"the number is too long to identify a row ({error})") from error
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(_plain(key))


def _written(key: Any) -> str:
    if type(key) is tuple:  # not left to json, which makes an encoder for each list
        return f"[{', '.join([_written(part) for part in key])}]"
    if type(key) is str:
        return encode_basestring(key)
    return str(key) if type(key) is int else _write(_plain(key))


def key_of_text(text: str) -> Any:
    """The key that :func:`key_text` wrote; raises :exc:`ValueError` for a text that it did not."""
    try:
        return _typed(json.loads(text))
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("no key is written like this") from error


def identify(key: Any) -> tuple[str, str]:
    """The hash of a key, 32 hexadecimal digits, and its text; raises like :func:`key_text`."""
    if type(key) is int and -_OFFSET <= key < _OFFSET:
        return f"{key + _OFFSET:032x}", str(key)
    text = key_text(key)
    # Floats and decimals may have the text of a whole number, which is its own hash.
    return (_digest(text) if type(key) in (str, tuple) else hash_of_text(text)), text


def identify_many(keys: Sequence[Any]) -> tuple[list[str], list[str]] | None:
    """The hashes and the texts of many keys that are all alike; None where each is looked at."""
    kinds = set(map(type, keys))
    if kinds == {int} and min(keys) >= -_OFFSET and max(keys) < _OFFSET:
        return [f"{key + _OFFSET:032x}" for key in keys], list(map(str, keys))
    columns = list(zip(*keys, strict=True)) if kinds == {tuple} else []
    written = [_written_alike(column) for column in columns or (keys,)]
    if None in written or (kinds != {tuple} and kinds != {str}):
        return None
    form = f"[{', '.join(['%s'] * len(columns))}]" if columns else "%s"
    texts = list(map(form.__mod__, zip(*written, strict=True)))
    return (list(map(_digest, texts)), texts) if "".join(texts).isascii() else None


def _written_alike(values: Sequence[Any]) -> list[str] | None:
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values)) if max(map(abs, values)) < _LIMIT else None
    return list(map(encode_basestring, values)) if kinds == {str} else None


def key_hash(key: Any) -> str:
    """The first half of :func:`identify`."""
    return identify(key)[0]


def hash_of_text(text: str) -> str:
    """:func:`key_hash` of a key that is written down already."""
    if text.removeprefix("-").isdecimal() and 0 <= int(text) + _OFFSET < _LIMIT:
        return f"{int(text) + _OFFSET:032x}"
    return _digest(text)


def _digest(text: str) -> str:
    """Six bytes of the text, then a digest of it.

    Queries mostly return rows in the order of a key: with the text in front, links that are
    written together stand together in the index. The 8 in the middle makes it a UUID of version 8,
    which MariaDB stores as it is, unless the ninth byte lies between 1 and 80 (hex): those it
    refuses.
    """
    written = text.encode("utf-8", "surrogatepass")
    front = written.lstrip(b'["')[:6].hex().ljust(12, "0")
    digits = blake2b(written, digest_size=10).hexdigest()
    return f"{front}8{digits[:3]}{_TWO_BITS[digits[3]]}{digits[4:19]}"


_TWO_BITS = {f"{digit:x}": f"{digit | 0b1100:x}" for digit in range(16)}


def is_whole(key: Any) -> bool:
    """Whether no part of the key is NULL."""
    return None not in key if isinstance(key, tuple) else key is not None


def alternative(key: Any) -> Any:
    """The same key with numbers as text, or text as numbers; None where there is no other form.

    A list of keys in a text column holds ``"7"`` where the key column has 7. Only text that is
    exactly how the number is written counts: ``"01581"`` is no number.
    """
    if isinstance(key, tuple):
        parts = tuple(_other_form(part) for part in key)
        return None if None in parts else parts
    return _other_form(key)


#: As Python writes it; longer ones than any database has are text.
_NUMBER = re.compile("0|-?[1-9][0-9]{0,99}")


def _other_form(part: Any) -> Any:
    if type(part) is int and abs(part) < 10**100:
        return str(part)
    if isinstance(part, str) and _NUMBER.fullmatch(part):
        return int(part)
    return None


def _plain(key: Any) -> Any:
    if key is None or isinstance(key, (str, bool, int)):
        return key
    if isinstance(key, (tuple, list)):
        return [_plain(part) for part in key]
    if isinstance(key, (float, Decimal)):
        # isfinite() makes a float of a decimal, and 1E+400 is none.
        if not (key.is_finite() if isinstance(key, Decimal) else isfinite(key)):
            raise TypeError(f"{key} is no number that could identify a row")
        if isinstance(key, Decimal) and abs(key.adjusted()) > _PLACES:
            raise TypeError("the number is too long to identify a row")
        if key == int(key):
            return int(key)
    for kind, (name, write, _) in _KINDS.items():
        if isinstance(key, kind):
            return {name: write(key)}
    raise TypeError(f"a {type(key).__name__} cannot identify a row")


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_typed(part) for part in value)
    if isinstance(value, dict):
        ((name, text),) = value.items()
        return _READERS[name](text)
    return value


#: Type -> its name in the text, how it is written, how it is read. A datetime is a date as well,
#: so it comes first.
_KINDS: dict[Any, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    float: ("float", repr, float),
    Decimal: ("decimal", lambda value: format(value, "f").rstrip("0"), Decimal),
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: (
        "microseconds",
        lambda value: str(value // dt.timedelta(microseconds=1)),
        lambda text: dt.timedelta(microseconds=int(text)),
    ),
    uuid.UUID: ("uuid", str, uuid.UUID),
    (bytes, bytearray, memoryview): ("bytes", lambda value: bytes(value).hex(), bytes.fromhex),
}
_READERS = {name: read for name, _, read in _KINDS.values()}
