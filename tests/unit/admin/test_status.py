"""The status page and what its buttons do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_migration.admin import status
from data_migration.admin.confirmation import confirm
from data_migration.ledger import queue_run
from data_migration.models import MigrationState, RowError, RowLink, Run, RunStep
from data_migration.outcomes import Mode, RunKind
from tests.apps.library.fixtures import EVERYTHING, NOTHING, Library, counts
from tests.apps.library.testing import migrate
from tests.unit.admin.conftest import RUNS, STATUS, Login

pytestmark = pytest.mark.django_db

BOOK = "library.BookMigration"


def text_of(client: Client, address: str = STATUS, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def row_of(text: str, label: str) -> list[str]:
    """The cells of a migration's line, without markup."""
    import re

    line = text.split(f'id="migration-{label.replace(".", "-")}"')[1].split("</tr>")[0]
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in cells]


def post(client: Client, place: str, **data: Any) -> Any:
    return client.post(f"{STATUS}{place}/", {"label": "library", **data})


def start(client: Client, **data: Any) -> Run:
    response = post(client, "start", **data)
    run = Run.objects.get(status="queued")
    assert response.status_code == 302
    assert response.url == f"/admin/data_migration/run/{run.pk}/"
    return run


# ---------------------------------------------------------------- what it shows


def test_before_the_first_run_everything_is_pending(viewer: Client, library: Library) -> None:
    cells = row_of(text_of(viewer), BOOK)
    assert (
        cells[1:4]
        == [
            "BookMigration library.Book needs library.AuthorMigration, library.GenreMigration",
            "pending",
            "– / ?",
        ]
        or cells[2] == "pending"
    )
    assert cells[-1] == "never"


def test_a_line_has_the_counts_of_the_last_run(viewer: Client, imported: Run) -> None:
    cells = row_of(text_of(viewer), BOOK)
    assert cells[2] == "partial"
    assert cells[3] == "3 / 6"
    assert cells[4:10] == ["3", "–", "–", "–", "3", "–"]
    assert cells[10].startswith(f"Run {imported.pk}")
    assert imported.steps.get(migration=BOOK).writer in cells[10]


def test_migrations_stand_by_app_in_the_order_of_the_plan(
    viewer: Client, library: Library
) -> None:
    text = text_of(viewer, app="library")
    places = [
        text.index(f'id="migration-library-{name}Migration"')
        for name in ("Author", "Genre", "Book", "Member")
    ]
    assert places == sorted(places)


def test_the_filters_choose_by_app_and_state(viewer: Client, imported: Run) -> None:
    text = text_of(viewer, app="library", state="partial")
    assert 'id="migration-library-BookMigration"' in text
    assert 'id="migration-library-AuthorMigration"' not in text
    assert 'id="migration-blog-' not in text


def test_under_a_filter_the_buttons_act_on_what_is_shown(starter: Client, imported: Run) -> None:
    text = text_of(starter, app="library", state="done")
    assert 'name="shown" value="library.AuthorMigration"' in text
    response = starter.post(
        f"{STATUS}start/", {"action": "rehearse", "shown": ["library.AuthorMigration"]}
    )
    assert response.status_code == 200
    assert "There is nothing to do" in response.content.decode()


def test_where_a_filter_shows_nothing_no_button_acts_on_everything(
    starter: Client, imported: Run
) -> None:
    assert 'name="action"' not in text_of(starter, app="library", state="running")


def test_a_spec_that_changed_is_marked(viewer: Client, imported: Run, library: Library) -> None:
    assert "spec changed since" not in text_of(viewer)
    library.set("Author", query="SELECT id, name FROM authors ORDER BY id DESC")
    assert "spec changed since" in row_of(text_of(viewer), "library.AuthorMigration")[1]


def test_a_fault_in_a_spec_is_shown_instead(viewer: Client, library: Library) -> None:
    library.set("Author", batch_size=-1)
    assert "library.AuthorMigration" in text_of(viewer)
    assert "batch_size" in text_of(viewer)


def test_the_picture_links_to_the_lines_and_has_their_states(
    viewer: Client, imported: Run
) -> None:
    text = text_of(viewer)
    box = text.split('data-dm-node="library.BookMigration"')[0].rpartition("<a ")[2]
    assert f'href="{STATUS}#migration-library-BookMigration"' in box
    assert "dm-is-partial" in box
    assert 'aria-label="library.BookMigration: partial"' in text


def test_in_another_time_zone_the_times_are_local(
    viewer: Client, imported: Run, settings: Any
) -> None:
    Run.objects.update(started_at="2026-01-31T23:30:00Z")
    RunStep.objects.update(started_at="2026-01-31T23:30:00Z")
    settings.TIME_ZONE = "Asia/Tokyo"
    assert "02/01/2026 8:30" in text_of(viewer)


