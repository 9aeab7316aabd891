"""One SELECT for every form of the Chinook database.

SQLite and MySQL have names such as ``InvoiceLine``, PostgreSQL calls the same ``invoice_line``.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings

SOURCE = "chinook"


def source_kind() -> str:
    """sqlite, mysql or postgresql: the database behind the source, ODBC or not."""
    entry = getattr(settings, "DATA_MIGRATION_SOURCES", {}).get(SOURCE, {})
    engine = str(entry.get("ENGINE", "sqlite"))
    if engine != "odbc":
        return engine
    driver = entry["OPTIONS"]["driver"].lower()
    kinds = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}
    return next(kind for word, kind in kinds.items() if word in driver)


def translated(query: str, kind: str) -> str:
    """``query`` with each ``[Name]`` and ``COMMA_LIST(...)`` as that database has them."""
    if kind != "postgresql":
        return re.sub(r"\[(\w+)\]", r"\1", query).replace("COMMA_LIST", "GROUP_CONCAT")
    query = re.sub(r"\[(\w+)\]", lambda match: _snake_case(match[1]), query)
    return re.sub(r"COMMA_LIST\((.*?)\)", r"string_agg(\1::text, ',')", query)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Query:
    """A class attribute that is the SQL for the source which the settings name when it is read."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __get__(self, instance: Any, owner: type) -> str:
        return translated(self.text, source_kind())
