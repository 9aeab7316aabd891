"""What is remembered of a migration while its query is read, and after that."""

from __future__ import annotations

import pytest

from data_migration.ledger.states import begin_pass, end_pass, forget_spec, read_again
from data_migration.models import MigrationState

pytestmark = pytest.mark.django_db


@pytest.fixture
def state() -> MigrationState:
    return MigrationState.objects.create(label="a.Kept")


def stored() -> tuple[str, bool, int | None, str | None]:
    row = MigrationState.objects.get()
    return row.fingerprint, row.is_read, row.pass_run, row.high_water


def test_a_pass_begins_with_its_run_and_ends_with_its_mark(state: MigrationState) -> None:
    begin_pass(state, run=3, fingerprint="spec", database="default")
    assert stored() == ("spec", False, 3, None)
    end_pass(state, high_water="17", database="default")
    assert stored() == ("spec", True, None, "17")


def test_without_a_spec_or_a_mark_the_old_ones_stay(state: MigrationState) -> None:
    begin_pass(state, run=3, fingerprint="spec", database="default")
    end_pass(state, high_water="17", database="default")
    begin_pass(state, run=4, database="default")
    end_pass(state, database="default")

    assert stored() == ("spec", True, None, "17")


def test_what_is_to_be_read_again_was_never_read(state: MigrationState) -> None:
    begin_pass(state, run=3, fingerprint="spec", database="default")
    end_pass(state, high_water="17", database="default")
    begin_pass(state, run=4, database="default")

    read_again(state, database="default")
    assert stored() == ("spec", False, None, None)
    forget_spec(state, database="default")
    assert stored() == ("", False, None, None)


def test_the_layouts_that_others_added_meanwhile_stay(state: MigrationState) -> None:
    MigrationState.objects.update(layouts={"1": ["a"]})

    begin_pass(state, run=3, database="default")
    end_pass(state, database="default")
    assert MigrationState.objects.get().layouts == {"1": ["a"]}
