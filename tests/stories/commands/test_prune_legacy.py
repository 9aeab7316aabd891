"""``manage.py prune_legacy``: what people see of it, to the letter."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from data_migration.models import Run
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.testing import Result, give, migrate

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def runs(library: Library) -> None:
    """Three runs that ended 91, 31 and 0 days ago; the first two have nothing to tell any more."""
    for days in (91, 31, 0):
        assert migrate("library.AuthorMigration", "--commit", "--update").code == 0
        last = Run.objects.filter(pk=Run.objects.latest("pk").pk)
        last.update(finished_at=timezone.now() - timedelta(days=days))


def prune(*arguments: str) -> Result:
    return give("prune_legacy", *arguments)


def test_it_takes_90_days_unless_told_otherwise() -> None:
    assert prune() == Result(0, "Deleted: 1 run, 0 messages, 0 before-images.\n", "")
    assert Run.objects.count() == 2
    assert prune("--days", "30").out == "Deleted: 1 run, 0 messages, 0 before-images.\n"
    assert prune("--days", "30").out == "Deleted: 0 runs, 0 messages, 0 before-images.\n"


def test_it_may_be_quiet() -> None:
    assert prune("-v", "0") == Result(0, "", "")
    assert Run.objects.count() == 2


def test_a_fault_in_a_spec_does_not_stand_in_its_way(library: Library) -> None:
    library.set("Author", writer="nonsense")
    assert prune().code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--days", "0"], "argument --days: takes a whole number above zero, not '0'"),
        (["--days", "-1"], "argument --days: takes a whole number above zero, not '-1'"),
        (["--days", "x"], "argument --days: takes a whole number above zero, not 'x'"),
        (["--days", "999999"], "--days 999999 goes back to before the year 1"),
        (["--days", "99999999999"], "--days 99999999999 goes back to before the year 1"),
        (["--database", "nowhere"], "--database: there is no alias 'nowhere' in DATABASES"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], said: str) -> None:
    result = prune(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert Run.objects.count() == 3
