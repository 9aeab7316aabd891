"""The documentation is complete, its examples run, and what it promises to print is printed."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import re
from argparse import Action
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from types import ModuleType
from xml.etree import ElementTree

import pytest
from django.apps import apps
from django.core.management import load_command_class
from django.db import connection
from django.dispatch import Signal

import data_migration
from data_migration import Migration, conf, is_a, patches, signals
from data_migration.fields.losses import Loss
from data_migration.management import base
from data_migration.models import Run, RunStep
from data_migration.outcomes import PatchState, RunStatus
from data_migration.patches import Context, Patch
from data_migration.rows.remarks import Unequal
from data_migration.sources import ENGINES
from data_migration.sources.base import Source
from tests.project.docs import picture, replay
from tests.support.paths import ROOT
from tests.target.fields.accepted import ACCEPTED

COMMANDS = (
    *("migrate_legacy", "show_legacy", "rollback_legacy", "prune_legacy"),
    *("sync_remote", "show_remote"),
)
DOCS = ROOT / "docs"
COMMON_OPTIONS = {"help", "version", "settings", "pythonpath", "traceback", "no_color"}
COMMON_OPTIONS |= {"force_color", "skip_checks", "labels", "verbosity"}

only_once = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the examples have a database of their own"
)


def page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text()


def section(text: str, title: str, underline: str = "-") -> str:
    """The part of a page under a title."""
    line = underline * len(title)
    assert f"{title}\n{line}\n" in text, f"there is no section {title!r}"
    rest = text.split(f"{title}\n{line}\n")[1]
    return re.split(rf"\n[^\n]+\n{underline}{{4,}}\n", rest)[0]


def options(command: str) -> list[Action]:
    parser = load_command_class("data_migration", command).create_parser("manage.py", command)
    return [action for action in parser._actions if action.dest not in COMMON_OPTIONS]


# ---------------------------------------------------------------- nothing is missing


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command: str) -> None:
    text = section(page("reference/commands"), f"``{command}``")
    missing = [
        name
        for action in options(command)
        for name in action.option_strings
        if name.startswith("--") and f"``{name}" not in text
    ]
    assert missing == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_documented_option_exists(command: str) -> None:
    text = section(page("reference/commands"), f"``{command}``")
    known = {name for action in options(command) for name in action.option_strings}
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known


def test_every_command_is_documented() -> None:
    commands = ROOT / "data_migration" / "management" / "commands"
    names = {path.stem for path in commands.glob("[!_]*.py")}
    text = page("reference/commands")
    assert [name for name in sorted(names) if f"\n``{name}``\n-" not in text] == []


def test_every_setting_is_documented_with_its_default() -> None:
    text = page("reference/settings")
    assert [name for name in sorted(conf.NAMES) if f"\n``{name}``\n    Default " not in text] == []
    for name in ("batch_size", "relation_cache_size", "progress_interval"):
        assert (
            f"DATA_MIGRATION_{name.upper()}``\n    Default ``{getattr(conf.settings, name)}``"
            in text
        )
    assert [name for name in ENGINES if f'``"{name}"``' not in text] == []


def test_every_check_is_documented() -> None:
    found = {
        number
        for path in (ROOT / "data_migration").glob("checks*/**/*.py")
        for number in re.findall(r'"([EW]\d{3})"', path.read_text())
    }
    text = page("reference/checks")
    assert found
    assert [number for number in sorted(found) if number not in text] == []


def test_every_loss_of_a_value_is_documented_and_every_documented_one_is_a_loss() -> None:
    text = section(page("reference/values"), "Warnings")
    named = re.findall(r"^   \* - ``([A-Z_]+)``$", text, re.MULTILINE)
    assert named == [each.name for each in Loss]
    text = section(page("reference/values"), "Values that no driver can give")
    named = re.findall(r"^   \* - ``([A-Z_]+)``$", text, re.MULTILINE)
    assert named == [each.name for each in Unequal]


def test_everything_that_is_taken_for_the_same_value_is_documented() -> None:
    text = section(page("reference/values"), "Taken for the same")
    lines = re.findall(
        r"^   \* - ``([a-z ]+)``\n     - (.*?)\n     - ", text, re.MULTILINE | re.DOTALL
    )
    told = {kind: set(re.findall(r"``(\w+)``", fields)) for kind, fields in lines}
    accepted = {kind: {each.__name__ for each in fields} for kind, fields in ACCEPTED.items()}
    assert told == {kind: names for kind, names in accepted.items() if names}


def test_every_public_name_is_documented() -> None:
    text = page("reference/migration") + page("reference/is_a")
    assert [name for name in data_migration.__all__ if f"``{name}``" not in text] == []


def members(kind: Callable[[str], bool]) -> list[str]:
    return [name for name in vars(Migration) if not name.startswith("_") and kind(name)]


def test_every_attribute_is_documented_with_its_default() -> None:
    names = [*members(lambda name: not callable(getattr(Migration, name))), "model"]
    text = section(page("reference/migration"), "Attributes")
    for name in names:
        default = getattr(Migration, name, None)
        row = re.search(rf"   \* - ``{name}``\n     - (.+)\n", text)
        assert row, f"{name} is missing"
        if name == "model":
            assert row[1] == "required"
        else:
            shown = f'"{default}"' if isinstance(default, str) else repr(default)
            assert row[1] == f"``{shown}``"


def test_every_hook_is_documented_with_its_parameters() -> None:
    text = page("reference/migration")
    for name in members(lambda name: callable(getattr(Migration, name))):
        parameters = ", ".join(signature(getattr(Migration, name)).parameters)
        assert f"``{name}({parameters})``\n" in text


def test_everything_that_a_patch_can_say_is_documented_with_its_default() -> None:
    text = page("reference/patches")
    public = [name for name in vars(Patch) if not name.startswith("_")]
    methods = [name for name in public if inspect.isfunction(vars(Patch)[name])]
    documented = dict(re.findall(r"   \* - ``(\w+)``\n     - (``.*``|of the class)\n", text))
    attributes = [name for name in public if not callable(getattr(Patch, name))]
    assert [name for name in attributes if name not in documented] == []
    for name in attributes:
        default = getattr(Patch, name)
        said = documented[name].strip("`").replace('"', "'")
        assert said == ("of the class" if name == "name" else repr(default)), name
    assert [name for name in methods if f"   * - ``{name}(" not in text] == []
    assert [each.name for each in fields(Context) if f"   * - ``{each.name}" not in text] == []
    assert [name for name in patches.__all__ if name not in text] == []


def test_every_state_of_a_patch_is_documented() -> None:
    text = section(page("reference/commands"), "``show_patches``")
    assert [state for state in PatchState.values if f"\n``{state}``\n" not in text] == []


def test_every_parameter_of_is_a_is_documented() -> None:
    text = page("reference/is_a")
    parameters = signature(is_a).parameters
    assert [name for name in parameters if f"\n``{name}``\n    " not in text] == []
    call = " ".join(text.split("is_a(", 1)[1].split(")")[0].split())
    shown = ", ".join(
        f'{name}="{each.default}"' if isinstance(each.default, str) else f"{name}={each.default}"
        for name, each in parameters.items()
    )
    assert call == shown


def test_every_signal_is_documented() -> None:
    names = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
    text = page("reference/signals")
    assert names
    assert [name for name in names if f"   * - ``{name}``" not in text] == []


def test_every_exit_code_and_state_is_documented() -> None:
    text = page("reference/commands")
    codes = {value for name, value in vars(base).items() if name.startswith("EXIT_")}
    listed = re.findall(r"   \* - ``(\d)``", section(text, "Exit codes"))
    assert listed == [str(code) for code in sorted({0, *codes})]
    states = section(text, "States")
    assert [state for state in RunStatus.values if f"\n``{state}``\n" not in states] == []


def test_every_ledger_field_is_documented() -> None:
    text = page("reference/ledger")
    for model in apps.get_app_config("data_migration").get_models():
        heading = f"``{model.__name__}`` (table ``{model._meta.db_table}``)\n"
        assert heading in text
        entry = re.split(r"\n\n\S", text.split(heading)[1])[0]
        hidden = ("id", "pk", "run") if model in (Run, RunStep) else ("id", "pk")
        names = [field.name for field in model._meta.fields if field.name not in hidden]
        assert [name for name in names if f"``{name}``" not in entry] == []


def test_every_target_of_make_is_documented() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = page("contributing")
    missing = [name for name in targets if name != "help" and f"``make {name}``" not in text]
    assert missing == []


def test_every_room_of_the_package_is_documented() -> None:
    package = ROOT / "data_migration"
    rooms = {path.stem for path in package.glob("[!_]*.py")}
    rooms |= {path.parent.name for path in package.glob("*/__init__.py")} - {"migrations"}
    text = page("architecture")
    assert [room for room in sorted(rooms) if f"``{room}``" not in text] == []


def test_where_do_i_look_names_places_that_are_there() -> None:
    section = page("architecture").partition("\nWhere do I look\n")[2].partition("\n\nThe walk")[0]
    entries = re.findall(r"   \* - (.+)\n     - (.+)", section)
    assert len(entries) > 25
    package, absent = ROOT / "data_migration", []
    for _, places in entries[1:]:
        room = package
        for name in re.findall(r"``([\w/]+(?:\.py|/))``", places):
            # A name alone is a neighbour of the one before it.
            place = package / name if (package / name).exists() else room / name
            room = place.parent
            absent += [] if place.exists() else [name]
    assert absent == []


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set(re.findall(r"^   ([\w/-]+)$", page("index"), re.MULTILINE))
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.rst")}
    assert pages - {"index"} - listed == set()


# ---------------------------------------------------------------- what is shown is right


@pytest.mark.parametrize(
    "name", sorted(p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.rst"))
)
def test_python_and_json_in_the_pages_are_valid(name: str) -> None:
    for block in replay.blocks(DOCS / f"{name}.rst"):
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_the_readme_has_valid_python_and_links_that_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    for block in code:
        ast.parse(block)
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_commands_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    targets = re.findall(r"^\$ make ([a-z-]+)", text, re.MULTILINE)
    assert targets
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
    for command, rest in re.findall(r"manage\.py (\w+_legacy)([^\n#]*)", text):
        known = {name for action in options(command) for name in action.option_strings}
        assert set(rest.split()) <= known


@pytest.mark.parametrize("entry", ["SQLITE", "POSTGRESQL", "MYSQL", "ODBC", "DJANGO"])
def test_the_sources_that_are_shown_are_accepted(entry: str) -> None:
    source = Source("legacy", dict(getattr(_module("sources_settings"), entry)))
    source.check(ENGINES[source.engine])


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "tests" / "project" / "docs" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_well_formed() -> None:
    ElementTree.parse(picture.PICTURE)
    assert picture.drawn()[0].startswith("$ python manage.py migrate_legacy")


@only_once
@pytest.mark.slow
def test_the_picture_shows_what_the_demo_prints() -> None:
    shown, real = ("\n".join(lines) for lines in (picture.drawn(), picture.transcript()))
    assert replay.same(shown) == replay.same(re.sub("\n+", "\n", real))
