"""Each system check of syncs: what it says, and of what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import CheckMessage

from data_migration.checks import check_specs
from data_migration.sync import Connector, Const, From, Mapping, Nested, Plan, is_a
from data_migration.sync.checks import check, check_syncs
from data_migration.sync.discovery import Syncs
from tests.apps.exchange.data_sync_spec import ItemToAtlas, LineToAtlas
from tests.apps.exchange.models import Item, ItemGroup, Tag
from tests.support.checking import numbered, only
from tests.support.memory_remote import MemoryRemote
from tests.support.specs import NewApp

pytestmark = pytest.mark.once


def found(
    *others: type[Mapping], plan: dict[str, Any] | None = None, **attributes: Any
) -> dict[str, CheckMessage]:
    """What is found in one mapping with these attributes, beside ``others``."""
    sound = {"objectname": "Item", "model": Item, "fields": {"name": "item_name"}}
    mapping = type("Items", (Mapping,), {**sound, **attributes})
    mappings = [mapping, *others]
    made = type("P", (Plan,), {"mappings": mappings, "connector": "atlas", **(plan or {})})
    apps: dict[type[Mapping], str] = dict.fromkeys(mappings, "stock")
    syncs = Syncs(plans={"stock.P": made}, apps=apps, definitions=())
    return numbered(list(check(syncs.select())))


def test_the_test_project_is_sound() -> None:
    assert check_syncs() == []


def test_e100_a_spec_that_cannot_be_found_out(new_app: NewApp) -> None:
    new_app("stock", data_sync_spec="import nothing_like_it")
    assert "cannot be imported" in only("E100", numbered(check_syncs()))


def test_e101_a_plan_without_mappings() -> None:
    syncs = Syncs(
        plans={"stock.P": type("P", (Plan,), {"connector": "atlas"})}, apps={}, definitions=()
    )
    assert "no mappings" in only("E101", numbered(list(check(syncs))))


@pytest.mark.parametrize("name", ["model", "remote_key", "fields"])
def test_e102_what_a_mapping_cannot_do_without(name: str) -> None:
    assert f"no {name}" in only("E102", found(**{name: {} if name == "fields" else ""}))


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        ("nam", "no field of exchange.Item"),
        (7, "nothing that a mapping knows"),
        (Nested(ItemToAtlas), "needs one foreign key to exchange.Item, and has none"),
        (Nested(LineToAtlas, parent="no"), "called 'no'"),
    ],
)
def test_e103_a_field_that_is_none(meant: Any, said: str) -> None:
    assert said in only("E103", found(fields={"x": meant}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("direction", "both"),
        ("on_conflict", "ask"),
        ("removed", "no"),
        ("deleted", None),
        ("removed_limit", 101),
        ("deleted_limit", "10"),
        ("page_size", 0),
        ("match", "sku"),
        ("changed_lag", timedelta(seconds=-1)),
    ],
)
def test_e104_a_value_that_an_attribute_cannot_have(name: str, value: Any) -> None:
    assert name in only("E104", found(**{name: value}))


def test_e104_a_mode_of_a_list() -> None:
    lines = {"name": "item_name", "lines": Nested(LineToAtlas, mode="some")}
    assert "mode of 'lines'" in only("E104", found(fields=lines))


@pytest.mark.parametrize("meant", [Const("x"), lambda item: item.pk])
def test_e105_what_is_only_sent_in_a_mapping_that_only_pulls(meant: Any) -> None:
    fields = {"name": "item_name", "x": meant}
    assert "'x'" in only("E105", found(fields=fields, direction="pull"))
    assert found(fields=fields) == {}


def test_e106_two_names_for_one_field() -> None:
    fields: dict[str, Any] = {"name": "item_name", "title": "item_name"}
    assert "'name' and 'title' both fill item_name" in only("E106", found(fields=fields))
    fields["title"] = From("item_name", direction="push")
    assert found(fields=fields) == {}


def test_e107_newest_needs_the_times_of_both_sides() -> None:
    times = {"changed": "updated_at", "changed_here": "changed_at"}
    assert found(on_conflict="newest", **times) == {}
    for name in times:
        rest = {other: value for other, value in times.items() if other != name}
        assert name in only("E107", found(on_conflict="newest", **rest))


@pytest.mark.parametrize(
    ("method", "attributes"),
    [
        ("pages", {}),
        ("insert", {}),
        ("update", {}),
        ("delete", {"deleted": "delete"}),
        ("find", {"match": ("name",)}),
    ],
)
def test_e108_what_the_connector_cannot_do(
    settings: Any, method: str, attributes: dict[str, Any]
) -> None:
    lame = type("Lame", (MemoryRemote,), {method: getattr(Connector, method)})
    settings.DATA_MIGRATION_CONNECTORS = {"atlas": {"CONNECTOR": lame}}
    assert f"Lame has no {method}()" in only("E108", found(**attributes))


def test_e109_match_names_remote_fields() -> None:
    assert "'sku'" in only("E109", found(match=("sku",)))


def test_e110_a_relation_to_what_no_mapping_fills() -> None:
    fields = {"name": "item_name", "group_id": is_a(ItemGroup)}
    assert "no mapping is of that model" in only("E110", found(fields=fields))


@pytest.mark.parametrize("value", [["atlas"], 7])
def test_e111_the_setting_is_a_dict_or_a_path(settings: Any, value: Any) -> None:
    settings.DATA_MIGRATION_CONNECTORS = value
    assert type(value).__name__ in only("E111", numbered(check_specs({})))


def test_e112_changed_here_is_a_time() -> None:
    text = only("E112", found(on_conflict="newest", changed="at", changed_here="note"))
    assert "'note', which is no date-time field" in text


def test_w100_a_plan_without_a_connector() -> None:
    assert "--connector" in only("W100", found(plan={"connector": ""}))


def test_w101_a_connector_that_no_setting_has() -> None:
    assert "Did you mean 'atlas'" in only("W101", found(plan={"connector": "atals"}))


def test_w102_what_it_depends_on_is_in_no_plan() -> None:
    other = type("Tags", (Mapping,), {"objectname": "Tag", "model": Tag})
    assert "Tags" in only("W102", found(depends_on=[other]))


def test_w103_a_mapping_that_no_plan_names(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec="""
from data_migration.sync import Mapping
from tests.apps.exchange.models import Item
class Items(Mapping):
    objectname, model, fields = "Item", Item, {"name": "item_name"}
""",
    )
    assert "never runs" in only("W103", numbered(check_syncs()))


def test_w104_a_conversion_without_its_way_back() -> None:
    assert "'rate'" in only("W104", found(fields={"rate": From("price", pull=str)}))
    assert found(fields={"rate": From("price", pull=str, direction="pull")}) == {}


def test_w105_what_hides_nothing() -> None:
    assert "'nam'" in only("W105", found(sensitive=["nam"]))


def test_w106_a_misspelt_attribute() -> None:
    assert "Did you mean 'page_size'" in only("W106", found(page_sise=7))


def test_lists_are_not_taken_for_mappings_that_never_run() -> None:
    fields = {"name": "item_name", "lines": Nested(LineToAtlas)}
    group = type(
        "Groups", (Mapping,), {"objectname": "G", "model": ItemGroup, "fields": {"t": "name"}}
    )
    assert found(group, fields=fields) == {}