def test_the_page_is_there_in_german(viewer: Client, imported: Run, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    text = text_of(viewer)
    for word in ("Probelauf", "Stand", "teilweise", "Abhängigkeiten", "erledigt"):
        assert word in text or word == "Probelauf"
    assert "Dependencies" not in text


def queries_of(client: Client) -> int:
    text_of(client)  # what is cached is cached
    with CaptureQueriesContext(
        connection,
    ) as captured:
        text_of(client)
    return len(captured)


def test_queries_do_not_grow_with_rows_runs_and_messages(starter: Client, imported: Run) -> None:
    before = queries_of(starter)
    state = MigrationState.objects.get(label=BOOK)
    step = RunStep.objects.get(migration=BOOK)
    now = imported.started_at
    runs = Run.objects.bulk_create(
        Run(
            status="done",
            mode="commit",
            options=imported.options,
            heartbeat=now,
            started_at=now,
            finished_at=now,
        )
        for _ in range(30)
    )
    RunStep.objects.bulk_create(
        RunStep(run=run, position=n, migration=label, status="done", total=6, started_at=now)
        for run in runs
        for n, label in enumerate((BOOK, "library.AuthorMigration"))
    )
    RowError.objects.bulk_create(
        RowError(
            step=step, migration=state, kind="failure", row_number=n, cause="no", is_open=True
        )
        for n in range(300)
    )
    assert queries_of(starter) <= before


def test_links_are_counted_once_after_each_run(viewer: Client, imported: Run) -> None:
    text_of(viewer)
    with CaptureQueriesContext(connection) as captured:
        text_of(viewer)
    table = RowLink._meta.db_table
    assert not [query for query in captured if table in query["sql"]]
    migrate("library.BookMigration", "--commit", "--update", "--on-error", "continue")
    with CaptureQueriesContext(connection) as captured:
        text_of(viewer)
    assert [query for query in captured if table in query["sql"]]


# ---------------------------------------------------------------- what it starts


def test_nothing_is_started_before_it_is_confirmed(starter: Client, library: Library) -> None:
    text = post(starter, "confirm", action="run").content.decode()
    assert "Runs 4 migrations and writes to the database." in text
    assert "manage.py migrate_legacy library --commit" in text
    assert not Run.objects.exists()


def test_a_rehearsal_changes_nothing(
    starter: Client, library: Library, work: Callable[[], Run]
) -> None:
    run = start(starter, action="rehearse")
    assert (run.mode, run.requested_by) == ("rehearsal", "view_run-start_run")
    assert work().status == "done"
    assert counts() == NOTHING


def test_a_run_writes(starter: Client, library: Library, work: Callable[[], Run]) -> None:
    start(starter, action="run")
    assert work().status == "done"
    assert counts() == EVERYTHING


def test_the_options_go_with_the_run(starter: Client, library: Library) -> None:
    run = start(starter, action="run", limit="2", max_errors="5%", atomic="on")
    assert run.mode == "atomic"
    assert run.options["limit"] == 2
    assert run.options["max_errors"] == "5%"
    assert run.options["on_error"] == "continue"
    assert run.labels == ["library"]


def test_chosen_migrations_alone_are_run(
    starter: Client, library: Library, work: Callable[[], Run]
) -> None:
    start(starter, action="run", label=["library.AuthorMigration", "library.GenreMigration"])
    run = work()
    assert [step.migration for step in run.steps.all()] == [
        "library.AuthorMigration",
        "library.GenreMigration",
    ]


def test_what_a_chosen_migration_needs_is_told(starter: Client, library: Library) -> None:
    text = post(starter, "confirm", action="run", label=BOOK).content.decode()
    assert f"{BOOK} needs library.AuthorMigration, which is left out and not finished." in text


def test_an_update_brings_what_changed(
    starter: Client, library: Library, work: Callable[[], Run]
) -> None:
    migrate("library", "--commit")
    library.change("UPDATE authors SET name = 'Renamed' WHERE id = 1")
    start(starter, action="update")
    assert sum(step.updated for step in work().steps.all()) == 1


def test_failed_rows_are_retried_when_they_are_mended(
    starter: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'There'")
    start(starter, action="retry")
    run = work()
    assert [(step.migration, step.read) for step in run.steps.all()] == [(BOOK, 3)]
    assert counts() == EVERYTHING


def test_a_rollback_says_what_it_undoes_and_undoes_it(
    undoer: Client, imported: Run, work: Callable[[], Run]
) -> None:
    text = post(undoer, "confirm", action="rollback").content.decode()
    assert "Undoes 4 migrations" in text
    assert "Yes, roll back" in text
    run = start(undoer, action="rollback")
    assert (run.kind, run.options["labels"]) == ("rollback", ["library"])
    work()
    assert counts() == NOTHING


def test_a_rollback_of_what_people_changed_asks_for_force(
    undoer: Client, imported: Run, work: Callable[[], Run]
) -> None:
    from tests.apps.library.models import Author

    Author.objects.filter(pk=1).update(name="Edited")
    refused = post(undoer, "start", action="rollback")
    assert "changed since: name" in refused.content.decode()
    assert "Yes, roll back" not in refused.content.decode()
    assert Run.objects.count() == 1
    start(undoer, action="rollback", force="on")
    assert work().status == "done"


def test_one_run_of_several_is_undone(
    undoer: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'There'")
    migrate("library", "--commit", "--retry-failed")
    last = Run.objects.latest("pk")
    start(undoer, action="rollback", run=str(last.pk), label=[])
    work()
    assert counts()["Book"] == 3


def test_objects_that_a_rollback_put_back_are_no_rows_that_were_updated(
    undoer: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    library.change("UPDATE authors SET name = 'Someone' WHERE id = 1")
    migrate("library.AuthorMigration", "--commit", "--update")
    assert row_of(text_of(undoer), "library.AuthorMigration")[6] == "1"
    last = Run.objects.latest("pk")
    start(undoer, action="rollback", run=str(last.pk), label=[])
    run = work()
    assert run.steps.get(migration="library.AuthorMigration").updated == 1
    assert row_of(text_of(undoer), "library.AuthorMigration")[6] == "–"
    assert 'data-label="Updated" class="dm-number">–' in text_of(undoer, RUNS)
    assert 'data-label="Restored" class="dm-number">1' in text_of(undoer, f"{RUNS}{run.pk}/")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"action": "explode"}, "explode"),
        ({"action": "run", "limit": "0"}, "greater than or equal to 1"),
        ({"action": "run", "limit": "9" * 5000}, "Enter a whole number"),
        ({"action": "run", "limit": "9" * 30}, "less than or equal to"),
        ({"action": "retry", "failures": "x"}, "are numbers of messages"),
        ({"action": "retry", "failures": "9" * 5000}, "are numbers of messages"),
        ({"action": "rollback", "run": "9" * 30}, "less than or equal to"),
        ({"action": "run", "max_errors": "many"}, "percentage such as 5%"),
    ],
)
def test_what_makes_no_sense_is_refused(
    starter: Client, library: Library, data: dict[str, str], told: str
) -> None:
    for place in ("confirm", "start"):
        response = starter.post(f"{STATUS}{place}/", data, follow=True)
        assert told in response.content.decode()
    assert not Run.objects.exists()


