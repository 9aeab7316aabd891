"""Patches as operations of schema migrations, with the models as they are there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings

from data_migration.ledger.patches import PatchBook
from data_migration.models import PatchRecord, Run
from data_migration.outcomes import PatchState
from data_migration.patches import RequirePatch, RunPatch, fresh
from tests.support.specs import App, NewApp

pytestmark = pytest.mark.django_db(transaction=True)

#: There is no live model of them at all.
PATCHES = """
from data_migration.patches import Patch, patch

class FillText(Patch):
    batch_size = 2
    needs = [("words", "0002")]
    before = [("words", "0003")]
    def queryset(self):
        return self.ctx.model("words.Word").objects.filter(text="")
    def process(self, word):
        if word.old == "bad":
            raise ValueError("bad is bad")
        word.text = word.old.upper()

@patch(depends_on=["fill_text"])
def count(ctx):
    ctx.log(f"{ctx.model('words.Word').objects.count()} words")
"""
FIRST = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    dependencies = [("data_migration", "0001_initial")]
    operations = [
        migrations.CreateModel("Word", [
            ("id", models.BigAutoField(primary_key=True)),
            ("old", models.CharField(max_length=20)),
        ]),
    ]
"""
NEXT = """
from django.db import migrations, models
from data_migration.patches import RequirePatch, RunPatch

class Migration(migrations.Migration):
    dependencies = [("words", "{last}")]
    operations = [{operations}]
"""
ADD = 'migrations.AddField("Word", "text", models.CharField(default="", max_length=20))'
DROP = 'migrations.RemoveField("Word", "old")'


def step(last: str, *operations: str) -> str:
    return NEXT.format(last=last, operations=", ".join(operations))


@pytest.fixture
def words(new_app: NewApp) -> Iterator[Callable[..., App]]:
    """An app ``words`` at its first migration, with these words; the next ones have operations."""

    def make(*old: str, second: tuple[str, ...] = (ADD,), third: tuple[str, ...] = ()) -> App:
        app = new_app(
            "words",
            patches=PATCHES,
            files={
                "migrations/0001_initial.py": FIRST,
                "migrations/0002_text.py": step("0001_initial", *second),
                "migrations/0003_no_old.py": step("0002_text", *third, DROP),
            },
        )
        migrate("0001_initial")
        with connection.cursor() as cursor:
            for text in old:
                cursor.execute("INSERT INTO words_word (old) VALUES (%s)", [text])
        return app

    yield make
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS words_word")
    MigrationRecorder(connection).migration_qs.filter(app="words").delete()


def migrate(name: str) -> None:
    MigrationExecutor(connection).migrate([("words", name)])


def texts() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM words_word ORDER BY id")
        return [text for (text,) in cursor.fetchall()]


def states() -> dict[str, str]:
    return dict(PatchRecord.objects.values_list("name", "state"))


def applied() -> list[str]:
    loader = MigrationLoader(connection)
    return sorted(name[:4] for app, name in loader.applied_migrations if app == "words")


def test_a_patch_runs_in_its_place_with_the_models_of_that_place(
    words: Callable[..., App],
) -> None:
    words("a", "b", "c", second=(ADD, 'RunPatch("words.fill_text")', 'RunPatch("words.count")'))
    migrate("0002_text")
    assert texts() == ["A", "B", "C"]
    assert states() == {"fill_text": PatchState.DONE, "count": PatchState.DONE}
    assert PatchRecord.objects.get(name="count").output == "3 words\n"
    migrate("0003_no_old")
    assert applied() == ["0001", "0002", "0003"]


def test_backwards_the_record_is_forgotten_and_forwards_it_runs_again(
    words: Callable[..., App],
) -> None:
    words("a", second=(ADD, 'RunPatch("words.fill_text")'))
    migrate("0002_text")
    migrate("0001_initial")
    assert states() == {}
    migrate("0002_text")
    assert (texts(), states()) == (["A"], {"fill_text": PatchState.DONE})


def test_a_patch_that_is_done_is_not_run_again(words: Callable[..., App]) -> None:
    words("a", second=(ADD, 'RunPatch("words.fill_text")'))
    PatchBook("default").fake(
        "words", "fill_text", "1", digest="other code", by="me", reason="by hand"
    )
    migrate("0002_text")
    assert (texts(), Run.objects.count()) == ([""], 0)


def test_a_patch_that_fails_ends_the_migration(words: Callable[..., App]) -> None:
    words("a", "b", "bad", second=(ADD,), third=('RunPatch("words.fill_text")',))
    with pytest.raises(CommandError) as refused:
        migrate("0003_no_old")
    assert str(refused.value).startswith("Run patch words.fill_text: ")
    assert "bad is bad" in str(refused.value)
    assert applied() == ["0001", "0002"]
    is_one = connection.features.can_rollback_ddl
    assert texts() == (["", "", ""] if is_one else ["A", "B", ""])
    assert states() == ({} if is_one else {"fill_text": PatchState.PARTIAL})


def test_a_patch_is_not_run_before_what_it_depends_on(words: Callable[..., App]) -> None:
    words("a", second=('RunPatch("words.count")',))
    with pytest.raises(CommandError) as refused:
        migrate("0002_text")
    assert str(refused.value) == (
        "Run patch words.count: it runs after words.fill_text, which is pending. Run that first:"
        " manage.py run_patches words.fill_text --commit, or by an operation in front of this one."
    )


