"""Everything that ``make`` checks, on every supported Python, Django and database.

::

    nox                      the whole matrix; what continuous integration runs
    nox --list               the names of its sessions
    nox -s "tests-3.13(django='6.1', target='mysql')"
    nox -s quick -- -k name  arguments after the two hyphens go to pytest, or to the benchmarks

A session ``environment`` makes the virtual environment that all sessions of its Python share. A
Python or a server that is not there is skipped with a word; with ``CI=true`` it is an error.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # for our own imports, however nox was started

from tests.support.servers import REQUIRED, SERVERS  # noqa: E402
from tests.support.urls import SERVICES  # noqa: E402

nox.needs_version = ">=2026.10"
nox.options.envdir = ".venvs"
nox.options.reuse_venv = "yes"
nox.options.allow_parallel = True
nox.options.error_on_missing_interpreters = REQUIRED

#: Python -> the Django that it is tested with.
DJANGO = {"3.11": "5.2", "3.12": "6.1", "3.13": "6.1"}
TARGETS = ("postgresql", "sqlite", "mysql")
OLDEST = "3.11"


def is_here(python: str) -> bool:
    """Whether this Python is on the PATH; pyenv has a ``python3.X`` for versions it lacks too."""
    if program := shutil.which(f"python{python}"):
        return subprocess.run([program, "-c", ""], capture_output=True).returncode == 0
    return False


#: The newest Python of this machine: the developer's tools are in its environment.
NEWEST = next(filter(is_here, reversed(DJANGO)), list(DJANGO)[-1])

# ---------------------------------------------------------------- what is tested where

#: Tests that write to no target, to one of their own, or to any in the same way: run once.
WITHOUT_TARGET = (
    *("tests/unit", "tests/project", "tests/stories/test_demo.py"),
    *("tests/stories/test_ancestor.py", "tests/stories/test_ancestor_specs.py"),
    *("tests/stories/test_ancestor_wishes.py", "tests/stories/test_database_option.py"),
)
#: What has no SQL of its own, and no more to do with how a database locks, commits, compares and
#: refuses than SQLite and PostgreSQL show: not with MySQL.
ALIKE = (
    *("tests/target/step/test_pipeline.py", "tests/target/step/test_reading.py"),
    *("tests/target/step/test_recording.py", "tests/target/step/test_compilation.py"),
    *("tests/target/test_signals.py", "tests/stories/test_resume.py"),
)
#: A browser and real workers: with PostgreSQL only. So are tests that are marked with ``once``.
ONCE = ("tests/browser", "tests/stories/test_distribution.py", "tests/stories/test_background.py")
#: From end to end with PostgreSQL: a session of their own, since they mostly wait for processes.
STORIES = ("tests/stories", "tests/browser")
#: The commands, and real legacy databases of every kind. The oldest Python runs these on SQLite
#: and MySQL in the newest one's place.
FROM_END_TO_END = (
    *("tests/stories/commands", "tests/stories/test_blog.py", "tests/stories/test_chinook.py"),
    "tests/target/run/test_runner.py",
)
#: For a Python between two that are tested, with the drivers and the Django of the newest: what it
#: could refuse of the code, and warn of, shows in the commands.
BETWEEN = ("tests/stories/commands", "tests/stories/test_blog.py")
#: Where psycopg2 may differ from psycopg 3: for the oldest with PostgreSQL, which has only that.
WITH_OTHER_DRIVER = (
    *FROM_END_TO_END,
    "tests/target/tables",
    *("tests/target/ledger/test_images.py", "tests/target/ledger/test_links.py"),
    *("tests/target/ledger/test_lookup.py", "tests/target/ledger/test_statements.py"),
    "tests/target/step/test_ahead.py",
    *("tests/target/fields/test_converters.py", "tests/target/fields/test_digests.py"),
    "tests/target/transform/test_relations.py",
    *("tests/target/writers/test_bulk.py", "tests/target/writers/test_diagnosis.py"),
    *("tests/target/writers/test_database_faults.py", "tests/target/writers/test_joins.py"),
)
#: From end to end with a writer that ``auto`` would not choose there. Tests of single stages go
#: through every writer by themselves.
WITH_FORCED_WRITER = (
    "tests/stories/test_blog.py",
    *("tests/target/step/test_deferral.py", "tests/target/step/test_delta.py"),
    *("tests/target/undo/test_removal.py", "tests/target/undo/test_rollback.py"),
    "tests/target/transform/test_trees.py",
)


def selected(python: str, target: str) -> Iterator[str]:
    """The arguments of pytest that choose what is worth the time there."""
    if python != NEWEST:
        yield from ("-m", "not slow and not once")
        if python != OLDEST:
            yield from BETWEEN
        else:
            yield from WITH_OTHER_DRIVER if target == "postgresql" else FROM_END_TO_END
        return
    left_out = [*WITHOUT_TARGET]
    if target == "postgresql":
        left_out += STORIES
    else:
        yield from ("-m", "not once")
        left_out += ONCE if NEWEST == OLDEST else (*ONCE, *FROM_END_TO_END)
    if target == "mysql":
        left_out += ALIKE
    yield from (f"--ignore={path}" for path in left_out)


#: Where the coverage of each measured session goes. It is measured once: where most of the code
#: runs, and where a server does part of the work.
COVERAGE = ROOT / ".venvs" / "coverage"
#: Lines cost nothing to speak of with sys.monitoring. Branches are measured when asked for: before
#: Python 3.14 they need a trace function, with which everything takes twice as long.
WITH_BRANCHES = "DATA_MIGRATION_TEST_BRANCHES" in os.environ

# ---------------------------------------------------------------- environments


def extras(python: str) -> Iterator[str]:
    """Of setup.cfg."""
    yield from ("test", "progress", "http", "postgresql", "odbc")
    # mysqlclient is built by pip: without the client library there is no point in trying.
    if REQUIRED or shutil.which("mariadb_config") or shutil.which("mysql_config"):
        yield "mysql"
    if python == NEWEST:
        yield from ("lint", "docs", "bench")


@nox.session(python=[*reversed(DJANGO)], default=False)
def environment(session: nox.Session) -> None:
    """A virtual environment with one Django and the drivers, for the sessions of its Python."""
    python = str(session.python)
    stamp = Path(session.virtualenv.location, ".installed")
    wanted = "".join((ROOT / name).read_text() for name in ("setup.cfg", "noxfile.py"))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    # Tasks came with Django 6.0; before, the backport has them. Django prefers psycopg 3 where
    # both are installed, so the oldest has psycopg2 only.
    also = ["django-tasks>=0.12"] if python == OLDEST else ["psycopg[binary]"]
    project = f".[{','.join(extras(python))}]"
    with (ROOT / ".venvs" / ".installing").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # each writes the same .egg-info folder
        # Python compiles the modules that are imported: few of all.
        options = ("--no-compile", "--editable")
        session.install(*options, project, f"Django~={DJANGO[python]}.0", *also)
    stamp.write_text(wanted)


def run(session: nox.Session, python: str, *command: str, **variables: str | None) -> None:
    """Run ``command`` in the environment of ``python``."""
    programs = ROOT / ".venvs" / f"environment-{python.replace('.', '-')}" / "bin"
    if not programs.exists():
        session.skip(f"python{python} is not on the PATH")
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",  # for what the command runs
        # Each of the many processes that tests start would compile this project anew.
        "PYTHONDONTWRITEBYTECODE": None,
        **variables,
    }
    session.run(str(programs / command[0]), *command[1:], external=True, env=environment)


# ---------------------------------------------------------------- tests


def pytest(
    session: nox.Session,
    python: str,
    target: str,
    *arguments: str,
    writer: str = "",
    is_measured: bool = False,
) -> None:
    """Run pytest with this target, unless no server is to be had for it."""
    absent = [kind for kind in SERVERS if kind.engine == target and kind.missing()]
    if absent and not os.environ.get(SERVICES[target]) and not REQUIRED:
        session.skip(f"no {target} server: python -m tests.services install")
    # Sessions go on side by side: they share neither a cache nor, on a given server, a database.
    name = re.sub(r"\W+", "_", f"{session.name.partition('(')[0]} {target}")
    measuring = ("coverage", "run", *(["--branch"] if WITH_BRANCHES else []))
    run(
        session,
        python,
        *(measuring if is_measured else ("python",)),
        *("-m", "pytest", "--no-header", "-o", f"cache_dir=.venvs/.pytest_{name}"),
        *arguments,
        COVERAGE_CORE=None if WITH_BRANCHES else "sysmon",
        COVERAGE_FILE=str(COVERAGE / f".coverage.{name}"),
        DATA_MIGRATION_TEST_TARGET=target,
        DATA_MIGRATION_TEST_SUFFIX=f"_{name}",
        DATA_MIGRATION_TEST_WRITER=writer,
    )


def tests_on(python: str) -> None:
    """Define the sessions of one Python."""
    targets = TARGETS if python in (NEWEST, OLDEST) else ("sqlite",)

    @nox.session(name=f"tests-{python}", venv_backend="none", requires=[f"environment-{python}"])
    @nox.parametrize("django, target", [(DJANGO[python], target) for target in targets])
    def tests(session: nox.Session, django: str, target: str) -> None:
        """pytest: with the newest Python all that the target has a part in, else a choice."""
        is_measured = python == NEWEST and target == "postgresql"
        pytest(session, python, target, *selected(python, target), is_measured=is_measured)


def in_newest(
    *before: str, name: str | None = None, default: bool = True
) -> Callable[[Callable[[nox.Session], None]], Any]:
    """A session in the environment of the newest Python, after the sessions ``before``."""
    requires = [f"environment-{NEWEST}", *before]
    return nox.session(name=name, venv_backend="none", requires=requires, default=default)


# The longest first, so that those that run side by side end at the same time.
@in_newest()
def stories(session: nox.Session) -> None:
    """pytest: from end to end with PostgreSQL; a browser and real workers among it."""
    elsewhere = (f"--ignore={path}" for path in WITHOUT_TARGET if path.startswith(STORIES))
    pytest(session, NEWEST, "postgresql", *STORIES, *elsewhere, is_measured=True)


tests_on(NEWEST)


@in_newest()
def unit(session: nox.Session) -> None:
    """pytest: what writes to no target, with the newest Python."""
    pytest(session, NEWEST, "sqlite", *WITHOUT_TARGET, is_measured=True)


for other in DJANGO:
    if other != NEWEST:
        tests_on(other)


@in_newest()
def forced(session: nox.Session) -> None:
    """pytest: with PostgreSQL and a writer that ``auto`` would not choose there."""
    choice = ("-m", "not slow and not once", *WITH_FORCED_WRITER)
    pytest(session, NEWEST, "postgresql", *choice, writer="bulk")


@in_newest("unit", "stories", f"tests-{NEWEST}(django='{DJANGO[NEWEST]}', target='postgresql')")
def coverage(session: nox.Session) -> None:
    """Lines that tests reach, without the processes they start: with PostgreSQL."""
    for command in (("combine", "--keep"), ("report",)):
        run(session, NEWEST, "coverage", *command, COVERAGE_FILE=str(COVERAGE / ".coverage"))


@in_newest(default=False)
def quick(session: nox.Session) -> None:
    """pytest: all but the slow tests, on SQLite where the environment names no other target."""
    run(session, NEWEST, "python", "-m", "pytest", "-n", "2", "-m", "not slow", *session.posargs)


# ---------------------------------------------------------------- checks


@in_newest()
def types(session: nox.Session) -> None:
    """mypy: types."""
    run(session, NEWEST, "mypy")


@in_newest()
def docs(session: nox.Session) -> None:
    """Sphinx; its warnings are errors."""
    options = ("-W", "--keep-going", "-q", "-b", "html")
    run(session, NEWEST, "python", "-m", "sphinx", *options, "docs", "docs/_build/html")


@in_newest()
def layers(session: nox.Session) -> None:
    """import-linter: imports run one way."""
    run(session, NEWEST, "lint-imports", "--no-cache")


@in_newest()
def lint(session: nox.Session) -> None:
    """ruff: mistakes and formatting."""
    run(session, NEWEST, "ruff", "check", ".")
    run(session, NEWEST, "ruff", "format", "--check", ".")


# ---------------------------------------------------------------- benchmarks


def benchmarks(session: nox.Session, *arguments: str) -> None:
    """Run them with the servers that are to be had, and with the ancestor of this program."""
    # Its package has the name of ours.
    ancestor = ROOT / ".venvs" / "ancestor"
    if not ancestor.exists():
        pip = ("python", "-m", "pip", "install", "--quiet", "--no-deps", "--target")
        run(session, NEWEST, *pip, str(ancestor), "django-data-migration==0.2.1")
    command = ("python", "-m", "tests.services", "--", "python", "-m", "benchmarks", *arguments)
    run(session, NEWEST, *command, BENCHMARK_ANCESTOR=str(ancestor))


@in_newest(default=False)
def bench(session: nox.Session) -> None:
    """Speed and memory."""
    benchmarks(session, *session.posargs)


@in_newest(name="bench-quick", default=False)
def bench_quick(session: nox.Session) -> None:
    """The same with few rows: does it still run?"""
    benchmarks(session, "--quick", *session.posargs)
