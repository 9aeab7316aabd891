"""What is decided once for a step, and how ``--plan -v 2`` shows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from data_migration.exceptions import SourceError, SpecError
from data_migration.migration import Migration
from data_migration.plan.graph import build_plan
from data_migration.spec.columns import is_a
from data_migration.step.compilation import CompiledStep, explain
from tests.apps.shop.models import Brand, Category, Custom, Product, Tag
from tests.support.writers import unforced

pytestmark = pytest.mark.django_db

WRITER = "copy" if connection.vendor == "postgresql" else "bulk"
REASON = (
    "nothing on the model needs save(), and PostgreSQL takes COPY"
    if connection.vendor == "postgresql"
    else "nothing on the model needs save()"
)


def spec(query: str, **attributes: Any) -> type[Migration]:
    def open_db_connection(self: Any) -> Any:
        return sqlite3.connect(":memory:")

    body = {"query": query, "open_db_connection": open_db_connection, **attributes}
    return type("ProductMigration", (Migration,), {"model": Product, **body})


def explained(migration: type[Migration]) -> CompiledStep:
    (compiled,) = explain(build_plan({"shop.ProductMigration": migration}), database="default")
    return compiled


QUERY = "SELECT 1 AS nr, 'x' AS sku, 'y' AS name, 'acme' AS brand, 'a;b' AS tags, 1 AS note"
DESCRIBED = {
    "brand": is_a(Brand, "code", fk=True),
    "tags": is_a(Tag, "name", m2m=True, prefetch=False),
    "nr": is_a(exclude=True),
    "note": is_a(exclude=True),
}


@unforced
def test_every_decision_is_shown_with_its_reason() -> None:
    migration = spec(QUERY, legacy_key="nr", column_description=DESCRIBED)
    assert (
        str(explained(migration))
        == f"""\
shop.ProductMigration
  written by {WRITER}: {REASON}
  without model instances: nobody asks for them
  legacy key: nr
  hooks of rows: none
  nr -> left to the hooks
  sku -> sku (str as it is, anything else by the field)
  name -> name (str as it is, anything else by the field)
  note -> left to the hooks
  brand -> brand_id (shop.Brand by code: all in memory up to 500,000, else by batch)
  tags -> tags (shop.Tag by name: one lookup for each batch)"""
    )


@unforced
def test_json_says_the_same() -> None:
    migration = spec("SELECT 'x' AS sku, 'y' AS name", legacy_key=())
    assert explained(migration).document() == {
        "writer": WRITER,
        "writer_reason": REASON,
        "instances": None,
        "legacy_key": [],
        "hooks": [],
        "columns": {
            "sku": "sku (str as it is, anything else by the field)",
            "name": "name (str as it is, anything else by the field)",
        },
    }


def described(**attributes: Any) -> type[Migration]:
    return spec(QUERY, column_description=DESCRIBED, **attributes)


def hook(self: Any, *arguments: Any) -> None:
    pass


@unforced
@pytest.mark.parametrize(
    ("migration", "reason"),
    [
        (
            lambda: spec(QUERY, column_description=DESCRIBED, hook_before_save=hook),
            "hook_before_save gets it",
        ),
        (
            lambda: spec(QUERY, column_description=DESCRIBED, hook_after_save=hook),
            "hook_after_save gets it",
        ),
        (
            lambda: spec(QUERY, column_description=DESCRIBED, writer="save"),
            "the writer save saves it",
        ),
        (
            lambda: spec("SELECT 1 AS id", model=Category),
            "rows may wait for others of the same model (parent)",
        ),
        (
            lambda: spec("SELECT 1 AS id", model=Custom),
            "Django writes it: upper is a UpperField, which has methods of its own",
        ),
    ],
)
def test_who_asks_for_instances_is_named(
    migration: Callable[[], type[Migration]], reason: str
) -> None:
    compiled = explained(migration())
    assert compiled.instances == reason
    assert f"  a model instance for each new row: {reason}\n" in str(compiled)


def test_a_hook_that_may_change_columns_leaves_them_open() -> None:
    compiled = explained(
        spec(QUERY, column_description=DESCRIBED, hook_before_transformation=hook)
    )
    assert compiled.hooks == ("hook_before_transformation",)
    (column,) = compiled.columns
    assert column[0] == "every column"


def test_faults_of_the_spec_and_of_the_source_are_told_like_in_a_run() -> None:
    with pytest.raises(SpecError, match=r"^shop\.ProductMigration: the query returns 'nix'"):
        explained(spec("SELECT 1 AS nix"))

    def refuse(self: Any) -> Any:
        raise OSError("no route")

    with pytest.raises(SourceError, match=r"open_db_connection\(\) failed: no route"):
        explained(spec(QUERY, open_db_connection=refuse))
