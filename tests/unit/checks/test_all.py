"""The checks as a whole: specs that cannot be read, specs that are fine, every id told of.

The ids themselves are tested beside this module, each with a neighbour that is fine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from data_migration.checks import FAULTS, TAG
from data_migration.models import Run
from data_migration.spec.discovery import discover
from tests.apps.shop.models import Tag
from tests.support.checking import check, found_in, only
from tests.support.paths import ROOT
from tests.support.specs import NewApp

PAGE = ROOT / "docs" / "reference" / "checks.rst"


@pytest.fixture(autouse=True)
def sources(settings: Any) -> None:
    entry = {"ENGINE": "sqlite", "NAME": "old.sqlite3"}
    settings.DATA_MIGRATION_SOURCES = {"legacy": entry}


def test_a_sound_migration_has_no_faults() -> None:
    assert check() == {}


def test_e001_a_spec_that_cannot_be_imported(new_app: NewApp) -> None:
    app = new_app("broken", "\nimport does_not_exist_at_all\n")
    (message,) = run_checks(tags=[TAG])
    assert message.id == "data_migration.E001"
    assert f"{app.name}.data_migration_spec cannot be imported" in message.msg
    assert "line 2" in message.msg
    assert "manage.py check --tag data_migration" in str(message.hint)


def test_e001_ends_the_command_check_as_a_message(new_app: NewApp) -> None:
    new_app("broken", "import does_not_exist_at_all")
    with pytest.raises(CommandError, match=r"data_migration\.E001"):
        call_command("check", tags=[TAG])


NO_MODEL = """
from data_migration import Migration
class Broken(Migration):
    query = "SELECT 1"
"""


@pytest.mark.django_db
@pytest.mark.parametrize("spec", ["import does_not_exist_at_all", NO_MODEL])
def test_a_fault_in_a_spec_does_not_keep_migrate_from_making_tables(
    new_app: NewApp, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_app("broken", spec)
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate", "--plan"])
    err = StringIO()
    call_command("migrate", "--plan", skip_checks=False, stdout=StringIO(), stderr=err)
    assert "data_migration.E0" in err.getvalue()
    for name in ("makemigrations", "showmigrations"):
        monkeypatch.setattr(sys, "argv", ["manage.py", name])
        assert not any(message.is_serious() for message in run_checks(tags=[TAG]))
    monkeypatch.setattr(sys, "argv", ["manage.py", "runserver"])
    assert any(message.is_serious() for message in run_checks(tags=[TAG]))


def test_e002_two_migrations_of_one_name(new_app: NewApp) -> None:
    new_app("twins", TWINS)
    (message,) = run_checks(tags=[TAG])
    assert message.id == "data_migration.E002"
    assert "twins.Twin is defined twice" in message.msg


TWINS = """
from data_migration import Migration
class Twin(Migration):
    query = "SELECT 1"
class Outer:
    class Twin(Migration):
        query = "SELECT 2"
"""


def test_a_spec_for_the_older_package_has_no_faults(new_app: NewApp) -> None:
    app = new_app("older", OLDER, models=OLDER_MODELS)
    assert found_in(app) == {}
    assert len([label for label in discover() if label.startswith("older.")]) == 3


OLDER_MODELS = """
from django.db import models

class Author(models.Model):
    firstname = models.CharField(max_length=20)

class Comment(models.Model):
    text = models.TextField()

class Post(models.Model):
    title = models.CharField(max_length=20)
    posted = models.DateTimeField(auto_now_add=True)
    author = models.ForeignKey(Author, models.CASCADE)
    comments = models.ManyToManyField(Comment)
"""
OLDER = """
import sqlite3
from data_migration.migration import Migration, is_a
from .models import Author, Comment, Post

class BaseMigration(Migration):
    @classmethod
    def open_db_connection(self):
        return sqlite3.connect("legacy.db")

class AuthorMigration(BaseMigration):
    query = "SELECT id, Name AS firstname FROM authors a"
    model = Author
    depends_on = []

