"""``--database``: another alias receives the objects and remembers the run."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.apps.library.fixtures import NOTHING, Library, counts, library_fixture  # noqa: F401
from tests.apps.library.testing import make_project

SPEC = """
from data_migration import BaseMigration
from tests.apps.library.models import Genre, Member

class GenreMigration(BaseMigration):
    query = "SELECT id, name FROM genres"
    model = Genre

    def hook_after_save(self, instance, row):
        instance.save()  # a hook's own save goes where the instance lives

class MemberMigration(BaseMigration):
    query = "SELECT 1 AS id, 'a@example.org' AS email UNION ALL SELECT 2, 'a@example.org'"
    model = Member
"""


@pytest.mark.django_db(transaction=True)
def test_objects_and_ledger_go_to_the_alias_that_is_named(
    library: Library, tmp_path: Path, target_environment: dict[str, str]
) -> None:
    other = tmp_path / "other.sqlite3"
    engine = "'ENGINE': 'django.db.backends.sqlite3'"
    project = make_project(
        tmp_path,
        target_environment,
        spec=SPEC,
        settings=[
            f"DATABASES['other'] = {{{engine}, 'NAME': {str(other)!r}}}",
            f"DATA_MIGRATION_SOURCES = {library.settings.DATA_MIGRATION_SOURCES!r}",
        ],
    )
    to_other = ("--database", "other")

    refused = project.run("migrate_legacy", "job", "--commit", *to_other)
    assert refused.code == 1
    assert "manage.py migrate data_migration --database other" in refused.err

    assert project.run("migrate", "--run-syncdb", "--verbosity", "0", *to_other).code == 0
    assert project.run("migrate_legacy", "job.GenreMigration", "--commit", *to_other).code == 0

    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM library_genre").fetchone() == (2,)
    assert counts() == NOTHING
    # Why a row failed is looked up there too.
    double = project.run("migrate_legacy", "job.MemberMigration", "--commit", *to_other)
    assert "key 2: column email, value 'a@example.org': Member with this Email" in double.err
    shown = project.run("show_legacy", "job", "--format", "json", *to_other)
    assert json.loads(shown.out)["migrations"][0]["state"] == "done"
    here = project.run("show_legacy", "job", "--format", "json")
    assert json.loads(here.out)["migrations"][0]["state"] == "pending"
