"""A rehearsal: the real run, of which nothing remains and nothing gets out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import pytest
from django.core import mail
from django.db import connection, transaction

from data_migration.models import RowError, Run
from tests.apps.library.fixtures import (
    EVERYTHING,
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.models import Book
from tests.apps.library.testing import make_project, migrate
from tests.support.legacy import sqlite

BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.mark.django_db
def test_it_is_recorded_as_a_run_with_its_messages(library: Library) -> None:
    library.spoil_books()

    result = migrate("library", "--on-error", "continue")

    run = Run.objects.get()
    assert result.code == 1
    assert (run.mode, run.status) == ("rehearsal", "partial")
    assert [step.created for step in run.steps.all()] == [3, 2, 3, 4]
    assert set(RowError.objects.values_list("key", flat=True)) == {"2", "4", "5"}
    assert counts() == NOTHING


@pytest.mark.django_db
def test_it_can_be_repeated_and_then_committed(library: Library) -> None:
    assert [migrate("library").code for _ in range(2)] == [0, 0]
    assert migrate("library", "--commit").code == 0
    assert counts() == EVERYTHING


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("arguments", "calls"), [((), 0), (("--commit",), 2)])
def test_on_commit_callbacks_run_only_after_a_commit(
    library: Library, arguments: tuple[str, ...], calls: int
) -> None:
    called = []

    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        transaction.on_commit(lambda: called.append(row["id"]))

    library.hook("Genre", hook_after_save)
    migrate("library.GenreMigration", *arguments)

    assert len(called) == calls


def sending(**how: Any) -> Any:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        mail.EmailMessage("Moved", "Hello", "a@example.org", ["b@example.org"]).send(**how)

    return hook_after_save


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:.*MAILERS")  # still allowed in Django 6.1, with a warning
@pytest.mark.parametrize(("arguments", "sent"), [((), 0), (("--commit",), 2)])
def test_mail_goes_out_only_in_a_real_run(
    library: Library, arguments: tuple[str, ...], sent: int
) -> None:
    library.settings.EMAIL_BACKEND = BACKEND
    library.hook("Genre", sending())

    assert migrate("library.GenreMigration", *arguments).code == 0
    assert len(mail.outbox) == sent


@pytest.mark.django_db
@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
@pytest.mark.parametrize("using", ["default", "bulk"])
@pytest.mark.parametrize(("arguments", "sent"), [((), 0), (("--commit",), 2)])
def test_mail_of_every_mailer_goes_out_only_in_a_real_run(
    library: Library, using: str, arguments: tuple[str, ...], sent: int
) -> None:
    library.settings.MAILERS = {"default": {"BACKEND": BACKEND}, "bulk": {"BACKEND": BACKEND}}
    library.hook("Genre", sending(using=using))

    assert migrate("library.GenreMigration", *arguments).code == 0
    assert len(mail.outbox) == sent


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:.*MAILERS")
def test_the_mail_settings_are_back_after_a_rehearsal_that_failed(library: Library) -> None:
    library.spoil_books()
    migrate("library")

    library.hook("Genre", sending())
    assert migrate("library.GenreMigration", "--commit").code == 0
    assert len(mail.outbox) == 2


HOOKS = {
    "a plain statement": """
        with connections["other"].cursor() as cursor:
            cursor.execute("INSERT INTO notes VALUES ('x')")""",
    "an atomic block of its own": """
        with transaction.atomic(using="other"), connections["other"].cursor() as cursor:
            cursor.execute("INSERT INTO notes VALUES ('x')")""",
    "a callback after the commit": """
        with transaction.atomic(using="other"):
            transaction.on_commit(lambda: open("called", "w").close(), using="other")""",
}
SPEC = """
from data_migration import BaseMigration
from django.db import connections, transaction
from tests.apps.library.models import Genre

class GenreMigration(BaseMigration):
    query = "SELECT id, name FROM genres"
    model = Genre

    def hook_before_save(self, instance, row):{hook}
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", HOOKS)
def test_other_databases_that_hooks_touch_are_rolled_back_too(
    library: Library, tmp_path: Path, target_environment: dict[str, str], way: str
) -> None:
    other = tmp_path / "other.sqlite3"
    with closing(sqlite(other)) as connection, connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    engine = "'ENGINE': 'django.db.backends.sqlite3'"
    project = make_project(
        tmp_path,
        target_environment,
        spec=SPEC.format(hook=HOOKS[way]),
        settings=[
            f"DATABASES['other'] = {{{engine}, 'NAME': {str(other)!r}}}",
            # Out of reach, and no hook's business.
            f"DATABASES['gone'] = {{{engine}, 'NAME': {str(tmp_path / 'no' / 'where')!r}}}",
            f"DATA_MIGRATION_SOURCES = {library.settings.DATA_MIGRATION_SOURCES!r}",
        ],
    )

    def touched() -> bool:
        with closing(sqlite3.connect(other)) as connection:
            (rows,) = connection.execute("SELECT COUNT(*) FROM notes").fetchone()
        return bool(rows) or (tmp_path / "called").exists()

    rehearsal = project.run("migrate_legacy", "job", "--no-progress")
    assert (rehearsal.code, rehearsal.err) == (0, "")
    assert not touched()
    assert project.run("migrate_legacy", "job", "--commit", "--no-progress").code == 0
    assert touched()


# ------------------------------------------------------------------ what a commit would find

late = pytest.mark.skipif(connection.vendor == "mysql", reason="MySQL checks each row at once")


@late
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("arguments", [(), ("--commit",), ("--commit", "--atomic")])
def test_a_key_that_a_hook_lets_lead_nowhere_in_another_table_is_found(
    library: Library, arguments: tuple[str, ...]
) -> None:
    def hook_after_all(self: Any) -> None:
        Book.objects.create(title="nobody's", author_id=4711)

    library.hook("Genre", hook_after_all)
    result = migrate("library.GenreMigration", *arguments)

    assert result.code == 1
    assert "IntegrityError: " in result.err
    assert counts() == NOTHING | ({"Genre": 2} if arguments == ("--commit",) else {})


@pytest.mark.skipif(connection.vendor != "postgresql", reason="checked by PostgreSQL when told")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("arguments", [(), ("--commit",)])
def test_so_is_one_whose_target_comes_with_a_later_batch(
    library: Library, arguments: tuple[str, ...]
) -> None:
    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        if row["id"] == 1:
            Book.objects.create(title="early", author_id=3)

    library.hook("Author", hook_before_transformation)
    result = migrate("library.AuthorMigration", "--batch-size", "1", *arguments)

    assert result.code == 1
    assert "IntegrityError: " in result.err


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite counts them at the commit")
@pytest.mark.django_db(transaction=True)
def test_what_led_nowhere_before_is_not_blamed_on_a_rehearsal(library: Library) -> None:
    def hook_after_all(self: Any) -> None: ...

    with connection.constraint_checks_disabled():
        Book.objects.create(title="nobody's", author_id=4711)
    library.hook("Genre", hook_after_all)
    assert migrate("library.GenreMigration").code == 0
    Book.objects.all().delete()