class CommentMigration(BaseMigration):
    query = "select id, Content as text from comments"
    model = Comment
    allow_updates = True
    search_attr = "id"

class PostMigration(BaseMigration):
    query = '''
        SELECT id, Title AS title, Posted AS posted, Author AS author,
          (SELECT GROUP_CONCAT(id) FROM comments c WHERE c.Post = p.ID) AS comments
        FROM posts p'''
    model = Post
    depends_on = [Author, Comment]
    column_description = {
        "author": is_a(Author, search_attr="id", fk=True, prefetch=False),
        "comments": is_a(Comment, search_attr="id", m2m=True, delimiter=",", prefetch=False),
        "unused": is_a(exclude=True),
    }

    def hook_after_save(self, instance, row):
        instance.posted = row["posted"]
        instance.save()
"""


def test_the_demo_project_has_no_faults(tmp_path: Path) -> None:
    files = {"DEMO_DATABASE": str(tmp_path / "new"), "DEMO_LEGACY": str(tmp_path / "old")}
    command = [sys.executable, "-W", "error", "manage.py", "check", "--fail-level", "WARNING"]
    environment = {**os.environ, **files, "DJANGO_SETTINGS_MODULE": "testapp.settings"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "no issues (0 silenced)" in done.stdout + done.stderr
    assert done.returncode == 0
    assert not (tmp_path / "old").exists()


def test_a_skipped_migration_is_checked_for_what_the_plan_needs_only() -> None:
    assert check(skip=True, query="nonsense", search_attr="nonsense", source=None) == {}
    only("E010", check(skip=True, model=None))


def test_a_silenced_fault_does_not_stop_the_command_either(settings: Any) -> None:
    settings.SILENCED_SYSTEM_CHECKS = ["data_migration.E014"]
    assert check(query="nonsense") == {}


def test_several_faults_are_told_at_once() -> None:
    assert set(check(query=5, writer="x", batch_size=0)) == {"E013", "E050", "E052"}


def test_every_id_has_a_test() -> None:
    unit = Path(__file__).parents[1]
    files = [
        file for room in ("checks", "patches", "sync") for file in unit.glob(f"{room}/test_*.py")
    ]
    tests = "".join(file.read_text("utf-8") for file in files)
    named = re.findall(r"^def test_([ew]\d{3})_", tests, re.M)
    assert set(FAULTS) == {number.upper() for number in named}


def test_every_id_is_explained_in_the_documentation() -> None:
    explained = re.findall(r"^``data_migration\.([EW]\d{3})``$", PAGE.read_text("utf-8"), re.M)
    assert explained == list(FAULTS)


def test_an_error_stops_migrate_legacy_with_exit_code_2(new_app: NewApp) -> None:
    new_app(
        "wrong", 'from data_migration import *\nclass A(BaseMigration):\n    query = "SELECT 1"'
    )
    with pytest.raises(CommandError, match=r"wrong\.A: \(data_migration\.E010\)") as caught:
        call_command("migrate_legacy", "--plan")
    assert caught.value.returncode == 2


@pytest.mark.django_db
def test_a_run_is_refused_before_its_first_row_when_a_source_of_it_is_missing(
    new_app: NewApp,
) -> None:
    new_app("half", HALF)
    with pytest.raises(CommandError, match=r"W060\) There is no source 'nowhere'") as caught:
        call_command("migrate_legacy", "half", "--commit")
    assert caught.value.returncode == 2
    assert not Run.objects.exists()
    call_command("migrate_legacy", "half.A", "--commit", verbosity=0)
    assert Tag.objects.get().name == "one"


HALF = """
import sqlite3
from data_migration import Migration
from tests.apps.shop.models import Tag

class A(Migration):
    query = "SELECT 1 AS id, 'one' AS name"
    model = Tag
    def open_db_connection(self):
        return sqlite3.connect(":memory:")

class B(Migration):
    query = "SELECT 2 AS id"
    model = Tag
    source = "nowhere"
"""
