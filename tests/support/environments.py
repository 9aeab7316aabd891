"""The interpreters of the matrix and a cached virtual environment for each of them.

An environment lives in ``.venvs/`` and is made again only when its interpreter, ``setup.cfg`` or
``pyproject.toml`` changes.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

VENVS = ROOT / ".venvs"

#: One editable install at a time: each writes the same .egg-info folder.
_project_lock = threading.Lock()


class EnvironmentProblem(Exception):
    """An environment cannot be made; pip has said why."""


@dataclass(frozen=True)
class Environment:
    """One Python with one Django, and the drivers it is tested with."""

    python: str
    django: str
    extras: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # requirements beside the extras

    @property
    def name(self) -> str:
        return f"py{self.python}-django{self.django}"

    @property
    def folder(self) -> Path:
        return VENVS / self.name

    def program(self, name: str) -> str:
        """The path of an installed program, ``python`` among them."""
        return str(self.folder / "bin" / name)

    def interpreter(self) -> str | None:
        """The path of this Python on this machine, ``None`` where there is none."""
        found = shutil.which(f"python{self.python}")
        if not found:
            return None
        ask = [found, "-c", "import sys; print(sys.executable)"]
        answer = subprocess.run(
            ask, capture_output=True, text=True, check=False, env=os.environ | pyenv()
        )
        return answer.stdout.strip() if answer.returncode == 0 else None

    def ensure(self) -> None:
        """Make or refresh the environment. Raises ``EnvironmentProblem``."""
        interpreter = self.interpreter()
        stamp = self.folder / ".stamp"
        wanted = self._fingerprint(interpreter)
        if interpreter is None or (stamp.exists() and stamp.read_text() == wanted):
            return
        print(f"Installing the environment {self.name} ...", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        _run([interpreter, "-m", "venv", str(self.folder)])
        self._install(*self._requirements())
        with _project_lock:
            self._install("--no-deps", "--editable", str(ROOT))
        stamp.write_text(wanted)

    def _install(self, *arguments: str) -> None:
        pip = [self.program("python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", *arguments])

    def _requirements(self) -> list[str]:
        """What setup.cfg asks for, with Django held to the version of this environment."""
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        needed = config["options"]["install_requires"]
        listed = [needed, *(config["options.extras_require"][name] for name in self.extras)]
        lines = [line for text in listed for line in text.split("\n") if line]
        return [*lines, *self.also, f"Django~={self.django}.0"]

    def _fingerprint(self, interpreter: str | None) -> str:
        digest = hashlib.sha256(repr((interpreter, self)).encode())
        for name in ("setup.cfg", "pyproject.toml"):
            digest.update((ROOT / name).read_bytes())
        return digest.hexdigest()


def pyenv() -> dict[str, str]:
    """The variable that makes pyenv's ``python3.X`` shims work, where there is pyenv."""
    if not shutil.which("pyenv"):
        return {}
    listing = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True)
    versions = re.findall(r"^3\.(\d+)\.(\d+)$", listing.stdout, re.MULTILINE)
    newest_first = sorted(((int(minor), int(patch)) for minor, patch in versions), reverse=True)
    return {"PYENV_VERSION": ":".join(f"3.{minor}.{patch}" for minor, patch in newest_first)}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, env=os.environ | pyenv(), stdout=sys.stderr)
    if done.returncode:
        raise EnvironmentProblem(f"failed: {' '.join(command)}")
