"""What one line of the status page tells."""

from __future__ import annotations

import pytest

from data_migration.admin.status_lines import StatusLine, status_lines
from data_migration.launch.jobs import whole_plan
from data_migration.ledger import Ledger
from data_migration.models import Run
from tests.apps.library.fixtures import Library
from tests.apps.library.testing import give, migrate

pytestmark = pytest.mark.django_db


def line_of(name: str) -> StatusLine:
    plan = whole_plan("default").select(["library"])
    found = {each.name: each for each in status_lines(plan, Ledger("default"))}
    return found[f"{name}Migration"]


def test_the_source_is_what_the_query_returned_in_all(library: Library) -> None:
    assert line_of("Book").total is None
    migrate("library", "--commit", "--limit", "2")
    assert line_of("Book").total is None
    migrate("library", "--commit")
    assert (line_of("Book").total, line_of("Book").linked) == (6, 6)
    library.change("INSERT INTO members VALUES (9, 'x@example.org')")
    migrate("library.MemberMigration", "--commit", "--update", "--limit", "1")
    assert line_of("Member").total == 4
    migrate("library.MemberMigration")
    assert line_of("Member").total == 4


def test_a_rehearsal_counts_the_source_and_links_nothing(library: Library) -> None:
    migrate("library")
    assert (line_of("Book").total, line_of("Book").linked) == (6, None)
    assert line_of("Book").state == "pending"


def test_a_retry_does_not_shrink_the_source(library: Library, imported: Run) -> None:
    migrate("library", "--commit", "--retry-failed", "--on-error", "continue")
    book = line_of("Book")
    assert (book.total, book.linked, book.waiting) == (6, 3, 3)
    assert book.is_incomplete


def test_a_migration_without_a_key_has_no_links(library: Library) -> None:
    library.set("Member", query="SELECT email FROM members")
    migrate("library.MemberMigration", "--commit")
    assert (line_of("Member").total, line_of("Member").linked) == (4, None)


def test_after_a_rollback_nothing_is_linked(library: Library, imported: Run) -> None:
    give("rollback_legacy", "library", "--no-input")
    assert (line_of("Book").linked or 0, line_of("Book").state) == (0, "pending")
