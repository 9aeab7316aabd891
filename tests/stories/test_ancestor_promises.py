"""What the own tests and the documentation of django-data-migration 0.2.1 state, held to it here.
What differs has its line on the page about moving.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Manager, QuerySet

from data_migration import is_a
from data_migration.models import RowError, RunStep
from data_migration.spec.columns import Relation
from tests.apps.classic.models import Kind, Person, Pet, Tag
from tests.support.old_project import PEOPLE, OldProject, old_project, select, spec

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings: LazySettings, tmp_path: Path) -> Iterator[OldProject]:
    # After ``settings``, which has to be undone last: both replace the same object.
    with old_project(tmp_path) as project:
        yield project


HOOKS = """
calls = []

@classmethod
def hook_before_all(self):
    self.calls.append("before_all")

@classmethod
def hook_before_transformation(self, row):
    self.calls.append("before_transformation %s" % row["id"])

@classmethod
def hook_before_save(self, instance, row):
    self.calls.append("before_save %s" % instance.id)

@classmethod
def hook_after_save(self, instance, row):
    assert Person.objects.filter(id=instance.id).exists()
    self.calls.append("after_save %s" % instance.id)

@classmethod
def hook_update_existing(self, instance, row):
    self.calls.append("update_existing %s" % instance.id)

@classmethod
def hook_after_all(self):
    self.calls.append("after_all")
