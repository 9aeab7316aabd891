"""What is remembered of a migration from run to run: passes over its query, its mark, its spec."""

from __future__ import annotations

from django.db.models import QuerySet

from ..models import MigrationState


def begin_pass(
    state: MigrationState, *, run: int, fingerprint: str | None = None, database: str
) -> None:
    """A run begins to read the query from its start; ``fingerprint`` is the spec applied to it.

    Without one the spec counts as that of an earlier run still.
    """
    state.pass_run = run
    if fingerprint is not None:
        state.fingerprint = fingerprint
    state.save(using=database, update_fields=["pass_run", "fingerprint"])


def end_pass(state: MigrationState, *, high_water: str | None = None, database: str) -> None:
    """The query was read to its end; ``high_water`` is the new mark, None where the old stays."""
    state.is_read, state.pass_run = True, None
    changed = ["is_read", "pass_run", "high_water"]
    if high_water is not None:
        state.high_water = high_water
    if state.pass_mark is not None:
        state.pass_mark = None
        changed.append("pass_mark")
    state.save(using=database, update_fields=changed)


def go_on_at(state: MigrationState, mark: str, *, database: str) -> None:
    """A pass that is broken off may go on at this mark: what is below it was committed."""
    state.pass_mark = mark
    state.save(using=database, update_fields=["pass_mark"])


def read_again(state: MigrationState, *, database: str) -> None:
    """The next run reads the query from its start, as if it had never been read to its end."""
    state.is_read, state.pass_run, state.high_water, state.pass_mark = False, None, None, None
    state.save(using=database, update_fields=["is_read", "pass_run", "high_water", "pass_mark"])


def forget_spec(state: MigrationState, *, database: str) -> None:
    """No row is left to which the spec was applied."""
    state.fingerprint = ""
    state.save(using=database, update_fields=["fingerprint"])


def not_of_migrations(states: QuerySet[MigrationState]) -> QuerySet[MigrationState]:
    """Those of what else writes, which are patches: their labels have a colon."""
    return states.filter(label__contains=":")


def forget_state(state: MigrationState, *, database: str) -> None:
    """Nothing is remembered of it any more, as if it had never been."""
    state.delete(using=database)


def state_of(label: str, *, database: str) -> MigrationState:
    """What is remembered under a label, from now on if it was not known."""
    state, _ = MigrationState.objects.using(database).get_or_create(label=label)
    return state
