"""The dependency graph as the page draws it."""

from __future__ import annotations

import pytest

from data_migration.admin.picture import picture_of
from data_migration.admin.status_lines import status_lines
from data_migration.launch.jobs import whole_plan
from data_migration.ledger import Ledger
from tests.apps.library.fixtures import Library

pytestmark = pytest.mark.django_db


def test_every_migration_is_a_box_and_every_need_an_arrow(library: Library) -> None:
    plan = whole_plan("default")
    picture = picture_of(status_lines(plan, Ledger("default")))
    assert [box.line.label for box in picture.boxes] == [step.label for step in plan]
    arrows = {(arrow.start, arrow.end) for arrow in picture.arrows}
    assert arrows == {(need, step.label) for step in plan for need in step.needs}


def test_a_name_that_two_apps_have_is_told_with_its_app(library: Library) -> None:
    picture = picture_of(status_lines(whole_plan("default"), Ledger("default")))
    texts = {box.line.label: box.text for box in picture.boxes}
    assert texts["library.MemberMigration"] == "Member"
    assert texts["library.AuthorMigration"] == "library.Author"
    assert texts["blog.AuthorMigration"] == "blog.Author"
    assert all(len(text) <= 20 for text in texts.values())
