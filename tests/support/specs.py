"""Apps with a spec of their own, written for one test and installed while it runs."""

from __future__ import annotations

import importlib
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from django.conf import LazySettings
from django.test import modify_settings

SPEC = "data_migration_spec"


@dataclass(frozen=True)
class App:
    """An installed app: its module's name, its label, and the folder with its modules."""

    name: str
    label: str
    folder: Path


class NewApp(Protocol):
    """``new_app("shop", "text of the spec", helpers="text of helpers.py")``.

    Without a spec the app has none.
    """

    def __call__(self, label: str, spec: str | None = None, **modules: str) -> App: ...


@pytest.fixture
def new_app(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NewApp]:
    """Makes apps and installs them until the test ends.

    Comes after ``settings``, which has to be undone last: both replace the same object.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    with ExitStack() as stack:
        names: list[str] = []

        def make(label: str, spec: str | None = None, **modules: str) -> App:
            # Modules of one name would share their place in sys.modules from test to test.
            app = App(name := f"{label}_{secrets.token_hex(4)}", label, tmp_path / name)
            _write(app, modules if spec is None else {SPEC: spec, **modules})
            names.append(name)
            stack.enter_context(modify_settings(INSTALLED_APPS={"append": name}))
            return app

        yield make
    for module in list(sys.modules):
        if module.partition(".")[0] in names:
            del sys.modules[module]


def _write(app: App, modules: dict[str, str]) -> None:
    app.folder.mkdir()
    (app.folder / "__init__.py").touch()
    config = f"class Config(AppConfig):\n    name, label = {app.name!r}, {app.label!r}\n"
    (app.folder / "apps.py").write_text(f"from django.apps import AppConfig\n\n\n{config}")
    for name, text in modules.items():
        (app.folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
