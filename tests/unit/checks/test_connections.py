"""``DATA_MIGRATION_SOURCES``, and each migration's ``source``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from data_migration.checks import check_specs
from data_migration.checks.connections import DRIVERS
from data_migration.exceptions import MissingDriver
from data_migration.sources import ENGINES, connect
from tests.support.checking import check, numbered, only, spec


def test_w060_a_source_that_the_settings_do_not_have() -> None:
    labels = {f"shop.{name}": spec(source="legcy") for name in "ABCD"}
    text = only("W060", numbered(check_specs(labels)))
    assert "shop.A, shop.B and 2 others" in text
    assert "Did you mean 'legacy'?" in text
    assert check(source="legcy", open_db_connection=print) == {}
    assert check(source="legcy", skip=True) == {}


def test_e061_nothing_says_where_the_rows_are() -> None:
    only("E061", check(source=None))
    assert check(source=None, open_db_connection=print) == {}


def test_e062_the_sources_are_no_mapping(settings: Any) -> None:
    settings.DATA_MIGRATION_SOURCES = [{"ENGINE": "sqlite", "PASSWORD": "secret"}]
    assert "secret" not in only("E062", check())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("mysql://u:secret@h/d", "must be a dict, not str"),
        ({"NAME": "x"}, "has no ENGINE"),
        ({"ENGINE": "django.db.backends.mysql", "NAME": "x"}, "Did you mean 'mysql'?"),
        ({"ENGINE": "sqlite"}, "has no NAME"),
        ({"ENGINE": "sqlite", "NAME": "x", "FILE": "y"}, "unknown keys: FILE"),
        ({"ENGINE": "sqlite", "NAME": "x", "OPTIONS": "y"}, "OPTIONS must be a dict"),
        ({"ENGINE": "django", "ALIAS": "defualt"}, "Did you mean 'default'?"),
    ],
)
def test_e063_a_source_that_cannot_be_opened(sources: Any, entry: Any, said: str) -> None:
    sources["legacy"] = entry
    text = only("E063", check())
    assert said in text
    assert "secret" not in text


@pytest.fixture(params=sorted(DRIVERS))
def without_driver(
    request: pytest.FixtureRequest, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An engine whose driver is not installed, as the source."""
    for module in DRIVERS[request.param].modules:
        monkeypatch.setitem(sys.modules, module, None)
    sources["legacy"] = {"ENGINE": request.param, "NAME": "shop", "OPTIONS": {"dsn": "x"}}
    return str(request.param)


def test_w064_a_driver_that_is_not_installed(without_driver: str) -> None:
    text = only("W064", check())
    assert f'Run: pip install "django-migrate-legacy[{without_driver}]"' in text
    with pytest.raises(MissingDriver) as caught:
        connect("legacy")
    assert f"pip install django-migrate-legacy[{without_driver}]" in str(caught.value)


def test_w064_is_silent_about_a_module_that_stands_in_for_the_driver(
    without_driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = DRIVERS[without_driver].modules[-1]
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    assert check() == {}


def test_w064_knows_the_driver_of_every_engine_that_needs_one() -> None:
    assert set(ENGINES) - set(DRIVERS) == {"django", "sqlite"}


@pytest.mark.parametrize("empty", [None, ""])
def test_w065_a_value_that_this_machine_lacks(sources: Any, empty: Any) -> None:
    sources["legacy"] = {"ENGINE": "sqlite", "NAME": empty}
    assert "NAME is empty" in only("W065", check())


def test_e066_a_source_that_is_no_name() -> None:
    assert "got 5" in only("E066", check(source=5))
