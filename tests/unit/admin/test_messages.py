"""The messages page: filters, causes, retry, dismiss, export."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_migration.models import RowError, Run
from tests.apps.library.fixtures import EVERYTHING, Library, counts
from tests.apps.library.testing import migrate
from tests.unit.admin.conftest import MESSAGES, RUNS, STATUS

pytestmark = pytest.mark.django_db

BOOK = "library.BookMigration"


def shown(client: Client, **query: Any) -> list[str]:
    """The legacy keys of the messages that the page lists."""
    response = client.get(MESSAGES, query)
    assert response.status_code == 200
    return [message.key for message in response.context["page"]]


def exported(client: Client, **query: Any) -> list[dict[str, str]]:
    response = client.get(f"{MESSAGES}export/", query)
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_failed_row_is_there_with_key_column_value_and_cause(
    viewer: Client, imported: Run
) -> None:
    text = viewer.get(MESSAGES, {"key": "4"}).content.decode()
    for part in ("<code>4</code>", "<code>author</code>", ">99<", "matches no library.Author"):
        assert part in text


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({}, ["5", "4", "2"]),
        ({"kind": "failure"}, ["5", "4", "2"]),
        ({"kind": "warning"}, []),
        ({"kind": "nonsense"}, ["5", "4", "2"]),
        ({"migration": BOOK}, ["5", "4", "2"]),
        ({"migration": "library.AuthorMigration"}, []),
        ({"key": "4"}, ["4"]),
        ({"open": "1"}, ["5", "4", "2"]),
        ({"run": "all"}, ["5", "4", "2"]),
        ({"run": "999999"}, []),
        ({"like": "999999"}, []),
        ({"like": "9" * 40}, ["5", "4", "2"]),
    ],
)
def test_filters(viewer: Client, imported: Run, query: dict[str, str], keys: list[str]) -> None:
    assert shown(viewer, **query) == keys


@pytest.mark.parametrize("query", ["run=²", "run=99999999999999999999", "like=x", "before=²"])
def test_a_filter_that_makes_no_sense_is_passed_over(
    viewer: Client, imported: Run, query: str
) -> None:
    assert viewer.get(f"{MESSAGES}?key=%00&migration=%00&{query}").status_code == 200


def test_without_a_filter_the_last_run_of_each_migration_and_what_is_open_count(
    viewer: Client, imported: Run
) -> None:
    migrate("library.BookMigration", "--update", "--on-error", "continue", "--limit", "2")
    rehearsal = Run.objects.latest("pk")
    assert shown(viewer, run=rehearsal.pk) == ["2"]
    assert shown(viewer) == ["2", "5", "4", "2"]
    RowError.objects.update(is_open=False)
    assert shown(viewer) == ["2"]


def test_a_filter_by_cause_shows_its_rows(viewer: Client, imported: Run) -> None:
    message = RowError.objects.get(key="4")
    assert shown(viewer, like=message.pk) == ["4"]


def add_failures(count: int) -> None:
    """Failures of thirty causes, in the step where the book failed."""
    message = RowError.objects.get(key="4")
    RowError.objects.bulk_create(
        RowError(
            step=message.step,
            migration=message.migration,
            kind="failure",
            key=f"k{n}",
            row_number=n,
            cause=f"no {n}",
            pattern=f"no {n % 30}",
        )
        for n in range(count)
    )


def test_a_page_ends_and_the_next_begins_there(viewer: Client, imported: Run) -> None:
    add_failures(150)
    response = viewer.get(MESSAGES)
    first = [each.key for each in response.context["page"]]
    rest = shown(viewer, before=response.context["next"])
    assert (len(first), len(rest)) == (100, 53)
    assert not {*first} & {*rest}


def test_queries_do_not_grow_with_the_messages(starter: Client, imported: Run) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(starter)
        return len(captured)

    before = queries()
    add_failures(300)
    assert queries() <= before


# ---------------------------------------------------------------- mended


def test_chosen_rows_are_retried_and_no_others(
    starter: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'There'")
    chosen = RowError.objects.filter(key__in=["2", "5"])
    page = starter.post(f"{MESSAGES}retry/", {"message": [each.pk for each in chosen]})
    assert "Reads 2 failed rows again" in page.content.decode()
    fields = dict(page.context["confirmation"].intent.fields)
    starter.post(f"{STATUS}start/", fields)
    run = work()
    assert [(step.migration, step.read) for step in run.steps.all()] == [(BOOK, 2)]
    assert list(RowError.objects.filter(is_open=True).values_list("key", flat=True)) == ["4"]
    assert run.status == "partial"


def test_all_rows_of_a_cause_are_retried(
    starter: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    message = RowError.objects.get(key="4")
    page = starter.post(f"{MESSAGES}retry/", {"like": message.pk})
    assert page.context["confirmation"].intent.failures == (message.pk,)


def test_a_chosen_row_that_is_not_mended_does_not_keep_the_others(
    starter: Client, imported: Run, library: Library, work: Callable[[], Run]
) -> None:
    library.change("UPDATE books SET pages = 1, author_id = 1, title = 'There' WHERE id > 2")
    chosen = [str(pk) for pk in RowError.objects.values_list("pk", flat=True)]
    page = starter.post(f"{MESSAGES}retry/", {"message": chosen})
    starter.post(f"{STATUS}start/", dict(page.context["confirmation"].intent.fields))
    assert work().status == "partial"
    assert list(RowError.objects.filter(is_open=True).values_list("key", flat=True)) == ["2"]


def test_what_is_not_open_is_not_retried(starter: Client, imported: Run) -> None:
    RowError.objects.update(is_open=False)
    response = starter.post(
        f"{MESSAGES}retry/", {"message": RowError.objects.get(key="4").pk}, follow=True
    )
    assert "None of them is an open failure" in response.content.decode()


def test_chosen_failures_are_dismissed(starter: Client, imported: Run) -> None:
    message = RowError.objects.get(key="4")
    response = starter.post(
        f"{MESSAGES}dismiss/", {"message": [message.pk], "back": "open=1"}, follow=True
    )
    assert response.redirect_chain[0][0] == f"{MESSAGES}?open=1"
    assert "1 failure was closed." in response.content.decode()
    assert shown(starter, open="1") == ["5", "2"]


def test_dismissed_rows_are_not_tried_again_by_themselves(starter: Client, imported: Run) -> None:
    starter.post(
        f"{MESSAGES}dismiss/", {"message": list(RowError.objects.values_list("pk", flat=True))}
    )
    assert "Nothing to do" in migrate("library", "--commit").out
    assert counts()["Book"] == EVERYTHING["Book"] - 3


@pytest.mark.parametrize("ticked", [[], ["x"], ["-1"], ["9" * 40]])
def test_nonsense_is_neither_retried_nor_dismissed(
    starter: Client, imported: Run, ticked: list[str]
) -> None:
    for place in ("retry", "dismiss"):
        assert starter.post(f"{MESSAGES}{place}/", {"message": ticked}).status_code == 302
    assert RowError.objects.filter(is_open=True).count() == 3


@pytest.mark.parametrize(
    "asked",
    [
        {"like": ""},
        {"like": "x"},
        {"like": "-1"},
        {"like": "9" * 5000},
        {"like": "999999"},
        {"like": "4", "run": "x"},
        {"like": "4", "kind": "nonsense"},
        {"like": "4", "key": " "},
    ],
    ids=str,
)
def test_a_cause_that_makes_no_sense_is_no_cause_and_means_no_row(
    starter: Client, imported: Run, asked: dict[str, str]
) -> None:
    if asked["like"] == "4":
        asked = {**asked, "like": str(RowError.objects.get(key="4").pk)}
    for place in ("retry", "dismiss"):
        response = starter.post(f"{MESSAGES}{place}/", asked, follow=True)
        assert "None of them is an open failure" in response.content.decode()
    assert RowError.objects.filter(is_open=True).count() == 3


def test_the_way_back_leads_nowhere_else(starter: Client, imported: Run) -> None:
    response = starter.post(
        f"{MESSAGES}dismiss/", {"back": "//evil.example/?x=1\r\nSet-Cookie: a=b"}
    )
    assert response.url.startswith(f"{MESSAGES}?")
    assert "Set-Cookie" not in response.headers


# ---------------------------------------------------------------- harmless


NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7|add:7 }}{% debug %}",
    '=HYPERLINK("http://evil.example")',
)


@pytest.fixture
def nasty(imported: Run) -> RowError:
    """Messages that quote what an evil legacy row may hold, wherever they can."""
    message = RowError.objects.get(key="4")
    for text in NASTY:
        message.pk = None
        message.key = message.column = message.value = message.cause = message.pattern = text
        message.save()
    return message


def test_markup_in_a_row_is_text_on_every_page(
    starter: Client, imported: Run, nasty: RowError
) -> None:
    pages = (
        MESSAGES,
        f"{MESSAGES}?like={nasty.pk}",
        STATUS,
        f"/admin/data_migration/run/{imported.pk}/",
    )
    for address in pages:
        text = starter.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "1414" not in text
    answer = starter.get(f"/admin/data_migration/run/{imported.pk}/live/")
    assert answer.headers["Content-Type"] == "application/json"


def test_causes_that_an_earlier_version_kept_make_no_endless_pages(
    starter: Client, imported: Run
) -> None:
    message = RowError.objects.get(key="4")
    RowError.objects.update(cause="x" * 3_000_000, pattern="")
    for address in (MESSAGES, f"{MESSAGES}?like={message.pk}", f"{RUNS}{imported.pk}/"):
        assert len(starter.get(address).content) < 100_000
    assert len(starter.get(f"{RUNS}{imported.pk}/live/").content) < 20_000


def test_markup_in_what_is_asked_for_is_text(starter: Client, imported: Run) -> None:
    for name in ("key", "migration", "app", "state"):
        for address in (MESSAGES, STATUS):
            text = starter.get(address, {name: NASTY[1]}).content.decode()
            assert "<img src=x" not in text


def test_no_cell_of_the_export_is_a_formula(
    starter: Client, imported: Run, nasty: RowError
) -> None:
    for text in ("+1", "-1", "@SUM(A1)", "\tx", "\rx"):
        nasty.pk = None
        nasty.value = nasty.cause = text
        nasty.save()
    cells = [cell for row in exported(starter) for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert '\'=HYPERLINK("http://evil.example")' in cells


def test_the_export_has_what_is_filtered(viewer: Client, imported: Run) -> None:
    rows = exported(viewer, key="4")
    assert [(row["key"], row["column"], row["value"], row["open"]) for row in rows] == [
        ("4", "author", "99", "yes")
    ]
    assert exported(viewer, kind="warning") == []


def test_the_export_is_read_page_by_page(viewer: Client, imported: Run) -> None:
    add_failures(4100)
    rows = exported(viewer, run="all")
    assert len(rows) == 4103
    numbers = [int(row["message"]) for row in rows]
    assert numbers == sorted(set(numbers))
