"""Everything that ``make`` checks, on every supported Python, Django and database.

::

    python -m tests.matrix test                  the whole matrix; what continuous integration runs
    python -m tests.matrix quick [ARGUMENT ...]  newest Python, SQLite; arguments go to pytest
    python -m tests.matrix lint|types|layers|docs
    python -m tests.matrix bench|bench-quick [ARGUMENT ...]  arguments go to python -m benchmarks

A Python or a server that is not there is skipped with a word about it; with ``CI=true`` it is an
error. Environments are kept in ``.venvs/``. Needs the standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import FrameType

from tests import services
from tests.support.environments import Environment, EnvironmentProblem
from tests.support.jobs import Job, Pool, Result, summarize
from tests.support.paths import ROOT
from tests.support.servers import ServerProblem
from tests.support.system import install
from tests.support.urls import VARIABLES

CI = os.environ.get("CI", "").lower() in ("1", "true")
REQUIRE_SERVERS = CI or os.environ.get("DATA_MIGRATION_TEST_REQUIRE") == "1"
TARGETS = ("sqlite", *VARIABLES)
DEVELOPER = ("lint", "docs", "bench")  # for the newest environment, which does more than test
DRIVERS = ("test", "progress", "postgresql", "odbc")
# Django prefers psycopg 3 where both are installed, so one environment has only psycopg2.
PSYCOPG3 = ("psycopg[binary]",)
# Tasks came with Django 6.0; before, the backport has them.
BACKPORT = ("django-tasks>=0.12",)
#: Tests that write to no target, to one of their own, or to any in the same way: run by the newest
#: environment with SQLite only.
WITHOUT_TARGET = (
    *("tests/unit", "tests/project", "tests/stories/test_demo.py"),
    *("tests/stories/test_ancestor.py", "tests/stories/test_ancestor_specs.py"),
    "tests/stories/test_ancestor_wishes.py",
)
#: A browser and real workers: run once, by the newest environment with PostgreSQL. So are tests
#: that are marked with ``once``.
ONCE = ("tests/browser", "tests/stories/test_distribution.py", "tests/stories/test_background.py")
#: The commands. Environments before the newest run these, on SQLite and MySQL in its place.
OF_COMMANDS = (
    "tests/stories/commands",
    "tests/stories/test_blog.py",
    "tests/target/run/test_runner.py",
)
FROM_END_TO_END = (*OF_COMMANDS, "tests/stories/test_chinook.py")
#: Where psycopg2 may differ from psycopg 3: for the oldest with PostgreSQL, which has only that.
WITH_OTHER_DRIVER = (
    *(*FROM_END_TO_END, "tests/target/tables"),
    *("tests/target/ledger/test_images.py", "tests/target/ledger/test_links.py"),
    *(
        "tests/target/ledger/test_lookup.py",
        "tests/target/ledger/test_statements.py",
        "tests/target/step/test_ahead.py",
    ),
    *(
        "tests/target/fields/test_converters.py",
        "tests/target/fields/test_digests.py",
        "tests/target/transform/test_relations.py",
    ),
    *("tests/target/writers/test_bulk.py", "tests/target/writers/test_diagnosis.py"),
    *("tests/target/writers/test_database_faults.py", "tests/target/writers/test_joins.py"),
)
#: A writer that ``auto`` would not choose there: for the newest, once more from end to end. Tests
#: of single stages go through every writer by themselves.
FORCED_WRITERS = {"postgresql": "bulk"}
WITH_FORCED_WRITER = (
    *(
        "tests/stories/test_blog.py",
        "tests/target/step/test_deferral.py",
        "tests/target/step/test_delta.py",
    ),
    *(
        "tests/target/undo/test_removal.py",
        "tests/target/undo/test_rollback.py",
        "tests/target/transform/test_trees.py",
    ),
)
MATRIX = (
    Environment("3.11", "5.2", DRIVERS, BACKPORT),
    Environment("3.12", "6.1", DRIVERS, PSYCOPG3),
    Environment("3.13", "6.1", DRIVERS, PSYCOPG3),
)


def environments() -> list[Environment]:
    """Those whose Python is here, oldest first; the last one has the developer's tools."""
    # mysqlclient is built by pip: without the client library there is no point in trying.
    can_build = CI or shutil.which("mariadb_config") or shutil.which("mysql_config")
    mysql = ("mysql",) if can_build else ()
    found = [
        replace(environment, extras=environment.extras + mysql)
        for environment in MATRIX
        if environment.interpreter()
    ]
    if not found:
        raise EnvironmentProblem("no supported Python found: install Python 3.11, 3.12 or 3.13")
    return [*found[:-1], replace(found[-1], extras=found[-1].extras + DEVELOPER)]


def test() -> int:
    """The whole matrix: an exit code."""
    started = time.monotonic()
    if install() != 0 and CI:
        return 1
    present = environments()
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(Environment.ensure, present))
    with services.running(optional=not REQUIRE_SERVERS) as variables:
        jobs = list(_jobs(present, variables))
        results = Pool().run(jobs)
    return summarize([*results, *_absent(present, variables)], time.monotonic() - started)


def _jobs(present: Sequence[Environment], servers: Mapping[str, str]) -> Iterator[Job]:
    """The longest first, so that the two lanes end at the same time.

    The newest environment runs all that the target has a part in, the others a choice.
    """
    developer = present[-1]
    for environment in reversed(present):
        outermost = environment in (present[0], developer)
        for target in _targets(servers) if outermost else TARGETS[:1]:
            yield _tests(environment, target, servers, _selected(environment, target, present))
        if environment is developer:
            yield from _forced(developer, servers)
            yield from checks(developer)


