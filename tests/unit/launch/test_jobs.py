"""From what was asked for to what is executed."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from data_migration.exceptions import LedgerError, RunRefused, SpecError
from data_migration.launch import jobs
from data_migration.ledger import Ledger, queue_run
from data_migration.ledger.lock import Lock
from data_migration.models import Run
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError, RunKind, RunStatus
from data_migration.run.runner import Import
from data_migration.undo import Rollback, Selection
from data_migration.utils.wording import error_text
from tests.apps.library.fixtures import (
    EVERYTHING,
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.testing import migrate
from tests.target.ledger.running import begin

pytestmark = pytest.mark.django_db


def queue(options: RunOptions) -> Run:
    return queue_run(
        kind=RunKind.IMPORT, mode=options.mode, options=options.recorded(), database="default"
    )


def queue_rollback(options: dict[str, Any]) -> Run:
    return queue_run(
        kind=RunKind.ROLLBACK, mode=Mode.ROLLBACK, options=options, database="default"
    )


def commit(**options: Any) -> RunOptions:
    return RunOptions(mode=Mode.COMMIT, labels=("library",), **options)


def executed(run: Run) -> Import:
    done = jobs.execute(run.pk, "default")
    assert isinstance(done, Import)
    return done


def test_is_executed_in_the_language_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str | None] = []
    execute = lambda *arguments: spoken.append(translation.get_language())  # noqa: E731
    monkeypatch.setitem(jobs.EXECUTORS, RunKind.IMPORT, execute)
    with translation.override("fr"):
        jobs.execute(queue(commit()).pk, "default")
    assert spoken == ["en-us"]


def labels(plan: Any) -> list[str]:
    return [step.label.removeprefix("library.") for step in plan]


# ------------------------------------------------------------------ what a run would execute


def test_a_run_executes_what_is_due_of_what_was_chosen(library: Library) -> None:
    ledger = Ledger("default")
    whole = jobs.whole_plan("default")
    everything = labels(jobs.todo(whole, ledger, commit()))
    assert everything[:2] == ["AuthorMigration", "GenreMigration"]

    migrate("library.AuthorMigration", "--commit")

    assert labels(jobs.todo(whole, ledger, commit())) == everything[1:]
    assert labels(jobs.todo(whole, ledger, commit(update=True))) == everything
    assert labels(jobs.todo(whole, ledger, commit(full=True))) == everything
    assert labels(jobs.todo(whole, ledger, commit(retry_failed=True))) == []
    left = commit(exclude=("library.GenreMigration", "library.BookMigration"))
    assert labels(jobs.todo(whole, ledger, left)) == everything[3:]


def test_it_warns_of_what_is_left_out_and_needed(library: Library) -> None:
    whole, ledger = jobs.whole_plan("default"), Ledger("default")
    todo = jobs.todo(whole, ledger, commit(exclude=("library.AuthorMigration",)))

    assert jobs.warnings_of(todo, whole, ledger) == [
        "library.BookMigration needs library.AuthorMigration, which is left out and not finished."
    ]


def test_a_fault_in_a_spec_is_refused_with_the_fault(library: Library) -> None:
    library.set("Author", batch_size=0)

    with pytest.raises(SpecError, match=r"nothing was run:\n .*library.AuthorMigration"):
        jobs.whole_plan("default")


def test_a_source_that_is_missing_is_refused_before_the_first_row(library: Library) -> None:
    library.settings.DATA_MIGRATION_SOURCES = {}
    whole = jobs.whole_plan("default")
    todo = jobs.todo(whole, Ledger("default"), commit())

    with pytest.raises(SpecError, match="There is no source 'legacy'"):
        jobs.require_sources(todo)


# ------------------------------------------------------------------ executed


@pytest.mark.parametrize(
    ("mode", "left"),
    [(Mode.REHEARSAL, NOTHING), (Mode.COMMIT, EVERYTHING), (Mode.ATOMIC, EVERYTHING)],
)
def test_a_queued_run_is_executed_as_the_command_would(
    library: Library, mode: Mode, left: dict[str, int]
) -> None:
    run = queue(RunOptions(mode=mode, labels=("library",)))

    done = executed(run)

    assert done.run == run
    assert (done.run.status, done.run.error) == ("done", "")
    assert done.run.finished_at is not None
    assert counts() == left
    assert Lock("default").refuse_second() is None


def test_it_has_the_options_that_were_recorded(library: Library) -> None:
    library.spoil_books()
    run = queue(commit(limit=2, on_error=OnError.CONTINUE, exclude=("library.MemberMigration",)))

    done = executed(run)

    assert done.run.options["limit"] == 2
    assert max(step.read for step in done.steps) == 2
    assert counts()["Member"] == 0


def test_failed_rows_are_retried_by_a_queued_run(library: Library) -> None:
    library.spoil_books()
    executed(queue(commit(on_error=OnError.CONTINUE)))
    assert Ledger("default").failed() == {"library.BookMigration"}
    library.change("UPDATE books SET author_id = 1")
    retry = executed(queue(commit(retry_failed=True, on_error=OnError.CONTINUE)))

    assert [step.migration for step in retry.steps if step.read] == ["library.BookMigration"]


def test_a_rollback_is_executed_and_of_a_run_alone_too(library: Library) -> None:
    first = executed(queue(commit(exclude=("library.MemberMigration",)))).run
    executed(queue(commit()))

    for selection, left in (
        (Selection(labels=("library",), run=first.pk), counts()["Member"]),
        (Selection(labels=("library",)), 0),
    ):
        options = {**selection.recorded(), "force": False}
        run = queue_rollback(options)
        done = jobs.execute(run.pk, "default")
        assert isinstance(done, Rollback)
        assert (done.run, done.run.status) == (run, "done")
        assert counts() == {**NOTHING, "Member": left}


def test_every_kind_of_run_has_its_executor() -> None:
    assert set(jobs.EXECUTORS) == set(RunKind)


def test_a_run_of_a_kind_of_tomorrow_is_given_up_with_the_reason() -> None:
    run = queue(commit())
    Run.objects.update(kind="verify")

    with pytest.raises(SpecError, match="a run of the kind 'verify'"):
        jobs.execute(run.pk, "default")
    run.refresh_from_db()
    assert (run.status, run.error.partition(".")[0]) == (
        "failed",
        "This process does not know how to execute a run of the kind 'verify'",
    )


def test_force_is_recorded_with_a_rollback(library: Library) -> None:
    from tests.apps.library.models import Author

    executed(queue(commit()))
    Author.objects.update(name="edited")
    gentle, forced = (
        queue_rollback({**Selection(labels=("library",)).recorded(), "force": force})
        for force in (False, True)
    )

    with pytest.raises(LedgerError, match="Nothing was rolled back"):
        jobs.execute(gentle.pk, "default")
    gentle.refresh_from_db()
    assert gentle.status == "failed"
    assert "Nothing was rolled back" in gentle.error

    assert jobs.execute(forced.pk, "default").run.status == "done"
    assert counts() == NOTHING


def test_what_it_is_told_ends_the_run_after_its_batch(library: Library) -> None:
    run = queue(commit())

    done = jobs.execute(run.pk, "default", should_stop=lambda: True)

    assert done.run.status == "interrupted"
    assert counts() != NOTHING
    assert executed(queue(commit())).run.status == "done"
    assert counts() == EVERYTHING


def test_a_run_that_somebody_wants_to_end_ends_after_its_batch(library: Library) -> None:
    run = queue(commit(batch_size=1))

    def hook_after_save(self: Any, instance: Any, row: Any) -> None:
        Run.objects.filter(pk=run.pk).update(stop_requested=True)

    library.hook("Author", hook_after_save)
    done = executed(run)

    assert done.run.status == "interrupted"
    # It is seen at the beginning of the next batch, which is done then.
    assert counts() == {**NOTHING, "Author": 2}


# ------------------------------------------------------------------ what cannot begin


def test_a_living_run_makes_it_fail_with_the_refusal(library: Library) -> None:
    going = begin(Lock("default"))
    run = queue(commit())

    with pytest.raises(RunRefused, match=f"Run {going.pk} is going"):
        jobs.execute(run.pk, "default")

    run.refresh_from_db()
    assert run.status == "failed"
    assert f"Run {going.pk} is going" in run.error
    assert run.started_at is None


def test_a_fault_in_a_spec_makes_it_fail_with_the_fault(library: Library) -> None:
    library.set("Author", batch_size=0)
    run = queue(commit())

    with pytest.raises(SpecError):
        jobs.execute(run.pk, "default")

    run.refresh_from_db()
    assert run.status == "failed"
    assert "library.AuthorMigration" in run.error


def test_a_run_that_was_claimed_is_left_alone(library: Library) -> None:
    run = queue(commit())
    executed(run)

    with pytest.raises(RunRefused, match="it is done"):
        jobs.execute(run.pk, "default")

    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.DONE, "")


def test_the_reason_of_an_unexpected_error_names_its_kind_and_no_secret() -> None:
    error = ValueError("cannot connect to postgresql://ada:geheim@db/shop")

    assert error_text(error).startswith("ValueError: cannot connect to")
    assert "geheim" not in error_text(error)
