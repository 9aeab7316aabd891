"""The tab of patches as a person meets it: rehearsed, run, paused, mended, recorded, undone."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.models import PatchRecord, RowError, Run
from tests.apps.library.models import Member
from tests.browser.conftest import Desk
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

HOW_MANY = 300
LONG = "slow.write_down_the_names_of_all_authors_in_capitals_as_the_old_catalogue_had_it"


@pytest.fixture
def members(desk: Desk) -> None:
    Member.objects.bulk_create(
        Member(pk=n, email=f"m{n}@example.org") for n in range(1, HOW_MANY + 1)
    )


def moved() -> int:
    return Member.objects.filter(email__endswith="@example.com").count()


def press(desk: Desk, action: str, *labels: str) -> None:
    """Press a button of the tab for these patches, and look at the page in between."""
    desk.open("patchrecord")
    for label in labels:
        desk.page.check(f'input[name="label"][value="{label}"]')
    if action in ("rehearse", "run"):
        desk.page.click("summary:has-text('Options')")
        desk.page.select_option("#id_on_error", "continue")
    desk.page.click(f'button[value="{action}"]')
    desk.page.wait_for_selector(".dm-sentence")


def confirm(desk: Desk) -> None:
    desk.picture(f"patches-confirm-{desk.page.inner_text('.submit-row button').split()[1]}")
    desk.page.click(".submit-row button")


def line(desk: Desk, label: str) -> Any:
    return desk.page.locator(".dm-patches tr", has=desk.page.locator(f'[title="{label}"]'))


def test_from_the_rehearsal_to_the_rollback(desk: Desk, members: None) -> None:
    page = desk.page
    Member.objects.filter(pk=220).update(email="nobody")
    desk.log_in()
    page.click(".app-data_migration th a:has-text('Patches')")
    desk.picture("patches-before")

    press(desk, "rehearse", "slow.move_members")
    assert "Rehearses 1 patch" in page.inner_text(".dm-sentence")
    confirm(desk)
    desk.wait_for("partial")
    assert moved() == 0
    assert not PatchRecord.objects.exists()

    desk.hold(120)
    desk.hold(180)
    press(desk, "run", "slow.move_members", "slow.count_members")
    confirm(desk)
    wait_until(lambda: moved() > 0)
    desk.open("patchrecord")
    page.wait_for_selector(".dm-bars progress[value]:not([value='0'])")
    assert "objects" in page.inner_text("[data-dm-bars]")
    told = page.locator('[data-dm-progress="patch:slow.move_members"]')
    first = told.inner_text()
    desk.picture("patches-going")
    desk.release(120)
    page.wait_for_function(
        f"""() => document.querySelector('[data-dm-progress="patch:slow.move_members"]')
            .textContent !== {first!r}"""
    )
    assert "slow.move_members" in page.inner_text("[data-dm-summary]")
    page.click("text=Pause after this batch")
    wait_until(lambda: Run.objects.latest("pk").stop_requested)
    desk.release(180)
    desk.wait_for("interrupted")
    assert 0 < moved() < HOW_MANY

    desk.open("patchrecord")
    desk.picture("patches-paused")
    page.click("button:has-text('Resume')")
    assert "Runs 2 patches" in page.inner_text(".dm-sentence")
    confirm(desk)
    desk.wait_for("partial")
    assert moved() == HOW_MANY - 1

    page.click("a:has-text('slow.move_members')")
    assert "<b>nobody</b>" in page.inner_text(".dm-causes")
    desk.picture("patch")
    Member.objects.filter(pk=220).update(email="m220@example.org")
    assert page.is_visible(".dm-summary-box button[value='retry']")
    page.click(".dm-causes button:has-text('Retry')")
    assert "Processes the failed objects of 1 patch again." in page.inner_text(".dm-sentence")
    confirm(desk)
    desk.wait_for("done")
    assert moved() == HOW_MANY
    assert not RowError.objects.filter(is_open=True).exists()

    press(desk, "rollback", "slow.move_members")
    confirm(desk)
    page.wait_for_url("**/run/*/")
    desk.wait_for("done")
    assert moved() == 0
    assert desk.said == []


def test_a_patch_is_recorded_as_done_with_a_reason(desk: Desk) -> None:
    page = desk.page
    desk.log_in()
    press(desk, "fake", LONG)
    page.click(".submit-row button")
    assert page.evaluate("document.activeElement.id") == "id_reason"  # it is asked for
    page.fill("#id_reason", "They were never in small letters.")
    confirm(desk)
    page.wait_for_selector(".messagelist .success")
    assert "They were never in small letters." in line(desk, LONG).inner_text()
    assert "faked" in line(desk, LONG).inner_text()
    desk.picture("patches-faked")
    assert PatchRecord.objects.get().owner == "ada"
    assert desk.said == []


def test_nothing_is_cut_off_however_narrow_or_wide(desk: Desk, members: None) -> None:
    desk.log_in()
    places = [
        "patchrecord/",
        "patchrecord/slow.move_members/",
        f"patchrecord/confirm/?action=run&label={LONG}",
        "patchrecord/confirm/?action=fake&label=slow",
    ]
    found: list[tuple[int, str, Any]] = []
    for width in (390, 768, 1280, 1920):
        desk.page.set_viewport_size({"width": width, "height": 900})
        for number, place in enumerate(places):
            desk.open(place.rpartition("/")[0], place.rpartition("/")[2])
            desk.picture(f"patches-{width}-{number}")
            wide = desk.page.evaluate("document.documentElement.scrollWidth")
            found += [(width, place, wide)] if wide > width else []
            cut = desk.page.evaluate(
                """() => [...document.querySelectorAll(".dm-scroll")]
                    .filter(box => box.scrollWidth > box.clientWidth).length"""
            )
            found += [(width, place, "scrolls")] if cut else []
    assert found == []


def test_it_can_be_used_with_the_keyboard(desk: Desk) -> None:
    desk.log_in()
    desk.open("patchrecord")
    page = desk.page
    page.focus(f'input[name="label"][value="{LONG}"]')
    page.keyboard.press("Space")
    page.focus('button[value="rehearse"]')
    page.keyboard.press("Enter")
    page.wait_for_selector(".dm-sentence")
    page.focus(".submit-row button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/run/*/")
    desk.wait_for("done")


def test_it_can_be_used_without_javascript(desk: Desk, browser: Any) -> None:
    desk.log_in()
    context = browser.new_context(
        java_script_enabled=False, storage_state=desk.page.context.storage_state()
    )
    page = context.new_page()
    page.goto(f"{desk.url}/admin/data_migration/patchrecord/")
    page.check(f'input[name="label"][value="{LONG}"]')
    page.click('button[value="rehearse"]')
    assert "Rehearses 1 patch" in page.inner_text(".dm-sentence")
    page.click(".submit-row button")
    run = Run.objects.get()
    wait_until(lambda: Run.objects.get(pk=run.pk).status == "done")
    page.reload()
    assert "done" in page.inner_text(".dm-summary-box")
    context.close()
