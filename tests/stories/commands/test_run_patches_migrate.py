"""``manage.py run_patches --migrate``: patches and Django's migrate by one command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from data_migration.models import PatchRecord, Run
from tests.support.specs import NewApp

from .patches import run

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = """
from django.db import migrations

def work(apps, schema_editor):
    {work}

class Migration(migrations.Migration):
    initial = {initial}
    dependencies = [{dependencies}]
    operations = [migrations.RunPython(work)]
"""

PATCHES = """
from data_migration.patches import patch

@patch(before=[("words", "0002")])
def early(ctx):
    ctx.log("before 0002")

@patch(needs=[("words", "0002")], before=[("words", "0003")])
def between(ctx):
    ctx.log("between")

@patch(needs=[("words", "0003")])
def late(ctx):
    ctx.log("at the end")
"""


def schema(number: int, work: str = "pass") -> tuple[str, str]:
    dependencies = f'("words", "{number - 1:04}_change")' if number > 1 else ""
    text = SCHEMA.format(initial=number == 1, dependencies=dependencies, work=work)
    return f"migrations/{number:04}_change.py", text


@pytest.fixture(autouse=True)
def _applied() -> Iterator[None]:
    """The first schema migration of the app is applied, and all are forgotten in the end."""
    recorder = MigrationRecorder(connection)
    recorder.record_applied("words", "0001_change")
    yield
    recorder.migration_qs.filter(app="words").delete()


def test_each_patch_runs_in_its_place(new_app: NewApp) -> None:
    files = {"patches.py": PATCHES, **dict(map(schema, (1, 2, 3)))}
    new_app("words", files=files)

    result = run("--migrate", "--commit")

    assert (result.code, result.err) == (0, "")
    told = [
        line.strip()
        for line in result.out.splitlines()
        if "Applying" in line or line.startswith(("words.early:", "words.between:", "words.late:"))
    ]
    assert told == [
        "words.early: before 0002",
        "Applying words.0002_change... OK",
        "words.between: between",
        "Applying words.0003_change... OK",
        "words.late: at the end",
    ]
    assert set(PatchRecord.objects.values_list("state", flat=True)) == {"done"}


def test_a_rehearsal_migrates_nothing(new_app: NewApp) -> None:
    new_app("words", files={"patches.py": PATCHES, **dict(map(schema, (1, 2, 3)))})

    result = run("--migrate")

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == (
        "Rehearsal: nothing was migrated or written. Write with --commit."
    )
    assert "words.early: before 0002" in result.out
    assert "words.between would run then; it cannot be rehearsed before." in result.out
    assert not PatchRecord.objects.exists()
    assert not MigrationRecorder(connection).migration_qs.filter(name="0002_change").exists()


def test_the_runs_are_one_json_document(new_app: NewApp) -> None:
    new_app("words", files={"patches.py": PATCHES, **dict(map(schema, (1, 2, 3)))})

    result = run("--migrate", "--commit", "--format", "json")

    document = json.loads(result.out)
    assert [[patch["patch"] for patch in each["patches"]] for each in document["runs"]] == [
        ["words.early"],
        ["words.between"],
        ["words.late"],
    ]
    assert "Applying words.0003_change... OK" in result.err


def test_a_schema_migration_that_fails_is_no_traceback(new_app: NewApp) -> None:
    files = {"patches.py": PATCHES, **dict([schema(1), schema(2, '{}["x"]'), schema(3)])}
    new_app("words", files=files)

    result = run("--migrate", "--commit")

    assert result.code == 1
    assert result.err.endswith("CommandError: migrate: KeyError: 'x'.\n")
    assert "Traceback" not in result.err
    assert list(PatchRecord.objects.values_list("name", "state")) == [("early", "done")]
    assert not Run.objects.filter(finished_at=None).exists()


def test_a_patch_that_fails_keeps_the_schema_as_it_is(new_app: NewApp) -> None:
    patches = PATCHES.replace('ctx.log("before 0002")', '{}["x"]')
    new_app("words", files={"patches.py": patches, **dict(map(schema, (1, 2, 3)))})

    result = run("--migrate", "--commit")

    assert result.code == 1
    assert "words.early, words/patches.py, line 6: KeyError: 'x'." in result.err
    assert not MigrationRecorder(connection).migration_qs.filter(name="0002_change").exists()
