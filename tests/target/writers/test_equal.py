"""``save``, ``bulk`` and ``copy`` differ in speed: tables, ledger and messages are the same."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from django.db.models import Value
from django.db.models.functions import Least
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.migration import Migration
from data_migration.models import RowLink
from data_migration.outcomes import Mode, OnError
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Everything, Log, Product, Tag
from tests.settings import TARGET
from tests.support.engine import links_of, migrate, undone
from tests.support.examples import examples
from tests.support.writers import WRITERS
from tests.target.tables import values
from tests.target.tables.values import texts

pytestmark = pytest.mark.django_db

Rows = list[dict[str, Any]]


def assert_equal(writers: list[Any]) -> None:
    for name, found in zip(WRITERS[1:], writers[1:], strict=True):
        for ours, its in zip(found, writers[0], strict=True):
            assert ours == its, f"{name} and {WRITERS[0]} differ"


def said(result: Any) -> list[Any]:
    """Every message; PostgreSQL's have the whole failing row, with the key it was given."""
    return sorted(
        (m.kind, m.key, m.column, m.value, re.sub(r"contains \(\d+", "contains (", m.cause))
        for m in result.messages
    )


def links(migration: Any, named: dict[str, Any]) -> list[Any]:
    """The ledger's memory of each row; ``named`` tells objects apart from run to run."""
    return sorted(
        tuple(link._replace(object_pk=named.get(link.object_pk or ""), run=0))
        for link in links_of(migration).values()
    )


# ------------------------------------------------------------------ products


def strip(self: Any, row: dict[str, Any]) -> None:
    if row["name"] == "raise":
        raise ValueError("not this one")
    row["email"] = "by hook"


def decide(self: Any, instance: Any, row: dict[str, Any]) -> bool:
    if row["name"] == "dangle":
        instance.brand_id = 10**6
    return bool(row["name"] != "skip")


def log(self: Any, instance: Any, row: dict[str, Any]) -> None:
    Log.objects.create(text=f"{row['name']} {instance.sku}"[:50])


HOOKS = {
    "hook_before_transformation": strip,
    "hook_before_save": decide,
    "hook_after_save": log,
}
#: SQLite stores a number of too many digits, which Django cannot read back.
LARGE = [] if TARGET == "sqlite" else [1e9]
COLUMNS = ("nr", "id", "sku", "name", "price", "brand", "maker", "tags")
_ROW = st.fixed_dictionaries(
    {
        "sku": st.integers(0, 9) | st.sampled_from([None, "tab\t\\N", "x" * 21]),
        "name": st.sampled_from(
            [
                *("", "plain", "é😀", 'a"b{,}', "\\.", "new\nline\r", "skip", "raise", "dangle"),
                *(None, "\x00", "x" * 20, "x" * 21, "NULL", "%s %", "lone \ud800"),
            ]
        ),
        "price": st.integers(0, 99) | st.sampled_from(["1.5", "dear", None, "NaN", 0.125, *LARGE]),
        "brand": st.sampled_from([None, "acme", "nix", ""]),
        "maker": st.sampled_from([None, "acme", "nix"]),
        "tags": st.sampled_from([None, "a", "a;b", "b;nix", ["a", "a"]]),
    }
)
#: How a row is identified: by its primary key, by a column of the legacy database, not at all;
#: and whether the objects' keys come with the rows, with some of them, or with none.
_KEYS = [("id", "all"), ("nr", "all"), ("nr", "some"), ("nr", "none"), ((), "all"), ((), "none")]


def with_keys(rounds: list[Rows], given: str) -> list[Rows]:
    """Keys of the rows' own are negative: no database gives such a one by itself."""
    return [
        [
            {"nr": n, "id": -n if given == "all" or (given == "some" and n % 3 == 0) else None}
            | row
            for n, row in enumerate(rows, start=1)
        ]
        for rows in rounds
    ]


def product_table(has_keys: bool) -> list[Any]:
    fields = ("sku", "name", "price", "email", "brand__code", "maker_id")
    # Keys above zero are the database's.
    key = (Least("id", Value(0)),) if has_keys else ()
    joins = Product.tags.through.objects.values_list("product__sku", "tag__name")
    return [
        *sorted(Product.objects.order_by().values_list(*fields, *key), key=repr),
        *sorted(joins),
        *Log.objects.order_by("text").values_list("text", flat=True),
    ]


@settings(max_examples=examples(60))
@given(
    rounds=st.lists(st.lists(_ROW, max_size=9), min_size=1, max_size=2),
    batch_size=st.integers(1, 9),
    key=st.sampled_from(_KEYS),
    hooks=st.sets(st.sampled_from(sorted(HOOKS))),
    found_by=st.sampled_from([None, "sku"]),
)
def test_products_with_relations_hooks_and_bad_rows(
    rounds: list[Rows], batch_size: int, key: Any, hooks: set[str], found_by: str | None
) -> None:
    legacy_key, given = key
    columns = [name for name in COLUMNS if name != "id" or given != "none"]
    assert_equal(
        [
            _import_products(
                with_keys(rounds, given),
                columns,
                {
                    "writer": name,
                    "legacy_key": legacy_key,
                    "search_attr": found_by,
                    "allow_updates": bool(legacy_key or found_by),
                    **{hook: HOOKS[hook] for hook in hooks},
                },
                batch_size,
            )
            for name in WRITERS
        ]
    )


