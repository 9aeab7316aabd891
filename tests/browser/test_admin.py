"""The admin's pages as a person meets them: seen, started, watched, mended, undone."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.models import MigrationState, RowError, RowLink, Run
from tests.apps.library.fixtures import counts
from tests.apps.library.models import Author, Book, Member
from tests.apps.library.testing import migrate
from tests.browser.conftest import MEMBERS, Desk, StartWorker
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]


def share(desk: Desk) -> int:
    """How far the bar of the members is."""
    bar = desk.page.locator(f'[data-dm-bar="{desk.app}.MemberMigration"] progress')
    return int(float(bar.get_attribute("value") or 0)) if bar.count() else 0


def test_from_the_rehearsal_to_the_rollback(desk: Desk) -> None:
    page = desk.page
    desk.log_in()
    page.click("text=Status")
    desk.open("migrationstate")
    desk.picture("status-before")

    desk.press("rehearse", limit=30)
    desk.wait_for("partial")
    assert counts()["Member"] == 0
    desk.picture("rehearsed")

    desk.hold(300)
    desk.hold(450)
    desk.press("run")
    page.wait_for_selector("progress[value]:not([value='0'])")
    page.wait_for_function(
        f"""() => {{ const bar = document.querySelector(
            '[data-dm-bar="{desk.app}.MemberMigration"] progress');
            return bar && bar.value > 0 && bar.value < 90; }}"""
    )
    first = share(desk)
    desk.picture("going")
    desk.release(300)
    page.wait_for_function(
        f"""() => {{ const bar = document.querySelector(
            '[data-dm-bar="{desk.app}.MemberMigration"] progress');
            return bar && bar.value > {first}; }}"""
    )
    page.wait_for_selector(".dm-summary-box .dm-is-running")
    assert "rows/s" in page.inner_text("[data-dm-bars]")
    assert "“many” value must be an integer" in page.inner_text("[data-dm-failures]")
    page.click("text=Stop after this batch")
    wait_until(lambda: Run.objects.latest("pk").stop_requested)
    desk.release(450)
    desk.wait_for("interrupted")
    assert 0 < counts()["Member"] < MEMBERS

    page.click("button:has-text('Resume')")
    desk.wait_for("partial")
    assert counts() == {"Author": 3, "Genre": 0, "Book": 28, "Member": MEMBERS}
    desk.picture("run")

    desk.open("rowerror")
    desk.picture("messages")
    assert "matches no library.Author" in page.inner_text(".dm-messages")
    desk.mend("UPDATE books SET pages = 4 WHERE id = 4")
    row = page.locator(".dm-messages tr", has_text="“many”").locator("input[name=message]")
    row.first.check()
    page.click("text=Retry selected")
    assert "Reads 1 failed row again" in page.inner_text(".dm-sentence")
    page.click(".submit-row button")
    page.wait_for_url("**/run/*/")
    desk.wait_for("partial")
    assert counts()["Book"] == 29

    desk.open("migrationstate")
    desk.picture("status-after")
    desk.press("rollback")
    page.wait_for_url("**/run/*/")
    desk.wait_for("done")
    assert counts() == {"Author": 0, "Genre": 0, "Book": 0, "Member": 0}
    desk.open("run")
    desk.picture("runs")
    assert desk.said == []


def test_a_killed_worker_is_seen_and_its_run_resumed_to_the_state_of_one_clean_run(
    desk: Desk, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log_in()
    worker = start_worker()
    desk.hold(300)
    desk.press("run")
    wait_until(lambda: counts()["Member"] > 0)
    run = Run.objects.get()
    assert (run.status, run.process) == ("running", worker.pid)
    worker.kill()
    desk.release(300)
    desk.wait_for("interrupted")
    assert 0 < counts()["Member"] < MEMBERS
    desk.picture("killed")

    start_worker(PAUSE="0")
    desk.page.click("button:has-text('Resume')")
    desk.wait_for("partial")
    assert what_is_there() == clean(desk, monkeypatch)
    assert desk.said == []


def what_is_there() -> dict[str, Any]:
    """The library, and what the ledger knows of it."""
    return {
        "rows": counts(),
        "books": list(Book.objects.order_by("pk").values_list("pk", "title", "author")),
        "members": list(Member.objects.order_by("pk").values_list("pk", "email")),
        "links": RowLink.objects.count(),
        "states": list(
            MigrationState.objects.order_by("label").values_list("label", "is_read", "pass_run")
        ),
        "open": list(RowError.objects.filter(is_open=True).values_list("key", flat=True)),
    }


def clean(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same of a run in this process that nobody disturbs, after the other is undone."""
    for model in (Member, Book, Author, RowLink, Run, MigrationState):
        model._default_manager.all().delete()
    monkeypatch.setenv("PAUSE", "0")
    assert migrate(desk.app, "--commit", "--on-error", "continue").code == 1
    return what_is_there()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_follow_the_scheme(desk: Desk, scheme: str) -> None:
    desk.page.emulate_media(color_scheme=scheme)
    desk.log_in()
    desk.open("migrationstate")
    colours = desk.page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector(".dm-state")).color]
            .map(colour => colour.match(/\\d+/g).slice(0, 3)
                .reduce((sum, part) => sum + Number(part), 0))"""
    )
    background, text = colours
    assert (background > text) == (scheme == "light")
    assert desk.said == []


def test_nothing_is_cut_off_on_a_narrow_screen(desk: Desk) -> None:
    desk.log_in()
    desk.page.set_viewport_size({"width": 390, "height": 800})
    for place in ("migrationstate", "run", "rowerror"):
        desk.open(place)
        desk.picture(f"narrow-{place}")
        wide = desk.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, place


def test_it_can_be_used_with_the_keyboard(desk: Desk) -> None:
    desk.log_in()
    desk.open("migrationstate", f"?app={desk.app}")
    page = desk.page
    page.focus('button[value="rehearse"]')
    page.keyboard.press("Enter")
    page.wait_for_selector(".dm-sentence")
    page.focus(".submit-row button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/run/*/")
    assert desk.said == []


def test_what_is_ticked_is_said(desk: Desk) -> None:
    desk.log_in()
    desk.open("migrationstate")
    scope = desk.page.locator("[data-dm-scope]")
    assert scope.inner_text() == "For all migrations"
    desk.page.check(f'input[value="{desk.app}.AuthorMigration"]')
    assert scope.inner_text() == f"For what is ticked: {desk.app}.AuthorMigration"
    desk.page.check(f'input[name="label"][value="{desk.app}"]')
    assert scope.inner_text() == f"For what is ticked: {desk.app}"
    desk.page.uncheck(f'input[name="label"][value="{desk.app}"]')
    assert scope.inner_text() == "For all migrations"


@pytest.mark.parametrize("place", ["migrationstate", "run", "rowerror"])
def test_every_control_has_a_name(desk: Desk, place: str) -> None:
    desk.log_in()
    desk.open(place)
    nameless = desk.page.evaluate(
        """() => [...document.querySelectorAll(
                ".dm-main :is(input:not([type=hidden]), select, button, a, progress)")]
            .filter(node => !node.hidden && !node.labels?.length
                && !node.getAttribute("aria-label") && !node.textContent.trim())
            .map(node => node.outerHTML)"""
    )
    assert nameless == []
    assert desk.page.locator(".dm-main table:not(:has(caption))").count() == 0
