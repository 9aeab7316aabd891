"""A project on disk with schema migrations and patches, and an empty database of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from tests.apps.library.testing import Project, Result
from tests.support.paths import ROOT

SETTINGS = """
from tests.settings import DATABASES, SECRET_KEY, DEFAULT_AUTO_FIELD, USE_TZ

# A test run of the project has another database than the tests that start it.
default = DATABASES["default"]
if "sqlite" not in default["ENGINE"]:
    default["TEST"] = {**default["TEST"], "NAME": f"test_{default['NAME']}"}

INSTALLED_APPS = ["django.contrib.contenttypes", "data_migration", "news"]
"""
#: The model as it is after all schema migrations, ``old`` dropped.
MODELS = """
from django.db import models

class Item(models.Model):
    text = models.CharField(max_length=50, default="")
"""
MIGRATION = """
from django.db import migrations, models
from data_migration.patches import RequirePatch, RunPatch

class Migration(migrations.Migration):
    initial = {initial}
    dependencies = {dependencies}
    operations = [{operations}]
"""
CREATE = """migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)),
    ("old", models.CharField(max_length=50, default="")),
])"""
ADD = 'migrations.AddField("Item", "text", models.CharField(max_length=50, default=""))'
DROP = 'migrations.RemoveField("Item", "old")'


class NewProject:
    """An app ``news``: migration 0001 has items with ``old``, 0002 adds ``text``, 0003 is empty,
    0004 drops ``old``. ``operations`` come first in the migrations of these numbers.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.database = database
        self._settings: list[str] = []
        (folder / "news" / "migrations").mkdir(parents=True)
        for package in ("news", "news/migrations"):
            (folder / package / "__init__.py").touch()
        (folder / "news" / "models.py").write_text(MODELS)
        self.settings()
        self.schema()

    def schema(self, operations: Mapping[int, str] | None = None) -> None:
        """Write the schema migrations."""
        own = {1: CREATE, 2: ADD, 3: "", 4: DROP}
        for number, operation in own.items():
            parts = [(operations or {}).get(number, ""), operation]
            last = [("news", f"{number - 1:04}_change")]
            text = MIGRATION.format(
                initial=number == 1,
                dependencies=last if number > 1 else [("data_migration", "0004_patches")],
                operations=", ".join(part for part in parts if part),
            )
            (self.folder / "news" / "migrations" / f"{number:04}_change.py").write_text(text)

    def settings(self, **values: Any) -> None:
        lines = [f"{name} = {value!r}" for name, value in values.items()]
        (self.folder / "news_settings.py").write_text("\n".join([SETTINGS, *lines]))

    def patches(self, text: str) -> None:
        (self.folder / "news" / "patches.py").write_text(text)

    @property
    def project(self) -> Project:
        environment = {
            **os.environ,
            "DATA_MIGRATION_TEST_DATABASE": self.database,
            "DJANGO_SETTINGS_MODULE": "news_settings",
            "PYTHONPATH": f"{self.folder}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return Project(self.folder, environment)

    def run(self, *arguments: str) -> Result:
        return self.project.run(*arguments)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Execute one statement in its database; rows of a query."""
        target: Any = connection
        parameters = target.get_connection_params()
        name = "dbname" if connection.vendor == "postgresql" else "database"
        with closing(target.Database.connect(**{**parameters, name: self.database})) as raw:
            with closing(raw.cursor()) as cursor:
                cursor.execute(statement, values)
                rows = list(cursor.fetchall()) if cursor.description else []
            raw.commit()
        return rows

    def texts(self) -> list[str]:
        return [text for (text,) in self.sql("SELECT text FROM news_item ORDER BY id")]

    def states(self) -> dict[str, str]:
        """Of each record of a patch, by name."""
        return dict(self.sql("SELECT name, state FROM data_migration_patchrecord"))

    def applied(self) -> list[str]:
        """The numbers of its schema migrations that are applied."""
        rows = self.sql("SELECT name FROM django_migrations WHERE app = 'news' ORDER BY name")
        return [name[:4] for (name,) in rows]


@contextmanager
def new_project(folder: Path) -> Iterator[NewProject]:
    """A :class:`NewProject` in ``folder``, on the target of the tests."""
    if connection.vendor == "sqlite":
        yield NewProject(folder, str(folder / "news.sqlite3"))
        return
    name = f"news_{secrets.token_hex(6)}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield NewProject(folder, name)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
