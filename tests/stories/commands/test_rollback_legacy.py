"""``manage.py rollback_legacy``: what people see of a rollback, to the letter."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.db import connection

from data_migration.ledger import Ledger
from data_migration.models import RowLink, Run
from data_migration.outcomes import Mode, RunKind, RunStatus
from tests.apps.ledger import legacy
from tests.apps.ledger.models import Customer, Order, Parcel, Staff, Store, Term
from tests.apps.library.testing import Result, give, migrate, show

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(settings: LazySettings, tmp_path: Path) -> Path:
    """The legacy database of the ledger app, all of it imported."""
    path = tmp_path / "legacy.sqlite3"
    legacy.build(path)
    settings.DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "sqlite", "NAME": str(path)}}
    result = migrate("ledger", "--commit")
    assert (result.code, result.err) == (0, "")
    return path


def roll_back(*arguments: str) -> Result:
    return give("rollback_legacy", *arguments)


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def everything() -> dict[str, list[object]]:
    """Every row of the app's tables, the keys of join rows aside."""
    rows: dict[str, list[object]] = {}
    for model in apps.get_app_config("ledger").get_models(include_auto_created=True):
        is_join = bool(model._meta.auto_created)
        names = [
            f.attname for f in model._meta.concrete_fields if not (is_join and f.name == "id")
        ]
        rows[model._meta.label] = sorted(model._base_manager.values_list(*names), key=str)
    return rows


def test_circles_trees_terms_and_composite_keys_go(shop: Path) -> None:
    result = roll_back("ledger", "--no-input")

    assert (result.code, result.err) == (0, "")
    assert not any(everything().values())
    assert not RowLink.objects.exists()
    if connection.vendor != "mysql":
        connection.check_constraints()
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["Migration", "deleted", "restored", "forgotten"]
    assert {line[0]: int(line[1]) for line in lines[1:-2]} == legacy.ROWS
    assert lines[-2] == ["Total", str(sum(legacy.ROWS.values())), "0", "0"]
    run = Run.objects.latest("pk")
    assert result.out.splitlines()[-1] == (
        f"Run {run.pk}: rolled back {len(legacy.ROWS)} migrations, pending again."
    )


def test_dependants_come_first(shop: Path) -> None:
    labels = [line.split()[0] for line in roll_back("ledger", "--plan").out.splitlines()[1:-1]]

    for dependant, needed in [("Order", "Customer"), ("Order", "Tag"), ("Parcel", "Country")]:
        first, second = (f"ledger.{name}Migration" for name in (dependant, needed))
        assert labels.index(first) < labels.index(second)


def test_running_again_gives_the_same_state(shop: Path) -> None:
    def state() -> list[object]:
        return [
            sorted(Order.objects.values_list("customer__name", "total", "tags__name"), key=str),
            sorted(Store.objects.values_list("name", "manager__name", "staff__name"), key=str),
            sorted(Term.objects.values_list("name", "parents__name"), key=str),
            sorted(Parcel.objects.values_list("number", "country__name"), key=str),
        ]

    before = state()
    roll_back("ledger", "--no-input")
    assert show("ledger").out.count("pending") == len(legacy.ROWS)

    assert migrate("ledger", "--commit").code == 0

    assert state() == before


def test_an_update_is_undone(shop: Path) -> None:
    before = everything()
    legacy.change(
        shop,
        "UPDATE orders SET total = '1.00', tags = '32' WHERE nr = 80001",
        "UPDATE staff SET store = 103 WHERE nr = 9001",
        "UPDATE stores SET manager = 9004 WHERE nr = 101",
        "UPDATE terms SET parents = '' WHERE nr = 71",
        "INSERT INTO customers VALUES (4714, 'Hugo', '')",
        "UPDATE orders SET customer = 4714 WHERE nr = 80002",
    )
    assert migrate("ledger", "--commit", "--update").code == 0
    run = Run.objects.latest("pk").pk
    assert everything() != before

    result = roll_back("--run", str(run), "--no-input")

    assert (result.code, result.err) == (0, "")
    assert everything() == before
    assert "rolled back part of" in result.out.splitlines()[-1]


