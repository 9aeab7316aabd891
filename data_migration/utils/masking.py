"""Values of sensitive columns never reach a message, a log or the screen."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Any

MASK = "***"

#: PostgreSQL quotes the whole row, values cut short.
_FAILING_ROW = re.compile(r"Failing row contains \(.*\)", re.DOTALL)

#: MySQL cuts the values that it quotes; so much of a value is recognised all the same.
_BEGINNING = 32


#: A value of fewer letters is often that of another column by chance.
_TELLING = 4


class SensitiveRow(dict[str, Any]):
    """A row that a hook may change, and ``came``: the same row as it came."""

    __slots__ = ("came",)

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self.came = dict(row)


def hidden_columns(row: Mapping[str, Any], sensitive: Collection[str]) -> Set[str]:
    """The sensitive columns, and those to which a hook brought what came in one of them.

    Where a hook took a sensitive column out of the row, that is every column that it set.
    """
    if not sensitive:
        return frozenset()
    came = getattr(row, "came", row)
    forms = {form for name in sensitive for form in _forms(came.get(name))}
    is_moved = any(name in came and name not in row for name in sensitive)
    found = set(sensitive)
    for name, value in row.items():
        text = str(value)
        if name not in came or came[name] is not value:
            is_hidden = is_moved or any(form in text for form in forms)
        else:
            is_hidden = any(form in text for form in forms if len(form) >= _TELLING)
        if is_hidden:
            found.add(name)
    return found


def masked_row(row: Mapping[str, Any], sensitive: Collection[str]) -> dict[str, Any]:
    """The row with the values of its hidden columns replaced."""
    hidden = hidden_columns(row, sensitive)
    return {name: MASK if name in hidden else value for name, value in row.items()}


def masked_error(error: Exception, row: Mapping[str, Any], sensitive: Collection[str]) -> str:
    """What the error of a row says; one that names its column quotes a part of the value."""
    is_hidden = getattr(error, "column", None) in hidden_columns(row, sensitive)
    parts = [getattr(error, "value", None)] if is_hidden else []
    return masked_text(str(error), row, sensitive, parts=parts)


def masked_text(
    text: str, row: Mapping[str, Any], sensitive: Collection[str], *, parts: Iterable[Any] = ()
) -> str:
    """``text`` without the values of the row's hidden columns, which databases and converters
    quote, and without what came in its sensitive ones.

    ``parts`` are further values that must not be seen.
    """
    if not sensitive:
        return text
    text = _FAILING_ROW.sub(f"Failing row contains ({MASK})", text)
    came = getattr(row, "came", row)
    values = [*map(came.get, sensitive), *map(row.get, hidden_columns(row, sensitive)), *parts]
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


def is_hidden(column: str, described: Mapping[str, Any], hidden: Collection[str]) -> bool:
    """Whether the column, or one that its relation reads, is hidden."""
    parts = described[column].columns if column in described else ()
    return not {column, *parts}.isdisjoint(hidden)
