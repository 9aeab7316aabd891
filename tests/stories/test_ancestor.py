"""The faults of django-data-migration 0.2.1, one test or more for each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection

from data_migration.models import RowError, RunStep
from tests.apps.classic.models import Kind, Person, Pet, Tag
from tests.support.old_project import PEOPLE, OldProject, old_project, select, spec

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(settings: LazySettings, tmp_path: Path) -> Iterator[OldProject]:
    # After ``settings``, which has to be undone last: both replace the same object.
    with old_project(tmp_path) as project:
        yield project


# ---------------------------------------------------------------- 1: silent import errors


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("import datetme", "No module named 'datetme'"),
        ("from tests.apps.classic.models import Persn", "Persn"),
        ("class PersonMigration(Old)\n    pass", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_fault_01_a_typo_in_a_spec_is_not_silent(old: OldProject, fault: str, said: str) -> None:
    label = old.app(f"{spec('Person', PEOPLE)}\n{fault}\n")
    result = old.migrate("classic", "--commit")
    assert result.code == 2
    assert f"{label}.data_migration_spec" in result.error
    assert said in result.error
    line = old.folder.joinpath(label, "data_migration_spec.py").read_text().splitlines()
    assert f"line {line.index(fault.splitlines()[0]) + 1}" in result.error


# ---------------------------------------------------------------- 2: --exclude


def test_fault_02_exclude_is_exact_and_leaves_dependants_running(old: OldProject) -> None:
    # The name of the one app is a part of the other's.
    people = old.app(spec("Person", PEOPLE), stem="crm")
    pets = old.app(
        spec(
            "Pet",
            select("id name owner", (1, "Rex", 7)),
            "depends_on = [Person]",
            "column_description = {'owner': is_a(Person, search_attr='id', fk=True)}",
        ),
        stem=f"more_{people}",
    )
    assert people in pets
    Person.objects.create(id=7, name="Here before")

    result = old.migrate(people, pets, "--exclude", people, "--commit")

    assert result.code == 0
    assert Pet.objects.get().owner_id == 7
    assert Person.objects.count() == 1
    assert f"needs {people}.PersonMigration" in result.err


def test_fault_02_excluding_what_does_not_exist_is_refused(old: OldProject) -> None:
    label = old.app(spec("Person", PEOPLE))
    result = old.migrate(label, "--exclude", label[:-1])
    assert (result.code, f"Did you mean '{label}'" in result.error) == (2, True)


# ---------------------------------------------------------------- 3: fetchall, open connections

NUMBERS = """
produced, ahead, opened = [], [], []

class TagMigration(Old):
    batch_size = 10
    model = Tag
    query = '''
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
        SELECT probe(n) AS id, 'word ' || n AS word FROM numbers
    '''

    @classmethod
    def open_db_connection(self):
        connection = super().open_db_connection()
        connection.create_function("probe", 1, lambda n: produced.append(n) or n)
        opened.append(connection)
        return connection

    @classmethod
    def hook_row_count(self, connection, cursor):
        return 500

    @classmethod
    def hook_before_transformation(self, row):
        ahead.append(len(produced) - row["id"])
"""


def test_fault_03_rows_are_read_batch_by_batch(old: OldProject) -> None:
    label = old.app(NUMBERS)
    assert old.migrate(label, "--commit").code == 0
    assert Tag.objects.count() == len(old.module(label).produced) == 500
    assert max(old.module(label).ahead) <= 10


@pytest.mark.parametrize("options", [(), ("--commit",), ("--commit", "--limit", "3")])
def test_fault_03_connections_are_closed(old: OldProject, options: tuple[str, ...]) -> None:
    label = old.app(NUMBERS)
    old.migrate(label, *options)
    (opened,) = old.module(label).opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.execute("SELECT 1")


def test_fault_03_a_connection_is_closed_after_a_failure_too(old: OldProject) -> None:
    label = old.app(NUMBERS.replace("AS word", "AS wrod"))
    assert old.migrate(label, "--commit").code == 1
    (opened,) = old.module(label).opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.execute("SELECT 1")


# ---------------------------------------------------------------- 4: one transaction for all

SWALLOWING = """
@classmethod
def hook_error_creating_instance(self, exception, row):
    pass
