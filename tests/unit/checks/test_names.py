"""Names that look misspelt, and classes that never run."""

from __future__ import annotations

from importlib import import_module

import pytest

from data_migration import Migration
from data_migration.checks import check_specs
from data_migration.checks.names import CACHES, INTERNALS
from tests.apps.shop.models import (
    Product,
)
from tests.support.checking import Sound, check, found_in, numbered, only, spec
from tests.support.specs import NewApp


def test_w016_a_model_without_a_query() -> None:
    class Forgotten(Migration):
        model = Product

    assert "W016" in numbered(check_specs({"shop.Forgotten": Forgotten}))


def test_w016_is_silent_about_base_classes_and_what_was_emptied_on_purpose(
    new_app: NewApp,
) -> None:
    assert found_in(new_app("bases", BASES)) == {}


BASES = """
from django.contrib.auth.models import Group
from data_migration import BaseMigration
class GroupBase(BaseMigration):
    model = Group
class OneGroup(GroupBase):
    query = "SELECT 1 AS id"
class Emptied(BaseMigration):
    query = ""
    model = Group
"""


def test_w017_a_hook_that_does_not_exist() -> None:
    found = check(hook_before_safe=lambda self, instance, row: None)
    assert "Did you mean 'hook_before_save'?" in only("W017", found)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("colum_description", "column_description"),
        ("depend_on", "depends_on"),
        ("open_connection", "open_db_connection"),
        ("allow_update", "allow_updates"),
    ],
)
def test_w017_an_attribute_that_looks_misspelt(name: str, meant: str) -> None:
    assert f"Did you mean {meant!r}?" in only("W017", check(**{name: []}))


def test_w017_is_silent_about_an_authors_own_names() -> None:
    assert check(_query="x", query2="x", table="x", row_count=1, parse_date=print) == {}


def test_w017_names_the_base_class_once() -> None:
    class Mixin:
        hook_afetr_save = None

    found = check_specs({f"shop.{n}": type(n, (Mixin, Sound), {}) for n in ("A", "B")})
    assert str(numbered(found)["W017"].obj).endswith("Mixin")


def test_w017_a_class_whose_query_is_misspelt(new_app: NewApp) -> None:
    app = new_app(
        "slips", 'from data_migration import *\nclass A(BaseMigration):\n    querry = "SELECT 1"'
    )
    only("W017", found_in(app))


@pytest.mark.parametrize("name", sorted(INTERNALS))
def test_e018_a_method_of_the_older_package_that_nothing_calls(name: str) -> None:
    found = only("E018", check(**{name: classmethod(lambda cls, *given: None)}))
    assert name in found
    assert INTERNALS[name] in found


@pytest.mark.parametrize("name", sorted(CACHES))
def test_w019_a_cache_of_the_older_package_that_nothing_uses(name: str) -> None:
    assert name in only("W019", check(**{name: {}}))


def test_what_of_the_older_package_is_overridden_in_a_base_class_is_told_once() -> None:
    base = spec(get_object=lambda self, desc, value: None)
    found = check_specs({"shop.A": spec(base), "shop.B": spec(base)})
    assert [message.id for message in found] == ["data_migration.E018"]


PARTS = """
from data_migration import Migration
class PartMigration(Migration):
    query = "SELECT 1"
"""


@pytest.mark.parametrize("line", ["import {app}.parts", "import {app}.parts\nparts = None"])
def test_w003_a_class_that_no_spec_has(new_app: NewApp, line: str) -> None:
    app = new_app("whole", parts=PARTS)
    (app.folder / "data_migration_spec.py").write_text(line.format(app=app.name))
    assert "from whole_" in only("W003", found_in(app))


def test_w003_a_class_in_the_tests_of_an_app_is_left_alone(new_app: NewApp) -> None:
    app = new_app("whole", "", tests=PARTS)
    import_module(f"{app.name}.tests")
    assert found_in(app) == {}
