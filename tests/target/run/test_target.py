"""What a target database must be able to do, or the run is refused before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, models

from data_migration.exceptions import TargetError
from data_migration.migration import Migration, is_a
from data_migration.models import Run
from data_migration.outcomes import Mode
from data_migration.plan.graph import build_plan
from data_migration.run.target import _require_route, require_target
from tests.apps.shop.models import Log, Place, Product, Restaurant, Supplier, Tag
from tests.support.engine import label_of, migrate, over

only_mysql = pytest.mark.skipif(connection.vendor != "mysql", reason="only MySQL has engines")
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="a PRAGMA of SQLite")


def a_migration(model: type[models.Model], **attributes: Any) -> type[Migration]:
    return type("M", (Migration,), {"model": model, **attributes})


def require(migration: type[Migration], rows: Any = ({"id": 1},), *, database: str) -> None:
    cls = over(migration, rows)
    require_target(build_plan({label_of(cls): cls}), database)


@contextmanager
def engine(name: str, model: type[models.Model]) -> Iterator[None]:
    """The model's table is an empty one of this engine, without its foreign keys."""
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute(f"RENAME TABLE {table} TO away")
        cursor.execute(f"CREATE TABLE {table} LIKE away")
        cursor.execute(f"ALTER TABLE {table} ENGINE={name}")
        try:
            yield
        finally:
            cursor.execute(f"DROP TABLE {table}")
            cursor.execute(f"RENAME TABLE away TO {table}")
            cursor.execute("SET foreign_key_checks = 1")


@only_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", [Mode.REHEARSAL, Mode.COMMIT, Mode.ATOMIC])
@pytest.mark.parametrize("name", ["MyISAM", "MEMORY"])
def test_a_table_without_transactions_is_refused_by_name(name: str, mode: Mode) -> None:
    with engine(name, Log):
        with pytest.raises(TargetError) as refused:
            migrate(a_migration(Log), [{"id": 1, "text": "a"}], mode=mode)
        assert not Log.objects.exists()
    assert str(refused.value) == (
        "Database 'default' has tables without transactions, in which a rehearsal could not be"
        " undone and a failed batch would stay. Nothing was run.\n"
        f"  shop.M: shop_log, its engine is {name}: ALTER TABLE shop_log ENGINE=InnoDB"
    )
    assert not Run.objects.exists()


TAGS = Product.tags.through
PRODUCTS = is_a(Product, m2m=True, search_attr="sku")


@only_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("migration", "table", "who"),
    [
        (a_migration(Product), TAGS, "shop.M"),
        (a_migration(Product), Product.suppliers.through, "shop.M"),
        (a_migration(Tag, column_description={"products": PRODUCTS}), TAGS, "shop.M"),
        (a_migration(Restaurant), Place, "shop.M"),
        (a_migration(Log), Run, "The ledger"),
    ],
    ids=["join table", "own join table", "join table of another", "parent", "ledger"],
)
def test_so_is_whatever_else_is_written(migration: Any, table: Any, who: str) -> None:
    with engine("MyISAM", table), pytest.raises(TargetError) as refused:
        require(migration, database="default")
    name = table._meta.db_table
    assert f"\n  {who}: {name}, its engine is MyISAM" in str(refused.value)


@only_mysql
@pytest.mark.django_db(transaction=True)
def test_a_table_that_no_step_writes_is_nobodys_business() -> None:
    with engine("MyISAM", Product.tags.through):
        require(a_migration(Supplier), database="default")
        require(a_migration(Product, skip=True), database="default")


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_file_without_a_journal_is_refused() -> None:
    with connection.cursor() as cursor:
        (before,) = cursor.execute("PRAGMA journal_mode").fetchone()
        cursor.execute("PRAGMA journal_mode = OFF")
        try:
            with pytest.raises(TargetError, match="shop_log, PRAGMA journal_mode is OFF: take it"):
                migrate(a_migration(Log), [{"id": 1, "text": "a"}])
        finally:
            cursor.execute(f"PRAGMA journal_mode = {before}")


class Router:
    """Sends some models to a database, and says nothing of the others."""

    def __init__(self, database: str, *models: type[models.Model]) -> None:
        self._database, self._models = database, models

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return self._database if model in self._models else None


class Silent:
    """A router need not have every method."""


@pytest.mark.django_db
def test_a_model_that_routers_send_elsewhere_is_refused(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Silent(), Router("other", Log)]

    with pytest.raises(TargetError) as refused:
        migrate(a_migration(Log), [{"id": 1, "text": "a"}])

    assert str(refused.value) == (
        "shop.M: the routers of the project (DATABASE_ROUTERS) send shop.Log to 'other', and this"
        " run writes to 'default', where nobody would look for its objects. Nothing was run. Add"
        " --database other, or leave it out: --exclude shop.M"
    )
    assert not Run.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("own", "other"), [(Product, TAGS), (Restaurant, Place)])
def test_so_is_one_whose_join_table_or_parent_they_send_elsewhere(
    settings: Any, own: type[models.Model], other: type[models.Model]
) -> None:
    settings.DATABASE_ROUTERS = [Router("other", other)]

    with pytest.raises(TargetError, match=f"send {other._meta.label} to 'other'"):
        require(a_migration(own), database="default")
    require(a_migration(Supplier), database="default")


@pytest.mark.django_db
@pytest.mark.parametrize("routers", [[], [Router("default", Log), Router("other", Log)]])
def test_the_first_router_with_an_opinion_decides(settings: Any, routers: list[Any]) -> None:
    settings.DATABASE_ROUTERS = routers
    require(a_migration(Log), database="default")


def test_without_an_opinion_the_alias_decides() -> None:
    _require_route("shop.M", Log, "other")