"""


def test_fault_04_a_swallowed_error_leaves_the_transaction_whole(
    old: OldProject, writer: str
) -> None:
    rows = (1, "red"), (2, "blue"), (3, "red"), (4, "green")
    label = old.app(
        spec("Tag", select("id word", *rows), f"writer = {writer!r}", SWALLOWING)
        + spec("Person", PEOPLE, "depends_on = [Tag]")
    )

    result = old.migrate(label, "--commit")

    assert sorted(Tag.objects.values_list("word", flat=True)) == ["blue", "green", "red"]
    assert Person.objects.count() == 3
    assert (result.code, "1 row failed" in result.error) == (1, True)
    assert RowError.objects.get().key == "3"


@pytest.mark.parametrize("hook", ["before_save", "after_save"])
def test_fault_04_an_error_that_a_hook_swallows_never_loses_rows(
    old: OldProject, hook: str
) -> None:
    Tag.objects.create(word="taken")
    label = old.app(
        spec(
            "Person",
            PEOPLE,
            f"@classmethod\ndef hook_{hook}(self, instance, row):\n"
            "    if instance.id == 2:\n"
            "        try:\n"
            "            Tag.objects.create(word='taken')\n"
            "        except Exception:\n"
            "            pass",
            SWALLOWING,
        )
    )
    result = old.migrate(label, "--commit")
    step = RunStep.objects.get()
    assert Person.objects.filter(id__in=[1, 3]).count() == 2, result.error
    assert Person.objects.count() == step.created
    assert step.read == step.created + step.failed == 3


@pytest.mark.django_db(transaction=True)
def test_fault_04_what_was_finished_is_kept_when_a_later_migration_fails(old: OldProject) -> None:
    label = old.app(
        spec("Person", PEOPLE)
        + spec("Tag", select("id word", (1, "red"), (2, "red")), "depends_on = [Person]")
    )
    assert old.migrate(label, "--commit").code == 1
    assert (Person.objects.count(), Tag.objects.count()) == (3, 0)

    assert "PersonMigration" not in old.migrate(label, "--commit", "--format", "json").out


# ---------------------------------------------------------------- 5: the relation cache


@pytest.fixture
def people(old: OldProject) -> None:
    Person.objects.create(id=1, name="Ann", email="a@x")
    Person.objects.create(id=2, name="Bob", email="b@x")
    Kind.objects.create(id=0, name="none")
    Kind.objects.create(id=1, name="Dog")


def pets(old: OldProject, query: str, **columns: str) -> tuple[int, str]:
    described = ", ".join(f"{name!r}: is_a({column})" for name, column in columns.items())
    label = old.app(spec("Pet", query, f"column_description = {{{described}}}"))
    result = old.migrate(label, "--commit")
    return result.code, result.error


@pytest.mark.usefixtures("people")
def test_fault_05_one_class_may_be_searched_by_two_attributes(old: OldProject) -> None:
    query = select("id name owner breeder", (1, "Rex", 1, "Bob"), (2, "Tom", "2", "Ann"))
    pets(
        old,
        query,
        owner="Person, search_attr='id', fk=True, assign_by_id=True",
        breeder="Person, search_attr='name', fk=True",
    )
    assert list(Pet.objects.order_by("id").values_list("owner", "breeder")) == [(1, 2), (2, 1)]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("options", ["", ", prefetch=False", ", assign_by_id=True"])
def test_fault_05_null_and_nothing_are_no_missing_target(
    old: OldProject, empty: str | None, options: str
) -> None:
    # The empty one first: it must not decide on the type of the keys.
    query = select("id name owner", (1, "Rex", empty), (2, "Tom", 1))
    assert pets(old, query, owner=f"Person, search_attr='id', fk=True{options}") == (0, "")
    assert list(Pet.objects.order_by("id").values_list("owner", flat=True)) == [None, 1]


@pytest.mark.usefixtures("people")
def test_fault_05_a_key_of_zero_is_a_key(old: OldProject) -> None:
    query = select("id name kind", (1, "Rex", 0), (2, "Tom", 1))
    pets(old, query, kind="Kind, search_attr='id', fk=True, assign_by_id=True")
    assert list(Pet.objects.order_by("id").values_list("kind", flat=True)) == [0, 1]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(("lookup", "ann"), [("iexact", "ANN"), ("startswith", "An")])
def test_fault_05_a_lookup_may_be_prefetched(old: OldProject, lookup: str, ann: str) -> None:
    if not Person.objects.filter(**{f"name__{lookup}": ann}).exists():
        pytest.skip(f"{lookup} does not find {ann} by the collation of this database")
    query = select("id name owner", (1, "Rex", ann), (2, "Tom", "Bob"))
    owner = f"Person, search_attr='name__{lookup}', fk=True, prefetch=True"
    assert pets(old, query, owner=owner) == (0, "")
    assert list(Pet.objects.order_by("id").values_list("owner", flat=True)) == [1, 2]


@pytest.mark.usefixtures("people")
def test_fault_05_a_missing_target_names_column_value_and_target(old: OldProject) -> None:
    code, error = pets(
        old, select("id name owner", (1, "Rex", 99)), owner="Person, search_attr='id', fk=True"
    )
    assert code == 1
    assert all(part in error for part in ("column owner", "99", "classic.Person"))


# ---------------------------------------------------------------- 6: the cache is too old


def test_fault_06_a_tree_finds_rows_of_its_own_query(old: OldProject) -> None:
    query = select("id name boss", (3, "Cem", 2), (2, "Bob", 1), (1, "Ann", None))
    label = old.app(
        spec(
            "Person",
            query,
            "batch_size = 1",
            "column_description = {'boss': is_a(Person, search_attr='id', fk=True)}",
        )
    )
    assert old.migrate(label, "--commit").code == 0
    assert list(Person.objects.order_by("id").values_list("boss", flat=True)) == [None, 1, 2]


@pytest.mark.parametrize("batch_size", [1, 2000])
def test_fault_06_a_row_that_comes_twice_updates_the_object_of_the_first(
    old: OldProject, batch_size: int
) -> None:
    query = select("email name", ("a@x", "Ann"), ("b@x", "Bob"), ("a@x", "Anna"))
    label = old.app(
        spec(
            "Person",
            query,
            "allow_updates = True",
            "search_attr = 'email'",
            f"batch_size = {batch_size}",
        )
    )
    assert old.migrate(label, "--commit").code == 0
    assert sorted(Person.objects.values_list("name", flat=True)) == ["Anna", "Bob"]
    step = RunStep.objects.get()
    assert (step.created, step.updated) == (2, 1)


# ---------------------------------------------------------------- 7: one migration per model


def test_fault_07_a_model_may_have_several_migrations(old: OldProject) -> None:
    label = old.app(
        spec(
            "Pet",
            select("name owner", ("Rex", "Bob"), ("Tom", "Cem")),
            "depends_on = [Person]",
            "column_description = {'owner': is_a(Person, search_attr='name', fk=True)}",
        )
        + spec("Person", select("name", ("Ann",), ("Bob",)), name="Customer")
        + spec("Person", select("name", ("Cem",)), name="Supplier")
    )
    assert old.migrate(label, "--commit").code == 0
    assert set(Pet.objects.values_list("owner__name", flat=True)) == {"Bob", "Cem"}


def test_fault_07_a_model_without_migration_may_be_depended_on(old: OldProject) -> None:
    label = old.app(
        "from django.contrib.auth.models import User\n"
        + spec("Person", PEOPLE, "depends_on = [User]")
    )
    assert old.migrate(label, "--commit").code == 0
    assert Person.objects.count() == 3


# ---------------------------------------------------------------- 8: updates

UPDATEABLE = """
allow_updates = True
search_attr = "email"
column_description = {"tags": is_a(Tag, search_attr="word", m2m=True)}
calls = []

