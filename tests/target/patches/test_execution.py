"""One patch by one process: whole or in batches, what it leaves behind, what it counts."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F

from data_migration.exceptions import Interrupted, SpecError, StepFailed, TooManyErrors
from data_migration.models import MigrationState, PatchRecord, RowError, Run
from data_migration.options import MaxErrors
from data_migration.outcomes import Mode, OnError, PatchState
from data_migration.patches import Patch
from tests.apps.shop.models import Brand, Custom
from tests.support.waiting import PATIENCE

from .attempts import attempt, open_failures, record_of

pytestmark = pytest.mark.django_db


class Count(Patch):
    """Adds one to each width."""

    batch_size = 10

    def queryset(self) -> Any:
        return Custom.objects.all()

    def process(self, item: Custom) -> None:
        item.width += 1


class CountUnlessBad(Count):
    name = "count"

    def process(self, item: Custom) -> None:
        if item.upper == "BAD":
            raise ValueError("this one is bad")
        super().process(item)


def fill(number: int, bad: tuple[int, ...] = ()) -> list[Custom]:
    """So many objects, of which those at these places are bad."""
    made = [Custom(pk=n * 3, upper="BAD" if n in bad else f"N{n}") for n in range(1, number + 1)]
    return Custom.objects.bulk_create(made)


def widths() -> dict[int, int]:
    """How many objects have which width."""
    found: dict[int, int] = {}
    for width in Custom.objects.values_list("width", flat=True):
        found[width] = found.get(width, 0) + 1
    return found


# ------------------------------------------------------------------ in batches


def test_each_object_is_processed_once_and_the_record_is_done() -> None:
    fill(25)
    done = attempt(Count)
    assert (done.state, done.error, done.counts) == (PatchState.DONE, None, {"updated": 25})
    assert widths() == {1: 25}
    record = record_of(Count)
    assert record is not None
    assert (record.state, record.cursor, record.upper) == ("done", "75", "75")
    assert (record.is_walked, record.processed, record.total) == (True, 25, 25)


def test_objects_that_are_not_changed_are_counted_as_unchanged() -> None:
    class Nothing(Count):
        def process(self, item: Custom) -> None:
            item.width = 0 if item.pk > 30 else 1

    fill(25)
    assert attempt(Nothing).counts == {"updated": 10, "unchanged": 15}


def test_an_expression_is_saved_as_one() -> None:
    class Expression(Count):
        def process(self, item: Custom) -> None:
            item.width = F("width") + 1

    fill(12)
    assert attempt(Expression).counts == {"updated": 12}
    assert widths() == {1: 12}


def test_a_queryset_without_objects_is_done() -> None:
    assert attempt(Count).state == PatchState.DONE
    record = record_of(Count)
    assert record is not None
    assert (record.state, record.is_walked, record.total) == ("done", True, 0)


def test_a_queryset_that_shrinks_while_it_is_processed_loses_nothing() -> None:
    class Shrinking(Count):
        def queryset(self) -> Any:
            return Custom.objects.filter(width=0)

    fill(35)
    assert attempt(Shrinking).counts == {"updated": 35}


def test_process_batch_gets_the_objects_of_each_batch() -> None:
    class InBulk(Patch):
        batch_size = 10

        def queryset(self) -> Any:
            return Custom.objects.filter(width=0)

        def process_batch(self, queryset: Any) -> None:
            self.ctx.log(f"{queryset.count()} objects")
            queryset.update(width=F("width") + 1)

    fill(25)
    done = attempt(InBulk)
    assert (done.state, done.counts) == (PatchState.DONE, {"updated": 25})
    assert done.output == ["10 objects", "10 objects", "5 objects"]
    record = record_of(InBulk)
    assert record is not None
    assert record.output == "10 objects\n10 objects\n5 objects\n"
    assert widths() == {1: 25}


def test_objects_that_are_made_meanwhile_are_not_walked() -> None:
    class Growing(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            if item.pk == 3:
                Custom.objects.create(pk=1000)

    fill(12)
    assert attempt(Growing).counts == {"updated": 12}
    assert widths() == {1: 12, 0: 1}


# ------------------------------------------------------------------ failures


def test_a_failed_object_ends_the_patch_and_the_next_run_goes_on_there() -> None:
    fill(35, bad=(15,))
    failed = attempt(CountUnlessBad)
    assert isinstance(failed.error, StepFailed)
    line = CountUnlessBad.process.__code__.co_firstlineno + 2
    assert str(failed.error) == (
        f"shop.count: key 45: process, line {line}: ValueError: this one is bad. What was"
        " committed before is kept; the same command goes on there. Mend the object or the patch,"
        " or go on past failed objects with --on-error continue."
    )
    assert failed.counts == {"updated": 10, "failed": 1}
    assert open_failures() == ["45"]
    assert widths() == {1: 10, 0: 25}
    Custom.objects.filter(pk=45).update(upper="GOOD")
    again = attempt(CountUnlessBad)
    assert (again.state, again.counts) == (PatchState.DONE, {"updated": 25, "passed": 10})
    assert open_failures() == []
    assert widths() == {1: 35}


def test_under_continue_the_others_are_done_and_a_retry_closes_the_failure() -> None:
    fill(35, bad=(15, 35))
    partial = attempt(CountUnlessBad, on_error=OnError.CONTINUE)
    assert (partial.state, partial.counts) == (PatchState.PARTIAL, {"updated": 33, "failed": 2})
    assert open_failures() == ["45", "105"]
    Custom.objects.filter(pk=45).update(upper="GOOD")
    retried = attempt(CountUnlessBad, on_error=OnError.CONTINUE, retry_failed=True)
    assert (retried.state, retried.counts) == (PatchState.PARTIAL, {"updated": 1, "failed": 1})
    assert open_failures() == ["105"]
    Custom.objects.filter(pk=105).update(upper="GOOD")
    last = attempt(CountUnlessBad)  # without --retry-failed: the walk is over already
    assert (last.state, last.counts) == (PatchState.DONE, {"updated": 1, "passed": 35})
    assert widths() == {1: 35}
    assert open_failures() == []


def test_one_object_of_ten_thousand_fails_and_its_retry_closes_the_failure() -> None:
    class Large(CountUnlessBad):
        batch_size = 500

    fill(10_000, bad=(500,))
    partial = attempt(Large, on_error=OnError.CONTINUE)
    assert (partial.state, partial.counts) == (PatchState.PARTIAL, {"updated": 9999, "failed": 1})
    assert open_failures() == ["1500"]
    Custom.objects.filter(pk=1500).update(upper="GOOD")
    retried = attempt(Large, retry_failed=True)
    assert (retried.state, retried.counts) == (PatchState.DONE, {"updated": 1})
    assert (widths(), open_failures()) == ({1: 10_000}, [])


def test_the_failure_of_an_object_that_is_gone_is_closed_and_it_counts_as_skipped() -> None:
    fill(12, bad=(5,))
    attempt(CountUnlessBad, on_error=OnError.CONTINUE)
    Custom.objects.filter(pk=15).delete()
    done = attempt(CountUnlessBad)
    assert (done.state, done.counts) == (PatchState.DONE, {"skipped": 1, "passed": 12})
    assert open_failures() == []


def test_what_a_failed_object_wrote_is_undone_and_the_others_are_processed_once() -> None:
    class Writing(CountUnlessBad):
        def process(self, item: Custom) -> None:
            Brand.objects.create(name="made", code=str(item.pk))
            super().process(item)

    fill(25, bad=(5, 12))
    partial = attempt(Writing, on_error=OnError.CONTINUE)
    assert partial.counts == {"updated": 23, "failed": 2}
    assert widths() == {1: 23, 0: 2}
    assert not Brand.objects.filter(code__in=("15", "36")).exists()
    assert Brand.objects.count() == 23


@pytest.mark.parametrize("on_error", list(OnError))
def test_an_object_that_fails_under_another_key_is_told_by_its_own(on_error: OnError) -> None:
    class Moving(Count):
        def process(self, item: Custom) -> None:
            if item.pk == 9:
                item.delete()
                raise ValueError("gone before its time")
            if item.pk == 12:
                item.pk = 1200
                raise ValueError("moved")
            super().process(item)

    fill(5)
    failed = attempt(Moving, on_error=on_error)
    assert [key for key, _ in failed.messages] == ["9", "12"][: 2 if failed.error is None else 1]
    assert Custom.objects.count() == 5


def test_an_error_of_the_database_in_process_fails_its_object_alone() -> None:
    class Twice(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            Brand.objects.create(name="made", code="one" if item.pk in (9, 21) else str(item.pk))

    fill(12)
    partial = attempt(Twice, on_error=OnError.CONTINUE)
    assert partial.counts == {"updated": 11, "failed": 1}
    assert open_failures() == ["21"]


def test_an_error_of_the_database_that_process_swallows_fails_its_object() -> None:
    class Swallowing(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            try:
                Brand.objects.create(name="made", code="one")
            except Exception:
                return

    fill(3)
    partial = attempt(Swallowing, on_error=OnError.CONTINUE)
    expected = {"updated": 1, "failed": 2} if partial.counts.get("failed") else {"updated": 3}
    assert partial.counts == expected


def test_an_error_while_saving_fails_its_object_alone() -> None:
    class Rename(Patch):
        batch_size = 10

        def queryset(self) -> Any:
            return Brand.objects.all()

        def process(self, item: Brand) -> None:
            item.code = "taken" if item.pk in (7, 13) else f"new {item.pk}"

    Brand.objects.bulk_create(Brand(pk=n, name="b", code=f"old {n}") for n in range(1, 26))
    Brand.objects.create(pk=99, name="other", code="taken")
    partial = attempt(Rename, on_error=OnError.CONTINUE)
    assert partial.counts["failed"] == 2
    assert open_failures() == ["7", "13"]
    assert Brand.objects.filter(code__startswith="new").count() == 24


def test_a_batch_that_fails_is_halved_until_the_object_to_blame_is_found() -> None:
    class InBulk(Patch):
        batch_size = 10

        def queryset(self) -> Any:
            return Custom.objects.all()

        def process_batch(self, queryset: Any) -> None:
            queryset.update(width=F("width") + 1)
            if queryset.filter(upper="BAD").exists():
                raise ValueError("a bad one is among them")

    fill(25, bad=(13,))
    partial = attempt(InBulk, on_error=OnError.CONTINUE)
    assert partial.counts == {"updated": 24, "failed": 1}
    assert open_failures() == ["39"]
    assert widths() == {1: 24, 0: 1}


def test_too_many_failures_end_the_patch() -> None:
    fill(30, bad=(2, 3, 4, 15))
    failed = attempt(CountUnlessBad, on_error=OnError.CONTINUE, max_errors=MaxErrors(count=2))
    assert isinstance(failed.error, TooManyErrors)
    assert widths() == {0: 30}


# ------------------------------------------------------------------ the end before the end


def test_limit_leaves_the_rest_for_the_next_run() -> None:
    fill(25)
    first = attempt(Count, limit=12)
    assert (first.state, first.counts) == (PatchState.PARTIAL, {"updated": 12})
    second = attempt(Count)
    assert (second.state, second.counts) == (PatchState.DONE, {"updated": 13, "passed": 12})
    assert widths() == {1: 25}


def test_who_wants_the_end_gets_it_after_a_batch() -> None:
    fill(25)
    asked = iter([False, True])
    stopped = attempt(Count, should_stop=lambda: next(asked))
    assert isinstance(stopped.error, Interrupted)
    assert widths() == {1: 20, 0: 5}
    assert attempt(Count).state == PatchState.DONE
    assert widths() == {1: 25}


def test_throttle_waits_between_two_batches_outside_of_any_transaction() -> None:
    seen: list[bool] = []

    class Patient(Count):
        def throttle(self) -> float:
            seen.append(connection.in_atomic_block)
            return 0

    fill(25)
    attempt(Patient)
    assert len(seen) == 2


def test_a_throttle_that_returns_nothing_does_not_wait() -> None:
    class Forgetful(Count):
        def throttle(self) -> Any:
            return None

    fill(25)
    assert attempt(Forgetful).state == PatchState.DONE


def test_a_throttle_that_returns_no_number_is_named() -> None:
    class Wordy(Count):
        def throttle(self) -> Any:
            return "5"

    fill(25)
    assert str(attempt(Wordy).error) == (
        "shop.wordy: throttle() returned '5'. It has to return how many seconds to wait, 0 to go"
        " on."
    )


def test_a_patch_that_is_not_needed_is_recorded_so() -> None:
    class Needless(Count):
        def is_needed(self) -> bool:
            return False

    fill(5)
    assert attempt(Needless).state == PatchState.NOT_NEEDED
    record = record_of(Needless)
    assert record is not None
    assert (record.state, record.reason) == (
        "not_needed",
        "is_needed() said that there is nothing to do.",
    )
    assert widths() == {0: 5}


# ------------------------------------------------------------------ as a whole


class Whole(Patch):
    def execute(self) -> None:
        self.ctx.log("begun")
        Custom.objects.update(width=F("width") + 1)


def test_a_whole_patch_is_done_with_its_record() -> None:
    fill(3)
    done = attempt(Whole)
    assert (done.state, done.counts) == (PatchState.DONE, {})
    record = record_of(Whole)
    assert record is not None
    assert (record.state, record.output) == ("done", "begun\n")
    assert widths() == {1: 3}


def test_a_whole_patch_that_fails_leaves_nothing() -> None:
    class Failing(Whole):
        def execute(self) -> None:
            super().execute()
            raise ValueError("no")

    fill(3)
    failed = attempt(Failing)
    assert isinstance(failed.error, ValueError)
    assert record_of(Failing) is None
    assert widths() == {0: 3}


def test_batches_of_an_atomic_patch_are_one_transaction() -> None:
    class Atomic(CountUnlessBad):
        atomic = True

    fill(25, bad=(25,))
    failed = attempt(Atomic)
    assert isinstance(failed.error, StepFailed)
    assert widths() == {0: 25}
    assert record_of(Atomic) is None
    Custom.objects.filter(upper="BAD").update(upper="GOOD")
    assert attempt(Atomic).counts == {"updated": 25}


def test_a_rehearsal_leaves_nothing_and_counts_as_the_commit_does() -> None:
    fill(25, bad=(12,))
    dry = attempt(CountUnlessBad, mode=Mode.REHEARSAL, on_error=OnError.CONTINUE)
    assert (dry.state, dry.counts) == (PatchState.PARTIAL, {"updated": 24, "failed": 1})
    assert widths() == {0: 25}
    assert not PatchRecord.objects.exists()
    assert [key for key, _ in dry.messages] == ["36"]
    assert open_failures() == []


def test_sys_exit_in_a_patch_fails_it() -> None:
    class Leaving(Patch):
        def execute(self) -> None:
            raise SystemExit(3)

    failed = attempt(Leaving)
    assert isinstance(failed.error, StepFailed)
    assert str(failed.error).startswith("shop.leaving: ")


# ------------------------------------------------------------------ ends of transactions


def test_a_statement_that_would_end_the_transaction_is_refused_before_it_is_sent() -> None:
    class Committing(Whole):
        def execute(self) -> None:
            super().execute()
            with connection.cursor() as cursor:
                cursor.execute("/* now */ COMMIT")

    fill(3)
    failed = attempt(Committing)
    assert isinstance(failed.error, SpecError)
    assert str(failed.error).startswith(
        "shop.committing: the statement COMMIT ... would end the transaction"
    )
    assert widths() == {0: 3}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="it takes one statement at a time")
def test_no_statement_of_several_that_are_sent_at_once_ends_the_transaction() -> None:
    class Committing(Whole):
        def execute(self) -> None:
            super().execute()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 'a; b'; -- the end\n COMMIT; SELECT 1")

    fill(3)
    failed = attempt(Committing)
    assert isinstance(failed.error, SpecError)
    assert "the statement COMMIT ... would end the transaction" in str(failed.error)
    assert widths() == {0: 3}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about its bodies of functions")
@pytest.mark.parametrize(
    "body", ["LANGUAGE plpgsql AS $x$ BEGIN PERFORM 1; END; $x$", "BEGIN ATOMIC SELECT 1; END"]
)
def test_a_semicolon_in_a_function_or_a_text_ends_no_statement(body: str) -> None:
    class Defining(Whole):
        def execute(self) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE FUNCTION f() RETURNS void {body}; SELECT '; commit'")

    assert attempt(Defining).error is None


@pytest.mark.skipif(connection.vendor != "mysql", reason="the others roll back DDL")
def test_ddl_is_refused_where_it_would_commit() -> None:
    class Altering(Whole):
        def execute(self) -> None:
            super().execute()
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE never (id INT)")

    fill(3)
    failed = attempt(Altering)
    assert isinstance(failed.error, SpecError)
    assert "commits it at once" in str(failed.error)
    assert widths() == {0: 3}


# ------------------------------------------------------------------ records


def test_another_repeat_begins_from_the_start_and_keeps_the_old_record() -> None:
    fill(5)
    attempt(Count)
    attempt(Count, again=True)
    assert widths() == {2: 5}
    assert list(PatchRecord.objects.order_by("repeat").values_list("repeat", "state")) == [
        (0, "done"),
        (1, "done"),
    ]


def test_what_runs_every_time_renews_its_record() -> None:
    class Always(Count):
        always = True

    fill(25)
    attempt(Always)
    attempt(Always)
    assert widths() == {2: 25}
    record = PatchRecord.objects.get()
    assert (record.state, record.processed, record.repeat) == ("done", 25, 0)


def test_a_renamed_patch_goes_on_where_it_got_to_under_its_old_name() -> None:
    fill(25, bad=(5, 22))
    attempt(CountUnlessBad, on_error=OnError.CONTINUE, limit=12)
    Custom.objects.filter(upper="BAD").update(upper="GOOD")

    class Renamed(CountUnlessBad):
        name = "renamed"

    done = attempt(Renamed, record=record_of(CountUnlessBad))
    assert (done.state, done.counts) == (PatchState.DONE, {"updated": 14, "passed": 12})
    assert widths() == {1: 25}
    assert open_failures() == []
    assert [record.label for record in PatchRecord.objects.all()] == ["shop.renamed"]


@pytest.mark.django_db(transaction=True)
def test_a_callback_that_raises_after_the_commit_does_not_unmake_what_was_committed() -> None:
    class Calling(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            if item.pk == 45:
                transaction.on_commit(lambda: 1 / 0)

    fill(25)
    failed = attempt(Calling)
    assert isinstance(failed.error, ZeroDivisionError)
    assert failed.counts == {"updated": 20}
    record = record_of(Calling)
    assert record is not None
    assert (record.processed, record.cursor) == (20, "60")
    attempt(Count, record=record)


def test_messages_are_those_of_objects() -> None:
    fill(12, bad=(3,))
    attempt(CountUnlessBad, on_error=OnError.CONTINUE)
    message = RowError.objects.get()
    assert (message.row_number, message.key, message.column, message.is_open) == (3, "9", "", True)
    assert message.migration.label == "patch:shop.count"
    assert Run.objects.get().kind == "patch"


# ------------------------------------------------------------------ what it writes is kept


def test_what_a_patch_changes_of_the_models_in_writes_is_kept() -> None:
    class Kept(CountUnlessBad):
        writes = (Custom,)

    fill(25, bad=(3,))
    attempt(Kept, on_error=OnError.CONTINUE)
    state = MigrationState.objects.get(label="patch:shop.count/shop.Custom")
    assert state.links.count() == 24
    assert {image.values["width"] for image in state.images.all()} == {"0"}


def test_what_a_whole_patch_changes_is_kept_as_well() -> None:
    class Kept(Whole):
        writes = ("shop.Custom",)

    fill(3)
    attempt(Kept)
    state = MigrationState.objects.get(label="patch:shop.kept/shop.Custom")
    assert state.images.count() == 3


def test_an_object_that_got_another_key_before_it_failed_is_named_by_its_own() -> None:
    class Rekeyed(CountUnlessBad):
        def process(self, item: Custom) -> None:
            item.pk += 1000
            super().process(item)
            item.pk -= 1000

    fill(12, bad=(3,))
    partial = attempt(Rekeyed, on_error=OnError.CONTINUE)
    assert partial.counts == {"updated": 11, "failed": 1}
    assert open_failures() == ["9"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_batch_that_waits_for_somebody_who_waits_for_it_is_begun_again() -> None:
    begun, held = Event(), Event()

    def other() -> None:
        try:
            with suppress(OperationalError), transaction.atomic():
                Brand.objects.update(name="theirs")
                held.set()
                begun.wait(PATIENCE)
                Custom.objects.filter(pk=3).update(upper="theirs")
        finally:
            connection.close()

    class Crossing(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            if item.pk == 3:
                begun.set()
                time.sleep(0.3)  # until the other one waits for this object
                Brand.objects.update(name="ours")

    fill(12)
    Brand.objects.bulk_create(Brand(name="b", code=str(n)) for n in range(30))
    thread = Thread(target=other)
    thread.start()
    held.wait(PATIENCE)
    done = attempt(Crossing)
    thread.join()
    assert (done.state, done.error, done.counts) == (PatchState.DONE, None, {"updated": 12})
    assert widths() == {1: 12}
    assert Brand.objects.filter(name="ours").count() == 30


def test_a_queryset_that_cannot_be_read_in_pages_is_refused_by_the_name_of_its_patch() -> None:
    class Sliced(Count):
        def queryset(self) -> Any:
            return Custom.objects.all()[:10]

    fill(3)
    refused = attempt(Sliced)
    assert isinstance(refused.error, SpecError)
    assert str(refused.error).startswith("Sliced: queryset() of shop.Custom is sliced. It is read")
    assert widths() == {0: 3}


@pytest.mark.parametrize("on_error", OnError)
def test_an_object_whose_key_is_changed_fails_by_its_own_key(on_error: OnError) -> None:
    class Moving(CountUnlessBad):
        def process(self, item: Custom) -> None:
            if item.pk == 6:
                item.pk = 1000
            super().process(item)

    fill(3)
    failed = attempt(Moving, on_error=on_error)
    assert failed.messages == [
        (
            "6",
            "its key was changed from 6 to 1000. Saved under another key it would be another"
            " object: create that one, and delete this one",
        )
    ]
    assert widths() == ({1: 2, 0: 1} if on_error == OnError.CONTINUE else {0: 3})
