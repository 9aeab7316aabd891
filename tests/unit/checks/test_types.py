"""Every attribute of a migration, argument of ``is_a`` and setting has a type that is enforced."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured

from data_migration import Migration, is_a
from data_migration.conf import NAMES
from tests.apps.shop.models import Brand, Product
from tests.support.checking import Sound, check

NO_FLAG = ("no", "yes", 1, 0, None)
NO_WORD = ("drop", 5, True, ["keep"], "")
NO_COUNT = (0, -1, "2000", 1.5, True, None)
NO_SECONDS = (0, -1, "60", None, True, float("nan"), float("inf"))

#: Attribute -> five values or more that it cannot have.
ATTRIBUTES: dict[str, tuple[Any, ...]] = {
    "query": (b"SELECT 1", 5, ["SELECT 1"], {"a": "SELECT 1"}, True),
    "query_params": (5, "de", b"de", {"de"}, None),
    "model": ("shop.Product", 5, [Product], Sound, Product(sku="a")),
    "column_description": (
        [is_a(Brand, "id", fk=True)],
        "brand",
        5,
        {"brand": Brand},
        {"brand": {"fk": True}},
    ),
    "depends_on": (Brand, "shop.Brand", 5, [5], [None]),
    "allow_updates": NO_FLAG,
    "search_attr": (5, 0, ["sku"], b"sku", True),
    "legacy_key": (5, 0, {"id"}, ("",), ["id", 5], "", False),
    "skip": NO_FLAG,
    "source": (5, "", ["legacy"], b"legacy", True),
    "writer": ("bluk", 5, None, ["bulk"], True),
    "batch_size": NO_COUNT[:-1],
    "split": ("id", 1, 0, [], "no"),
    "track_changes": NO_FLAG,
    "high_water": (("modified",), "", 5, True, b"modified"),
    "high_water_lag": ("5 minutes", True, -5, timedelta(-1), float("nan"), float("inf")),
    "high_water_null": NO_WORD,
    "removed": NO_WORD,
    "removed_limit": (None, "10", True, -1, 101, float("nan")),
    "on_conflict": NO_WORD,
    "deleted": NO_WORD,
    "sensitive_columns": ("iban", [7], 5, {"iban": 1}, ("",)),
}

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "klass": ("shop.Brand", 5, None, Sound, Brand(code="a")),
    "search_attr": (5, 0, {"id"}, ("id", "id"), [""], True),
    "fk": NO_FLAG,
    "m2m": NO_FLAG,
    "o2o": NO_FLAG,
    "exclude": NO_FLAG,
    "delimiter": (None, "", 5, True, b";"),
    "skip_missing": NO_FLAG,
    "prefetch": NO_FLAG,
    "assign_by_id": NO_FLAG,
    "legacy": ("brand", 5, None, Brand, ["shop.A"], 0),
    "columns": ("code", 5, 0, {"code"}, ("code", "code"), (5,)),
    "deferred": NO_FLAG,
}

SETTINGS: dict[str, tuple[Any, ...]] = {
    "DATA_MIGRATION_SOURCES": (5, None, "mysql://x", [("legacy", {})], {"legacy": "mysql://x"}),
    "DATA_MIGRATION_BATCH_SIZE": NO_COUNT,
    "DATA_MIGRATION_RELATION_CACHE_SIZE": NO_COUNT,
    "DATA_MIGRATION_PROGRESS_INTERVAL": NO_SECONDS,
    "DATA_MIGRATION_HEARTBEAT_INTERVAL": NO_SECONDS,
    "DATA_MIGRATION_LOCK_TIMEOUT": NO_SECONDS,
    "DATA_MIGRATION_SOURCE_TIMEOUT": NO_SECONDS,
    "DATA_MIGRATION_PATCHES_ON_MIGRATE": ("yes", 1, None, [True], 0.5),
    "DATA_MIGRATION_CONNECTORS": (["atlas"], 7, None, True, {"atlas"}),
    "DATA_MIGRATION_BACKGROUND": ("cron", 5, None, True, ["celery"]),
}

HOOKS = [
    name for name in vars(Migration) if name.startswith("hook_") or name == "open_db_connection"
]


def errors(found: dict[str, Any]) -> list[str]:
    return [message.msg for message in found.values() if message.level >= ERROR]


def cases(wrong: dict[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in wrong.items() for value in values]


def test_nothing_is_left_out() -> None:
    attributes = {*Migration.__annotations__, *vars(Migration)} - {*HOOKS, "rows"}
    assert {name for name in attributes if not name.startswith("_")} == ATTRIBUTES.keys()
    assert inspect.signature(is_a).parameters.keys() == ARGUMENTS.keys()
    assert SETTINGS.keys() == NAMES
    assert all(len(values) >= 5 for values in (ATTRIBUTES | ARGUMENTS | SETTINGS).values())


@pytest.mark.parametrize(("name", "value"), cases(ATTRIBUTES))
def test_an_attribute_of_the_wrong_type(name: str, value: Any) -> None:
    found = errors(check(**{name: value}))
    assert any(name.partition("_")[0] in message for message in found)


@pytest.mark.parametrize(("name", "value"), cases(ARGUMENTS))
def test_an_argument_of_the_wrong_type(name: str, value: Any) -> None:
    given = {"klass": Brand, "search_attr": "id", "fk": True} | {name: value}
    if name == "legacy":
        del given["search_attr"]
    with pytest.raises(ImproperlyConfigured, match=r"is_a\("):
        is_a(**given)
    if name == "exclude" or ARGUMENTS[name] is not NO_FLAG:
        return
    with pytest.raises(ImproperlyConfigured, match=rf"{name} has to be True or False, got"):
        is_a(exclude=True, **{name: value})


@pytest.mark.parametrize(("name", "value"), cases(SETTINGS))
def test_a_setting_of_the_wrong_type(name: str, value: Any, settings: Any) -> None:
    setattr(settings, name, value)
    assert any(name in message for message in errors(check()))


async def waited_for(*given: Any) -> None:
    """Nobody waits for it."""


async def many_waited_for(*given: Any) -> Any:
    yield None


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("value", [None, "pass", 5, waited_for, many_waited_for, [print]])
def test_e044_a_hook_that_is_no_method(hook: str, value: Any) -> None:
    found = check(**{hook: value})
    assert f"{hook} has to be a method" in found["E044"].msg