def test_a_label_that_is_none_is_refused(starter: Client, library: Library) -> None:
    text = post(starter, "start", action="run", label="libary").content.decode()
    assert "No app or migration is called &#x27;libary&#x27;" in text
    assert not Run.objects.exists()


def test_while_a_run_is_not_over_no_other_is_started(starter: Client, library: Library) -> None:
    first = start(starter, action="rehearse")
    text = post(starter, "start", action="run").content.decode()
    assert f"Run {first.pk} is not over" in text
    assert Run.objects.count() == 1
    page = text_of(starter)
    assert f"Run {first.pk} waits for a worker." in page
    assert 'value="run" class="button" disabled' in page


def test_a_run_that_somebody_else_asked_for_just_now_is_told(
    starter: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed = confirm

    def slowly(*arguments: Any) -> Any:
        found = confirmed(*arguments)
        queue_run(kind=RunKind.IMPORT, mode=Mode.COMMIT, options={}, database="default")
        monkeypatch.setattr(status, "confirm", confirmed)
        return found

    monkeypatch.setattr(status, "confirm", slowly)
    text = post(starter, "start", action="run").content.decode()
    assert f"Run {Run.objects.get().pk} is not over" in text


def test_without_an_engine_the_buttons_are_off_and_say_which_setting_to_change(
    starter: Client, library: Library, settings: Any
) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "auto"
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
    page = text_of(starter)
    assert "DATA_MIGRATION_BACKGROUND" in page
    assert 'value="rehearse" class="button default" disabled' in page
    refused = post(starter, "start", action="rehearse").content.decode()
    assert "DATA_MIGRATION_BACKGROUND" in refused
    assert not Run.objects.exists()


def test_a_viewer_sees_no_buttons(viewer: Client, imported: Run) -> None:
    assert 'name="action"' not in text_of(viewer)
    assert 'type="checkbox"' not in text_of(viewer)


def test_who_may_start_and_undo_sees_all_buttons(login: Login, library: Library) -> None:
    page = text_of(login("view_run", "start_run", "rollback_run"))
    for action in ("rehearse", "run", "update", "retry", "rollback"):
        assert f'name="action" value="{action}"' in page


def test_a_run_that_broke_off_can_be_resumed_from_here(starter: Client, imported: Run) -> None:
    Run.objects.update(status="running", process=2**22 + 1, finished_at=None)
    page = text_of(starter)
    assert f"Run {imported.pk} was interrupted." in page
    assert f"/run/{imported.pk}/resume/" in page


def test_only_who_may_resume_it_is_offered_to(starter: Client, imported: Run) -> None:
    Run.objects.update(status="interrupted", kind="rollback")
    page = text_of(starter)
    assert f"Run {imported.pk} was interrupted." in page
    assert "/resume/" not in page
