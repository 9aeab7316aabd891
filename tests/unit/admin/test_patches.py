"""The page of patches, the page of one, and what the buttons do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_migration.ledger.queue import this_process
from data_migration.models import PatchRecord, RowError, Run, RunStep
from tests.apps.library.models import Author
from tests.support.specs import App, NewApp
from tests.unit.admin.conftest import MESSAGES, PATCHES, RUNS, Login

pytestmark = pytest.mark.django_db

DESK = """\
from data_migration.patches import Patch, patch
from tests.apps.library.models import Author

class Capitals(Patch):
    \"\"\"Write the names of authors in capitals.\"\"\"
    batch_size = 2
    writes = [Author]

    def queryset(self):
        return Author.objects.all()

    def process(self, item):
        if item.name == "bad":
            raise ValueError("This one has no capitals.")
        item.name = item.name.upper()

@patch(depends_on=["desk.capitals"])
def greet(ctx):
    \"\"\"Say hello.\"\"\"
    ctx.log("Hello <b>desk</b>.")

@patch(needs=[("sessions", "0001")])
def tidy(ctx):
    pass

@patch(before=[("auth", "0001")])
def late(ctx):
    pass
"""
SEVERAL = """\
from data_migration.patches import patch
from tests.apps.library.models import Author, Genre

@patch(writes=[Author, Genre])
def both(ctx):
    Author.objects.update(name="one")
    Genre.objects.create(name="two")