def _forced(environment: Environment, servers: Mapping[str, str]) -> Iterator[Job]:
    """The end-to-end tests with writers that ``auto`` does not choose by itself."""
    for target in _targets(servers):
        if writer := FORCED_WRITERS.get(target):
            selected = ["-m", "not slow and not once", *WITH_FORCED_WRITER]
            yield _tests(environment, target, servers, selected, writer)


def _selected(environment: Environment, target: str, present: Sequence[Environment]) -> list[str]:
    """The arguments of pytest that choose what is worth the time there."""
    is_newest = environment is present[-1]
    arguments = [] if is_newest else ["-m", "not slow and not once"]
    if not is_newest:
        is_oldest = environment is present[0]
        with_driver = is_oldest and target == "postgresql"
        return [*arguments, *(WITH_OTHER_DRIVER if with_driver else FROM_END_TO_END)]
    if target != TARGETS[0]:
        arguments += [f"--ignore={path}" for path in WITHOUT_TARGET]
    if target != "postgresql":
        left_out = (*ONCE, *OF_COMMANDS) if len(present) > 1 else ONCE
        arguments += ["-m", "not once", *(f"--ignore={path}" for path in left_out)]
    return arguments


def _tests(
    environment: Environment,
    target: str,
    servers: Mapping[str, str],
    selected: Sequence[str],
    writer: str = "",
) -> Job:
    suffix = f"_{environment.name}{writer}".replace(".", "").replace("-", "_")
    variables = {
        **servers,
        "DATA_MIGRATION_TEST_TARGET": target,
        "DATA_MIGRATION_TEST_SUFFIX": suffix,
        "DATA_MIGRATION_TEST_WRITER": writer,
    }
    command = [environment.program("python"), "-m", "pytest", "--no-header"]
    # Runs go on side by side: none may write into the cache of another.
    command += ["-o", f"cache_dir={environment.folder / f'.pytest_cache_{target}{writer}'}"]
    name = f"tests {environment.name} {target} {writer}".rstrip()
    return Job(name, [*command, *selected], variables)


def checks(environment: Environment) -> list[Job]:
    """Lint, format, types, layers and docs."""
    program = environment.program
    sphinx = ["-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"]
    return [
        Job("types", [program("mypy")]),
        Job("docs", [program("python"), "-m", "sphinx", *sphinx]),
        Job("layers", [program("lint-imports"), "--no-cache"]),
        Job("lint", [program("ruff"), "check", "."]),
        Job("format", [program("ruff"), "format", "--check", "."]),
    ]


def _targets(servers: Mapping[str, str]) -> list[str]:
    return [name for name in TARGETS if name == "sqlite" or VARIABLES[name] in servers]


def _absent(present: Sequence[Environment], servers: Mapping[str, str]) -> list[Result]:
    names = {environment.name for environment in present}
    pythons = [
        _not_run(environment.name, f"python{environment.python} is not on the PATH", CI)
        for environment in MATRIX
        if environment.name not in names
    ]
    targets = [
        _not_run(name, "no server: python -m tests.services install", REQUIRE_SERVERS)
        for name in TARGETS
        if name not in _targets(servers)
    ]
    return pythons + targets


def _not_run(name: str, why: str, required: bool) -> Result:
    return Result(f"tests {name}", "FAILED" if required else "skipped", closing=why)


def check(name: str) -> int:
    """Run the checks called ``name`` and show what they say; an exit code."""
    environment = environments()[-1]
    environment.ensure()
    names = {name, "format"} if name == "lint" else {name}
    jobs = [job for job in checks(environment) if job.name in names]
    return max(subprocess.run(job.command, cwd=ROOT, check=False).returncode for job in jobs)


def quick(*arguments: str) -> int:
    """All but the slow tests, on SQLite; with servers where they are to be had."""
    command = ["-m", "pytest", "-n", "2", "-m", "not slow", *arguments]
    return _with_servers(command)


def bench(*arguments: str) -> int:
    """The benchmarks, with servers where they are to be had."""
    return _with_servers(["-m", "benchmarks", *arguments], _ancestor)


def _ancestor(environment: Environment) -> dict[str, str]:
    """The variable that names the ancestor's folder; its package has the name of ours."""
    folder = environment.folder / "ancestor"
    if not folder.exists():
        pip = [environment.program("python"), "-m", "pip", "--disable-pip-version-check"]
        pip += ["install", "--quiet", "--no-deps", "--target", str(folder)]
        if subprocess.run([*pip, "django-data-migration==0.2.1"], check=False).returncode:
            print("django-data-migration 0.2.1 cannot be installed: left out", file=sys.stderr)
            return {}
    return {"BENCHMARK_ANCESTOR": str(folder)}


def _with_servers(
    arguments: Sequence[str], more: Callable[[Environment], dict[str, str]] = lambda _: {}
) -> int:
    environment = environments()[-1]
    environment.ensure()
    with services.running(optional=True) as servers:
        variables = servers | more(environment)
        command = [environment.program("python"), *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | variables, check=False
        ).returncode


COMMANDS: dict[str, Callable[..., int]] = {
    "test": test,
    "quick": quick,
    **{name: partial(check, name) for name in ("lint", "types", "layers", "docs")},
    "bench": bench,
    "bench-quick": partial(bench, "--quick"),
}
WITH_ARGUMENTS = ("quick", "bench", "bench-quick")


def main(arguments: Sequence[str]) -> int:
    """The command line: see the head of this file."""
    name, *rest = arguments or ["help"]
    if name not in COMMANDS or (rest and name not in WITH_ARGUMENTS):
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    # A shell lets what it runs in its background ignore Ctrl-C; tests send it to what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return COMMANDS[name](*rest)
    except (EnvironmentProblem, ServerProblem) as problem:
        print(f"tests.matrix: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
