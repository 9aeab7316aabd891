"""Rows into one table: together or not at all, in statements that the server takes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import F
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.tables import TableInsert, Unsuitable, has_own_way
from data_migration.utils.databases import MySQL
from tests.apps.shop.models import Brand, Everything, Product
from tests.support.engine import statements, undone
from tests.support.examples import examples
from tests.target.tables.values import OWN

pytestmark = pytest.mark.django_db

IS_POSTGRESQL = connection.vendor == "postgresql"
only_mysql = pytest.mark.skipif(connection.vendor != "mysql", reason="no other has the limit")
returns_rows = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="keys are known before, on SQLite"
)


@pytest.fixture(params=["copy", "insert"] if IS_POSTGRESQL else ["insert"])
def by_copy(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "copy")


def brands(by_copy: bool, *names: str, ready: Any = ()) -> TableInsert:
    fields = [Brand._meta.get_field(name) for name in names or ("name", "code")]
    return TableInsert(Brand, fields, database="default", by_copy=by_copy, ready=ready)


def stored(*names: str) -> list[Any]:
    return list(Brand.objects.order_by("id").values_list(*names or ("name", "code")))


# ------------------------------------------------------------------ rows stay rows

NAMES = ("long_text", "integer", "binary", "json", "boolean")
_ROW = st.tuples(
    st.none() | st.text(max_size=5).filter(lambda text: "\x00" not in text),
    st.none() | st.integers(-9, 9),
    st.none() | OWN["binary"],
    st.none() | st.lists(st.integers(0, 9), max_size=2),
    st.none() | st.booleans(),
)


@settings(max_examples=examples(60))
@given(st.lists(_ROW, min_size=1, max_size=9))
def test_values_stay_in_their_row_and_column(rows: list[Any]) -> None:
    fields = [Everything._meta.get_field(name) for name in NAMES]
    for by_copy in {False, IS_POSTGRESQL}:
        with undone():
            insert = TableInsert(Everything, fields, database="default", by_copy=by_copy)
            insert(list(zip(*rows, strict=True)))
            insert(list(zip(*rows, strict=True)))  # a step does so with every batch
            found = Everything.objects.order_by("id").values_list(*NAMES)
            plain = [tuple(map(_as_bytes, row)) for row in found]
            assert plain == rows * 2


def _as_bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def test_columns_that_are_not_named_get_their_default(by_copy: bool) -> None:
    brands(by_copy)([["a", "b"], ["1", "2"]])

    assert stored("name", "code", "number") == [("a", "1", None), ("b", "2", None)]


def test_a_foreign_key_is_written_as_what_it_refers_to(by_copy: bool) -> None:
    brand = Brand.objects.create(name="x", code="c\t1")
    fields = [Product._meta.get_field(name) for name in ("sku", "name", "brand", "maker")]
    fields += [Product._meta.get_field(name) for name in ("price", "email")]
    insert = TableInsert(Product, fields, database="default", by_copy=by_copy)

    insert([["1", "2"], ["a", "b"], [brand.pk, None], [None, brand.code], [1, 2], ["", ""]])

    keys = Product.objects.order_by("sku").values_list("brand", "maker")
    assert list(keys) == [(brand.pk, None), (None, brand.code)]


def test_ready_texts_are_taken_as_they_are(by_copy: bool) -> None:
    fields = [Everything._meta.get_field(name) for name in ("json", "uuid", "text")]
    insert = TableInsert(
        Everything, fields, database="default", by_copy=by_copy, ready=("json", "uuid")
    )
    key, text = uuid.uuid4(), json.dumps({"a": "tab\t\\"})

    insert([[text, text], [key.hex, key.hex], ["x", None]])

    assert list(Everything.objects.values_list("json", "uuid")) == [({"a": "tab\t\\"}, key)] * 2


# ------------------------------------------------------------------ errors


def test_a_row_that_is_refused_takes_all_with_it_and_nothing_else(by_copy: bool) -> None:
    insert = brands(by_copy)
    insert([["a"], ["1"]])

    with pytest.raises(DatabaseError), transaction.atomic():
        insert([["b", "c", "d"], ["2", "1", "3"]])

    assert stored() == [("a", "1")]
    insert([["e"], ["4"]])
    assert stored() == [("a", "1"), ("e", "4")]


@pytest.mark.parametrize("bad", ["lone \ud800", "NUL \x00" if IS_POSTGRESQL else "lone \udfff"])
def test_a_text_that_cannot_be_written_leaves_the_connection_whole(
    by_copy: bool, bad: str
) -> None:
    with pytest.raises((ValueError, DatabaseError)), transaction.atomic():
        brands(by_copy)([["a", bad], ["1", "2"]])

    assert stored() == []


def test_an_expression_is_refused_before_anything_is_written(by_copy: bool) -> None:
    insert = brands(by_copy, "name", "code", "number")

    with statements() as ran, pytest.raises(Unsuitable, match="number is an expression"):
        insert([["a", "b"], ["1", "2"], [1, F("id")]])

    assert ran == []


# ------------------------------------------------------------------ meanwhile


def works_alone(by_copy: bool) -> bool:
    """Whether the server takes the rows while this process does something else."""
    return by_copy or connection.vendor == "mysql"


def test_what_is_done_meanwhile_is_done_once_and_only_where_the_server_works_alone(
    by_copy: bool,
) -> None:
    done: list[int] = []

    brands(by_copy)([["a", "b"], ["1", "2"]], lambda: done.append(1))

    assert done == [1] * works_alone(by_copy)
    assert stored() == [("a", "1"), ("b", "2")]


def test_what_is_done_meanwhile_is_done_of_refused_rows_as_well_but_not_of_unsuitable_ones(
    by_copy: bool,
) -> None:
    done: list[int] = []
    insert = brands(by_copy, "name", "code", "number")

    with pytest.raises(DatabaseError), transaction.atomic():
        insert([["a", "b"], ["1", "1"], [1, 2]], lambda: done.append(1))
    with pytest.raises(Unsuitable):
        insert([["a", "b"], ["1", "2"], [1, F("id")]], lambda: done.append(2))

    assert done == [1] * works_alone(by_copy)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("codes", [["1", "2"], ["1", "1"]], ids=["written", "refused"])
def test_what_is_raised_meanwhile_comes_when_the_statement_is_over(
    by_copy: bool, codes: list[str], kind: type[BaseException]
) -> None:
    if not works_alone(by_copy):
        pytest.skip("nothing is done meanwhile")

    def interrupted() -> None:
        raise kind("stop")

    with pytest.raises(kind, match="stop") as caught, transaction.atomic():
        brands(by_copy)([["a", "b"], codes], interrupted)

    is_refused = codes[0] == codes[1]
    assert isinstance(caught.value.__context__, DatabaseError) is is_refused
    assert stored() == []  # the connection is as good as before


# ------------------------------------------------------------------ keys that come back


@returns_rows
def test_keys_come_back_in_the_order_of_the_rows() -> None:
    names = [f"n{number % 7}" for number in range(3000)]
    codes = [f"c{number}" for number in reversed(range(3000))]

    keys = brands(False).returning([names, codes], Brand._meta.pk)

    assert len(keys) == 3000
    assert dict(Brand.objects.values_list("id", "code")) == dict(zip(keys, codes, strict=True))


# ------------------------------------------------------------------ MySQL's packet


@contextmanager
def lengths() -> Iterator[list[int]]:
    """The bytes of each INSERT that the block sends."""
    found: list[int] = []

    def measure(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("INSERT"):
            found.append(len(context["cursor"].cursor._executed))
        return result

    with connection.execute_wrapper(measure):
        yield found


@only_mysql
def test_no_statement_is_longer_than_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit of a session cannot be set, that of the server is everybody's.
    monkeypatch.setattr(MySQL, "longest_statement", 16 * 1024)
    names = ["é'\\😀" * (number % 12) for number in range(1500)]
    codes = [str(number) for number in range(1500)]

    with lengths() as found:
        brands(False)([names, codes])

    assert 10 < len(found) < 60
    assert max(found) <= 16 * 1024
    assert stored() == list(zip(names, codes, strict=True))


@only_mysql
def test_keys_come_back_from_every_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySQL, "longest_statement", 4096)
    codes = [str(number) for number in range(500)]

    with lengths() as found:
        keys = brands(False).returning([["x" * 20] * 500, codes], Brand._meta.pk)

    assert len(found) > 3
    assert dict(Brand.objects.values_list("id", "code")) == dict(zip(keys, codes, strict=True))


@only_mysql
def test_a_row_that_may_be_above_the_limit_goes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySQL, "longest_statement", 4096)
    insert = TableInsert(Everything, [Everything._meta.get_field("long_text")], database="default")
    values = ["a", "b" * 2000, "c", "d"]

    with lengths() as found:
        insert([values])

    assert len(found) == 3  # a character may be four bytes
    assert list(Everything.objects.order_by("id").values_list("long_text", flat=True)) == values


@only_mysql
def test_the_limit_is_the_servers() -> None:
    with statements() as seen:
        brands(False)([["a"], ["1"]])

    assert "@@max_allowed_packet" in seen[0]
    assert len(seen) == 2


@only_mysql
def test_quotes_are_right_where_a_backslash_is_a_plain_character() -> None:
    name = "it's \\ a \" \\' \n %s %"
    with connection.cursor() as cursor:
        cursor.execute("SET @before = @@sql_mode")
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
        try:
            brands(False)([[name, "b"], ["1", "2"]])
        finally:
            cursor.execute("SET SESSION sql_mode = @before")

    assert stored() == [(name, "1"), ("b", "2")]


# ------------------------------------------------------------------ SQLite


@pytest.mark.skipif(connection.vendor != "sqlite", reason="no other limits the parameters")
def test_sqlite_takes_more_rows_than_a_statement_has_parameters() -> None:
    number = 300_000 // 2

    with undone(), statements() as ran:
        brands(False)([["x"] * number, list(map(str, range(number)))])
        assert Brand.objects.count() == number

    assert len(ran.starting("INSERT")) == 1


def test_the_databases_of_django_that_have_a_way_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert has_own_way("default")
    monkeypatch.setattr(connections["default"], "vendor", "oracle")
    assert not has_own_way("default")
