"""Rows that a generator of the spec yields, in place of a query."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_migration.migration import Migration
from data_migration.models import RowLink
from tests.apps.shop.models import Brand
from tests.support.engine import Result, migrate_source
from tests.support.paths import ROOT

pytestmark = pytest.mark.django_db


def brands(given: list[dict[str, Any]], **attributes: Any) -> type[Migration]:
    defaults = {"model": Brand, "legacy_key": "code", "rows": lambda self: iter(given)}
    return type("BrandMigration", (Migration,), defaults | attributes)


def counts(result: Result) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "failed")
    return {name: number for name in names if (number := getattr(result.step, name))}


@pytest.mark.parametrize("number", [0, 1], ids=["csv", "json lines"])
def test_the_examples_of_the_documentation_read_a_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "howto" / "other-sources.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n(?:   :.*\n)*\n((?:   .*\n|\n)+)", text)
    code = re.sub(r"^   ", "", blocks[number], flags=re.M).replace("shop.models", Brand.__module__)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    (tmp_path / "brands.csv").write_text("code,name,number\na,Acme,1\nb,Bolt,2\n")
    (tmp_path / "brands.jsonl").write_text(
        '{"code": "a", "name": "Acme", "number": 1}\n{"number": 2, "name": "Bolt", "code": "b"}\n'
    )
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code, found)
    assert counts(migrate_source(found["BrandMigration"])) == {"created": 2}
    assert list(Brand.objects.order_by("code").values_list("code", "name", "number")) == [
        ("a", "Acme", 1),
        ("b", "Bolt", 2),
    ]
    assert counts(migrate_source(found["BrandMigration"], update=True)) == {"unchanged": 2}


def test_what_a_row_does_not_have_leaves_the_field_alone() -> None:
    rows: list[dict[str, Any]] = [
        {"code": "a", "name": "Acme", "number": 1},
        {"code": "b", "name": "Bolt"},
    ]
    assert counts(migrate_source(brands(rows, allow_updates=True))) == {"created": 2}
    rows[0] = {"code": "a", "name": "Acme & Sons"}
    rows[1] = {"code": "b", "name": "Bolt", "number": None}
    assert counts(migrate_source(brands(rows, allow_updates=True))) == {
        "updated": 1,
        "unchanged": 1,
    }
    assert list(Brand.objects.order_by("code").values_list("name", "number")) == [
        ("Acme & Sons", 1),
        ("Bolt", None),
    ]


def test_nothing_at_all_is_no_fault() -> None:
    result = migrate_source(brands([]))
    assert (result.error, result.step.read) == (None, 0)


def test_what_is_wrong_with_one_row_is_told_of_it() -> None:
    rows = [
        *({"code": str(n), "name": "x"} for n in range(150)),
        {"code": "late", "name": "x", "colour": "red"},
        {"name": "nobody"},
    ]
    result = migrate_source(brands(rows))
    assert counts(result) == {"created": 150, "failed": 2}
    assert [message.column for message in result.messages] == ["colour", ""]


def test_an_error_of_the_generator_ends_the_step_and_what_was_committed_stays() -> None:
    def rows(self: Migration) -> Any:
        for number in range(5):
            yield {"code": str(number), "name": "x"}
        raise OSError("the disk is gone")

    result = migrate_source(brands([], rows=rows, batch_size=2))
    assert "the disk is gone" in str(result.error)
    assert RowLink.objects.count() == Brand.objects.count()


def test_only_what_is_at_or_above_the_mark_is_handled_again() -> None:
    rows = [{"code": str(n), "name": "x", "number": n} for n in range(1, 6)]
    spec = {"allow_updates": True, "high_water": "number"}
    assert counts(migrate_source(brands(rows, **spec))) == {"created": 5}
    rows[0] = {**rows[0], "name": "unseen"}
    rows.append({"code": "6", "name": "new", "number": 6})
    result = migrate_source(brands(rows, **spec))
    assert (result.error, counts(result)) == (None, {"created": 1, "unchanged": 1})


@pytest.mark.django_db(transaction=True)
def test_the_generator_runs_outside_of_any_transaction() -> None:
    seen: list[bool] = []

    def rows(self: Migration) -> Any:
        for number in range(250):
            seen.append(connection.in_atomic_block)
            yield {"code": str(number), "name": "x"}

    migrate_source(brands([], rows=rows, batch_size=50))
    assert Brand.objects.count() == 250
    assert not any(seen)
