"""Records of patches: begun, gone on with, run again, said to be done, forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from data_migration.ledger import PATCHES, Ledger, NewStep
from data_migration.ledger.claims import keep_ranges
from data_migration.ledger.patches import PatchBook
from data_migration.ledger.states import state_of
from data_migration.models import PatchRecord, RowError, Run, StepRange
from data_migration.outcomes import MessageKind, Mode, PatchState, RunKind, RunStatus
from data_migration.utils import processes

pytestmark = pytest.mark.django_db

ITEM = ("shop", "fill_slugs", "1")
STEP = "patch:shop.fill_slugs"


@pytest.fixture
def book() -> PatchBook:
    return PatchBook("default")


def begin(book: PatchBook, **fields: Any) -> PatchRecord:
    return book.begin(*ITEM, **{"digest": "d", "run": None, **fields})


def run_of_patches(status: RunStatus = RunStatus.DONE) -> Run:
    ledger = Ledger("default", PATCHES)
    asked: dict[str, Any] = {"kind": RunKind.PATCH, "mode": Mode.COMMIT, "options": {}}
    run = ledger.start_run([NewStep(STEP)], **asked)
    ledger.finish_run(run, status)
    return run


def test_without_a_record_a_patch_is_pending(book: PatchBook) -> None:
    assert book.current(*ITEM) is None


def test_it_is_partial_until_it_is_finished(book: PatchBook) -> None:
    run = run_of_patches()
    record = begin(book, run=run)

    assert book.current(*ITEM) == record
    assert (record.state, record.run, record.digest) == (PatchState.PARTIAL, run, "d")
    assert (record.owner, record.host) == (processes.owner(), processes.host())
    assert record.started_at is not None
    assert record.finished_at is None
    book.finish(record, PatchState.DONE)
    record.refresh_from_db()
    assert (record.state, record.finished_at is None) == (PatchState.DONE, False)


@pytest.mark.parametrize("state", [PatchState.PARTIAL, PatchState.FAILED])
def test_an_attempt_goes_on_with_the_record_of_the_last(
    book: PatchBook, state: PatchState
) -> None:
    first = begin(book)
    book.bound(first, upper="900", total=90)
    book.advance(first, processed=40, cursor="400")
    book.finish(first, state, reason="the server was gone")

    second = begin(book, digest="e", run=run_of_patches())

    assert second.pk == first.pk
    assert (second.cursor, second.upper, second.processed, second.total) == ("400", "900", 40, 90)
    assert (second.state, second.digest, second.reason) == (PatchState.PARTIAL, "e", "")
    assert second.finished_at is None, "it has not come to its end again"
    assert second.started_at == first.started_at


@pytest.mark.parametrize("state", [PatchState.DONE, PatchState.FAKED, PatchState.NOT_NEEDED])
def test_what_was_settled_is_begun_in_a_record_of_its_own(
    book: PatchBook, state: PatchState
) -> None:
    first = begin(book)
    book.finish(first, state)

    second = begin(book)

    assert (first.repeat, second.repeat, book.current(*ITEM)) == (0, 1, second)
    assert [each.pk for each in book.records()] == [first.pk, second.pk]


def test_again_adds_a_record_and_leaves_the_old_one_as_it_is(book: PatchBook) -> None:
    first = begin(book)
    book.advance(first, processed=3, cursor="3")

    second = begin(book, again=True)

    assert (second.repeat, second.cursor, second.processed) == (1, None, 0)
    first.refresh_from_db()
    assert (first.cursor, first.state) == ("3", PatchState.PARTIAL)


def test_another_revision_is_another_patch(book: PatchBook) -> None:
    book.finish(begin(book), PatchState.DONE)

    assert book.current("shop", "fill_slugs", "2") is None
    assert book.begin("shop", "fill_slugs", "2", digest="d", run=None).repeat == 0


def test_nobody_begins_the_same_record_twice(book: PatchBook) -> None:
    begin(book)
    with pytest.raises(IntegrityError), transaction.atomic():
        PatchRecord.objects.create(app="shop", name="fill_slugs", revision="1", state="partial")


def test_a_walk_says_how_far_it_has_come(book: PatchBook) -> None:
    record = begin(book)
    book.advance(record, processed=2, cursor="2")
    book.advance(record, processed=1)
    record.refresh_from_db()
    assert (record.processed, record.cursor, record.is_walked) == (3, "2", False)

    book.advance(record, processed=0, is_walked=True)
    book.advance(record, processed=1)
    record.refresh_from_db()
    assert (record.processed, record.is_walked) == (4, True)


def test_what_runs_every_time_begins_from_the_start_in_its_one_record(book: PatchBook) -> None:
    record = begin(book)
    book.advance(record, processed=2, cursor="2", is_walked=True)
    book.add_output(record, "said\n")
    book.finish(record, PatchState.DONE)

    book.renew(record, digest="e", run=None)

    (only,) = book.records()
    assert (only.cursor, only.processed, only.is_walked, only.output) == (None, 0, False, "")
    assert (only.state, only.finished_at) == (PatchState.PARTIAL, None)


def test_output_is_kept_in_its_order_and_its_end(
    book: PatchBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_migration.ledger.patches._OUTPUT", 10)
    record, beside = begin(book), book.current(*ITEM)
    assert beside is not None
    book.add_output(record, "12345")
    book.add_output(beside, "678")  # another process, which knows nothing of the first
    book.add_output(record, "9abc")

    record.refresh_from_db()
    assert record.output == "3456789abc"


def test_somebody_says_that_it_is_done_who_and_why(book: PatchBook) -> None:
    record = book.fake(*ITEM, digest="d", by="alice", reason="by hand")

    assert (record.state, record.owner, record.reason) == (PatchState.FAKED, "alice", "by hand")
    assert (record.started_at, record.run) == (None, None)
    assert record.finished_at is not None


def test_to_accept_a_change_keeps_it_done(book: PatchBook) -> None:
    record = begin(book)
    book.finish(record, PatchState.DONE)

    accepted = book.fake(*ITEM, digest="new", by="alice", reason="only a comment")

    assert (accepted.pk, accepted.state, accepted.digest) == (record.pk, PatchState.DONE, "new")


def test_not_needed_says_why(book: PatchBook) -> None:
    record = book.not_needed(*ITEM, digest="d", reason="a fresh install")

    assert (record.state, record.reason) == (PatchState.NOT_NEEDED, "a fresh install")


def test_the_record_outlives_its_run(book: PatchBook) -> None:
    record = begin(book, run=run_of_patches())
    Run.objects.all().delete()

    record.refresh_from_db()
    assert (record.run, record.state) == (None, PatchState.PARTIAL)


def test_what_is_forgotten_is_pending_and_its_failures_wait_no_more(book: PatchBook) -> None:
    run = run_of_patches()
    record, step = begin(book, run=run), run.steps.get()
    keep_ranges(
        [StepRange(step=step, number=1, status="pending", fingerprint=record.mark)],
        database="default",
    )
    for label in (STEP, "shop.ItemMigration"):
        RowError.objects.create(
            step=step,
            migration=state_of(label, database="default"),
            kind=MessageKind.FAILURE,
            row_number=1,
            is_open=True,
            cause="no",
        )

    book.forget([record], steps=[STEP])

    assert book.current(*ITEM) is None
    assert dict(RowError.objects.values_list("migration__label", "is_open")) == {
        STEP: False,
        "shop.ItemMigration": True,
    }
    assert StepRange.objects.get().fingerprint == "", "nobody goes on with it"


def test_objects_that_failed_do_not_wait_where_somebody_says_that_it_is_done(
    book: PatchBook,
) -> None:
    run = run_of_patches()
    begin(book, run=run)
    RowError.objects.create(
        step=run.steps.get(),
        migration=state_of(STEP, database="default"),
        kind=MessageKind.FAILURE,
        row_number=1,
        is_open=True,
        cause="no",
    )

    book.fake(*ITEM, digest="d", by="alice", reason="by hand", steps=[STEP])

    assert not RowError.objects.get().is_open


def test_an_unfinished_patch_goes_on_under_another_name(book: PatchBook) -> None:
    record = begin(book)
    state_of(f"{STEP}/shop.Tag", database="default")

    book.rename(record, "shop", "slugs", "1", labels=(STEP, "patch:shop.slugs"))

    assert book.current(*ITEM) is None
    assert book.current("shop", "slugs", "1") == record
    assert state_of("patch:shop.slugs/shop.Tag", database="default").pk


# ------------------------------------------------------------------ other surfaces


def test_labels_of_patches_confuse_nobody_who_asks_for_migrations(book: PatchBook) -> None:
    run = run_of_patches()
    step = run.steps.get()
    step.status, step.finished_at = RunStatus.PARTIAL, timezone.now() - timedelta(days=1)
    step.save()
    state = state_of(STEP, database="default")
    failed = {"kind": MessageKind.FAILURE, "row_number": 1, "is_open": True, "cause": "no"}
    RowError.objects.create(step=step, migration=state, key="7", key_hash="0" * 32, **failed)
    ledger = Ledger("default")

    assert ledger.finished() == set()
    assert ledger.keyless() == set()
    assert ledger.open_relations() == {}
    assert ledger.applied_fingerprints() == {}
    # By label, and so found by nobody who asks for a migration.
    assert ledger.failed() == {STEP}
    assert ledger.states().keys() == {STEP}
