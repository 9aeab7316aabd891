"""How the tests give commands: in this process, or in one of their own."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import load_command_class
from django.core.management.base import CommandError

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Result:
    """What a person sees of a command that ended."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err


def give(name: str, *arguments: str) -> Result:
    """``manage.py NAME ARGUMENTS`` as ``BaseCommand.run_from_argv`` does it.

    In this process, and without closing the connections, which hold the test's transaction.
    """
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        command: Any = load_command_class("data_migration", name)
        command._called_from_command_line = True
        try:
            options = vars(command.create_parser("manage.py", name).parse_args(arguments))
            positional = options.pop("args", ())
            command.execute(*positional, **options)
        except CommandError as error:
            print(f"CommandError: {error}", file=sys.stderr)
            code = error.returncode
        except SystemExit as error:
            code = int(error.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def migrate(*arguments: str) -> Result:
    """``manage.py migrate_legacy`` without progress, which has tests of its own."""
    return give("migrate_legacy", *arguments, "--no-progress")


def show(*arguments: str) -> Result:
    return give("show_legacy", *arguments)


def timeless(text: str) -> str:
    """``text`` with durations as ``0.0s`` and moments as ``2026-01-31 12:00``."""
    text = re.sub(r"\b\d+\.\ds\b", "0.0s", text)
    return re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "2026-01-31 12:00", text)


@dataclass(frozen=True)
class Project:
    """A Django project on disk, for commands in a process of their own."""

    folder: Path
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "error", "-m", "django", *arguments]

    def run(self, *arguments: str) -> Result:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def make_project(
    folder: Path,
    environment: Mapping[str, str],
    *,
    spec: str,
    settings: Sequence[str] = (),
) -> Project:
    """A project with the settings of the tests, and an app ``job`` that has ``spec``.

    Without the admin, which no command needs: loading it is a fifth of what a process does before
    it works.
    """
    (folder / "job").mkdir()
    (folder / "job" / "__init__.py").touch()
    (folder / "job" / "data_migration_spec.py").write_text(spec)
    lines = [
        "from tests.settings import *",
        'INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "django.contrib.admin"]',
        'INSTALLED_APPS += ["job"]',
        "del ROOT_URLCONF",
        *settings,
    ]
    (folder / "job_settings.py").write_text("\n".join(lines))
    variables = {
        **environment,
        "DJANGO_SETTINGS_MODULE": "job_settings",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }
    return Project(folder, variables)
