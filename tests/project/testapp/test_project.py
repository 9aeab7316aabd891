"""The demo project is a sound Django project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import MANAGE


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("check --fail-level WARNING", id="system checks are silent"),
        pytest.param("makemigrations --check --dry-run", id="schema migrations are complete"),
    ],
)
def test_demo_project(tmp_path: Path, command: str) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "testapp.settings",
        "DEMO_DATABASE": str(tmp_path / "demo.sqlite3"),
        "DEMO_LEGACY": str(tmp_path / "legacy.sqlite3"),
    }
    result = subprocess.run(
        [sys.executable, str(MANAGE), *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
