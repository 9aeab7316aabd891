"""Patches around Django's migrate, in a project of its own and by real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.new_project import NewProject, new_project

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

#: Due after 0002 and before 0004, with whatever models the place has.
FILL = """
from django.db import connection
from data_migration.patches import Patch, patch

@patch(needs=[("news", "0002")], before=[("news", "0004")])
def fill(ctx):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE news_item SET text = UPPER(old)")

@patch(depends_on=["fill"])
def count(ctx):
    from news.models import Item
    ctx.log(f"{Item.objects.count()} items")

@patch(always=True, phase="before")
def greet(ctx):
    ctx.log("hello")
"""
MIGRATE = ("run_patches", "--migrate", "--no-progress")


@pytest.fixture
def news(tmp_path: Path) -> Iterator[NewProject]:
    """At schema migration 0001, with two items; patches and all migrations are new."""
    with new_project(tmp_path) as project:
        for names in (["data_migration"], ["news", "0001"]):
            done = project.run("migrate", *names, "--verbosity", "0")
            assert done.code == 0, done.err
        project.sql("INSERT INTO news_item (old) VALUES ('a'), ('b')")
        project.patches(FILL)
        yield project


def test_one_command_runs_patches_in_stages_of_migrate(news: NewProject) -> None:
    rehearsed = news.run(*MIGRATE)
    assert rehearsed.code == 0, rehearsed.everything
    assert "migrate would apply news.0002_change." in rehearsed.out
    assert "news.fill would run then; it cannot be rehearsed before." in rehearsed.out
    assert "news.greet: hello" in rehearsed.out
    assert (news.applied(), news.states()) == (["0001"], {})

    done = news.run(*MIGRATE, "--commit")
    assert done.code == 0, done.everything
    assert news.applied() == ["0001", "0002", "0003", "0004"]
    assert news.texts() == ["A", "B"]
    assert news.states() == {"greet": "done", "fill": "done", "count": "done"}
    order = [
        done.out.index(each)
        for each in ("news.greet: hello", "0003_change... OK", "0004_change... OK", "2 items")
    ]
    assert order == sorted(order)
    # What is always due runs again, the rest does not.
    again = news.run(*MIGRATE, "--commit", "--format", "json", "--verbosity", "0")
    assert again.code == 0, again.everything
    (run,) = json.loads(again.out)["runs"]
    assert [each["patch"] for each in run["patches"]] == ["news.greet"]
    # No run is left of waiting for others.
    assert news.sql("SELECT COUNT(*) FROM data_migration_run WHERE lane <> 'patches'") == [(0,)]


def test_a_failing_patch_ends_it_before_the_schema_goes_past(news: NewProject) -> None:
    news.patches(FILL.replace('"UPDATE news_item SET', '"UPDATE nothing_item SET'))
    done = news.run(*MIGRATE, "--commit")
    assert done.code == 1
    assert news.applied() == ["0001", "0002", "0003"]
    assert "Traceback" not in done.everything
    news.patches(FILL)
    assert news.run(*MIGRATE, "--commit").code == 0
    assert (news.texts(), news.applied()) == (["A", "B"], ["0001", "0002", "0003", "0004"])


def test_migrate_by_itself_runs_patches_and_does_not_go_past_one(news: NewProject) -> None:
    news.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
    refused = news.run("migrate")
    assert refused.code == 1
    assert refused.err == (
        "CommandError: migrate would go past patches that have to run before some of its schema"
        " migrations are applied: news.fill (after news.0003_change). Nothing was migrated. Run:"
        " manage.py run_patches --migrate --commit\n"
    )
    assert (news.applied(), news.states()) == (["0001"], {})
    # What fails under way keeps nobody waiting.
    news.schema(
        {
            2: 'migrations.RunSQL("SELECT * FROM nothing")',
            4: 'RequirePatch("news.fill", finish=True)',
        }
    )
    failed = news.run("migrate")
    assert "nothing" in failed.err
    assert "Exception ignored" not in failed.err
    assert news.sql("SELECT run_id FROM data_migration_runlock WHERE run_id IS NOT NULL") == []
    # An operation in between takes care of it.
    news.schema({4: 'RequirePatch("news.fill", finish=True)'})
    done = news.run("migrate")
    assert done.code == 0, done.everything
    assert done.out.count("Patch news.greet: done") == 1
    assert done.out.index("Patch news.greet: done") < done.out.index("Running migrations:")
    assert done.out.rstrip().endswith("Patch news.count: done")
    assert news.texts() == ["A", "B"]
    assert news.states() == {"greet": "done", "fill": "done", "count": "done"}


def test_migrate_fake_flush_and_backwards_run_no_patch(news: NewProject) -> None:
    assert news.run("migrate", "contenttypes", "--verbosity", "0").code == 0
    news.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
    assert news.run("migrate", "news", "--fake").code == 0
    assert news.run("migrate", "news", "0001", "--fake").code == 0
    assert news.run("flush", "--no-input").code == 0
    assert news.states() == {}


def test_the_first_migrate_of_a_new_project_needs_none_of_the_patches(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
        project.schema({4: 'RequirePatch("news.fill")'})
        project.patches(FILL)
        done = project.run("migrate")
        assert done.code == 0, done.everything
        assert project.states() == {"fill": "not_needed", "count": "not_needed", "greet": "done"}
        checked = project.run("run_patches", "--check")
        assert checked.code == 0, checked.everything


def test_of_two_hosts_at_once_one_waits_and_does_what_is_left(news: NewProject) -> None:
    slow = FILL.replace("def greet(ctx):\n", "def greet(ctx):\n    import time; time.sleep(6)\n")
    news.patches(slow)
    first = news.project.start(*MIGRATE, "--commit")
    while not news.sql("SELECT 1 FROM data_migration_run WHERE lane = 'patches'"):
        assert first.poll() is None, first.communicate()
    second = news.run(*MIGRATE, "--commit")
    out, err = first.communicate()
    assert (first.returncode, second.code) == (0, 0), out + err + second.everything
    assert "Waiting. Another run of schema migrations is at work" in second.out
    assert "No migrations to apply." in second.out
    assert news.texts() == ["A", "B"]
    assert news.applied() == ["0001", "0002", "0003", "0004"]


def test_of_two_hosts_in_migrate_itself_one_waits_and_does_what_is_left(news: NewProject) -> None:
    news.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
    news.schema({4: 'RequirePatch("news.fill", finish=True)'})
    news.patches(
        FILL.replace("def greet(ctx):\n", "def greet(ctx):\n    import time; time.sleep(6)\n")
    )
    first = news.project.start("migrate")
    while not news.sql("SELECT 1 FROM data_migration_run WHERE lane = 'patches'"):
        assert first.poll() is None, first.communicate()
    # Django's check of SQLite takes a database that somebody writes to for one without JSON.
    second = news.run("migrate", "--skip-checks")
    out, err = first.communicate()
    assert (first.returncode, second.code) == (0, 0), out + err + second.everything
    assert "Waiting. Another run of schema migrations is at work" in second.out
    assert "No migrations to apply." in second.out
    assert second.out.count("Patch news.greet: done") == 1  # always due, the rest is done
    assert "news.fill" not in second.out
    assert (news.texts(), news.applied()) == (["A", "B"], ["0001", "0002", "0003", "0004"])


TESTS = """
from django.test import TestCase
from data_migration.models import PatchRecord, Run
from news.models import Item

