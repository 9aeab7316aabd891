"""Runs of patches: what is due, in which order, what ends them, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction

from data_migration.exceptions import PatchRefused, RunRefused, UnknownLabel
from data_migration.ledger import Ledger, NewStep
from data_migration.ledger.lanes import PATCHES
from data_migration.models import PatchRecord, Run, RunStep
from data_migration.outcomes import Mode, OnError, PatchState, RunKind, RunStatus
from data_migration.patches.discovery import discover
from data_migration.patches.options import PatchOptions
from data_migration.patches.runner import PatchRun, due, run_patches
from data_migration.patches.schema import Schema
from data_migration.signals import run_finished, run_started, step_finished, step_started
from tests.apps.shop.models import Tag
from tests.support.specs import NewApp

pytestmark = pytest.mark.django_db(transaction=True)

TWO = """
from data_migration.patches import Patch, patch
from tests.apps.shop.models import Tag

class Shout(Patch):
    batch_size = 2
    def queryset(self):
        return Tag.objects.exclude(name="")
    def process(self, tag):
        if tag.name == "bad":
            raise ValueError("bad is bad")
        tag.name = tag.name.upper()

@patch(depends_on=["shout"])
def count(ctx):
    ctx.log(f"{Tag.objects.count()} tags")
"""


def run(**options: Any) -> PatchRun:
    asked = {"mode": Mode.COMMIT, **options}
    return run_patches(discover(), PatchOptions(**asked))


def names() -> list[str]:
    return list(Tag.objects.order_by("pk").values_list("name", flat=True))


def told(done: PatchRun) -> list[tuple[str, str]]:
    return [(step.migration, step.status) for step in done.steps]


@pytest.fixture
def tags() -> Callable[..., None]:
    return lambda *given: Tag.objects.bulk_create(Tag(name=name) for name in given) and None


def test_what_is_due_runs_once_and_is_recorded(new_app: NewApp, tags: Callable[..., None]) -> None:
    new_app("words", patches=TWO)
    tags("a", "b", "c")
    done = run()
    assert done.error is None
    assert done.states == {"words.shout": PatchState.DONE, "words.count": PatchState.DONE}
    assert done.outputs == {"words.count": "3 tags"}
    assert told(done) == [("patch:words.shout", "done"), ("patch:words.count", "done")]
    assert names() == ["A", "B", "C"]
    first = PatchRecord.objects.get(name="shout")
    assert (first.app, first.revision, first.repeat) == ("words", "1", 0)
    assert (first.processed, first.total, first.is_walked) == (3, 3, True)
    assert PatchRecord.objects.get(name="count").output == "3 tags\n"
    again = run()
    assert (again.run, again.steps) == (None, [])
    assert Run.objects.filter(kind=RunKind.PATCH, lane=PATCHES).count() == 1


def test_a_rehearsal_leaves_its_run_and_nothing_else(
    new_app: NewApp, tags: Callable[..., None]
) -> None:
    mails = """
from django.core.mail import send_mail
from data_migration.patches import patch
@patch
def tell(ctx):
    assert ctx.is_rehearsal
    send_mail("x", "y", "a@example.com", ["b@example.com"])
"""
    new_app("mails", patches=mails)
    new_app("words", patches=TWO)
    tags("a", "b", "c")
    done = run(mode=Mode.REHEARSAL)
    assert done.states["words.shout"] == PatchState.DONE
    assert done.steps[1].updated == 3
    assert names() == ["a", "b", "c"]
    assert mail.outbox == []
    assert not PatchRecord.objects.exists()
    assert RunStep.objects.get(migration="patch:words.shout").updated == 3


def test_a_failing_object_ends_the_run_and_what_depends_on_it(
    new_app: NewApp, tags: Callable[..., None]
) -> None:
    new_app("words", patches=TWO)
    tags("a", "b", "bad", "d")
    done = run()
    assert done.states == {"words.shout": PatchState.PARTIAL}
    assert told(done) == [("patch:words.shout", "failed"), ("patch:words.count", "pending")]
    assert names() == ["A", "B", "bad", "d"]
    assert PatchRecord.objects.get().state == PatchState.PARTIAL
    Tag.objects.filter(name="bad").update(name="good")
    assert run().states == {"words.shout": PatchState.DONE, "words.count": PatchState.DONE}
    assert names() == ["A", "B", "GOOD", "D"]


def test_failed_objects_keep_what_depends_on_it_waiting(
    new_app: NewApp, tags: Callable[..., None]
) -> None:
    new_app("words", patches=TWO)
    tags("a", "bad", "c")
    done = run(on_error=OnError.CONTINUE)
    assert done.states == {"words.shout": PatchState.PARTIAL}
    assert done.steps[1].error == "words.count was not run, because it needs words.shout."
    assert names() == ["A", "bad", "C"]
    Tag.objects.filter(name="bad").update(name="good")
    done = run(retry_failed=True)
    assert done.states == {"words.shout": PatchState.DONE}
    assert run().states == {"words.count": PatchState.DONE}


WHOLE = """
from data_migration.patches import patch
from tests.apps.shop.models import Tag

@patch{attributes}
def wrong(ctx):
    Tag.objects.create(name="half")
    raise ValueError("not today")

@patch(depends_on=["wrong"])
def dependent(ctx):
    pass

@patch
def independent(ctx):
    ctx.log("here")