@classmethod
def hook_before_all(self):
    self.calls.append("before")

@classmethod
def hook_after_all(self):
    self.calls.append("after")

@classmethod
def hook_before_transformation(self, row):
    row["name"] = row["name"].title()
"""


@pytest.fixture
def contacts(old: OldProject) -> str:
    """The table that changes between two runs; the query that reads it."""
    Tag.objects.bulk_create(Tag(word=word) for word in ("red", "green", "blue"))
    old.sql(
        "CREATE TABLE contacts (email, name, tags);"
        "INSERT INTO contacts VALUES ('a@x', 'ann', 'red;green'), ('b@x', 'bob', NULL)"
    )
    return "SELECT email, name, tags FROM contacts"


CHANGE = """
    UPDATE contacts SET name = 'anna', tags = 'green;blue' WHERE email = 'a@x';
    INSERT INTO contacts VALUES ('c@x', 'cem', 'blue')
"""


def test_fault_08_an_update_runs_the_hooks_transforms_and_sets_many_to_manys(
    old: OldProject, contacts: str
) -> None:
    label = old.app(spec("Person", contacts, UPDATEABLE))
    assert old.migrate(label, "--commit").code == 0
    old.sql(CHANGE)
    assert old.migrate(label, "--commit").code == 0

    stored = {
        person.name: sorted(person.tags.values_list("word", flat=True))
        for person in Person.objects.all()
    }
    assert stored == {"Anna": ["blue", "green"], "Bob": [], "Cem": ["blue"]}
    assert old.module(label).PersonMigration.calls == ["before", "after"] * 2
    step = RunStep.objects.latest("pk")
    assert (step.created, step.updated, step.unchanged) == (1, 1, 1)


def test_fault_08_a_hook_for_updates_gets_the_raw_row_and_replaces_the_update(
    old: OldProject, contacts: str
) -> None:
    hook = """
rows = []

@classmethod
def hook_update_existing(self, instance, row):
    self.rows.append(row["name"])
    instance.name = "Updated " + row["name"]
    instance.save()
