"""How many random examples a property is tried with."""

from __future__ import annotations

from tests.settings import TARGET


def examples(number: int) -> int:
    """All of them on SQLite, a quarter on a server, where each takes several times as long.

    What a property says of our own code does not depend on the database; that the statements
    work there is seen with few.
    """
    return number if TARGET == "sqlite" else max(number // 4, 5)