def test_chosen_keys_as_people_write_them(shop: Path) -> None:
    keys = '["EU", "01", "0007"],["AF","01","0007"]'

    result = roll_back("ledger.ParcelMigration", "--keys", keys, "--no-input")

    assert (result.code, result.err) == (0, "")
    found = Parcel.objects.values_list("country__name", "number")
    assert sorted(found) == [("Austria", "7"), ("Belgium", "0007")]


def test_it_asks_with_the_counts_first(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "y\n")

    result = roll_back("ledger.OrderMigration")

    assert result.code == 0
    assert result.err == (
        "Migration              deleted  restored  forgotten\n"
        "ledger.OrderMigration        4         0          0\n"
        "Total                        4         0          0\n"
        "Delete 4 objects, restore 0 and forget 0 links without an object to undo,"
        " of 1 migration? [y/N] \n"
    )
    assert result.out.splitlines()[-1].endswith(": rolled back 1 migration, pending again.")
    assert not Order.objects.exists()


@pytest.mark.parametrize("said", ["\n", "n\n", "what?\n"])
def test_anything_but_yes_is_no(shop: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    answer(monkeypatch, said)

    result = roll_back("ledger.OrderMigration")

    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(" [y/N] \nCommandError: Nothing was rolled back.\n")
    assert Order.objects.count() == 4


class Stdin(io.StringIO):
    """A terminal at which somebody types, or presses Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:
        if text := super().readline(size):
            return text
        raise KeyboardInterrupt


@pytest.mark.parametrize(("typed", "shown"), [("n\n", ""), ("", "\n")], ids=["no", "Ctrl-C"])
def test_on_a_terminal_an_answer_ends_the_line_by_itself(
    shop: Path, monkeypatch: pytest.MonkeyPatch, typed: str, shown: str
) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(typed))

    result = roll_back("ledger.OrderMigration")

    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(f" [y/N] {shown}CommandError: Nothing was rolled back.\n")
    assert Order.objects.count() == 4


def test_without_a_terminal_it_says_what_to_say(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "")

    result = roll_back("ledger.OrderMigration")

    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(
        " [y/N] \nCommandError: Nobody answered. Without a terminal, say --no-input.\n"
    )
    assert Order.objects.count() == 4


def test_a_plan_is_shown_and_nothing_done(shop: Path) -> None:
    result = roll_back("ledger.OrderMigration", "--plan")

    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Migration              deleted  restored  forgotten\n"
        "ledger.OrderMigration        4         0          0\n"
        "Total                        4         0          0\n"
    )
    assert Order.objects.count() == 4
    assert Run.objects.count() == 1


def test_what_stands_against_it_is_listed(shop: Path) -> None:
    Staff.objects.filter(name="Ada").update(name="Adele")
    key = Staff.objects.get(name="Adele").pk

    for options in (["--plan"], ["--no-input"]):
        result = roll_back("ledger", *options)
        assert result.code == 1
        assert result.err == (
            "CommandError: Nothing was rolled back: 1 reason speaks against it.\n"
            f"  ledger.StaffMigration, key 9001: ledger.Staff {key}: changed since: name.\n"
            "Undo it nevertheless with --force.\n"
        )
    assert Staff.objects.count() == 4


def test_with_force_the_question_lists_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Staff.objects.filter(name="Ada").update(name="Adele")
    answer(monkeypatch, "yes\n")

    result = roll_back("ledger", "--force")

    assert result.code == 0
    assert "undone by force:\n  ledger.StaffMigration, key 9001: " in result.err
    assert not Staff.objects.exists()


def test_as_json(shop: Path) -> None:
    planned = json.loads(roll_back("ledger.OrderMigration", "--plan", "--format", "json").out)
    result = roll_back("ledger.OrderMigration", "--no-input", "--format", "json")

    entry = {
        "migration": "ledger.OrderMigration",
        "deleted": 4,
        "restored": 0,
        "forgotten": 0,
    }
    assert planned == {"plan": [entry], "refusals": [], "refusal_count": 0, "notes": []}
    assert json.loads(result.out) == {
        "run": Run.objects.latest("pk").pk,
        "dry_run": False,
        "status": "done",
        "migrations": [{**entry, "status": "pending"}],
        "notes": [],
    }


def test_refusals_as_json(shop: Path) -> None:
    customer = Customer.objects.get(name="Flora")
    Order.objects.exclude(customer=customer).delete()
    order = Order.objects.get()

    result = roll_back("ledger.CustomerMigration", "--plan", "--format", "json")

    assert result.code == 1
    document = json.loads(result.out)
    assert document["refusal_count"] == 1
    assert document["refusals"] == [
        {
            "migration": "ledger.CustomerMigration",
            "key": "4712",
            "object": f"ledger.Customer {customer.pk}",
            "why": f"ledger.Order {order.pk} of ledger.OrderMigration refers to it (customer)",
            "force_helps": True,
        }
    ]


def test_nothing_to_roll_back(shop: Path) -> None:
    roll_back("ledger", "--no-input")

    result = roll_back("ledger", "--no-input")

    assert (result.code, result.out, result.err) == (0, "There is nothing to roll back.\n", "")
    document = json.loads(roll_back("ledger", "--no-input", "--format", "json").out)
    assert document["plan"] == []


def test_usage(shop: Path) -> None:
    assert roll_back("ledger", "--run", "1", "--keys", "1").code == 2
    assert roll_back("ledger", "--keys", "1", "--no-input").code == 2
    assert roll_back("ledge", "--no-input").code == 2
    result = roll_back("--run", "4711", "--no-input")
    assert result.code == 1
    assert "There is no run 4711." in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "x"], "argument --run: takes a whole number above zero, not 'x'"),
        (["--run", "0"], "argument --run: takes a whole number above zero, not '0'"),
        (["ledger.OrderMigration", "--keys", ""], "--keys takes keys with commas between them"),
        (["ledger.OrderMigration", "--keys", "80001,,1"], "--keys takes keys with commas"),
    ],
)
def test_what_makes_no_sense_is_refused(shop: Path, arguments: list[str], said: str) -> None:
    before = everything()
    result = roll_back(*arguments, "--no-input")
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert everything() == before


@pytest.mark.parametrize("typed", ["999", '"80001', "80001 80002", "[80001", '{"a": 1}', "null"])
def test_a_key_that_no_row_has_is_named_with_how_keys_are_written(shop: Path, typed: str) -> None:
    result = roll_back("ledger.OrderMigration", "--keys", typed, "--no-input")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"CommandError: ledger.OrderMigration has no link for the key {typed}. Keys are written"
        ' 42, "01581" or ["DE", 7] for several columns.\n'
    )
    assert Order.objects.count() == 4


@pytest.mark.parametrize(
    "typed",
    ['{"decimal":"abc"}', '{"uuid":5}', "[" * 3000, "\udcff", '{"decimal":"1E999999999"}'],
    ids=["decimal", "uuid", "brackets", "surrogate", "exponent"],
)
def test_a_key_that_is_nonsense_is_told_in_a_line(shop: Path, typed: str) -> None:
    result = roll_back("ledger.OrderMigration", "--keys", typed, "--no-input")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(
        f"CommandError: ledger.OrderMigration has no link for the key {typed[:30]}"
    )
    assert len(result.err) < 250


def test_the_same_run_cannot_be_undone_twice(shop: Path) -> None:
    run = str(Run.objects.get().pk)
    assert roll_back("--run", run, "--no-input").code == 0

    result = roll_back("--run", run, "--no-input")

    assert (result.code, result.out, result.err) == (0, "There is nothing to roll back.\n", "")


def test_a_quiet_rollback_says_nothing(shop: Path) -> None:
    result = roll_back("ledger", "--no-input", "-v", "0")

    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.django_db(transaction=True)
def test_it_is_committed_and_another_run_may_follow(shop: Path) -> None:
    assert roll_back("ledger", "--no-input").code == 0
    assert not any(everything().values())

    assert migrate("ledger", "--commit").code == 0
    assert [run.status for run in Run.objects.all()] == ["done", "done", "done"]
    assert Order.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_it_is_refused_while_a_run_is_at_work(shop: Path) -> None:
    ledger = Ledger("default")
    run = ledger.start_run((), kind=RunKind.IMPORT, mode=Mode.COMMIT, options={})
    try:
        result = roll_back("ledger", "--no-input")
    finally:
        ledger.finish_run(run, RunStatus.DONE)

    assert (result.code, result.out) == (1, "")
    assert f"run {run.pk}" in result.err.lower()
    assert Order.objects.count() == 4
