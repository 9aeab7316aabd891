"""A query narrowed to a range of keys, and what tells where ranges may begin and end.

Numbers are compared as numbers. Texts are compared by their bytes, never by the collation of the
column: a collation may hold texts for equal that are different keys, or sort what the driver sends
otherwise than what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .narrowing import Narrowing, Params


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRange:
    """Rows whose ``column`` is in ``lower <= column < upper``; a bound that is None is open.

    ``after``: only those above this value. ``is_null``: those without a value only. Texts are
    compared by their bytes, whatever the collation of the column says.
    """

    column: str
    lower: Any = None
    upper: Any = None
    after: Any = None
    is_null: bool = False

    @property
    def bounds(self) -> list[tuple[str, Any]]:
        above = (">", self.after) if self.after is not None else (">=", self.lower)
        return [(sign, value) for sign, value in (above, ("<", self.upper)) if value is not None]

    @property
    def is_text(self) -> bool:
        return any(isinstance(value, str) for _, value in self.bounds)


def in_range(connection: Any, query: str, params: Params, part: KeyRange) -> tuple[str, Params]:
    """The rows of a range in the order of its column."""
    narrowing = Narrowing(connection, query, params, by=[part.column])
    if part.is_null:
        return narrowing.select("*", f"{narrowing.column(part.column)} IS NULL")
    column, conditions = _in_range(narrowing, part)
    return narrowing.select("*", conditions, order=column)


def number_in_range(
    connection: Any, query: str, params: Params, part: KeyRange
) -> tuple[str, Params]:
    """How many rows :func:`in_range` has, as the only value of one row."""
    narrowing = Narrowing(connection, query, params, by=[part.column])
    return narrowing.select("COUNT(*) AS number", _in_range(narrowing, part)[1])


def _in_range(narrowing: Narrowing, part: KeyRange) -> tuple[str, str]:
    """The column as it is compared, and the condition."""
    column = narrowing.column(part.column)
    if not part.bounds:
        return column, f"{column} IS NOT NULL"
    if not part.is_text:
        conditions = [f"{column} {sign} {narrowing.bound(value)}" for sign, value in part.bounds]
        return column, " AND ".join(conditions)
    compared = narrowing.bytewise(column)
    conditions = [
        f"{compared} {sign} {narrowing.bytewise(narrowing.bound(value))}"
        for sign, value in part.bounds
    ]
    return compared, " AND ".join(conditions)


def extremes(connection: Any, query: str, params: Params, column: str) -> tuple[str, Params]:
    """Lowest and highest value of ``column``, the rows, and those with a value: one row."""
    narrowing = Narrowing(connection, query, params, by=[column])
    name = narrowing.column(column)
    ends = f"MIN({name}) AS lowest, MAX({name}) AS highest"
    return narrowing.select(f"{ends}, COUNT(*) AS number, COUNT({name}) AS keyed")


def ordered(
    connection: Any, query: str, params: Params, column: str, *, is_text: bool
) -> tuple[str, Params] | None:
    """Every value of ``column``, NULL left out, in the order by which ranges are told apart.

    None for texts of a connection that cannot compare them by their bytes.
    """
    narrowing = Narrowing(connection, query, params, by=[column])
    name = order = narrowing.column(column)
    if is_text:
        order = narrowing.bytewise(name)
        if not order:
            return None
    return narrowing.select(f"{name} AS value_of_key", f"{name} IS NOT NULL", order=order)