"""


def test_a_whole_patch_that_fails_is_rolled_back_and_recorded(new_app: NewApp) -> None:
    new_app("words", patches=WHOLE.format(attributes=""))
    done = run()
    assert done.states == {"words.wrong": PatchState.FAILED}
    assert not Tag.objects.exists()
    record = PatchRecord.objects.get()
    assert record.state == PatchState.FAILED
    assert "ValueError: not today" in record.reason
    assert done.problems()[0] == record.reason


def test_skip_failing_goes_on_but_for_dependents(new_app: NewApp) -> None:
    new_app("words", patches=WHOLE.format(attributes=""))
    done = run(skip_failing=True)
    assert done.states == {
        "words.wrong": PatchState.FAILED,
        "words.independent": PatchState.DONE,
    }
    assert isinstance(done.error, ValueError)
    assert done.run is not None
    assert done.run.status == RunStatus.FAILED


def test_a_critical_one_ends_the_run_all_the_same(new_app: NewApp) -> None:
    new_app("words", patches=WHOLE.format(attributes="(critical=True)"))
    assert run(skip_failing=True).states == {"words.wrong": PatchState.FAILED}


def test_force_runs_it_again_and_adds_a_record(new_app: NewApp, tags: Callable[..., None]) -> None:
    new_app("words", patches=TWO)
    tags("a")
    run()
    done = run(force=("words.count",))
    assert done.states == {"words.count": PatchState.DONE}
    repeats = PatchRecord.objects.filter(name="count").order_by("pk")
    assert list(repeats.values_list("repeat", flat=True)) == [0, 1]


def test_what_runs_always_has_one_record_and_a_run_each_time(new_app: NewApp) -> None:
    always = """
from data_migration.patches import patch
@patch(always=True)
def again(ctx):
    ctx.log("again")
"""
    new_app("words", patches=always)
    assert run().run is None
    for _ in range(2):
        assert run(with_always=True).states == {"words.again": PatchState.DONE}
    assert run(labels=("words.again",)).states == {"words.again": PatchState.DONE}
    assert PatchRecord.objects.get().output == "again\n"
    assert Run.objects.count() == 3


def test_a_named_patch_that_cannot_run_is_refused(new_app: NewApp) -> None:
    blocked = """
from data_migration.patches import patch
@patch(needs=[("auth", "0001")])
def later(ctx): pass
"""
    new_app("words", patches=blocked)
    bare = Schema(applied=frozenset(), known=frozenset({("auth", "0001_initial")}))
    with pytest.raises(PatchRefused, match=r"words\.later is blocked\. It needs auth\.0001"):
        due(discover(), PatchOptions(labels=("words.later",)), schema=bare)
    assert due(discover(), PatchOptions(labels=("words",)), schema=bare) == []
    with pytest.raises(UnknownLabel, match=r"words\.latr.*Did you mean 'words\.later'"):
        due(discover(), PatchOptions(labels=("words.latr",)))


def test_a_second_run_is_refused_and_told_whose_the_first_is(new_app: NewApp) -> None:
    new_app("words", patches=TWO)
    other = Ledger("default", lane=PATCHES)
    other.start_run([NewStep("patch:words.x")], kind=RunKind.PATCH, mode=Mode.COMMIT, options={})
    with pytest.raises(RunRefused, match="Another run of patches is at work"):
        run()
    assert not PatchRecord.objects.exists()


def test_an_import_at_work_keeps_no_patch_waiting(new_app: NewApp) -> None:
    new_app("words", patches=TWO)
    other = Ledger("default")
    other.start_run([NewStep("words.X")], kind=RunKind.IMPORT, mode=Mode.COMMIT, options={})
    assert run().states["words.count"] == PatchState.DONE


def test_what_another_host_has_done_meanwhile_is_skipped(
    new_app: NewApp, tags: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    new_app("words", patches=TWO)
    tags("a")
    start = Ledger.start_run

    def slower(self: Ledger, *given: Any, **named: Any) -> Run:
        monkeypatch.undo()
        run()
        return start(self, *given, **named)

    monkeypatch.setattr(Ledger, "start_run", slower)
    done = run()
    assert told(done) == [("patch:words.shout", "skipped"), ("patch:words.count", "skipped")]
    assert PatchRecord.objects.count() == 2


def test_signals_are_sent_as_of_any_run(new_app: NewApp) -> None:
    heard: list[str] = []

    def hear(signal: Any, **given: Any) -> None:
        kind = next(name for name, each in named.items() if each is signal)
        heard.append(kind)

    named = {
        "run_started": run_started,
        "step_started": step_started,
        "step_finished": step_finished,
        "run_finished": run_finished,
    }
    new_app("words", patches=TWO)
    for each in named.values():
        each.connect(hear)
    try:
        run(labels=("words.shout",))
    finally:
        for each in named.values():
            each.disconnect(hear)
    assert heard == ["run_started", "step_started", "step_finished", "run_finished"]


def test_a_patch_without_a_transaction_of_ours_is_not_rehearsed(new_app: NewApp) -> None:
    own = """
from django.db import connection
from data_migration.patches import patch
@patch(atomic=False)
def own(ctx):
    assert not connection.in_atomic_block
"""
    new_app("words", patches=own)
    done = run(mode=Mode.REHEARSAL)
    assert told(done) == [("patch:words.own", "skipped")]
    assert "cannot be rehearsed" in done.steps[0].error
    assert run().states == {"words.own": PatchState.DONE}


def test_a_run_inside_of_a_transaction_commits_nothing_by_itself(
    new_app: NewApp, tags: Callable[..., None]
) -> None:
    new_app("words", patches=TWO)
    tags("a")
    with transaction.atomic():
        assert run().states["words.shout"] == PatchState.DONE
        transaction.set_rollback(True)
    assert names() == ["a"]
    assert not PatchRecord.objects.exists()
    assert connection.savepoint_ids == []
