"""Apps with a spec of their own, written for one test and installed while it runs."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.support.legacy import sqlite

SPEC = "data_migration_spec"
PREAMBLE = """\
import sqlite3
from data_migration.migration import Migration, is_a
from tests.apps.classic.models import *

def dict_factory(cursor, row):
    return dict((column[0], row[index]) for index, column in enumerate(cursor.description))

class Old(Migration):
    @classmethod
    def open_db_connection(self):
        connection = sqlite3.connect({legacy!r})
        connection.row_factory = dict_factory
        return connection

"""


@dataclass(frozen=True)
class Result:
    """What a command answered; ``error`` is the message of a run that did not go well."""

    code: int
    out: str
    err: str
    error: str


class OldProject:
    """A legacy SQLite database and apps whose specs read it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.legacy = folder / "legacy.sqlite3"
        self.token = secrets.token_hex(4)
        self._stack = stack
        self._labels: dict[str, str] = {}

    def sql(self, script: str) -> None:
        """Run statements in the legacy database."""
        with closing(sqlite(self.legacy)) as connection:
            connection.executescript(script)

    def app(self, spec: str, stem: str = "crm", package: str = "") -> str:
        """Install an app with this spec after PREAMBLE; its label starts with ``stem``.

        ``package`` is the app's module where that is not to be the label. An app installed
        before under the same label is gone: it has been renamed.
        """
        label = f"{stem}_{self.token}"
        place = self.folder / (package or label)
        place.mkdir()
        (place / "__init__.py").touch()
        config = f"class Config(AppConfig):\n    name, label = {place.name!r}, {label!r}\n"
        (place / "apps.py").write_text(f"from django.apps import AppConfig\n\n{config}")
        preamble = PREAMBLE.format(legacy=str(self.legacy))
        (place / f"{SPEC}.py").write_text(preamble + dedent(spec))
        installed = [app for app in settings.INSTALLED_APPS if self._labels.get(app) != label]
        self._labels[place.name] = label
        self._stack.enter_context(override_settings(INSTALLED_APPS=[*installed, place.name]))
        return label

    def module(self, label: str) -> Any:
        """The spec's module."""
        return sys.modules[f"{label}.{SPEC}"]

    def migrate(self, *arguments: str, **options: Any) -> Result:
        return self.command("migrate_legacy", *arguments, **options)

    def command(self, name: str, *arguments: str, **options: Any) -> Result:
        """Run a command of ours off a terminal, as code does: ``options`` are values."""
        out, err = StringIO(), StringIO()
        try:
            call_command(name, *arguments, stdout=out, stderr=err, **options)
        except CommandError as error:
            return Result(error.returncode, out.getvalue(), err.getvalue(), str(error))
        return Result(0, out.getvalue(), err.getvalue(), "")


@contextmanager
def old_project(folder: Path) -> Iterator[OldProject]:
    """An :class:`OldProject` in ``folder``; everything about it is undone at the end."""
    known: dict[str, ModuleType] = dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with ExitStack() as stack:
            yield OldProject(folder, stack)
    finally:
        sys.path.remove(str(folder))
        for name in sys.modules.keys() - known.keys():
            if (folder / name.partition(".")[0]).is_dir():
                del sys.modules[name]


def select(columns: str, *rows: tuple[Any, ...]) -> str:
    """A query that returns these rows without any table."""
    first = ", ".join(
        f"{_literal(v)} AS {n}" for n, v in zip(columns.split(), rows[0], strict=True)
    )
    rest = (", ".join(map(_literal, row)) for row in rows[1:])
    return " UNION ALL ".join(f"SELECT {row}" for row in (first, *rest))


def spec(model: str, query: str, *lines: str, name: str = "") -> str:
    """The source of one migration; ``lines`` are its further attributes and hooks."""
    body = "".join(f"    {line}\n" for text in lines for line in text.splitlines())
    head = f"class {name or model}Migration(Old):\n    query = {query!r}\n    model = {model}\n"
    return f"{head}{body}\n"


def _literal(value: Any) -> str:
    return "NULL" if value is None else repr(value)


PEOPLE = select("id name email", (1, "Ann", "a@x"), (2, "Bob", "b@x"), (3, "Cem", None))
