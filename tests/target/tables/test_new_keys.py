"""Keys for new rows: known before they are written, none of them given twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from data_migration.migration import Migration
from data_migration.tables import NewKeys, go_on_above
from tests.apps.shop.models import Brand, Category, Country, Log, Token
from tests.support.engine import migrate_fine, undone

IS_KNOWN = connection.vendor != "mysql"
#: The writers that take keys beforehand.
WRITERS = ["bulk", "copy"] if connection.vendor == "postgresql" else ["bulk"]
known_before = pytest.mark.skipif(not IS_KNOWN, reason="MySQL tells keys after the INSERT")
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="no sequence")
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="has its own table")


def new_keys(model: Any = Brand) -> NewKeys:
    return NewKeys(model, database="default")


def write(keys: Any) -> None:
    for key in keys:
        Brand.objects.create(pk=key, name="x", code=str(key))


@pytest.mark.django_db
def test_only_numbers_that_the_database_gives_can_be_had() -> None:
    assert [new_keys(model).are_given for model in (Brand, Country, Token)] == [True, False, False]
    assert [bool(new_keys(model)) for model in (Brand, Country, Token)] == [
        *(IS_KNOWN, False, False)
    ]


@known_before
@pytest.mark.django_db
def test_keys_ascend_and_what_the_database_gives_next_lies_above_them() -> None:
    first, second = [list(new_keys().take(3))], []
    with undone():
        write(first[0])
        second = list(new_keys().take(2))
        write(second)
        last = Brand.objects.create(name="y", code="y").pk
    every = [*first[0], *second, last]
    assert every == sorted(set(every))


@known_before
@pytest.mark.django_db
def test_none_are_taken_for_no_rows() -> None:
    assert list(new_keys().take(0)) == []


@known_before
@pytest.mark.django_db
def test_keys_go_on_above_those_that_came_with_rows() -> None:
    highest = 10**6  # a sequence is never set back, and other tests have drawn from it
    write([highest])
    go_on_above([Brand], database="default")  # as a step does at its end

    assert list(new_keys().take(2)) == [highest + 1, highest + 2]


@only_sqlite
@pytest.mark.django_db
def test_the_key_of_a_deleted_object_is_not_given_again() -> None:
    highest = Brand.objects.create(name="x", code="x").pk
    Brand.objects.all().delete()

    assert list(new_keys().take(1)) == [highest + 1]
    assert Brand.objects.create(name="x", code="x").pk == highest + 1


@only_sqlite
@pytest.mark.django_db
def test_a_table_without_autoincrement_goes_on_above_its_highest_key() -> None:
    with undone(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE shop_log RENAME TO away")
        cursor.execute("CREATE TABLE shop_log (id INTEGER PRIMARY KEY, text TEXT)")
        cursor.execute("INSERT INTO shop_log VALUES (7, 'x')")
        assert list(new_keys(Log).take(2)) == [8, 9]
        cursor.execute("DELETE FROM shop_log")
        assert list(new_keys(Log).take(1)) == [1]


@only_postgresql
@pytest.mark.django_db
def test_a_key_without_a_sequence_of_its_own_comes_back_with_the_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE shop_brand ALTER id DROP IDENTITY")
        cursor.execute("CREATE SEQUENCE somebodys START 41")
        cursor.execute("ALTER TABLE shop_brand ALTER id SET DEFAULT nextval('somebodys')")
    assert not new_keys()
    chosen = type("M", (Migration,), {"model": Brand, "writer": "copy", "legacy_key": "number"})

    migrate_fine(chosen, [{"number": n, "name": "x", "code": str(n)} for n in range(3)])

    assert list(Brand.objects.order_by("number").values_list("id", flat=True)) == [41, 42, 43]


@contextmanager
def another_connection() -> Iterator[Any]:
    """As another process has it."""
    other = connections.create_connection("default")
    other.settings_dict = connection.settings_dict
    try:
        yield other
    finally:
        other.close()


@only_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("writer", WRITERS)
def test_objects_that_others_create_meanwhile_get_keys_of_their_own(writer: str) -> None:
    stop = threading.Event()
    theirs: list[int] = []

    def create() -> None:
        sql = "INSERT INTO shop_category (name) VALUES (%s) RETURNING id"
        with another_connection() as other, other.cursor() as cursor:
            while not stop.is_set() or not theirs:
                cursor.execute(sql, [f"theirs {len(theirs)}"])
                theirs.append(cursor.fetchone()[0])

    chosen = type("M", (Migration,), {"model": Category, "writer": writer, "legacy_key": ()})
    thread = threading.Thread(target=create)
    thread.start()
    try:
        migrate_fine(chosen, [{"name": f"ours {n}"} for n in range(600)], batch_size=100)
    finally:
        stop.set()
        thread.join()

    assert Category.objects.count() == 600 + len(theirs)
    assert Category.objects.filter(pk__in=theirs, name__startswith="theirs").count() == len(theirs)


@known_before
@pytest.mark.django_db
@pytest.mark.parametrize("writer", WRITERS)
def test_a_savepoint_that_is_rolled_back_gives_no_key_twice(writer: str) -> None:
    chosen = type("M", (Migration,), {"model": Category, "writer": writer, "legacy_key": ()})
    rows = [{"name": str(n)} for n in range(20)]
    with transaction.atomic():
        with undone():
            migrate_fine(chosen, rows)
        migrate_fine(chosen, rows)
        created = Category.objects.create(name="next").pk

    keys = list(Category.objects.order_by("pk").values_list("pk", flat=True))
    assert len(keys) == 21
    assert keys[-1] == created
