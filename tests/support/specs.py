"""Apps with a spec of their own, written for one test and installed while it runs."""

from __future__ import annotations

import importlib
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pytest
from django.conf import LazySettings
from django.contrib import admin
from django.test import modify_settings

SPEC = "data_migration_spec"
TEST_APPS = Path(__file__).parents[1] / "apps"
NO_FILES: Mapping[str, str | bytes] = MappingProxyType({})


@dataclass(frozen=True)
class App:
    """An installed app: its module's name, its label, and the folder with its modules."""

    name: str
    label: str
    folder: Path


class NewApp(Protocol):
    """``new_app("shop", "text of the spec", helpers="text of helpers.py")``.

    Without a spec the app has none. ``files`` are others, by their path in the app, such as
    ``{"patches/v12_0/x.py": "...", "patches.txt": "..."}``; ``APP`` in a text stands for the
    name of the app's module.
    """

    def __call__(
        self,
        label: str,
        spec: str | None = None,
        *,
        files: Mapping[str, str | bytes] = NO_FILES,
        **modules: str,
    ) -> App: ...


@contextmanager
def installed(name: str) -> Iterator[None]:
    """Install an app until the block ends, and leave nothing of it in the admin.

    Its pages would go on listing models of an app that is not there any more.
    """
    registered = dict(admin.site._registry)
    with modify_settings(INSTALLED_APPS={"append": name}):
        try:
            yield
        finally:
            for model in admin.site._registry.keys() - registered.keys():
                admin.site.unregister(model)


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

        def make(
            label: str,
            spec: str | None = None,
            *,
            files: Mapping[str, str | bytes] = NO_FILES,
            **modules: str,
        ) -> App:
            # Modules of one name would share their place in sys.modules from test to test.
            app = App(name := f"{label}_{secrets.token_hex(4)}", label, tmp_path / name)
            _write(app, modules if spec is None else {SPEC: spec, **modules})
            _add_files(app, files)
            names.append(name)
            stack.enter_context(installed(name))
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


def _add_files(app: App, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = app.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(re.sub(rb"\bAPP\b", app.name.encode(), text))
        if path.suffix == ".py":
            for folder in path.relative_to(app.folder).parents:
                (app.folder / folder / "__init__.py").touch()
    importlib.invalidate_caches()


@pytest.fixture
def frappe_shaped(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app whose patches are as Frappe has them, installed until the test ends."""
    folder = TEST_APPS / "frappe_shaped"
    monkeypatch.syspath_prepend(str(folder.parent))
    with installed(folder.name):
        yield App(folder.name, folder.name, folder)
    for module in list(sys.modules):
        if module.partition(".")[0] == folder.name:
            del sys.modules[module]
