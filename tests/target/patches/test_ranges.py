"""The objects of a patch in ranges: where they begin, who goes on with them, what is kept."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from data_migration.exceptions import Interrupted, LockLost, StepFailed
from data_migration.ledger import PATCHES, Ledger, NewStep
from data_migration.models import BeforeImage, RowError, RunStep, StepRange
from data_migration.options import never
from data_migration.outcomes import Mode, OnError, PatchState, RunKind
from data_migration.patches import Patch, ranges
from data_migration.rows.keys import key_of_text
from tests.apps.shop.models import Brand, Custom

from .attempts import attempt, define, open_failures, record_of
from .test_execution import Count, CountUnlessBad, fill, widths

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes one writer at a time"),
]


class Here:
    """A crew of one, in this process; it ends after ``most`` ranges."""

    name = "this process"

    def __init__(self, most: int = 1000) -> None:
        self.most = most

    def call(self, step: RunStep, waiting: Any) -> None:
        def should_stop() -> bool:
            self.most -= 1
            return self.most < 0

        ranges.work_on(step.pk, "default", should_stop)

    def tend(self) -> bool:
        return False

    def end(self, *, at_once: bool = False) -> None:
        pass


class Known(dict[str, Any]):
    """What is discovered: the patches of the test, by label."""


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    found = Known()
    monkeypatch.setattr(ranges, "discover", lambda: found)
    return found


def split(patch: type[Patch], known: Known, *, most: int = 1000, **options: Any) -> Any:
    definition = define(patch)
    known[definition.label] = definition
    return attempt(patch, crew=Here(most), workers=3, **options)


def bounds() -> list[tuple[Any, Any, int]]:
    """Of each range of the last step that has some: lower, upper, objects."""
    last = StepRange.objects.order_by("-step").values_list("step", flat=True).first()
    rows = StepRange.objects.filter(step=last).order_by("number")

    def read(text: str | None) -> Any:
        return None if text is None else key_of_text(text)

    return [(read(row.lower), read(row.upper), row.total) for row in rows]


def test_whole_numbers_without_gaps_are_divided_by_calculation(known: Known) -> None:
    Custom.objects.bulk_create(Custom(pk=n, upper="A") for n in range(1, 121))
    done = split(Count, known)
    assert (done.state, done.error, done.counts) == (PatchState.DONE, None, {"updated": 120})
    assert widths() == {1: 120}
    found = bounds()
    assert len(found) == 12
    assert [rows for _, _, rows in found] == [10] * 12
    assert (found[0][0], found[-1][1]) == (None, None)
    assert all(one[1] == two[0] for one, two in pairwise(found))
    assert done.step.split_reason == "processed in 12 ranges of 'id' by this process"
    record = record_of(Count)
    assert record is not None
    assert (record.state, record.processed, record.total) == ("done", 120, 120)


def test_other_keys_are_divided_into_equal_numbers_of_objects(known: Known) -> None:
    Custom.objects.bulk_create(Custom(pk=n**3, upper="A") for n in range(1, 121))
    done = split(Count, known)
    assert done.counts == {"updated": 120}
    assert widths() == {1: 120}
    assert [rows for _, _, rows in bounds()] == [10] * 12


def test_few_objects_are_left_to_one_process_and_the_reason_is_told(known: Known) -> None:
    fill(25)
    done = split(Count, known)
    assert done.counts == {"updated": 25}
    assert done.step.split_reason == (
        "processed by one process, because it has 25 objects to process, fewer than 4 batches"
    )


@pytest.mark.parametrize(
    ("attributes", "options", "reason"),
    [
        ({"split": False}, {}, "it says split = False"),
        ({"atomic": True}, {}, "it is done in one transaction, as a whole"),
        ({}, {"limit": 50}, "--limit wants the first objects"),
        ({}, {"mode": Mode.REHEARSAL}, "a rehearsal is one transaction"),
    ],
)
def test_what_is_not_split_says_why(
    known: Known, attributes: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    fill(60)
    done = split(type("Count", (Count,), attributes), known, **options)
    assert done.error is None
    assert done.step.split_reason == f"processed by one process, because {reason}"


def test_a_walk_that_one_process_began_is_divided_behind_its_cursor(known: Known) -> None:
    fill(120)
    attempt(Count, limit=20)
    done = split(Count, known)
    assert (done.state, done.counts) == (PatchState.DONE, {"updated": 100, "passed": 20})
    assert widths() == {1: 120}


def test_ranges_that_were_interrupted_are_gone_on_with_by_several_or_by_one(known: Known) -> None:
    fill(120)
    stopped = split(Count, known, most=7, should_stop=lambda: True)
    assert isinstance(stopped.error, Interrupted)
    assert str(stopped.error).startswith("shop.")
    done = sum(row.read for row in StepRange.objects.filter(step=stopped.step))
    assert 0 < done < 120
    assert widths() == {1: done, 0: 120 - done}
    record = record_of(Count)
    assert record is not None
    assert (record.state, record.processed) == ("partial", done)
    limited = attempt(Count, limit=15)
    assert limited.state == PatchState.PARTIAL
    assert widths() == {1: done + 15, 0: 105 - done}
    rehearsed = attempt(Count, mode=Mode.REHEARSAL)
    assert rehearsed.counts["updated"] == 105 - done
    again = split(Count, known)
    assert again.state == PatchState.DONE
    assert widths() == {1: 120}
    assert again.counts == {"updated": 105 - done, "passed": done + 15}


def test_one_process_takes_over_the_ranges_of_several(known: Known) -> None:
    fill(120)
    split(Count, known, most=5, should_stop=lambda: True)
    done = attempt(Count)
    assert done.state == PatchState.DONE
    assert widths() == {1: 120}
    record = record_of(Count)
    assert record is not None
    assert (record.state, record.processed, record.is_walked) == ("done", 120, True)


def test_failures_in_ranges_are_kept_and_retried(known: Known) -> None:
    fill(120, bad=(5, 77))
    partial = split(CountUnlessBad, known, on_error=OnError.CONTINUE)
    assert (partial.state, partial.counts) == (PatchState.PARTIAL, {"updated": 118, "failed": 2})
    assert sorted(open_failures()) == ["15", "231"]
    assert sorted(RowError.objects.values_list("row_number", flat=True)) == [5, 77]
    Custom.objects.filter(upper="BAD").update(upper="GOOD")
    last = split(CountUnlessBad, known)
    assert (last.state, last.counts) == (PatchState.DONE, {"updated": 2, "passed": 120})
    assert last.step.split_reason == "processed by one process: the walk is over"
    assert widths() == {1: 120}


def test_a_failure_in_a_range_ends_the_patch_and_the_next_run_goes_on(known: Known) -> None:
    fill(120, bad=(77,))
    failed = split(CountUnlessBad, known)
    assert isinstance(failed.error, StepFailed)
    assert open_failures() == ["231"]
    Custom.objects.filter(upper="BAD").update(upper="GOOD")
    done = split(CountUnlessBad, known)
    assert done.state == PatchState.DONE
    assert open_failures() == []
    assert widths() == {1: 120}


def test_a_worker_with_other_code_refuses(known: Known) -> None:
    class Other(Count):
        name = "count"

    fill(120)
    crew = Here()
    known["shop.count"] = define(Other)
    failed = attempt(Count, crew=crew, workers=3)
    assert "the patch of this worker is another one than the coordinator's" in str(failed.error)
    known.clear()
    failed = attempt(Count, crew=crew, workers=3)
    assert "this worker has no such patch" in str(failed.error)
    assert widths() == {0: 120}


def test_what_workers_log_is_kept_once(known: Known) -> None:
    class Logging(Count):
        def process(self, item: Custom) -> None:
            super().process(item)
            if item.pk % 30 == 0:
                self.ctx.log(f"at {item.pk}")

    fill(120)
    done = split(Logging, known)
    expected = [f"at {n}" for n in range(30, 361, 30)]
    assert done.output == expected
    record = record_of(Logging)
    assert record is not None
    assert record.output.splitlines() == expected


def test_no_worker_commits_when_another_run_has_taken_over(known: Known) -> None:
    fill(120)

    class Stolen(Count):
        def process(self, item: Custom) -> None:
            super().process(item)

    class Thief(Here):
        def call(self, step: RunStep, waiting: Any) -> None:
            step.run.process, step.run.host = 1, "elsewhere"
            type(step.run).objects.filter(pk=step.run_id).update(
                host="elsewhere", heartbeat="2020-01-01T00:00:00Z"
            )
            other = Ledger("default", lane=PATCHES)
            other.start_run(
                [NewStep("patch:shop.other")], kind=RunKind.PATCH, mode=Mode.COMMIT, options={}
            )
            ranges.work_on(step.pk, "default", never)

    known["shop.stolen"] = define(Stolen)
    lost = attempt(Stolen, crew=Thief(), workers=3)
    assert isinstance(lost.error, LockLost)
    assert widths() == {0: 120}


def test_texts_are_divided_by_the_order_of_the_database(known: Known) -> None:
    class Rename(Patch):
        batch_size = 10

        def queryset(self) -> Any:
            return Brand.objects.all()

        def process(self, item: Brand) -> None:
            item.name += "!"

    Brand.objects.bulk_create(Brand(pk=n * n, name="b", code=f"{n}") for n in range(1, 101))
    done = split(Rename, known)
    assert done.counts == {"updated": 100}
    assert set(Brand.objects.values_list("name", flat=True)) == {"b!"}


def test_what_workers_change_is_kept(known: Known) -> None:
    class Kept(Count):
        writes = (Custom,)

    fill(120)
    done = split(Kept, known)
    assert done.error is None
    assert BeforeImage.objects.filter(run=done.run.pk).count() == 120
