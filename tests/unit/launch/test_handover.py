"""Who carries out what is handed over, and what becomes of a run until a worker has it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from data_migration import background
from data_migration.exceptions import RunRefused, SpecError
from data_migration.launch import backends
from data_migration.ledger import IMPORTS, PATCHES, active_run, queue_run
from data_migration.models import Run
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError, RunKind
from data_migration.patches.options import PatchOptions
from data_migration.undo import Selection


class Fake:
    """A backend that keeps what it is handed."""

    name = "process"

    def __init__(self) -> None:
        self.why_not = ""
        self.error: Exception | None = None
        self.handed: list[tuple[Any, ...]] = []

    def unavailable(self) -> str:
        return self.why_not

    def enqueue(self, task: str, *arguments: Any) -> None:
        if self.error:
            raise self.error
        self.handed.append((task, *arguments))


@pytest.fixture
def backend(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    settings.DATA_MIGRATION_BACKGROUND = "process"
    monkeypatch.setitem(backends.BACKENDS, "process", fake)
    return fake


OPTIONS = RunOptions(
    mode=Mode.COMMIT, labels=("shop",), limit=5, on_error=OnError.CONTINUE, retry_failed=True
)

# ------------------------------------------------------------------ which backend


def test_by_default_nothing_is_set_up_and_the_reason_names_the_settings(settings: Any) -> None:
    found = background.availability()

    assert "TASKS" in found.reason
    assert 'DATA_MIGRATION_BACKGROUND = "process"' in found.reason


def test_the_setting_chooses(backend: Fake) -> None:
    assert background.availability() == ("process", "")
    backend.why_not = "It rains."
    assert background.availability() == ("process", "It rains.")


def test_with_auto_the_first_that_is_set_up_is_taken(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "auto"
    django, celery = Fake(), Fake()
    django.name, celery.name = "django", "celery"
    monkeypatch.setitem(backends.BACKENDS, "django", django)
    monkeypatch.setitem(backends.BACKENDS, "celery", celery)
    assert background.availability() == ("django", "")

    django.why_not = "It has no workers."
    assert background.availability() == ("celery", "")

    celery.why_not = "It has no broker."
    backend, why_not = background.availability()
    assert backend == "django"
    assert why_not.startswith("Nothing is set up to run in the background. It has no workers.")


def test_a_backend_that_does_not_exist_is_named_with_those_that_do(settings: Any) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "cron"
    assert background.availability().reason == (
        "DATA_MIGRATION_BACKGROUND is 'cron', which is not one of"
        ' "auto", "django", "celery", "process".'
    )


def test_without_a_backend_nothing_is_handed_over(backend: Fake) -> None:
    backend.why_not = "It rains."
    with pytest.raises(SpecError, match=r"It rains\."):
        background.enqueue("execute_run", 1, "default")
    assert backend.handed == []


# ------------------------------------------------------------------ asked for


@pytest.mark.django_db(transaction=True)
def test_a_run_is_recorded_and_its_number_handed_over_when_it_is_committed(backend: Fake) -> None:
    with transaction.atomic():
        run = background.start_run(OPTIONS, requested_by="Ada")
        assert backend.handed == []

    assert backend.handed == [("execute_run", run.pk, "default")]
    run.refresh_from_db()
    assert (run.status, run.mode, run.requested_by) == ("queued", "commit", "Ada")
    again = RunOptions.from_recorded(run.options, mode=run.mode, database="default")
    assert again == OPTIONS
    assert run.labels == ["shop"]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_rolled_back_is_not_handed_over(backend: Fake) -> None:
    with transaction.atomic():
        background.start_run(OPTIONS)
        transaction.set_rollback(True)

    assert backend.handed == []
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_rollback_is_recorded_with_what_it_is_to_undo(backend: Fake) -> None:
    selection = Selection(labels=("shop",), run=7)
    run = background.start_rollback(selection, database="default", force=True)

    assert backend.handed == [("execute_run", run.pk, "default")]
    assert (run.kind, run.mode) == ("rollback", "rollback")
    assert Selection.from_recorded(run.options) == selection
    assert run.options["force"] is True


@pytest.mark.django_db(transaction=True)
def test_to_resume_is_a_new_run_with_the_same_labels_and_options(backend: Fake) -> None:
    options = OPTIONS.recorded()
    run = queue_run(
        kind=RunKind.IMPORT,
        mode=Mode.ATOMIC,
        options=options,
        requested_by="Ada",
        database="default",
    )
    Run.objects.update(stop_requested=True)
    run.refresh_from_db()

    resumed = background.resume(run, requested_by="Grace")

    assert resumed.pk != run.pk
    assert (resumed.mode, resumed.options, resumed.requested_by) == ("atomic", options, "Grace")
    assert not resumed.stop_requested
    assert backend.handed == [("execute_run", resumed.pk, "default")]


@pytest.mark.django_db(transaction=True)
def test_patches_are_queued_in_their_own_lane_and_stay_there_when_they_are_resumed(
    backend: Fake,
) -> None:
    importing = background.start_run(OPTIONS, alone=True)
    options = PatchOptions(mode=Mode.COMMIT, labels=("shop.fill_slugs",), limit=5)

    run = background.start_patches(options, requested_by="Ada", alone=True)

    assert (run.kind, run.mode, run.lane) == ("patch", "commit", PATCHES)
    assert PatchOptions.from_recorded(run.options, mode=run.mode, database="default") == options
    assert (active_run("default"), active_run("default", PATCHES)) == (importing, run)
    assert active_run("default", lane=None) == importing, "the one that was asked for first"
    with pytest.raises(RunRefused) as refused:
        background.start_patches(options, alone=True)
    assert str(refused.value) == (
        f"Run {run.pk} is not over, and there can be one of patches at a time."
    )
    assert background.resume(run).lane == PATCHES
    assert background.resume(importing).lane == IMPORTS


@pytest.mark.django_db(transaction=True)
def test_without_a_backend_no_run_is_recorded(backend: Fake) -> None:
    backend.why_not = "It rains."
    with pytest.raises(SpecError, match=r"It rains\."):
        background.start_run(OPTIONS)
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_run_that_nobody_takes_fails_with_the_reason_and_without_secrets(backend: Fake) -> None:
    backend.error = ConnectionError("cannot reach redis://ada:geheim@broker:6379/0")

    run = background.start_run(OPTIONS)

    run.refresh_from_db()
    assert run.status == "failed"
    assert run.error.startswith("It could not be handed over to the background. ConnectionError:")
    assert "broker" in run.error
    assert "geheim" not in run.error


@pytest.mark.django_db(transaction=True)
def test_a_call_from_outside_asks_for_rows_to_be_looked_at_again(
    backend: Fake, settings: Any
) -> None:
    (run,) = background.look_again("exchange.ItemToAtlas", [7, "x"], requested_by="webhook")
    assert (run.kind, run.lane, run.requested_by) == ("sync", "connector atlas", "webhook")
    assert (run.options["keys"], run.options["direction"]) == (["7", "x"], "pull")
    assert backend.handed == [("execute_run", run.pk, "default")]