def test_what_needs_a_patch_waits_until_it_is_done(words: Callable[..., App]) -> None:
    words("a", third=('RequirePatch("words.fill_text")',))
    with pytest.raises(CommandError) as refused:
        migrate("0003_no_old")
    assert str(refused.value) == (
        "This migration needs what the patch words.fill_text does, and that is pending. Run it"
        " first: manage.py run_patches words.fill_text --commit"
    )
    assert applied() == ["0001", "0002"]
    PatchBook("default").fake("words", "fill_text", "1", digest="", by="me", reason="by hand")
    migrate("0003_no_old")
    assert applied() == ["0001", "0002", "0003"]


def test_what_needs_a_patch_may_finish_it(words: Callable[..., App]) -> None:
    words("a", "b", third=('RequirePatch("words.fill_text", finish=True)',))
    migrate("0003_no_old")
    assert (texts(), states()) == (["A", "B"], {"fill_text": PatchState.DONE})


def test_a_new_app_without_objects_has_nothing_to_wait_for(words: Callable[..., App]) -> None:
    words(third=('RequirePatch("words.fill_text")',))
    fresh.remember("default", frozenset({"words"}))
    try:
        migrate("0003_no_old")
    finally:
        fresh.remember("default", frozenset())
    assert (applied(), states()) == (["0001", "0002", "0003"], {})


def test_a_new_app_with_objects_waits_as_others_do(words: Callable[..., App]) -> None:
    words("a", third=('RequirePatch("words.fill_text")',))
    fresh.remember("default", frozenset({"words"}))
    try:
        with pytest.raises(CommandError, match=r"needs what the patch words\.fill_text does"):
            migrate("0003_no_old")
    finally:
        fresh.remember("default", frozenset())


def test_a_patch_whose_code_is_gone_is_missed_only_where_it_has_not_run(
    words: Callable[..., App],
) -> None:
    words("a", second=(ADD, 'RunPatch("words.gone")'))
    with pytest.raises(CommandError) as refused:
        migrate("0002_text")
    assert str(refused.value) == (
        "Run patch words.gone: no patch is called 'words.gone', and none of that name has run"
        " here. If its code is gone for good, take the operation out of the migration."
    )
    if not connection.features.can_rollback_ddl:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE words_word DROP COLUMN text")
    PatchBook("default").fake("words", "gone", "1", digest="", by="me", reason="by hand")
    migrate("0002_text")
    assert applied() == ["0001", "0002"]


def test_missing_tables_of_ours_are_told_with_the_dependency_to_add(
    words: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    words(second=('RunPatch("words.fill_text")',))
    introspection = type(connection.introspection)
    names = introspection.table_names
    monkeypatch.setattr(
        introspection,
        "table_names",
        lambda *args, **kw: [name for name in names(*args, **kw) if "rowlink" not in name],
    )
    with pytest.raises(CommandError) as refused:
        migrate("0002_text")
    assert str(refused.value).startswith(
        "Run patch words.fill_text: Database 'default' has no table data_migration_rowlink. Create"
        " it with: manage.py migrate data_migration So that"
    )
    assert '("data_migration", "000' in str(refused.value)


def test_routers_decide_whether_it_is_for_this_database(words: Callable[..., App]) -> None:
    words("a", second=(ADD, 'RunPatch("words.fill_text", hints={"part": "data"})'))
    asked = []

    class Router:
        def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
            asked.append(hints)
            return None if hints != {"part": "data"} else False

    with override_settings(DATABASE_ROUTERS=[Router()]):
        migrate("0002_text")
    assert texts() == [""]
    assert {"part": "data"} in asked
    assert states() == {}


def test_sqlmigrate_says_that_it_is_no_sql(words: Callable[..., App]) -> None:
    words(second=('RunPatch("words.fill_text")',), third=('RequirePatch("words.fill_text")',))
    out = io.StringIO()
    call_command("sqlmigrate", "words", "0002", stdout=out)
    assert "-- Run patch words.fill_text\n--\n-- THIS OPERATION CANNOT BE WRITTEN AS SQL" in (
        out.getvalue()
    )


@pytest.mark.once
def test_they_are_written_into_migrations_as_they_are_read() -> None:
    operations: list[Any] = [
        RunPatch("shop.fill"),
        RunPatch("shop.fill", hints={"a": 1}, elidable=True),
        RequirePatch("shop.fill"),
        RequirePatch("shop.fill", finish=True),
    ]
    migration = type("Migration", (Migration,), {"operations": operations})("0002_x", "shop")
    text = MigrationWriter(migration, include_header=False).as_string()
    names: dict[str, Any] = {}
    exec(text, names)
    read = names["Migration"].operations
    assert [each.deconstruct() for each in read] == [each.deconstruct() for each in operations]
    assert [each.describe() for each in read[1:]] == [
        *("Run patch shop.fill", "Require patch shop.fill", "Finish patch shop.fill")
    ]
    assert [each.migration_name_fragment for each in read[1:]] == [
        *("run_fill", "require_fill", "finish_fill")
    ]


@pytest.mark.once
def test_they_are_squashed_away_only_where_they_say_so() -> None:
    kept, gone = RunPatch("shop.fill"), RunPatch("shop.other", elidable=True)
    assert MigrationOptimizer().optimize([kept], "shop") == [kept]
    assert (kept.elidable, gone.elidable) == (False, True)


@pytest.mark.once
def test_the_autodetector_sees_no_change_of_models_in_them(words: Callable[..., App]) -> None:
    words(second=(ADD, 'RunPatch("words.fill_text")'), third=('RequirePatch("words.count")',))
    loader = MigrationLoader(connection)
    after = loader.project_state([("words", "0003_no_old")])
    plain = ProjectState()
    for name in ("0001_initial", "0002_text", "0003_no_old"):
        migration = loader.get_migration("words", name)
        migration.operations = [each for each in migration.operations if each.reduces_to_sql]
        plain = migration.mutate_state(plain)
    assert after.models["words", "word"] == plain.models["words", "word"]