@settings(max_examples=examples(40))
@given(
    rows=st.lists(_ROW, max_size=9),
    batch_size=st.integers(1, 9),
    key=st.sampled_from(_KEYS),
    hooks=st.sets(st.sampled_from(sorted(HOOKS))),
    writer=st.sampled_from(WRITERS),
)
def test_a_rehearsal_finds_whatever_the_commit_finds(
    rows: Rows, batch_size: int, key: Any, hooks: set[str], writer: str
) -> None:
    legacy_key, given = key
    columns = [name for name in COLUMNS if name != "id" or given != "none"]
    attributes = {"writer": writer, "legacy_key": legacy_key}
    attributes |= {hook: HOOKS[hook] for hook in hooks}
    rehearsed, committed = (
        _import_products(with_keys([rows], given), columns, attributes, batch_size, mode)
        for mode in (Mode.REHEARSAL, Mode.COMMIT)
    )
    assert rehearsed[1:3] == committed[1:3]
    assert [row[:2] for row in rehearsed[0]] == [("there", "before")]


def _import_products(
    rounds: list[Rows],
    columns: list[str],
    attributes: dict[str, Any],
    batch_size: int,
    mode: Mode = Mode.COMMIT,
) -> list[Any]:
    described = {
        "nr": is_a(exclude=True),
        "brand": is_a(Brand, "code", fk=True, skip_missing=True),
        "tags": is_a(Tag, "name", m2m=True),
    }
    chosen = type(
        "Chosen",
        (Migration,),
        {"model": Product, "column_description": described, **attributes},
    )
    found: list[Any] = []
    with undone():
        Brand.objects.create(pk=1, name="acme", code="acme")
        # Sequences can be set to a key above zero only.
        Product.objects.create(pk=10**9, sku="there", name="before")
        for pk, tag in enumerate("ab", start=1):
            Tag.objects.create(pk=pk, name=tag)
        for rows in rounds:
            result = migrate(
                chosen,
                [dict(row) for row in rows],
                batch_size=batch_size,
                columns=columns,
                mode=mode,
            )
            assert result.error is None, result.error
            skus = {str(pk): sku for pk, sku in Product.objects.values_list("pk", "sku")}
            found += [product_table("id" in columns), said(result), result.counts]
            if attributes["legacy_key"] and mode == Mode.COMMIT:
                found.append(links(chosen, skus))
    return found


# ------------------------------------------------------------------ every type of field

OWN = dict(values.OWN)
if TARGET == "sqlite":  # see LARGE
    OWN["decimal"] = st.decimals(-999_999_999, 999_999_999, places=3)
TYPED = tuple(name for name in OWN if name not in ("slug", "email", "url", "file"))
#: What legacy drivers return for the same thing.
_LOOSE = st.one_of(
    st.none(),
    texts,
    st.integers(-1, 70_000),
    st.sampled_from(["2024-01-31", "2024-01-31 10:00:00", "10:00", "1.50", "{}", b"\xff", b"1"]),
)


@settings(max_examples=examples(40))
@given(
    data=st.data(),
    names=st.sets(st.sampled_from(TYPED), min_size=1, max_size=6).map(sorted),
    batch_size=st.integers(2, 9),
)
def test_values_of_every_type(data: Any, names: list[str], batch_size: int) -> None:
    shape = st.fixed_dictionaries({name: OWN[name] | _LOOSE for name in names})
    rows = [
        {"id": n} | row
        for n, row in enumerate(data.draw(st.lists(shape, min_size=1, max_size=6)), start=1)
    ]
    assert_equal([_import_everything(rows, names, batch_size, name) for name in WRITERS])


def _import_everything(rows: Rows, names: list[str], batch_size: int, writer: str) -> list[Any]:
    chosen = type("Chosen", (Migration,), {"model": Everything, "writer": writer})
    with undone(), warnings.catch_warnings():
        warnings.simplefilter("error")
        result = migrate(
            chosen,
            [dict(row) for row in rows],
            batch_size=batch_size,
            columns=["id", *names],
            on_error=OnError.CONTINUE,
        )
        assert result.error is None, result.error
        table = Everything.objects.order_by("id").values_list("id", *names)
        same = {str(row["id"]): str(row["id"]) for row in rows}
        assert RowLink.objects.count() == result.step.created
        plain = [repr([_as_bytes(value) for value in row]) for row in table]
        return [plain, said(result), result.counts, links(chosen, same)]


def _as_bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value  # psycopg2 has these