"""
    label = old.app(spec("Person", contacts, UPDATEABLE, hook))
    assert old.migrate(label, "--commit").code == 0
    old.sql(CHANGE)
    result = old.migrate(label, "--commit")
    assert (result.code, result.error) == (0, "")

    names = sorted(Person.objects.values_list("name", flat=True))
    assert names == ["Cem", "Updated anna", "Updated bob"]
    assert old.module(label).PersonMigration.rows == ["anna", "bob"]


# ---------------------------------------------------------------- 9: order


def test_fault_09_a_cycle_is_spelt_out(old: OldProject) -> None:
    label = old.app(
        spec("Person", PEOPLE, "depends_on = [Tag]")
        + spec("Tag", select("word", ("red",)), "depends_on = [Kind]")
        + spec("Kind", select("id name", (1, "Dog")), "depends_on = [Person]")
    )
    result = old.migrate(label, "--commit")
    loop = " -> ".join(f"{label}.{name}Migration" for name in ("Kind", "Person", "Tag", "Kind"))
    assert (result.code, loop in result.error) == (2, True)


def test_fault_09_equals_stand_in_the_order_of_their_names(old: OldProject) -> None:
    classes = [
        spec("Tag", select("word", (word,)), name=word) for word in ("Zoe", "Max", "Ann", "Kim")
    ]
    label = old.app("".join(classes))
    plan = old.migrate(label, "--plan").out
    places = [plan.index(f"{label}.{name}") for name in ("Ann", "Kim", "Max", "Zoe")]
    assert places == sorted(places)


# ---------------------------------------------------------------- 10: output


def test_fault_10_output_can_be_read_in_a_log(
    old: OldProject, capfd: pytest.CaptureFixture[str]
) -> None:
    label = old.app(spec("Person", PEOPLE))
    result = old.migrate(label, "--commit")
    assert "\r" not in result.out + result.err
    assert capfd.readouterr() == ("", "")  # nothing goes past Django's streams
    assert f"{label}.PersonMigration" in result.out


def test_fault_10_a_failure_tells_which_row_in_which_migration(old: OldProject) -> None:
    rows = (1, "Ann", "a@x"), (2, "Bob", "x" * 60), (3, "Cem", "c@x")
    label = old.app(spec("Person", select("id name email", *rows), SWALLOWING))
    old.migrate(label, "--commit")
    said = old.command("show_legacy", label, "--messages").out
    found = RowError.objects.all()
    if connection.vendor == "sqlite":  # which has no idea of the length of a text
        assert list(found) == []
        return
    message = found.get()
    assert (message.key, message.row_number, message.column) == ("2", 2, "email")
    assert "xxx" in message.value
    assert all(part in said for part in (f"{label}.PersonMigration", "email", "xxx"))


def test_fault_10_the_default_hook_reports_the_row_and_stops(old: OldProject) -> None:
    label = old.app(spec("Tag", select("id word", (1, "red"), (2, "red"))))
    result = old.migrate(label, "--commit")
    assert result.code == 1
    assert "row: id = 2" in result.err
    assert f"{label}.TagMigration" in result.error
    assert "column word, value 'red'" in result.error


# ---------------------------------------------------------------- 11: identity


def test_fault_11_a_renamed_module_is_not_imported_again(old: OldProject) -> None:
    source = spec("Person", PEOPLE)
    label = old.app(source, package=f"before_{old.token}")
    assert "committed" in old.migrate(label, "--commit").out

    assert old.app(source, package=f"after_{old.token}") == label
    assert "Nothing to do." in old.migrate(label, "--commit").out
    assert Person.objects.count() == 3


def test_fault_11_a_long_name_is_a_name(old: OldProject) -> None:
    name = "A" * 150
    label = old.app(spec("Person", PEOPLE, name=name))
    assert old.migrate(label, "--commit").code == 0
    assert "Nothing to do." in old.migrate(label, "--commit").out
    assert RunStep.objects.get().migration == f"{label}.{name}Migration"


def test_fault_10_what_is_said_goes_where_it_is_asked_for(
    old: OldProject, capfd: pytest.CaptureFixture[str], settings: LazySettings
) -> None:
    settings.DATA_MIGRATION_PROGRESS_INTERVAL = 1e-9
    hook = (
        "@classmethod\ndef hook_before_all(self):\n    import sys; sys.stderr.write('of mine\\n')"
    )
    label = old.app(spec("Tag", select("id word", (1, "red"), (2, "red")), hook))
    result = old.migrate(label, commit=True, on_error="continue", max_errors=5, logquery=True)
    assert capfd.readouterr() == ("", "")
    for said in ("of mine", "row: id = 2", "SELECT 1 AS id", "[1/1]"):
        assert said in result.err
