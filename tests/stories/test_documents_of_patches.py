"""Each sentence of the founding documents about patches, and what we have for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from data_migration.models import PatchRecord, Run
from tests.apps.library.testing import give
from tests.apps.shop.models import Tag
from tests.stories.commands.patches import names, run, show, tags
from tests.support.specs import App, NewApp

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Word", [
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("old", models.CharField(max_length=20)),
        ]),
    ]
"""
NEXT = """
from django.db import migrations, models
from data_migration.patches import RequirePatch, RunPatch

class Migration(migrations.Migration):
    dependencies = [("words", "{last}"), ("data_migration", "0004_patches")]
    operations = [{operations}]
"""
ADD = 'migrations.AddField("Word", "text", models.CharField(default="", max_length=20))'
DROP = 'migrations.RemoveField("Word", "old")'
MODELS = """
from django.db import models

class Word(models.Model):
    id = models.BigAutoField(primary_key=True)
    text = models.CharField(default="", max_length=20)
"""
WITH_SQL = """
from django.db import connections
from data_migration.patches import patch

@patch(needs=[("words", "0002")], before=[("words", "0003")])
def fill_text(ctx):
    with connections[ctx.database].cursor() as cursor:
        cursor.execute("UPDATE words_word SET text = old")
"""

Words = Callable[..., App]


@pytest.fixture
def words(new_app: NewApp) -> Iterator[Words]:
    """An app at its first schema migration, with two words; two more migrations wait."""

    def make(patches: str = WITH_SQL, *, second: str = ADD, third: str = DROP) -> App:
        app = new_app(
            "words",
            models=MODELS,
            patches=patches,
            files={
                "migrations/0001_initial.py": FIRST,
                "migrations/0002_text.py": NEXT.format(last="0001_initial", operations=second),
                "migrations/0003_no_old.py": NEXT.format(last="0002_text", operations=third),
            },
        )
        call_command("migrate", "words", "0001", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO words_word (old) VALUES ('a')")
            cursor.execute("INSERT INTO words_word (old) VALUES ('b')")
        return app

    yield make
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS words_word")
    MigrationRecorder(connection).migration_qs.filter(app="words").delete()
    apps.all_models.pop("words", None)  # the next test has another class of that name


def texts() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM words_word ORDER BY id")
        return [text for (text,) in cursor.fetchall()]


def columns() -> set[str]:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, "words_word")
    return {column.name for column in described}


def states(label: str) -> dict[str, str]:
    document = json.loads(show(label, "--format", "json").out)
    return {each["patch"].partition(".")[2]: each["state"] for each in document["patches"]}


def test_one_command_after_pulling_updates(words: Words) -> None:
    """*One command after pulling updates*: ``run_patches --migrate --commit``."""
    words()
    done = run("--migrate", "--commit")
    assert (done.code, done.err) == (0, "")
    assert (columns(), texts()) == ({"id", "text"}, ["a", "b"])
    assert states("words") == {"fill_text": "done"}
    again = run("--migrate", "--commit")
    assert (again.code, PatchRecord.objects.count()) == (0, 1)


def test_schemas_are_synced_by_djangos_own_commands(words: Words) -> None:
    """*DocType JSON, schema synced*: makemigrations and migrate; no statement of ours does it."""
    words()
    call_command("makemigrations", "words", check=True, verbosity=0)  # nothing to be made
    call_command("migrate", "words", "0002", verbosity=0)
    with CaptureQueriesContext(connection) as sent:
        assert run("words.fill_text", "--commit").code == 0
    verbs = {query["sql"].lstrip().split()[0].upper() for query in sent.captured_queries}
    assert not verbs & {"CREATE", "ALTER", "DROP", "TRUNCATE"}
    assert columns() == {"id", "old", "text"}


def test_a_column_may_not_be_dropped_before_its_patch_ran(words: Words) -> None:
    """*Fields are soft-deleted so that patches can still read them*: the drop waits instead."""
    words(third=f'RequirePatch("words.fill_text"), {DROP}')
    with pytest.raises(CommandError, match=r"needs what the patch words\.fill_text does"):
        call_command("migrate", "words", verbosity=0)
    assert columns() == {"id", "old", "text"}
    assert states("words") == {"fill_text": "pending"}
    assert run("words.fill_text", "--commit").code == 0
    call_command("migrate", "words", verbosity=0)
    assert (columns(), texts()) == ({"id", "text"}, ["a", "b"])


KEPT = """
from data_migration.patches import Patch
from tests.apps.shop.models import Tag

class Shout(Patch):
    writes = [Tag]
    def queryset(self):
        return Tag.objects.all()
    def process(self, tag):
        tag.name = tag.name.upper()
"""


def test_what_a_patch_wrote_is_rolled_back_and_django_reverses_the_schema(
    words: Words, new_app: NewApp
) -> None:
    """*No reverse migrations*: both ways, each by what made it."""
    words(third="")
    new_app("kept", patches=KEPT)
    tags("a", "b")
    call_command("migrate", "words", "0002", verbosity=0)
    assert run("kept", "--commit").code == 0
    assert names() == ["A", "B"]
    assert give("rollback_legacy", "patch:kept.shout", "--no-input").code == 0
    assert names() == ["a", "b"]
    assert states("kept") == {"shout": "pending"}
    call_command("migrate", "words", "0001", verbosity=0)
    assert columns() == {"id", "old"}


def test_a_module_with_execute_listed_in_patches_txt_reads_as_it_is(new_app: NewApp) -> None:
    """*An ``execute`` function, listed in patches.txt; ``patches/v12_0/my_patch.py``*."""
    module = (
        "from tests.apps.shop.models import Tag\n\n\n"
        "def execute():\n    Tag.objects.create(name='mine')\n"
    )
    listed = {"patches/v12_0/my_patch.py": module, "patches.txt": "APP.patches.v12_0.my_patch\n"}
    new_app("lists", files=listed)
    assert run("--commit").code == 0
    assert names() == ["mine"]
    assert states("lists") == {"v12_0.my_patch": "done"}


