"""Patches that need no code: reference data from a fixture, statements from a file of SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.apps import apps as installed
from django.core.management import call_command
from django.core.management.commands import loaddata
from django.db import connections

from ..utils.wording import number_of
from .patch import Patch


def LoadFixture(file: str, **attributes: Any) -> type[Patch]:
    """A patch that loads a fixture, and loads it again when the file changed.

    ``file`` is looked for in ``fixtures/`` of the app, then in the app's folder. As with
    ``manage.py loaddata``, an object with the same primary or natural key is overwritten, and none
    is deleted.
    ``attributes`` are those of :class:`Patch`. It is named by the variable that it is assigned to.
    """
    return _with_file(_Fixture, file, "fixtures", attributes)


def RunSQL(file: str, **attributes: Any) -> type[Patch]:
    """A patch that executes the statements of a file, which is looked for in ``sql/`` of the app,
    then in the app's folder. ``attributes`` are those of :class:`Patch`.
    """
    return _with_file(_Script, file, "sql", attributes)


class WithFile(Patch):
    """``file`` is its absolute path."""

    file: Path


class _Fixture(WithFile):
    on_change = "rerun"
    on_fresh_install = "run"

    def execute(self) -> None:
        command = loaddata.Command()
        call_command(command, str(self.file), database=self.ctx.database, verbosity=0)
        self.ctx.log(f"{self.file.name}: {number_of(command.loaded_object_count, 'object')}.")


class _Script(WithFile):
    def execute(self) -> None:
        connection = connections[self.ctx.database]
        script = self.file.read_text(encoding="utf-8")
        with connection.cursor() as cursor:
            for statement in connection.ops.prepare_sql_script(script):
                cursor.execute(statement, None)  # without parameters a % is a %
                if cursor.rowcount >= 0:
                    self.ctx.log(f"{self.file.name}: {number_of(cursor.rowcount, 'row')}.")


def _with_file(
    kind: type[WithFile], file: str, usual: str, attributes: dict[str, Any]
) -> type[Patch]:
    """A class of the module that asks for it, as of the frame before the last."""
    module = sys._getframe(2).f_globals["__name__"]
    app = installed.get_containing_app_config(module)
    folder = Path(app.path) if app is not None else Path()
    places = [folder / usual / file, folder / file]
    path = next((place for place in places if place.is_file()), places[0])
    watched = path.relative_to(folder).as_posix()
    title = {"fixtures": f"Load {file}.", "sql": f"Execute the statements of {file}."}[usual]
    named = {"__doc__": title, "__module__": module, "file": path, "watches": (watched,)}
    return type(kind.__name__.strip("_"), (kind,), {**named, **attributes})
