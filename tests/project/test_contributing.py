"""What CONTRIBUTING.md, the workflow and their like name is there, and called so."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest

from tests.project.test_docs import options
from tests.support.paths import ROOT
from tests.support.urls import SERVICES, ServerURL

nox = pytest.importorskip("nox", reason="nox is not installed")

import noxfile  # noqa: E402  (imports nox)

PAGES = ("CONTRIBUTING.md", "SECURITY.md")
WORKFLOW = ".github/workflows/tests.yml"
WITH_COMMANDS = ("CONTRIBUTING.md", "docs/contributing.rst", ".pre-commit-config.yaml", WORKFLOW)
TEMPLATES = sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")
)
YAML = (".pre-commit-config.yaml", ".readthedocs.yaml", WORKFLOW, *TEMPLATES)
#: A key with a value that needs no quotes, an item of a list, or a comment.
YAML_LINE = re.compile(r"(?:- )*[\w-]+:(?: (?:[\"'\[{].*|(?!.*: ).+))?|- [^:]+|#.*")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def sessions_of_the_workflow() -> list[str]:
    """Of its matrix, where an entry is one session or several with spaces between."""
    entries = re.search(r"\n +sessions:\n((?: +- .+\n)+)", text_of(WORKFLOW))
    assert entries
    return entries[1].replace("- ", " ").split()


def commands(name: str) -> Iterator[list[str]]:
    """The words of each command of make or nox that the file tells people or machines to run."""
    text = text_of(name).replace("${{ matrix.sessions }}", " ".join(sessions_of_the_workflow()))
    places = r"^ *\$ (.+)$|`+([^`\n]+)`|(?:run|entry): (.+)$"
    for places_of_one in re.findall(places, text, re.MULTILINE):
        command = "".join(places_of_one)
        if command.startswith(("make ", "nox ")):
            yield shlex.split(command, comments=True)


def named(words: list[str]) -> tuple[set[str], set[str], set[str]]:
    """The targets of make, the sessions of nox and the tests that a command names."""
    plain = [word for word in words[1:] if "=" not in word]
    targets = set(plain) if words[0] == "make" else set()
    arguments = [] if targets else plain
    for word in words:
        if word.startswith("ARGS="):
            arguments = word.removeprefix("ARGS=").split()
    sessions = set()
    if targets <= {"test"} and arguments and arguments[0] in ("-s", "--session"):
        sessions = set(arguments[1:])
    return targets, sessions, {word for word in arguments if word.startswith("tests/")}


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_that_are_named_exist(name: str) -> None:
    known = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    found = [named(words) for words in commands(name)]
    assert found
    for targets, sessions, tests in found:
        assert targets <= known
        assert sessions <= set(nox.registry.get())
        assert [path for path in tests if not (ROOT / path).exists()] == []


def test_the_issue_form_asks_for_a_command_that_exists() -> None:
    text = text_of(".github/ISSUE_TEMPLATE/bug.yml")
    found = re.findall(r"manage\.py (\w+)((?: --[\w-]+)*)", text)
    assert found
    for command, arguments in found:
        known = {name for action in options(command) for name in action.option_strings}
        assert set(arguments.split()) <= known


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", text_of(name))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


# ---------------------------------------------------------------- the same as elsewhere


def test_the_workflow_runs_every_session_once_but_the_one_that_joins_others() -> None:
    default = {name for name, session in nox.registry.get().items() if session.default}
    assert sorted(sessions_of_the_workflow()) == sorted(default - {"coverage"})


def test_the_workflow_has_the_pythons_of_nox() -> None:
    installed = re.search(r"python-version: \|\n((?: +[\d.]+\n)+)", text_of(WORKFLOW))
    assert installed
    assert installed[1].split() == [*noxfile.DJANGO]
    tested = [name for name in sessions_of_the_workflow() if name.startswith("tests-")]
    assert sorted(tested) == [f"tests-{python}" for python in noxfile.DJANGO]


def test_the_workflow_names_the_servers_as_the_tests_look_for_them() -> None:
    text = text_of(WORKFLOW)
    given = dict(re.findall(r"(DATA_MIGRATION_\w+): (\S+)", text))
    assert set(given) == set(SERVICES.values())
    for engine, variable in SERVICES.items():
        url = ServerURL.parse(given[variable])
        assert url.engine == engine
        assert f'ports: ["{url.port}:{url.port}"]' in text


def test_the_workflow_has_the_versions_of_servers_that_the_pages_name() -> None:
    versions = re.findall(r"image: (postgres|mariadb):([\d.]+)", text_of(WORKFLOW))
    names = {"postgres": "PostgreSQL", "mariadb": "MariaDB"}
    assert len(versions) == len(names)
    for name in ("README.md", "docs/index.rst"):
        assert [v for v in versions if f"{names[v[0]]} {v[1]}" not in text_of(name)] == []


def test_the_pages_are_built_with_the_newest_python_and_the_extra_for_them() -> None:
    text = text_of(".readthedocs.yaml")
    assert f'python: "{[*noxfile.DJANGO][-1]}"' in text
    assert "extra_requirements: [docs]" in text
    assert "\ndocs =\n" in text_of("setup.cfg").partition("[options.extras_require]")[2]
    configuration = re.search(r"configuration: (\S+)", text)
    assert configuration
    assert (ROOT / configuration[1]).exists()


def test_editors_break_lines_where_ruff_does() -> None:
    length = tomllib.loads(text_of("pyproject.toml"))["tool"]["ruff"]["line-length"]
    assert f"\nmax_line_length = {length}\n" in text_of(".editorconfig")


# ---------------------------------------------------------------- form


@pytest.mark.parametrize("name", YAML)
def test_yaml_is_plain_enough_to_be_right(name: str) -> None:
    """No parser of YAML is installed here: what is written keeps to a small part of it."""
    block = None  # the indent of the key whose value is a block of text
    for line in text_of(name).splitlines():
        indent = len(line) - len(line.lstrip())
        if not line or (block is not None and indent > block):
            continue
        assert indent % 2 == 0, line
        assert YAML_LINE.fullmatch(line.strip()), line
        block = indent if line.endswith(": |") else None


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.endswith("config.yml")])
def test_an_issue_form_has_what_a_form_needs(name: str) -> None:
    text = text_of(name)
    for key in ("name: ", "description: ", "body:\n"):
        assert re.search(rf"^{key}", text, re.MULTILINE)
    entries = text.split("\n  - type: ")[1:]
    assert entries
    for entry in entries:
        needed = ("value:",) if entry.startswith("markdown") else ("id:", "label:")
        assert [key for key in needed if f" {key}" not in entry] == []
    identifiers = re.findall(r"^    id: (\w+)$", text, re.MULTILINE)
    assert len(identifiers) == len(set(identifiers))
