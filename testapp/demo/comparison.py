"""Both databases counted by plain SQL, without a line of the product's code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """The same question to both databases; ``missing`` is what may differ, for a known reason."""

    text: str
    legacy: str
    target: str
    missing: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    question: Question
    legacy: int
    target: int

    @property
    def is_right(self) -> bool:
        return self.legacy - self.target == self.question.missing


QUESTIONS = (
    Question(
        text="customers",
        legacy="SELECT COUNT(*) FROM Customer",
        target="SELECT COUNT(*) FROM customers_customer",
        missing=4,
        why="4 test accounts, skipped by a hook",
    ),
    Question(
        text="products",
        legacy="SELECT COUNT(*) FROM Product",
        target="SELECT COUNT(*) FROM catalogue_product",
        missing=-5,
        why="5 came from the market place",
    ),
    Question(
        text="orders",
        legacy='SELECT COUNT(*) FROM "Order"',
        target="SELECT COUNT(*) FROM orders_order",
    ),
    Question(
        text="order lines",
        legacy="SELECT COUNT(*) FROM OrderPos",
        target="SELECT COUNT(*) FROM orders_orderline",
    ),
    Question(
        text="sold, in cents",
        legacy="SELECT SUM(Qty * PriceCent) FROM OrderPos",
        target="SELECT SUM(quantity * CAST(ROUND(unit_price * 100) AS INTEGER))"
        " FROM orders_orderline",
    ),
)


def compare(legacy: Path, target: Path) -> Iterator[Answer]:
    """Ask every question."""
    with closing(sqlite3.connect(legacy)) as old, closing(sqlite3.connect(target)) as new:
        for question in QUESTIONS:
            yield Answer(
                question=question,
                legacy=_number(old, question.legacy),
                target=_number(new, question.target),
            )


def _number(connection: sqlite3.Connection, query: str) -> int:
    row: Any = connection.execute(query).fetchone()
    return int(row[0] or 0)