PLACES = """
from data_migration.patches import patch

def fields(ctx):
    return ", ".join(each.name for each in ctx.model("words.Word")._meta.fields)

@patch
def there(ctx):
    ctx.log(fields(ctx))
"""
AROUND = """
from django.db import connections
from data_migration.patches import patch

def columns(ctx):
    with connections[ctx.database].cursor() as cursor:
        found = connections[ctx.database].introspection.get_table_description(cursor, "words_word")
        return ", ".join(each.name for each in found)

@patch(before=[("words", "0002")])
def old(ctx):
    ctx.log(columns(ctx))

@patch(needs=[("words", "0002")], before=[("words", "0003")])
def between(ctx):
    ctx.log(columns(ctx))

@patch(needs=[("words", "0003")])
def new(ctx):
    ctx.log(columns(ctx))
"""


def test_metadata_is_the_old_one_before_and_the_new_one_after(words: Words) -> None:
    """*Metadata is the old one before, the new one after*: so are the columns, and in between."""
    words(AROUND)
    assert run("--migrate", "--commit").code == 0
    outputs = dict(PatchRecord.objects.values_list("name", "output"))
    assert outputs == {"old": "id, old\n", "between": "id, old, text\n", "new": "id, text\n"}


def test_in_a_schema_migration_the_models_are_those_of_its_place(words: Words) -> None:
    """*reload_doc*: ``RunPatch`` has historical models."""
    words(PLACES, second=f'{ADD}, RunPatch("words.there")')
    call_command("migrate", "words", verbosity=0)
    assert PatchRecord.objects.get().output == "id, old, text\n"


def test_an_execute_line_is_any_statement_compiled_up_front(new_app: NewApp) -> None:
    """*``execute:`` one-off Python statements*."""
    lines = (
        "execute:tests.apps.shop.models.Tag.objects.create(name='one')\n"
        "execute:for name in ('two', 'three'): apps.get_model('shop.Tag')(name=name).save()\n"
    )
    app = new_app("lists", files={"patches.txt": lines})
    assert run("--commit").code == 0
    assert names() == ["one", "two", "three"]
    (app.folder / "patches.txt").write_text(f"{lines}execute:Tag.objects.create(\n")
    refused = run("--commit")
    assert refused.code == 2
    assert "patches.txt, line 3" in refused.err
    assert names() == ["one", "two", "three"]


def test_they_run_in_order_once_and_again_with_another_comment(new_app: NewApp) -> None:
    """*Run in order, lines unique, once; a comment makes it run again*."""
    line = "execute:tests.apps.shop.models.Tag.objects.create(name='{}')\n"
    app = new_app("lists", files={"patches.txt": line.format("b") + line.format("a")})
    for _ in range(2):
        assert run("--commit").code == 0
        assert names() == ["b", "a"]
    again = line.format("b").rstrip() + " # 2020-01-31\n"
    (app.folder / "patches.txt").write_text(again + line.format("a") * 2)
    assert run("--commit").code == 0
    assert names() == ["b", "a", "b"]
    call_command("check", tag=["data_migration"])
    revisions = PatchRecord.objects.order_by("pk").values_list("revision", flat=True)
    assert list(revisions) == ["1", "1", "2020-01-31"]


HOOKS = """
from data_migration.patches import patch

@patch(always=True, phase="before")
def before_migrate(ctx):
    ctx.log("before")

@patch(always=True, phase="after")
def after_migrate(ctx):
    ctx.log("after")
"""


def test_before_migrate_and_after_migrate_run_every_time_and_are_recorded(
    new_app: NewApp,
) -> None:
    """*before_migrate and after_migrate hooks*: ``always``, with a phase."""
    new_app("hooks", patches=HOOKS)
    for _ in range(2):
        done = run("--migrate", "--commit")
        assert done.code == 0
        places = [done.out.index(each) for each in ("hooks.before_migrate: ", "hooks.after_")]
        assert places == sorted(places)
    assert states("hooks") == {"before_migrate": "done", "after_migrate": "done"}
    ran = Run.objects.filter(kind="patch").values_list("steps__migration", flat=True)
    assert sorted(ran) == ["patch:hooks.after_migrate"] * 2 + ["patch:hooks.before_migrate"] * 2


WATCHING = """
from data_migration.patches import LoadFixture, patch

loaded = LoadFixture("tags.json")

@patch(watches=["rules.txt"])
def ruled(ctx):
    pass
"""


def fixture(name: str) -> str:
    return json.dumps([{"model": "shop.tag", "pk": 900, "fields": {"name": name}}])


def test_checksums_are_compared_and_not_timestamps(new_app: NewApp) -> None:
    """*Checksum comparison instead of timestamps*: ``watches``, ``LoadFixture``, drift shown."""
    files = {"patches.py": WATCHING, "fixtures/tags.json": fixture("old"), "rules.txt": "a"}
    app = new_app("data", files=files)
    assert run("--commit").code == 0
    for name in ("rules.txt", "fixtures/tags.json"):
        (app.folder / name).touch()
    assert run("--check").code == 0
    (app.folder / "rules.txt").write_text("b")
    (app.folder / "fixtures" / "tags.json").write_text(fixture("new"))
    assert states("data") == {"loaded": "pending", "ruled": "changed_since"}
    assert run("--check").code == 1
    assert run("--commit").code == 0
    assert Tag.objects.get(pk=900).name == "new"
    assert states("data") == {"loaded": "done", "ruled": "changed_since"}