"""
LABELS = ("desk.capitals", "desk.greet", "desk.tidy", "desk.late")


@pytest.fixture
def desk(new_app: NewApp) -> App:
    """Its schema has the first migration of auth, and not yet that of sessions."""
    Author.objects.bulk_create(Author(id=n, name=f"a{n}") for n in range(1, 6))
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
    return new_app("desk", patches=DESK)


@pytest.fixture
def runner(login: Login) -> Client:
    return login("view_run", "run_patch")


@pytest.fixture
def faker(login: Login) -> Client:
    return login("view_run", "fake_patch")


def text_of(client: Client, address: str = PATCHES, **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def cells_of(text: str, label: str) -> list[str]:
    """The cells of a patch's line, without markup: number, patch, state, objects, failed, last."""
    line = text.split(f'title="{label}"')[0].rpartition("<tr ")[2]
    line += text.split(f'title="{label}"')[1].split("</tr>")[0]
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", f"<tr {line}", re.DOTALL)
    words = [" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in cells]
    return words[-6:]


def ask(client: Client, action: str, *labels: str, **query: Any) -> str:
    """The page in between."""
    return text_of(client, f"{PATCHES}confirm/", action=action, label=labels, **query)


def do(client: Client, action: str, *labels: str, **data: Any) -> Any:
    return client.post(f"{PATCHES}confirm/", {"action": action, "label": labels, **data})


def start(client: Client, action: str, *labels: str, **data: Any) -> Run:
    response = do(client, action, *labels, **data)
    run = Run.objects.get(status="queued")
    assert (response.status_code, response.url) == (302, f"{RUNS}{run.pk}/")
    return run


def names() -> list[str]:
    return list(Author.objects.order_by("pk").values_list("name", flat=True))


CAPITALS = ["A1", "A2", "A3", "A4", "A5"]


# ---------------------------------------------------------------- what it shows


def test_every_patch_has_its_line_with_state_and_why(viewer: Client, desk: App) -> None:
    text = text_of(viewer)
    assert cells_of(text, "desk.capitals") == [
        *("1", "capitals Write the names of authors in capitals.", "pending"),
        *("–", "–", "never"),
    ]
    assert cells_of(text, "desk.tidy")[2] == (
        "blocked It needs sessions.0001, which is not applied yet."
    )
    assert cells_of(text, "desk.late")[2] == (
        "impossible It had to run before auth.0001, which is applied. If its work is not needed"
        " any more, record it as done."
    )
    places = [text.index(f'title="{label}"') for label in LABELS]
    assert places == sorted(places)


def test_a_patch_that_ran_tells_how_far_who_when_and_what_it_said(
    viewer: Client, runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    run = start(runner, "run", "desk")
    assert (run.kind, run.lane, run.requested_by) == ("patch", "patches", "view_run-run_patch")
    assert work().status == "done"
    assert names() == CAPITALS
    text = text_of(viewer)
    _number, _patch, state, objects, failed, last = cells_of(text, "desk.capitals")
    assert (state, objects, failed) == ("done", "5 / 5", "–")
    assert last.startswith(f"Run {run.pk} , view_run-run_patch")
    assert "Hello &lt;b&gt;desk&lt;/b&gt;." in text


def test_what_runs_after_a_patch_that_waits_says_so(viewer: Client, new_app: NewApp) -> None:
    new_app("desk", patches=DESK.replace('["desk.capitals"]', '["desk.late"]'))
    assert cells_of(text_of(viewer), "desk.greet")[2] == (
        "blocked It runs after desk.late, which is impossible."
    )


def test_the_filters_choose_by_app_and_state(viewer: Client, desk: App, new_app: NewApp) -> None:
    new_app("other", patches=DESK.replace("desk.", "other."))
    text = text_of(viewer, app="desk", state="blocked")
    assert 'title="desk.tidy"' in text
    assert 'title="desk.capitals"' not in text
    assert 'title="other.tidy"' not in text
    assert "1 of 8 patches" in text
    assert "No patch is in this app and state." in text_of(viewer, state="running")


def test_faults_stand_in_place_of_the_list(viewer: Client, new_app: NewApp) -> None:
    new_app("desk", patches=DESK.replace("desk.capitals", "desk.nobody"))
    text = text_of(viewer)
    assert "desk.nobody" in text.split('class="errornote')[1].split("</div>")[0]
    assert "<table" not in text.split('id="content-main"')[1]


def test_without_patches_it_says_where_they_would_be(viewer: Client) -> None:
    assert "There are no patches" in text_of(viewer)


def test_the_page_is_there_in_german(
    runner: Client, desk: App, settings: Any, work: Callable[[], Run]
) -> None:
    start(runner, "run", "desk.capitals")
    work()
    settings.LANGUAGE_CODE = "de"
    text = text_of(runner) + text_of(runner, f"{PATCHES}desk.capitals/")
    for word in ("erledigt", "blockiert", "unmöglich", "Verarbeitet", "Versuche", "in Paketen"):
        assert word in text
    for word in (">State<", ">Attempts<", ">Record as done<"):
        assert word not in text


def queries(client: Client, address: str = PATCHES) -> int:
    with CaptureQueriesContext(connection) as captured:
        text_of(client, address)
    return len(captured)


def test_queries_do_not_grow_with_patches_runs_and_records(
    runner: Client, new_app: NewApp
) -> None:
    def patches(count: int) -> str:
        one = '@patch(depends_on={needs})\ndef patch_{n}(ctx):\n    """Patch {n}."""\n\n'
        many = "".join(
            one.format(n=n, needs=[f"desk{count}.patch_{n - 1}"] if n else [])
            for n in range(count)
        )
        return f"from data_migration.patches import patch\n\n{many}"

    def ran(app: str, count: int) -> None:
        for n in range(count):
            run = Run.objects.create(kind="patch", mode="commit", status="done", **this_process())
            RunStep.objects.create(
                run=run,
                position=1,
                migration=f"patch:{app}.patch_{n}",
                status="done",
                started_at=run.started_at,
            )
            PatchRecord.objects.create(
                app=app, name=f"patch_{n}", revision="1", state="partial", run=run
            )

    new_app("desk3", patches=patches(3))
    ran("desk3", 3)
    few = queries(runner), queries(runner, f"{PATCHES}desk3.patch_2/")
    new_app("desk57", patches=patches(57))
    ran("desk57", 57)
    assert "60 patches" in text_of(runner)
    assert (queries(runner), queries(runner, f"{PATCHES}desk57.patch_2/")) == few


# ---------------------------------------------------------------- what it starts


def test_nothing_is_started_before_it_is_confirmed(runner: Client, desk: App) -> None:
    text = ask(runner, "run", "desk.capitals", "desk.greet")
    assert "Runs 2 patches and writes to the database." in text
    assert "manage.py run_patches desk.capitals desk.greet --commit" in text
    assert "in batches of 2, can be rolled back" in " ".join(re.sub("<[^>]*>", "", text).split())
    assert "csrfmiddlewaretoken" in text
    assert not Run.objects.exists()


def test_without_a_tick_everything_that_is_due_is_meant(
    runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    text = ask(runner, "rehearse")
    assert "Rehearses 2 patches" in text
    assert "manage.py run_patches --on-error continue<" in text
    start(runner, "rehearse")
    run = work()
    assert (run.mode, run.status) == ("rehearsal", "done")
    assert [step.migration for step in run.steps.all()] == [
        "patch:desk.capitals",
        "patch:desk.greet",
    ]
    assert names() == ["a1", "a2", "a3", "a4", "a5"]
    assert "(rehearsal)" in cells_of(text_of(runner), "desk.capitals")[-1]


def test_under_a_filter_what_is_shown_and_due_is_meant(
    runner: Client, desk: App, new_app: NewApp
) -> None:
    new_app("other", patches=DESK.replace("desk.", "other."))
    text = ask(runner, "run", app="desk")
    assert "Runs 2 patches" in text
    assert 'name="label" value="desk.capitals"' in text
    assert 'name="label" value="other.capitals"' not in text
    assert "None of the patches shown has anything to do." in ask(runner, "run", state="blocked")
    response = do(runner, "run", state="blocked")
    assert response.status_code == 200
    assert not Run.objects.exists()


def test_a_patch_that_waits_is_refused_with_why(runner: Client, desk: App) -> None:
    text = ask(runner, "run", "desk.tidy")
    assert "This cannot be started." in text
    assert "desk.tidy is blocked." in text
    assert do(runner, "run", "desk.tidy").status_code == 200
    assert not Run.objects.exists()


def test_the_options_go_with_the_run(runner: Client, desk: App) -> None:
    run = start(
        runner, "run", "desk", limit="2", max_errors="5%", on_error="continue", skip_failing="on"
    )
    for name, value in {
        "limit": 2,
        "max_errors": "5%",
        "on_error": "continue",
        "skip_failing": True,
        "labels": ["desk"],
    }.items():
        assert run.options[name] == value


@pytest.mark.parametrize(
    ("action", "expected"), [("rehearse", "continue"), ("retry", "continue"), ("run", "stop")]
)
def test_a_rehearsal_and_a_retry_go_on_past_failures_unless_told_otherwise(
    runner: Client, failed: Run, action: str, expected: str
) -> None:
    assert f'name="on_error" value="{expected}"' in ask(runner, action, "desk.capitals")
    other = {"continue": "stop", "stop": "continue"}[expected]
    told = ask(runner, action, "desk.capitals", on_error=other)
    assert f'name="on_error" value="{other}"' in told


def test_a_refused_option_keeps_ticks_and_values_and_names_its_field(
    runner: Client, desk: App
) -> None:
    text = ask(runner, "run", "desk.greet", limit="none", max_errors="7")
    fields = text.split('class="dm-fields"')[1].split("</div>")[0]
    assert "errorlist" in fields.split('for="id_limit"')[0]
    assert 'value="none"' in fields
    assert 'value="7"' in fields
    assert re.search(r'value="desk.greet" aria-label="desk.greet" checked', text)
    assert '<details class="dm-options" open>' in text


def test_what_ran_runs_again_when_that_is_ticked(
    runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    start(runner, "run", "desk.capitals")
    work()
    text = ask(runner, "run", "desk.capitals")
    assert "There is nothing to do" in text
    assert "Run again what has run" in text
    assert "manage.py run_patches --force desk.capitals --commit" in ask(
        runner, "run", "desk.capitals", force="on"
    )
    Author.objects.update(name="again")
    start(runner, "run", "desk.capitals", force="on")
    assert work().status == "done"
    assert set(names()) == {"AGAIN"}
    assert [each.repeat for each in PatchRecord.objects.order_by("pk")] == [0, 1]
    assert "run again, no. 1" in text_of(runner, f"{PATCHES}desk.capitals/")


def test_a_second_run_is_refused_while_one_is_not_over(runner: Client, desk: App) -> None:
    run = start(runner, "run", "desk")
    response = do(runner, "run", "desk")
    assert f"Run {run.pk} is not over" in response.content.decode()
    assert Run.objects.count() == 1
    text = text_of(runner)
    assert f"Run {run.pk} waits for a worker." in text
    assert re.search(r'value="rehearse"[^>]* disabled', text)


def test_without_a_backend_it_says_why_nothing_can_be_started(
    runner: Client, desk: App, settings: Any
) -> None:
    settings.DATA_MIGRATION_BACKGROUND = "celery"
    text = text_of(runner)
    assert "Nothing can be started from here." in text
    assert re.search(r'value="run"[^>]* disabled', text)


# ---------------------------------------------------------------- failures


@pytest.fixture
def failed(desk: App, runner: Client, work: Callable[[], Run]) -> Run:
    """A run in which one of five authors failed."""
    Author.objects.filter(pk=3).update(name="bad")
    start(runner, "run", "desk.capitals", on_error="continue")
    return work()


def test_failed_objects_stand_by_cause_on_the_page_of_the_patch(
    runner: Client, failed: Run
) -> None:
    state, objects, count, _last = cells_of(text_of(runner), "desk.capitals")[2:]
    assert state.startswith("partial Every object was processed; 1 failed")
    assert (objects, count) == ("5 / 5", "1")
    text = text_of(runner, f"{PATCHES}desk.capitals/")
    assert "ValueError: This one has no capitals" in text
    assert "?migration=patch%3Adesk.capitals&amp;open=1" in text
    message = RowError.objects.get()
    assert f'name="like" value="{message.pk}"' in text


def test_failed_objects_are_retried_from_the_messages(
    runner: Client, failed: Run, work: Callable[[], Run]
) -> None:
    text = text_of(runner, MESSAGES)
    assert f'href="{PATCHES}desk.capitals/"' in text
    message = RowError.objects.get()
    assert f'name="message" value="{message.pk}"' in text
    sent = runner.post(f"{MESSAGES}retry/", {"message": message.pk})
    assert sent.url == (f"{PATCHES}confirm/?action=retry&label=desk.capitals")
    assert "Processes the failed objects of 1 patch again." in text_of(runner, sent.url)
    Author.objects.filter(pk=3).update(name="a3")
    start(runner, "retry", "desk.capitals")
    assert work().status == "done"
    assert names() == CAPITALS
    assert not RowError.objects.filter(is_open=True).exists()
    assert cells_of(text_of(runner), "desk.capitals")[2] == "done"


def test_failures_of_patches_are_mended_by_those_who_may_run_them(
    runner: Client, starter: Client, failed: Run
) -> None:
    message = RowError.objects.get()
    assert f'value="{message.pk}" aria-label' not in text_of(starter, MESSAGES)
    for place in ("retry/", "dismiss/"):
        refused = starter.post(f"{MESSAGES}{place}", {"message": message.pk})
        assert refused.status_code == 403
    assert RowError.objects.filter(is_open=True).exists()
    runner.post(f"{MESSAGES}dismiss/", {"message": message.pk})
    assert not RowError.objects.filter(is_open=True).exists()


# ---------------------------------------------------------------- recorded as done


def test_nothing_is_recorded_as_done_without_a_reason(faker: Client, desk: App) -> None:
    text = ask(faker, "fake", "desk.capitals", "desk.tidy")
    assert "Records 2 patches as done" in text
    assert not PatchRecord.objects.exists()
    text = do(faker, "fake", "desk.capitals", reason="  ").content.decode()
    assert "Say why" in text
    assert not PatchRecord.objects.exists()


def test_who_recorded_it_as_done_and_why_is_shown(faker: Client, desk: App) -> None:
    response = do(faker, "fake", "desk.capitals", reason="Done by <hand>.")
    assert (response.status_code, response.url) == (302, PATCHES)
    record = PatchRecord.objects.get()
    assert (record.state, record.owner) == ("faked", "view_run-fake_patch")
    assert names() == ["a1", "a2", "a3", "a4", "a5"]
    text = text_of(faker)
    assert "Done by &lt;hand&gt;." in text
    assert cells_of(text, "desk.capitals")[2].startswith("faked ")
    assert cells_of(text, "desk.capitals")[-1].startswith("view_run-fake_patch")
    entry = LogEntry.objects.get()
    assert entry.object_repr == str(record)
    assert "Done by <hand>." in entry.get_change_message()


def test_a_change_of_the_code_is_shown_and_accepted(
    faker: Client, runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    start(runner, "run", "desk.capitals")
    work()
    PatchRecord.objects.update(digest="0" * 32)
    assert cells_of(text_of(faker), "desk.capitals")[2].startswith(
        "changed since Its code, or a file that it watches, is not what ran here."
    )
    do(faker, "fake", "desk.capitals", reason="Only a comment.")
    assert cells_of(text_of(faker), "desk.capitals")[2].startswith("done")


def test_nothing_ticked_says_that(faker: Client, desk: App) -> None:
    assert "Nothing was ticked" in ask(faker, "fake")
    assert do(faker, "fake", reason="all").status_code == 200
    assert not PatchRecord.objects.exists()


def test_what_has_run_is_not_recorded_as_done(
    faker: Client, runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    start(runner, "run", "desk.capitals")
    work()
    assert "There is nothing to record" in ask(faker, "fake", "desk.capitals")


def test_nothing_is_recorded_as_done_beside_a_run(
    faker: Client, runner: Client, desk: App
) -> None:
    run = start(runner, "run", "desk")
    response = do(faker, "fake", "desk.capitals", reason="By hand.")
    assert f"Run {run.pk} is not over" in response.content.decode()
    assert not PatchRecord.objects.exists()


# ---------------------------------------------------------------- rolled back


@pytest.fixture
def undone(desk: App, runner: Client, work: Callable[[], Run]) -> Run:
    """A run that is there to be undone."""
    start(runner, "run", "desk.capitals")
    return work()


def test_a_patch_is_rolled_back(undoer: Client, undone: Run, work: Callable[[], Run]) -> None:
    text = ask(undoer, "rollback", "desk.capitals")
    assert "Undoes 1 patch: what it created is deleted, what it changed is put back" in text
    assert "manage.py rollback_legacy patch:desk.capitals" in text
    assert names() == CAPITALS
    start(undoer, "rollback", "desk.capitals")
    assert work().status == "done"
    assert names() == ["a1", "a2", "a3", "a4", "a5"]
    assert cells_of(text_of(undoer), "desk.capitals")[2] == "pending"
    assert f'href="{PATCHES}desk.capitals/"' in text_of(
        undoer, f"{RUNS}{Run.objects.latest('pk').pk}/"
    )


def test_a_patch_of_several_models_is_linked_from_the_run_that_undid_it(
    undoer: Client, runner: Client, new_app: NewApp, work: Callable[[], Run]
) -> None:
    Author.objects.create(name="a1")
    new_app("desk", patches=SEVERAL)
    start(runner, "run", "desk.both")
    assert work().status == "done"
    start(undoer, "rollback", "desk.both")
    run = work()
    assert {step.migration for step in run.steps.all()} == {
        "patch:desk.both/library.Author",
        "patch:desk.both/library.Genre",
    }
    text = text_of(undoer, f"{RUNS}{run.pk}/")
    assert f'<a href="{PATCHES}desk.both/">desk.both/library.Author</a>' in text
    assert 'value="patch:desk.both/library.Author"' not in text_of(undoer, MESSAGES)


def test_a_rollback_is_refused_where_a_person_edited_since_and_can_be_forced(
    undoer: Client, undone: Run, work: Callable[[], Run]
) -> None:
    Author.objects.filter(pk=2).update(name="Edited")
    text = ask(undoer, "rollback", "desk.capitals")
    assert "This cannot be started." in text
    assert "1 reason speaks against it:" in text
    assert do(undoer, "rollback", "desk.capitals").status_code == 200
    forced = ask(undoer, "rollback", "desk.capitals", force="on")
    assert 'name="force" value="on"' in forced
    start(undoer, "rollback", "desk.capitals", force="on")
    assert work().status == "done"
    assert names() == ["a1", "a2", "a3", "a4", "a5"]


# ---------------------------------------------------------------- runs that broke off


def test_a_run_that_broke_off_is_resumed_with_its_options(
    runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    run = start(runner, "run", "desk.capitals", on_error="continue")
    Run.objects.update(status="interrupted", started_at=run.queued_at)
    text = text_of(runner)
    assert f"Run {run.pk} was interrupted." in text
    fields = text.split("was interrupted.")[1].split("</form>")[0]
    assert 'name="label" value="desk.capitals"' in fields
    assert 'name="on_error" value="continue"' in fields
    assert "csrf" not in fields


# ---------------------------------------------------------------- one patch


def test_the_page_of_a_patch_has_its_place_and_what_it_waits_for(
    viewer: Client, desk: App
) -> None:
    text = text_of(viewer, f"{PATCHES}desk.greet/")
    assert "patches.py" in text
    assert f'href="{PATCHES}desk.capitals/"' in text
    assert "sessions.0001" in text_of(viewer, f"{PATCHES}desk.tidy/")
    assert viewer.get(f"{PATCHES}desk.nobody/").status_code == 404


def test_the_page_of_a_patch_has_its_attempts_and_its_output(
    viewer: Client, runner: Client, desk: App, work: Callable[[], Run]
) -> None:
    for action in ("rehearse", "run"):
        start(runner, action, "desk")
        work()
    text = text_of(viewer, f"{PATCHES}desk.greet/")
    assert '<pre class="dm-output"' in text
    assert "Hello &lt;b&gt;desk&lt;/b&gt;." in text
    first, second = Run.objects.order_by("pk")
    attempts = text.split("Runs of this patch, newest first")[1]
    assert attempts.index(f"{RUNS}{second.pk}/") < attempts.index(f"{RUNS}{first.pk}/")
