"""Which migrations are found, and what happens to a spec that is broken."""

from __future__ import annotations

import pytest
from django.test.utils import modify_settings

from data_migration.exceptions import SpecError, SpecImportError
from data_migration.spec.discovery import discover
from tests.support.specs import App, NewApp

ONE = """
from data_migration import Migration

class One(Migration):
    query = "SELECT 1"
"""


def labels_of(*apps: App) -> list[str]:
    """The labels found in these apps, in the order of discovery."""
    names = {app.label for app in apps}
    return [label for label in discover() if label.partition(".")[0] in names]


def test_classes_with_a_query_are_found_and_base_classes_are_not(new_app: NewApp) -> None:
    spec = ONE + "class Base(Migration): pass\nclass Zwo(Base): query = 'SELECT 2'\n"
    assert labels_of(new_app("found", spec)) == ["found.One", "found.Zwo"]


def test_they_are_sorted_whatever_the_order_of_apps_and_classes(new_app: NewApp) -> None:
    late = new_app("zoo", "class Zebra(One): pass\n".join([ONE, ""]) + "class Ape(One): pass\n")
    assert labels_of(late, new_app("ark", ONE)) == ["ark.One", "zoo.Ape", "zoo.One", "zoo.Zebra"]


def test_an_app_without_a_spec_is_fine(new_app: NewApp) -> None:
    assert labels_of(new_app("specless")) == []


def test_a_spec_without_a_migration_is_fine(new_app: NewApp) -> None:
    assert labels_of(new_app("empty", "")) == []


def test_the_label_begins_with_that_of_the_app(new_app: NewApp) -> None:
    app = new_app("short", ONE)
    assert app.name != app.label
    assert discover()["short.One"].__module__ == f"{app.name}.data_migration_spec"


def test_an_app_that_is_not_installed_is_not_looked_at(new_app: NewApp) -> None:
    app = new_app("gone", ONE)
    assert labels_of(app) == ["gone.One"]
    with modify_settings(INSTALLED_APPS={"remove": app.name}):
        assert labels_of(app) == []


def test_a_spec_may_be_a_package(new_app: NewApp) -> None:
    app = new_app("packed")
    package = app.folder / "data_migration_spec"
    package.mkdir()
    (package / "__init__.py").write_text("from . import one\n")
    (package / "one.py").write_text(ONE)
    assert labels_of(app) == ["packed.One"]


def test_a_migration_imported_from_another_spec_stays_there(new_app: NewApp) -> None:
    owner = new_app("owner", ONE)
    text = f"from {owner.name}.data_migration_spec import One\nclass Two(One): pass\n"
    assert labels_of(owner, new_app("guest", text)) == ["guest.Two", "owner.One"]


def test_a_migration_imported_from_a_helper_module_belongs_to_the_spec(new_app: NewApp) -> None:
    app = new_app("helped", "from .helpers import One", helpers=ONE)
    assert labels_of(app) == ["helped.One"]


def test_the_old_import_path_works(new_app: NewApp) -> None:
    app = new_app("old", ONE.replace("data_migration import", "data_migration.migration import"))
    assert labels_of(app) == ["old.One"]


def test_two_classes_of_one_name_are_refused(new_app: NewApp) -> None:
    app = new_app("double", f"{ONE}\nclass Box:\n    class One(One): pass\n")
    with pytest.raises(SpecError, match=r"double\.One is defined twice") as caught:
        discover()
    assert f"{app.name}.data_migration_spec" in str(caught.value)
    assert "Rename one" in str(caught.value)


# ---------------------------------------------------------------- broken specs


def test_a_missing_module_is_not_swallowed(new_app: NewApp) -> None:
    app = new_app("broken", f"{ONE}\nimport a_module_that_is_missing\n")
    with pytest.raises(SpecImportError) as caught:
        discover()
    said = str(caught.value)
    assert f"{app.name}.data_migration_spec cannot be imported" in said
    assert "ModuleNotFoundError: No module named 'a_module_that_is_missing'" in said
    assert "data_migration_spec.py, line 7" in said
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        ("def f(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("from data_migration import nothing_of_that_name", "ImportError"),
        ("from data_migration import is_a; is_a(int, 'id', fk=True)", "ImproperlyConfigured"),
    ],
)
def test_any_mistake_is_told_with_its_line(new_app: NewApp, mistake: str, kind: str) -> None:
    new_app("broken", f"# first line\n{mistake}\n")
    with pytest.raises(SpecImportError, match=kind) as caught:
        discover()
    assert "data_migration_spec.py, line 2" in str(caught.value)


def test_a_mistake_behind_the_spec_is_told_with_the_line_that_leads_there(
    new_app: NewApp,
) -> None:
    new_app("broken", "\n\nfrom .helpers import x\n", helpers="x = 1 / 0\n")
    with pytest.raises(SpecImportError, match=r"data_migration_spec\.py, line 3"):
        discover()


def test_a_spec_that_was_mended_is_found_by_the_next_run(new_app: NewApp) -> None:
    app = new_app("mended", "1 / 0\n")
    with pytest.raises(SpecImportError):
        discover()
    (app.folder / "data_migration_spec.py").write_text(f"{ONE}# longer than before\n")
    assert labels_of(app) == ["mended.One"]


PARTS = """
from data_migration import Migration
class PartMigration(Migration):
    query = "SELECT 1"
"""


@pytest.mark.parametrize(
    "line",
    ["from . import parts", "import {app}.parts as parts", "from .parts import PartMigration"],
)
def test_a_module_that_a_spec_imports_brings_its_migrations(new_app: NewApp, line: str) -> None:
    app = new_app("whole", parts=PARTS)
    (app.folder / "data_migration_spec.py").write_text(line.format(app=app.name))
    assert [label for label in discover() if label.startswith("whole.")] == ["whole.PartMigration"]
