"""The history of runs, and the page of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_migration.ledger.queue import this_process
from data_migration.models import Run, RunStep
from tests.apps.library.fixtures import EVERYTHING, Library, counts
from tests.apps.library.testing import migrate
from tests.unit.admin.conftest import RUNS, STATUS, Login

pytestmark = pytest.mark.django_db

DEAD = 2**22 + 1


def page(client: Client, run: Run) -> str:
    response = client.get(f"{RUNS}{run.pk}/")
    assert response.status_code == 200
    return response.content.decode()


def queued(client: Client, **data: Any) -> Run:
    client.post(f"{STATUS}start/", {"action": "run", "label": "library", **data})
    return Run.objects.get(status="queued")


def test_the_history_has_every_run_with_its_counts(viewer: Client, imported: Run) -> None:
    text = viewer.get(RUNS).content.decode()
    assert f'href="{RUNS}{imported.pk}/"' in text
    assert "partial" in text
    assert f"?run={imported.pk}&amp;kind=failure" in text


def test_the_history_is_read_page_by_page(viewer: Client, imported: Run) -> None:
    now = imported.started_at
    Run.objects.bulk_create(
        Run(status="done", mode="commit", heartbeat=now, started_at=now, finished_at=now)
        for _ in range(60)
    )
    first = viewer.get(RUNS).content.decode()
    assert f'href="{RUNS}{imported.pk}/"' not in first
    older = first.split("?before=")[1].split('"')[0]
    assert f'href="{RUNS}{imported.pk}/"' in viewer.get(RUNS, {"before": older}).content.decode()


def test_a_run_has_who_where_what_and_its_table(viewer: Client, imported: Run) -> None:
    text = page(viewer, imported)
    for part in (
        imported.host,
        f"process {imported.process}",
        "library",
        imported.steps.get(migration="library.BookMigration").writer,
        "library.BookMigration",
        "Total",
        "<rect x=",
    ):
        assert part in text


def test_the_messages_of_a_run_stand_by_cause(viewer: Client, imported: Run) -> None:
    text = page(viewer, imported)
    assert "Show all 3 messages of this run" in text
    assert "matches no library.Author" in text
    assert f'&amp;run={imported.pk}"' in text  # not those of a later run with the same cause


def test_queries_do_not_grow_with_the_messages(viewer: Client, imported: Run) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(viewer, imported)
        return len(captured)

    before = queries()
    message = imported.steps.get(migration="library.BookMigration").messages.first()
    assert message is not None
    for _ in range(20):
        message.pk = None
        message.save()
    assert queries() <= before


@pytest.mark.parametrize("number", [0, 999999, 2**63, 10**30])
@pytest.mark.parametrize("place", ["", "live/"])
def test_a_run_that_is_not_there_is_not_found(
    viewer: Client, number: int, place: str, db: None
) -> None:
    assert viewer.get(f"{RUNS}{number}/{place}").status_code == 404


def test_a_run_that_waits_is_taken_back(starter: Client, library: Library) -> None:
    run = queued(starter)
    assert "Take back" in page(starter, run)
    response = starter.post(f"{RUNS}{run.pk}/stop/", follow=True)
    assert f"Run {run.pk} was taken back." in response.content.decode()
    run.refresh_from_db()
    assert run.status == "interrupted"


def test_a_run_that_is_going_is_asked_to_stop(
    starter: Client, library: Library, work: Callable[[], Run]
) -> None:
    run = queued(starter)
    Run.objects.filter(pk=run.pk).update(status="running")
    run.refresh_from_db()
    from data_migration.ledger.queue import this_process

    Run.objects.filter(pk=run.pk).update(**this_process())
    assert "Stop after this batch" in page(starter, run)
    starter.post(f"{RUNS}{run.pk}/stop/")
    run.refresh_from_db()
    assert run.stop_requested
    assert "stops after its batch" in page(starter, run)
    assert "Stop after this batch" not in page(starter, run)


def test_a_run_that_is_over_cannot_be_stopped(starter: Client, imported: Run) -> None:
    response = starter.post(f"{RUNS}{imported.pk}/stop/", follow=True)
    assert "is not at work" in response.content.decode()


def test_a_run_whose_worker_died_is_interrupted_and_resumed(
    starter: Client, library: Library, work: Callable[[], Run]
) -> None:
    migrate("library", "--commit", "--limit", "2")
    run = Run.objects.get()
    Run.objects.update(
        status="running", process=DEAD, finished_at=None, options={**run.options, "limit": None}
    )
    text = page(starter, run)
    assert "interrupted" in text
    assert "Resume" in text
    response = starter.post(f"{RUNS}{run.pk}/resume/")
    again = Run.objects.get(status="queued")
    assert response.url == f"{RUNS}{again.pk}/"
    assert again.labels == ["library"]
    assert work().status == "done"
    assert counts() == EVERYTHING


def test_a_run_that_ended_well_is_not_resumed(starter: Client, imported: Run) -> None:
    response = starter.post(f"{RUNS}{imported.pk}/resume/", follow=True)
    assert "there is nothing to resume" in response.content.decode()
    assert Run.objects.count() == 1


def test_nothing_is_resumed_while_a_run_is_not_over(starter: Client, imported: Run) -> None:
    Run.objects.update(status="interrupted")
    waiting = queued(starter, action="rehearse")
    response = starter.post(f"{RUNS}{imported.pk}/resume/", follow=True)
    assert f"Run {waiting.pk} is not over" in response.content.decode()
    assert Run.objects.count() == 2


def test_without_an_engine_nothing_is_resumed(
    starter: Client, imported: Run, settings: Any
) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "celery-typo"
    Run.objects.update(status="interrupted")
    response = starter.post(f"{RUNS}{imported.pk}/resume/", follow=True)
    assert "DATA_MIGRATION_BACKGROUND" in response.content.decode()
    assert Run.objects.count() == 1


def test_a_committed_run_can_be_rolled_back_from_its_page(undoer: Client, imported: Run) -> None:
    assert "Roll back this run" in page(undoer, imported)
    Run.objects.update(mode="rehearsal")
    imported.refresh_from_db()
    assert "Roll back this run" not in page(undoer, imported)


# ---------------------------------------------------------------- runs of patches


def of_patches(**values: Any) -> Run:
    """A run that did one patch, as the ledger has it."""
    options = {"labels": ["library"], "force": ["library.titles"], "skip_failing": True}
    fields = {"kind": "patch", "mode": "commit", "status": "done", "options": options, **values}
    run = Run.objects.create(**{**this_process(), **fields})
    RunStep.objects.create(
        run=run, position=1, migration="patch:library.titles", status="done", read=7, updated=7
    )
    return run


def test_a_run_of_patches_is_told_by_their_labels(viewer: Client) -> None:
    run = of_patches()
    history = viewer.get(RUNS).content.decode()
    assert "Patches:</span> library, library.titles" in history
    text = page(viewer, run)
    assert "What became of the objects of each patch" in text
    assert "patch:library" not in text
    assert "library.titles" in text
    assert "Go on past failing patches" in text
    run.options = {"labels": []}
    run.save()
    assert "all that were due" in page(viewer, run)


@pytest.mark.parametrize("place", ["stop/", "resume/"])
def test_a_run_of_patches_is_acted_on_by_those_who_may_run_patches(
    login: Login, place: str
) -> None:
    address = f"{RUNS}{of_patches().pk}/{place}"
    assert login("view_run", "start_run", "rollback_run").post(address).status_code == 403
    assert login("view_run", "run_patch").post(address).status_code == 302