"""
ROWS = ("id name email", (1, "Ann", "a@x"), (2, "Bob", "b@x"))


# ---------------------------------------------------------------- its tests


def test_an_abstract_migration_is_not_run_and_an_excluded_app_is_not_either(
    old: OldProject,
) -> None:
    people = old.app(spec("Person", PEOPLE))
    tags = old.app(spec("Tag", select("word", ("red",))), stem="blog")
    result = old.migrate(people, tags, "--exclude", tags, "--plan")
    assert f"{people}.PersonMigration" in result.out
    assert "Old" not in result.out
    assert tags not in result.out


def test_migrations_run_in_the_order_of_their_models(old: OldProject) -> None:
    label = old.app(
        spec("Pet", select("name", ("Rex",)), "depends_on = [Person, Tag]")
        + spec("Tag", select("word", ("red",)), "depends_on = [Person]")
        + spec("Person", PEOPLE)
    )
    plan = old.migrate(label, "--plan").out
    places = [plan.index(f"{label}.{name}Migration") for name in ("Person", "Tag", "Pet")]
    assert places == sorted(places)


def test_nothing_is_kept_without_commit(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE))
    assert old.migrate(label).code == 0
    assert Person.objects.count() == 0
    assert old.migrate(label, "--commit").code == 0
    assert Person.objects.count() == 3


def test_is_a_says_what_was_given() -> None:
    column = is_a(Person, "name", fk=True)
    assert (column.klass, column.search_attr) == (Person, "name")
    assert (column.relation, column.exclude, column.delimiter) == (Relation.FK, False, ";")
    assert (column.skip_missing, column.prefetch, column.assign_by_id) == (False, True, False)
    assert is_a(exclude=True).exclude


@pytest.mark.parametrize(
    "given",
    [
        {"fk": True},
        {"klass": "Person", "search_attr": "name", "fk": True},
        {"klass": Person, "search_attr": "name", "fk": True, "m2m": True},
        {"klass": Person, "search_attr": "name"},
        {"klass": Person, "fk": True},
    ],
)
def test_is_a_refuses_what_it_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        is_a(**given)


def test_hooks_run_in_the_order_of_its_flowchart_and_none_for_updates(old: OldProject) -> None:
    label = old.app(spec("Person", select(*ROWS), HOOKS, "batch_size = 1"))
    assert old.migrate(label, "--commit").code == 0
    of_rows = ("before_transformation", "before_save", "after_save")
    expected = [f"{hook} {number}" for number in (1, 2) for hook in of_rows]
    calls = old.module(label).PersonMigration.calls
    assert calls == ["before_all", *expected, "after_all"]


def test_an_updateable_migration_makes_what_is_missing_and_calls_the_hook_for_the_rest(
    old: OldProject,
) -> None:
    label = old.app(spec("Person", PEOPLE, HOOKS, "allow_updates = True", "search_attr = 'id'"))
    assert old.migrate(label, "--commit").code == 0
    calls = old.module(label).PersonMigration.calls
    assert not any(call.startswith("update_existing") for call in calls)
    Person.objects.get(id=3).delete()
    calls.clear()
    assert old.migrate(label, "--commit").code == 0
    assert sorted(call for call in calls if " " in call) == [
        "after_save 3",
        "before_save 3",
        "before_transformation 3",
        "update_existing 1",
        "update_existing 2",
    ]
    assert Person.objects.count() == 3


def test_a_migration_is_not_run_twice(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE))
    old.migrate(label, "--commit")
    Person.objects.all().delete()
    assert "Nothing to do." in old.migrate(label, "--commit").out
    assert Person.objects.count() == 0


# ---------------------------------------------------------------- its documentation


def test_what_is_to_be_skipped_is_skipped(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE, "skip = True"))
    assert old.migrate(label, "--commit").code == 0
    assert Person.objects.count() == 0


@pytest.mark.parametrize(
    "line",
    [
        "column_description = ['x']",
        "depends_on = Person",
        "model = 'Person'",
        "query = 'people'",
    ],
)
def test_a_spec_that_was_refused_is_refused(old: OldProject, line: str) -> None:
    label = old.app(spec("Person", PEOPLE, line))
    assert old.migrate(label, "--commit").code == 2


def test_without_a_connection_there_is_no_run(old: OldProject) -> None:
    label = old.app(
        "class PersonMigration(Migration):\n    query = 'SELECT 1 AS id'\n    model = Person\n"
    )
    result = old.migrate(label, "--commit")
    assert (result.code, "open_db_connection()" in result.error) == (2, True)


def test_a_row_for_which_before_save_returns_false_is_not_saved(old: OldProject) -> None:
    hook = (
        "@classmethod\ndef hook_before_save(self, instance, row):\n    return instance.id != 2\n"
        "@classmethod\ndef hook_after_save(self, instance, row):\n    assert instance.id != 2\n"
    )
    label = old.app(spec("Person", PEOPLE, hook))
    assert old.migrate(label, "--commit").code == 0
    assert list(Person.objects.order_by("id").values_list("id", flat=True)) == [1, 3]


def test_columns_that_are_excluded_are_there_for_hooks(old: OldProject) -> None:
    hook = (
        "column_description = {'town': is_a(exclude=True)}\n"
        "@classmethod\ndef hook_before_save(self, instance, row):\n"
        "    instance.name = '%s of %s' % (instance.name, row['town'])\n"
    )
    label = old.app(spec("Person", select("id name town", (1, "Ann", "Ulm")), hook))
    assert old.migrate(label, "--commit").code == 0
    assert Person.objects.get().name == "Ann of Ulm"


@pytest.mark.parametrize("prefetch", [True, False])
def test_relations_are_found_by_their_attribute_or_left_out(
    old: OldProject, prefetch: bool
) -> None:
    Person.objects.create(id=7, name="Ann", email="a@x")
    described = (
        "column_description = {"
        f"'owner': is_a(Person, 'email', fk=True, skip_missing=True, prefetch={prefetch})}}"
    )
    rows = (1, "Rex", "a@x"), (2, "Tom", "nobody")
    label = old.app(spec("Pet", select("id name owner", *rows), described))
    assert old.migrate(label, "--commit").code == 0
    assert list(Pet.objects.order_by("id").values_list("owner", flat=True)) == [7, None]
    assert RunStep.objects.get().warnings == 1


def test_many_to_manys_are_split_by_the_delimiter(old: OldProject) -> None:
    for word in ("red", "green"):
        Tag.objects.create(word=word)
    described = (
        "column_description = {'tags': is_a(Tag, 'word', m2m=True, delimiter='|',"
        " skip_missing=True)}"
    )
    rows = (1, "Ann", "red|green"), (2, "Bob", None), (3, "Cem", "red|blue")
    label = old.app(spec("Person", select("id name tags", *rows), described))
    assert old.migrate(label, "--commit").code == 0
    found = {p.id: sorted(t.word for t in p.tags.all()) for p in Person.objects.all()}
    assert found == {1: ["green", "red"], 2: [], 3: ["red"]}


def test_the_default_error_hook_prints_the_row_and_ends_the_run(old: OldProject) -> None:
    label = old.app(spec("Tag", select("id word", (1, "red"), (2, "red"), (3, "blue"))))
    result = old.migrate(label, "--commit")
    assert (result.code, "row: id = 2, word = 'red'" in result.err) == (1, True)


def test_after_an_error_hook_that_returns_comes_the_next_row(old: OldProject) -> None:
    hook = (
        "seen = []\n@classmethod\ndef hook_error_creating_instance(self, exception, row):\n"
        "    self.seen.append(row['id'])\n"
    )
    label = old.app(spec("Tag", select("id word", (1, "red"), (2, "red"), (3, "blue")), hook))
    for _ in range(2):
        old.migrate(label, "--commit")
        assert old.module(label).TagMigration.seen == [2]
        assert sorted(Tag.objects.values_list("word", flat=True)) == ["blue", "red"]
        assert RowError.objects.get(is_open=True).key == "2"


def test_logquery_prints_each_query(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE))
    assert PEOPLE in old.migrate(label, "--logquery").err


# ---------------------------------------------------------------- what differs


def test_before_all_runs_before_the_connection_is_opened_and_in_reruns(old: OldProject) -> None:
    lines = (
        "allow_updates = True",
        "search_attr = 'id'",
        "calls = []",
        "@classmethod\ndef hook_before_all(self):\n    self.calls.append('before')",
        "@classmethod\ndef open_db_connection(self):\n    self.calls.append('open')\n"
        "    return super().open_db_connection()",
    )
    label = old.app(spec("Person", PEOPLE, *lines))
    for _ in range(2):
        assert old.migrate(label, "--commit").code == 0
    assert old.module(label).PersonMigration.calls == ["before", "open"] * 2


def test_an_instance_in_a_hook_has_values_of_its_fields_and_the_row_has_its_own(
    old: OldProject,
) -> None:
    hook = (
        "seen = []\n@classmethod\ndef hook_before_save(self, instance, row):\n"
        "    self.seen.append((instance.id, instance.name, row['id'], row['name']))\n"
    )
    label = old.app(spec("Person", select("id name", ("7", 5)), hook))
    assert old.migrate(label, "--commit").code == 0
    assert old.module(label).PersonMigration.seen == [(7, "5", "7", 5)]


def test_an_object_that_before_save_saves_arrives_once(old: OldProject) -> None:
    hook = (
        "@classmethod\ndef hook_before_save(self, instance, row):\n    instance.save()\n"
        "    instance.tags.add(Tag.objects.get_or_create(word=instance.name)[0])\n"
    )
    label = old.app(spec("Person", PEOPLE, hook))
    assert old.migrate(label, "--commit").code == 0
    assert sorted(Tag.objects.values_list("person__name", "word")) == [
        (name, name) for name in ("Ann", "Bob", "Cem")
    ]


class NoDogs(Manager[Kind]):
    def get_queryset(self) -> QuerySet[Kind]:
        return super().get_queryset().exclude(name="Dog")


def test_a_manager_that_filters_hides_nothing_from_relations(
    old: OldProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    Kind.objects.create(id=1, name="Dog")
    manager = NoDogs()
    manager.model = Kind
    monkeypatch.setattr(Kind, "objects", manager)
    assert not Kind.objects.exists()
    described = "column_description = {'kind': is_a(Kind, 'name', fk=True)}"
    label = old.app(spec("Pet", select("id name kind", (1, "Rex", "Dog")), described))
    assert old.migrate(label, "--commit").code == 0
    assert Pet.objects.get().kind_id == 1


def test_what_is_a_returns_is_no_dict(old: OldProject) -> None:
    label = old.app(
        spec(
            "Pet",
            select("id name owner", (1, "Rex", 1)),
            "column_description = {'owner': {'klass': Person, 'attr': 'id', 'fk': True}}",
        )
    )
    result = old.migrate(label, "--commit")
    assert (result.code, "has to come from is_a(...)" in result.error) == (2, True)


def test_an_overridden_method_that_nothing_calls_is_refused(old: OldProject) -> None:
    hook = "@classmethod\ndef transform_row_dataset(self, row):\n    return row, {}\n"
    label = old.app(spec("Person", PEOPLE, hook))
    result = old.migrate(label, "--commit")
    assert result.code == 2
    assert "transform_row_dataset is overridden" in result.error
    assert "hook_before_transformation()" in result.error


def test_what_a_migration_kept_in_memory_is_gone_when_a_later_one_runs_alone(
    old: OldProject,
) -> None:
    """The page on moving says so, and that is_a(legacy=True) remembers."""
    label = old.app(
        "FOUND = {}\n"
        + spec(
            "Person",
            select("number name", (70, "Ann")),
            "legacy_key = 'number'",
            "column_description = {'number': is_a(exclude=True)}",
            "@classmethod\ndef hook_after_save(self, instance, row):\n"
            "    FOUND[row['number']] = instance",
        )
        + spec(
            "Pet",
            select("id name owner breeder", (1, "Rex", 70, 70)),
            "depends_on = [Person]",
            "column_description = {'owner': is_a(exclude=True),"
            " 'breeder': is_a(Person, fk=True, legacy=True)}",
            "@classmethod\ndef hook_before_save(self, instance, row):\n"
            "    instance.owner = FOUND.get(row['owner'])",
        )
    )
    assert old.migrate(f"{label}.PersonMigration", "--commit").code == 0
    old.module(label).FOUND.clear()  # as in another process
    assert old.migrate(f"{label}.PetMigration", "--commit").code == 0
    assert Pet.objects.values_list("owner__name", "breeder__name").get() == (None, "Ann")
