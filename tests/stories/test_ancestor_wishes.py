"""What the users of django-data-migration 0.2.1 wished for, by the number of the wish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_migration.models import RowError, RunStep
from tests.apps.classic.models import Person, Pet, Tag
from tests.support.old_project import PEOPLE, OldProject, old_project, select, spec
from tests.support.writers import unforced

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings: LazySettings, tmp_path: Path) -> Iterator[OldProject]:
    # After ``settings``, which has to be undone last: both replace the same object.
    with old_project(tmp_path) as project:
        yield project


def test_wish_1_a_run_says_how_far_it_is(old: OldProject, settings: LazySettings) -> None:
    settings.DATA_MIGRATION_PROGRESS_INTERVAL = 1e-9
    label = old.app(spec("Person", PEOPLE, "batch_size = 1"))
    said = old.migrate(label, "--commit").err.splitlines()
    assert [line.split()[:4] for line in said] == [
        ["[1/1]", f"{label}.PersonMigration", share, rows]
        for share, rows in (("33%", "1/3"), ("67%", "2/3"), ("100%", "3/3"))
    ]


def test_wish_4_the_rows_are_counted_by_the_database_without_any_hook(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE))
    old.migrate(label, "--commit")
    assert RunStep.objects.get().total == 3


@unforced
@pytest.mark.parametrize("prefetch", [True, False])
def test_wish_8_a_thousand_rows_take_few_queries(old: OldProject, prefetch: bool) -> None:
    Person.objects.bulk_create(Person(id=n, name=f"p{n}") for n in range(1, 1001))
    query = (
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)"
        " SELECT id, 'Rex' AS name, 'p' || id AS owner FROM n"
    )
    described = f"is_a(Person, search_attr='name', fk=True, prefetch={prefetch})"
    label = old.app(spec("Pet", query, f"column_description = {{'owner': {described}}}"))
    with CaptureQueriesContext(connection) as queries:
        assert old.migrate(label, "--commit").code == 0
    assert Pet.objects.exclude(owner=None).count() == 1000
    assert len(queries) < 70


def test_wish_9_duplicates_are_caught_row_by_row(old: OldProject) -> None:
    rows = (1, "red"), (2, "red"), (3, "blue"), (4, "blue"), (5, "green")
    label = old.app(spec("Tag", select("id word", *rows)))
    result = old.migrate(label, "--commit", "--on-error", "continue")
    assert (result.code, Tag.objects.count()) == (1, 3)
    assert list(RowError.objects.order_by("row_number").values_list("key", "column", "value")) == [
        ("2", "word", "'red'"),
        ("4", "word", "'blue'"),
    ]


def test_wish_10_a_target_may_be_found_across_a_relation(old: OldProject) -> None:
    boss = Person.objects.create(id=1, name="Ann", email="a@x")
    Person.objects.create(id=2, name="Bob", boss=boss)
    label = old.app(
        spec(
            "Pet",
            select("id name owner", (1, "Rex", "a@x")),
            "column_description = {'owner': is_a(Person, search_attr='boss__email', fk=True)}",
        )
    )
    assert old.migrate(label, "--commit").code == 0
    assert Pet.objects.get().owner_id == 2