class Untouched(TestCase):
    def test_nothing_has_run(self):
        counts = [each.objects.count() for each in (Item, PatchRecord, Run)]
        self.assertEqual(counts, [0, 0, 0])
"""


def test_the_database_of_a_test_run_gets_no_patch(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
        project.patches(FILL)
        (tmp_path / "news" / "tests.py").write_text(TESTS)
        done = project.run("test", "news", "--no-input")
        assert done.code == 0, done.everything
        assert "Ran 1 test" in done.err


def test_backwards_a_patch_of_the_schema_is_forgotten_and_forwards_it_runs_again(
    news: NewProject,
) -> None:
    assert news.run("migrate", "contenttypes", "--verbosity", "0").code == 0
    news.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
    news.schema({3: 'RunPatch("news.fill")'})
    forwards = news.run("migrate", "news", "0003")
    assert forwards.code == 0, forwards.everything
    assert (news.texts(), news.states()["fill"]) == (["A", "B"], "done")
    runs = news.sql("SELECT COUNT(*) FROM data_migration_run")
    news.sql("UPDATE news_item SET text = ''")
    backwards = news.run("migrate", "news", "0002")
    assert backwards.code == 0, backwards.everything
    assert "Patch " not in backwards.out
    assert (news.applied(), news.texts()) == (["0001", "0002"], ["", ""])
    assert "fill" not in news.states()
    assert news.sql("SELECT COUNT(*) FROM data_migration_run") == runs
    again = news.run("migrate", "news", "0003")
    assert again.code == 0, again.everything
    assert (news.texts(), news.states()["fill"]) == (["A", "B"], "done")


def test_a_new_project_needs_none_of_the_patches_without_the_setting_as_well(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        project.patches(FILL)
        done = project.run("migrate")
        assert done.code == 0, done.everything
        assert project.states() == {"fill": "not_needed", "count": "not_needed"}
        assert project.sql("SELECT COUNT(*) FROM data_migration_run") == [(0,)]


def test_migrate_goes_on_past_a_failing_patch_that_nothing_waits_for(news: NewProject) -> None:
    news.patches(
        f"{FILL}\n@patch(phase='before')\ndef bad(ctx):\n    raise ValueError('no good')\n"
    )
    done = news.run(*MIGRATE, "--commit", "--skip-failing")
    assert done.code == 1
    assert "no good" in done.err
    assert "Traceback" not in done.everything
    assert (news.applied(), news.texts()) == (["0001", "0002", "0003", "0004"], ["A", "B"])
    assert news.states() == {"greet": "done", "bad": "failed", "fill": "done", "count": "done"}


def test_without_our_tables_migrate_does_not_go_past_a_patch(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.patches(FILL.replace("@patch(needs", "@patch(on_fresh_install='run', needs"))
        project.settings(DATA_MIGRATION_PATCHES_ON_MIGRATE=True)
        refused = project.run("migrate")
        assert refused.code == 1
        assert refused.err.startswith(
            "CommandError: migrate would go past patches that have to run before some of its"
            " schema migrations are applied: news.fill"
        )
        assert refused.err.endswith("Run: manage.py run_patches --migrate --commit\n")
        assert "Running migrations:" not in refused.out
        done = project.run(*MIGRATE, "--commit")
        assert done.code == 0, done.everything
        assert project.states() == {"fill": "done", "count": "not_needed", "greet": "done"}


def test_a_patch_in_between_reads_what_the_models_of_today_have_not(news: NewProject) -> None:
    """The code is that of the last schema migration, the tables are those before it."""
    news.patches(
        """
from data_migration.patches import Patch

class Fill(Patch):
    needs = [("news", "0002")]
    before = [("news", "0004")]
    writes = ["news.Item"]

    def queryset(self):
        return self.ctx.model("news.Item").objects.exclude(old="")

    def process(self, item):
        item.text = item.old.upper()
"""
    )
    done = news.run(*MIGRATE, "--commit")
    assert done.code == 0, done.everything
    assert (news.texts(), news.states()) == (["A", "B"], {"fill": "done"})


def test_a_part_of_a_new_schema_makes_no_patch_needless_that_needs_the_rest(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        project.patches(FILL)
        for names in (["data_migration"], ["news", "0001"]):
            assert project.run("migrate", *names, "--verbosity", "0").code == 0
        assert project.states() == {"count": "not_needed"}
        project.sql("INSERT INTO news_item (old) VALUES ('a')")
        assert project.run(*MIGRATE, "--commit").code == 0
        assert project.texts() == ["A"]
