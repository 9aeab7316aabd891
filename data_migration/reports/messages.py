"""Messages about rows, as text by cause or one by one, and as JSON. Pure: prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from django.db.models import Max, Q, QuerySet, Value
from django.db.models.functions import Length, Replace

from ..models import PATCH_STEP, RowError
from ..outcomes import MessageKind
from ..utils.quoting import one_line
from ..utils.wording import number_of
from .causes import Cause, causes

#: So many causes are told; the list has the others.
CAUSES = 50
#: The most of a value in a list, where it has a column to itself.
_VALUE = 60
_PLURALS = {
    MessageKind.FAILURE.value: "failures",
    MessageKind.WARNING.value: "warnings",
    MessageKind.CONFLICT.value: "conflicts",
    MessageKind.REMOVED.value: "removed",
}


def in_row_order(messages: QuerySet[RowError]) -> QuerySet[RowError]:
    """Run by run and migration by migration, in each as the rows came."""
    return messages.order_by("step__run", "step__position", "row_number", "pk")


def by_cause(messages: QuerySet[RowError], width: int | None = None) -> Iterator[str]:
    """The lines that tell the causes of the messages, the commonest of each migration first.

    Lines are wrapped to ``width``; without one each cause stays on a line of its own.
    """
    found = causes(messages, most=CAUSES + 1)
    of_migration: dict[str, list[Cause]] = {}
    for cause in found[:CAUSES]:
        of_migration.setdefault(_label(cause.migration), []).append(cause)
    for label, listed in of_migration.items():
        yield label
        for cause in listed:
            yield from _wrapped(_told(cause), width, indent=2)
            yield from _wrapped(_example(cause), width, indent=4)
    if len(found) > CAUSES:
        yield f"These are the {CAUSES} commonest causes; there are others."


def _told(cause: Cause) -> str:
    """How many rows, of which kind, in which column, and why."""
    kind = cause.example.kind
    noun = kind if cause.rows == 1 else _PLURALS.get(kind, kind)
    is_open = f" ({cause.waiting:,} open)" if cause.waiting else ""
    column = f", {cause.example.column}" if cause.example.column else ""
    return f"{cause.rows:,} {noun}{is_open}{column}: {one_line(cause.cause)}"


def _example(cause: Cause) -> str:
    """A row of the cause: its value tells what the gap stands for, else the whole wording does."""
    message = cause.example
    parts = [f"key {message.key}" if message.key else f"row {message.row_number}"]
    if message.column and message.value:
        parts.append(f"value {message.value}")
    start = "for example " if cause.rows > 1 else ""
    wording = f": {one_line(message.cause)}" if cause.is_varied and len(parts) == 1 else ""
    return f"{start}{', '.join(parts)}{wording}"


def _label(migration: str) -> str:
    """What people call a migration or patch, by the name of its step."""
    return migration.removeprefix(PATCH_STEP)


def _wrapped(text: str, width: int | None, *, indent: int) -> list[str]:
    blank = " " * indent
    if width is None:
        return [f"{blank}{text}"]
    further = f"{blank}  "
    return wrap(text, max(width, 40), initial_indent=blank, subsequent_indent=further)


_HEAD = ("Kind", "Key", "Column", "Value", "Cause")
_CELLS = ("step__migration", "kind", "key", "row_number", "column", "value", "cause")


def one_by_one(
    messages: QuerySet[RowError], width: int | None = None, *, noun: str = "migration"
) -> Iterator[str]:
    """The lines of a table of the messages, read while they are told: memory does not grow.

    Where a table would be wider than ``width``, each message has lines of its own. ``noun`` is
    what they are messages of.
    """
    head = (noun.capitalize(), *_HEAD)
    widths = _widths(messages, head)
    rows = map(_cells, in_row_order(messages).values_list(*_CELLS).iterator())
    if width is not None and sum(widths) + 2 * len(widths) > width:
        for migration, kind, key, column, value, cause in rows:
            where = f", {column} = {value}" if column != "-" else ""
            yield from _wrapped(f"{migration}: {kind}, key {key}{where}", width, indent=0)
            yield from _wrapped(cause, width, indent=2)
        return
    for cells in (head, *rows):
        padded = [cell.ljust(space) for cell, space in zip(cells[:-1], widths, strict=False)]
        yield "  ".join([*padded, cells[-1]])


def _widths(messages: QuerySet[RowError], head: Sequence[str]) -> list[int]:
    """How wide the columns of the table are; the last one is not filled up."""
    lengths = {name: Max(Length(name)) for name in _CELLS if name != "row_number"}
    lengths["step__migration"] = Max(
        Length(Replace("step__migration", Value(PATCH_STEP), Value("")))
    )
    nameless = Max("row_number", filter=Q(key=""))
    longest = messages.order_by().aggregate(row_number=nameless, **lengths)
    row = len(f"row {longest['row_number']}") if longest["row_number"] is not None else 0
    found = [
        longest["step__migration"],
        longest["kind"],
        max(longest["key"] or 0, row),
        longest["column"],
        min(longest["value"] or 0, _VALUE),
    ]
    wide = [max(size or 0, len(head)) for size, head in zip(found, head, strict=False)]
    return [*wide, longest["cause"] or 0]


def _cells(row: tuple[Any, ...]) -> tuple[str, ...]:
    migration, kind, key, number, column, value, cause = row
    if len(value) > _VALUE:
        value = f"{value[: _VALUE - 1]}…"
    where = key or f"row {number}"
    return _label(migration), kind, where, column or "-", value or "-", one_line(cause)


def summary(messages: QuerySet[RowError], command: str = "show_legacy") -> str:
    """How many there are, and which command tells each of them."""
    number = number_of(messages.count(), "message")
    return f"{number}. One by one: manage.py {command} --messages --all"


def document(messages: QuerySet[RowError], *, noun: str = "migration") -> dict[str, Any]:
    """The JSON document of the messages, one by one; ``noun`` is what they are messages of."""
    names = {
        noun: "step__migration",
        "run": "step__run_id",
        "kind": "kind",
        "open": "is_open",
        "key": "key",
        "row": "row_number",
        "column": "column",
        "value": "value",
        "cause": "cause",
    }
    rows = in_row_order(messages).values_list(*names.values())
    found = [dict(zip(names, row, strict=True)) for row in rows.iterator()]
    return {"messages": [{**each, noun: _label(each[noun])} for each in found]}
