"""What users get: an sdist, and a wheel of the whole app, nothing else, that needs only Django."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import django
import pytest
from django.db import connection

from tests.support.paths import ROOT

NOT_SOURCE = (".*", "build", "dist", "*.egg-info", "_build", "__pycache__", "*.sqlite3*")
OPTIONAL = ("MySQLdb", "psycopg", "psycopg2", "pyodbc", "tqdm")
SETTINGS = """
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["data_migration"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "target.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "sqlite", "NAME": "legacy.sqlite3"}}
"""
WITH_MYSQL = """
from minimal import *
DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "mysql", "NAME": "shop", "HOST": "127.0.0.1"}}
"""
LOADED = f"""
import django, sys
from django.core.management import call_command
django.setup()
try:
    call_command("migrate_legacy", "--help")
except SystemExit:
    pass
print("LOADED", sorted(set({OPTIONAL!r}) & set(sys.modules)))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="the wheel is the same whatever the target"
    ),
]

Run = Callable[..., str]


def _run(*command: str, cwd: Path, **variables: str) -> str:
    """The output of ``command``, which must succeed, free of this run's own Python paths."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=kept | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from, since a build folder left over from last time would slip in."""
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return copy


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    _run(*pip, "--no-deps", "--wheel-dir", str(folder), str(project), cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def sdist(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the build system itself: pip makes wheels only."""
    folder = tmp_path_factory.mktemp("sdist")
    tools = folder / "tools"
    build_system = tomllib.loads((project / "pyproject.toml").read_text())["build-system"]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    _run(*pip, "--target", str(tools), *build_system["requires"], cwd=folder)
    build = f"import {build_system['build-backend']} as it; it.build_sdist({str(folder)!r})"
    _run(sys.executable, "-c", build, cwd=project, PYTHONPATH=str(tools))
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python in a new environment that holds the wheel and what it pulls in."""
    folder = tmp_path_factory.mktemp("site")
    _run(sys.executable, "-m", "venv", str(folder / "venv"), cwd=folder)
    python = str(folder / "venv" / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    _run(*pip, f"Django=={django.get_version()}", str(wheel), cwd=folder)
    (folder / "minimal.py").write_text(SETTINGS)
    (folder / "with_mysql.py").write_text(WITH_MYSQL)

    def run(*arguments: str) -> str:
        settings = {"DJANGO_SETTINGS_MODULE": "minimal", "PYTHONPATH": str(folder)}
        return _run(python, *arguments, cwd=folder, **settings)

    return run


def _tracked() -> set[str]:
    """The files of the package, by their paths below the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "data_migration").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert _tracked() - packed == set()


def test_the_wheel_holds_nothing_but_the_package_and_its_metadata(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    assert len(metadata) == 1
    assert tops - metadata == {"data_migration"}


def test_the_sdist_holds_the_package_and_the_pages_at_the_top(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    pages = {path.name for path in ROOT.glob("*.md")} | {"LICENSE"}
    build = {"MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg"}
    tops = {name.partition("/")[0] for name in names} - {""}
    assert tops == {*pages, *build, "data_migration", "django_migrate_legacy.egg-info"}
    packed = {name for name in names if name.startswith("data_migration/")}
    assert _tracked() - packed == set()


def test_the_wheel_says_that_it_is_typed_and_how_it_may_be_used(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "data_migration/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_installing_it_brings_django_and_no_driver(site: Run) -> None:
    listing = site("-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
    # setuptools comes with venv up to Python 3.11, typing_extensions and tzdata with Django.
    brought = {line.partition("==")[0].lower() for line in listing.splitlines() if "==" in line}
    allowed = {"asgiref", "django", "sqlparse", "typing_extensions", "tzdata"}
    assert brought - allowed - {"pip", "setuptools"} == {"django-migrate-legacy"}


def test_the_command_explains_itself(site: Run) -> None:
    assert "--commit" in site("-m", "django", "migrate_legacy", "--help")


def test_the_system_check_finds_nothing_wrong(site: Run) -> None:
    assert "System check identified no issues" in site("-m", "django", "check")


def test_the_system_check_names_the_extra_that_a_source_lacks(site: Run) -> None:
    answer = site("-m", "django", "check", "--settings", "with_mysql")
    assert 'pip install "django-migrate-legacy[mysql]"' in answer


def test_no_optional_package_is_imported_before_it_is_used(site: Run) -> None:
    assert site("-W", "error", "-c", LOADED).splitlines()[-1] == "LOADED []"


def test_the_tables_are_complete_without_making_schema_migrations(site: Run) -> None:
    site("-m", "django", "makemigrations", "--check", "--dry-run", "data_migration")
