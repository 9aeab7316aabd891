"""No value of any column type of a legacy server changes in any field without a word."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Field, FileField
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data_migration.ledger import Ledger
from data_migration.migration import Migration
from data_migration.models import RowError
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError
from data_migration.plan.graph import build_plan
from data_migration.run.runner import run_import
from tests.apps.shop.models import Everything
from tests.settings import TARGET
from tests.support.engine import undone
from tests.support.legacy import connect
from tests.support.urls import ServerURL
from tests.target.fields.accepted import is_same
from tests.target.fields.legacy_types import TYPES, LegacyType, Value

pytestmark = pytest.mark.django_db

#: One of each kind: those that share all of their code have tests of their own.
NAMES = (
    *("text", "long_text", "file", "integer", "real", "decimal", "boolean", "date", "date_time"),
    *("time", "duration", "uuid", "binary", "json", "address"),
)
_MOST_VALUES = 1000


class Legacy:
    """One table of a legacy server, filled anew for each example."""

    def __init__(self, legacy_type: LegacyType, connection: Any) -> None:
        self._type = legacy_type
        self._connection = connection

    def fill(self, values: Sequence[Value]) -> None:
        with closing(self._connection.cursor()) as cursor:
            if self._type.server == "mysql":
                cursor.execute(
                    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"
                )
            for table in ("value", "field"):
                cursor.execute(f"DROP TABLE IF EXISTS legacy_{table}")
            cursor.execute("CREATE TABLE legacy_field (number INTEGER)")
            cursor.execute(f"CREATE TABLE legacy_value (id INTEGER, c {self._type.sql})")
            numbers = ", ".join(f"({number})" for number in range(len(NAMES)))
            cursor.execute(f"INSERT INTO legacy_field VALUES {numbers}")
            rows = ", ".join(f"({id_}, {value.sql})" for id_, value in enumerate(values))
            cursor.execute(f"INSERT INTO legacy_value VALUES {rows}")
        self._connection.commit()

    def query(self) -> str:
        """Each value once for each field; the columns keep their type in a join."""
        quote = "`" if self._type.server == "mysql" else '"'
        columns = ", ".join(f"v{n}.c AS {quote}{name}{quote}" for n, name in enumerate(NAMES))
        joins = " ".join(
            f"LEFT JOIN legacy_value v{n} ON f.number = {n} AND v{n}.id = i.id"
            for n in range(len(NAMES))
        )
        return (
            f"SELECT f.number * {_MOST_VALUES} + i.id AS id, {columns}"
            f" FROM legacy_field f CROSS JOIN legacy_value i {joins}"
        )


#: Each takes as long as many other tests: PostgreSQL takes those of every kind of source.
SERVERS = {"sqlite", "mysql", *(["postgresql"] if TARGET == "postgresql" else [])}
OF_TARGET = [each for each in TYPES if each.server in SERVERS]


@pytest.fixture(params=OF_TARGET, ids=lambda each: f"{each.server} {each.sql}")
def legacy(request: pytest.FixtureRequest, legacy_sources: Any, tmp_path: Path) -> Any:
    legacy_type: LegacyType = request.param
    if legacy_type.server == "sqlite":
        path = tmp_path / "legacy.sqlite3"
        legacy_sources["legacy"] = {"ENGINE": "sqlite", "NAME": str(path)}
        connection: Any = sqlite3.connect(path)
    else:
        url = _database(legacy_type.server, request)
        legacy_sources["legacy"] = url.source()
        connection = connect(url)
    with closing(connection):
        yield legacy_type, Legacy(legacy_type, connection)


_made: dict[str, ServerURL] = {}


def _database(server: str, request: pytest.FixtureRequest) -> ServerURL:
    if server not in _made:
        fresh: Callable[[], ServerURL] = request.getfixturevalue(f"fresh_{server}_database")
        _made[server] = fresh()
    return _made[server]


def told(query: str) -> set[int]:
    """The keys of rows that failed, or of whose only value a warning tells."""
    attributes = {"model": Everything, "query": query, "source": "legacy", "__module__": __name__}
    migration: Any = type("EveryTypeMigration", (Migration,), attributes)
    migration.hook_error_creating_instance = lambda self, exception, row: None
    asked = RunOptions(mode=Mode.COMMIT, on_error=OnError.CONTINUE, warn=lambda text: None)
    done = run_import(build_plan({"shop.EveryType": migration}), asked, Ledger("default"))
    assert done.error is None, done.error
    return set(map(int, RowError.objects.values_list("key", flat=True)))


# What changed is told value by value: no example has to be made smaller. The first one is always
# the simplest.
@settings(max_examples=2, phases=[Phase.generate])
@given(data=st.data())
def test_no_value_changes_without_a_failure_or_a_warning(legacy: Any, data: Any) -> None:
    legacy_type, table = legacy
    values = data.draw(st.lists(legacy_type.values, min_size=12, max_size=25))
    table.fill(values)
    with undone():
        messages = told(table.query())
        stored = {each.pk: each for each in Everything.objects.all()}
        changed = [
            f"{value.kind} {value.meaning!r} -> {name}: {kept!r}"
            for number, name in enumerate(NAMES)
            for id_, value in enumerate(values)
            for pk, field in [(number * _MOST_VALUES + id_, Everything._meta.get_field(name))]
            if pk not in messages
            for kept in [_kept(field, stored[pk])]
            if not is_same(value.kind, value.meaning, field, kept)
        ]
    assert not changed, "\n".join(changed)


def _kept(field: Field[Any, Any], instance: Any) -> Any:
    value = getattr(instance, field.name)
    if isinstance(field, FileField):
        return value.name if value else ""
    return bytes(value) if isinstance(value, memoryview) else value
