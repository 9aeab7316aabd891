"""A rehearsal of patches, of every kind, leaves the databases as they were, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection

from data_migration.models import MigrationState
from tests.apps.shop.models import Brand, Custom, Product, Tag
from tests.support.specs import App, NewApp, installed

from .patches import run

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = """
from django.core.mail import send_mail
from data_migration.patches import LoadFixture, Patch, RunSQL, patch
from tests.apps.shop.models import Brand, Custom, Product, Tag

@patch
def create(ctx):
    Tag.objects.create(name="created")
    send_mail("Done", "", "a@example.com", ["b@example.com"])

class InBatches(Patch):
    batch_size = 2
    writes = [Tag]
    def queryset(self):
        return Tag.objects.all()
    def process(self, tag):
        if tag.name == "bad":
            raise ValueError("bad")
        tag.name = tag.name.upper()

class ByStatements(Patch):
    batch_size = 2
    def queryset(self):
        return Custom.objects.filter(width=0)
    def process_batch(self, queryset):
        queryset.update(width=7)

class Whole(Patch):
    writes = [Brand, Product]
    def execute(self):
        Brand.objects.filter(code="gone").delete()
        made = Brand.objects.create(code="made")
        Product.objects.update(brand=made)

class AtOnce(InBatches):
    atomic = True

class NotNeeded(Patch):
    def is_needed(self):
        return False
    def execute(self):
        Tag.objects.all().delete()

class Always(Patch):
    always = True
    def execute(self):
        Tag.objects.create(name="always")

@patch
def fails(ctx):
    Tag.objects.create(name="half")
    raise ValueError("no")

tags = LoadFixture("tags.json")
script = RunSQL("script.sql")
"""
FILES = {
    "patches.py": KINDS,
    "fixtures/tags.json": '[{"model": "shop.tag", "pk": 900, "fields": {"name": "loaded"}}]',
    "sql/script.sql": "UPDATE shop_tag SET name = 'sql';\nDELETE FROM shop_custom;\n",
}
#: What a rehearsal may write: that it took place, and what it would have told.
HISTORY = {
    *("data_migration_run", "data_migration_runstep", "data_migration_rowerror"),
    *("data_migration_runlock", "data_migration_migrationstate"),
}
STATE = [each.name for each in MigrationState._meta.fields if each.name not in ("id", "label")]


def dump() -> dict[str, list[Any]]:
    """Every row of every table, but for the history of runs."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found = {}
        for name in sorted(set(names) - HISTORY):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")
            found[name] = sorted(repr([_plain(value) for value in row]) for row in cursor)
    # The name of a step, which its messages refer to, and nothing else of it.
    bare = MigrationState(label="")
    found["states"] = [
        state
        for label, *state in MigrationState.objects.order_by("label").values_list("label", *STATE)
        if state != [getattr(bare, name) for name in STATE]
    ]
    return found


def _plain(value: Any) -> Any:
    """Bytes as what they are: psycopg2 gives a view of its memory, which tells where it is."""
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.fixture
def of_every_kind(new_app: NewApp) -> App:
    Tag.objects.bulk_create(Tag(name=name) for name in ("a", "b", "bad", "c", "d"))
    Custom.objects.bulk_create(Custom(pk=n) for n in range(1, 6))
    brands = [Brand.objects.create(code=code) for code in ("kept", "gone")]
    Product.objects.create(sku="A-1", brand=brands[0])
    return new_app("kinds", files=FILES)


EVERYTHING = (
    *("create", "in_batches", "by_statements", "whole", "at_once", "not_needed", "always"),
    *("fails", "tags", "script"),
)


def test_a_rehearsal_of_every_kind_of_patch_leaves_no_trace(of_every_kind: App) -> None:
    before = dump()
    labels = [f"kinds.{name}" for name in EVERYTHING]

    done = run(*labels, "--on-error", "continue", "--skip-failing")

    assert done.code == 1  # one fails
    told = [line.split()[0] for line in done.out.splitlines() if line.startswith("kinds.")]
    assert set(labels) <= set(told)
    assert "bad" in done.err
    assert "(run " in done.out
    assert "nothing was written" in done.out
    assert dump() == before
    assert mail.outbox == []


@pytest.mark.parametrize("name", EVERYTHING)
def test_one_of_them_that_is_rehearsed_alone_leaves_none_either(
    of_every_kind: App, name: str
) -> None:
    before = dump()
    run(f"kinds.{name}")
    assert dump() == before


def test_one_that_is_partial_is_as_far_as_before(of_every_kind: App) -> None:
    assert run("kinds.in_batches", "--commit", "--limit", "2").code == 0
    before = dump()
    assert run("kinds.in_batches", "--on-error", "continue").code == 1
    assert dump() == before


def test_what_would_have_been_written_is_written_with_commit(of_every_kind: App) -> None:
    before = dump()
    run("kinds", "--commit", "--on-error", "continue", "--skip-failing")
    after = dump()
    changed = {name for name in before if before[name] != after[name]}
    assert {"shop_tag", "shop_custom", "shop_brand", "shop_product"} <= changed
    assert {"data_migration_patchrecord", "data_migration_beforeimage"} <= changed


@contextmanager
def tables_of(label: str) -> Iterator[None]:
    """The tables of an app that is installed for a while."""
    models = list(apps.get_app_config(label).get_models())
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(models):
                editor.delete_model(model)


def test_a_rehearsal_of_every_patch_of_the_demo_leaves_no_trace() -> None:
    with installed("testapp.catalogue"), tables_of("catalogue"):
        model: Any = apps.get_model("catalogue.Product")
        model.objects.bulk_create(
            model(sku=f"A-{n}", slug=f"a-{n}", name="A", price=Decimal(n) / 7)
            for n in range(1, 121)
        )
        before = dump()
        done = run("catalogue")
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[1].split()[:3] == ["catalogue.end_prices", "120", "120"]
        assert dump() == before
