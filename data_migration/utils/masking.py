"""Values of sensitive columns never reach a message, a log or the screen."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

MASK = "***"

#: PostgreSQL quotes the whole row, values cut short.
_FAILING_ROW = re.compile(r"Failing row contains \(.*\)", re.DOTALL)

#: MySQL cuts the values that it quotes; so much of a value is recognised all the same.
_BEGINNING = 32


def masked_row(row: Mapping[str, Any], sensitive: Collection[str]) -> dict[str, Any]:
    """The row with the values of its sensitive columns replaced."""
    return {name: MASK if name in sensitive else value for name, value in row.items()}


def masked_error(error: Exception, row: Mapping[str, Any], sensitive: Collection[str]) -> str:
    """What the error of a row says; one that names its column quotes a part of the value."""
    is_sensitive = getattr(error, "column", None) in sensitive
    parts = [getattr(error, "value", None)] if is_sensitive else []
    return masked_text(str(error), row, sensitive, parts=parts)


def masked_text(
    text: str, row: Mapping[str, Any], sensitive: Collection[str], *, parts: Iterable[Any] = ()
) -> str:
    """``text`` without the row's sensitive values: databases and converters quote them.

    ``parts`` are further values that must not be seen.
    """
    if not sensitive:
        return text
    text = _FAILING_ROW.sub(f"Failing row contains ({MASK})", text)
    values = [*(row.get(name) for name in sensitive), *parts]
    # The longest first: one may be part of another.
    forms = sorted({form for v in values for form in _forms(v)}, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, MASK)
    for form in forms:
        text = _without_beginning(text, form)
    return text


def _forms(value: Any) -> Iterator[str]:
    """The ways in which a message may quote the value."""
    if value is None:
        return
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        yield value.decode(errors="ignore") or MASK
    text = str(value)
    if text.strip():
        yield text
        yield " ".join(text.split())
        yield repr(text)[1:-1]


def _without_beginning(text: str, form: str) -> str:
    start = text.find(form[:_BEGINNING]) if len(form) > _BEGINNING else -1
    if start < 0:
        return text
    end = start + _BEGINNING
    while text[end : end + 1] == form[end - start : end - start + 1] != "":
        end += 1
    return f"{text[:start]}{MASK}{_without_beginning(text[end:], form)}"


def is_hidden(column: str, described: Mapping[str, Any], sensitive: Collection[str]) -> bool:
    """Whether the column, or one that its relation reads, is sensitive."""
    parts = described[column].columns if column in described else ()
    return not {column, *parts}.isdisjoint(sensitive)
