"""Plans are found in the apps' ``data_sync_spec``, and put in order."""

from __future__ import annotations

import pytest

from data_migration.exceptions import DependencyCycle, SpecError, SpecImportError, UnknownLabel
from data_migration.sync.discovery import discover
from data_migration.sync.fields import fields_of
from tests.apps.exchange.data_sync_spec import AtlasSync, ItemToAtlas
from tests.support.specs import NewApp

pytestmark = pytest.mark.once

SPEC = """
from data_migration.sync import Mapping, Plan, is_a
from tests.apps.exchange.models import Item, ItemGroup, Tag

class Tags(Mapping):
    objectname, model, fields = "Tag", Tag, {"word": "word"}

class Groups(Mapping):
    objectname, model, fields = "Group", ItemGroup, {"title": "name"}

class Items(Mapping):
    objectname, model = "Item", Item
    fields = {"name": "item_name", "group": is_a(ItemGroup)}
"""


def labels(syncs: object) -> list[str]:
    return [each.label for each in syncs]  # type: ignore[attr-defined]


def test_mappings_come_after_those_that_their_relations_need() -> None:
    syncs = discover()
    assert syncs.plans == {"exchange.AtlasSync": AtlasSync}
    assert labels(syncs) == [
        "exchange.TagToAtlas@atlas",
        "exchange.GroupToAtlas@atlas",
        "exchange.ItemToAtlas@atlas",
    ]


def test_where_nothing_says_the_order_that_of_the_plan_stays(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec=f"""{SPEC}
class Both(Plan):
    mappings, connector = [Tags, Items, Groups], "depot"
""",
    )
    chosen = discover().select(["stock"])
    assert labels(chosen) == ["stock.Tags@depot", "stock.Groups@depot", "stock.Items@depot"]


def test_depends_on_says_more_than_a_relation(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec=f"""{SPEC}
Groups.depends_on = [Items]
class Both(Plan):
    mappings, connector = [Groups, Items], "depot"
""",
    )
    assert labels(discover().select(["stock"])) == ["stock.Items@depot", "stock.Groups@depot"]


def test_mappings_that_wait_for_each_other_are_an_error_that_names_them(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec=f"""{SPEC}
Groups.depends_on, Items.depends_on = [Items], [Groups]
class Both(Plan):
    mappings, connector = [Groups, Items], "depot"
""",
    )
    with pytest.raises(DependencyCycle, match=r"stock.Groups@depot -> stock.Items@depot"):
        discover()


def test_one_mapping_and_account_in_two_plans_is_one_definition(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec=f"""{SPEC}
class One(Plan):
    mappings, connector = [Groups, Items], "depot"
class Two(Plan):
    mappings, connector = [Groups], "depot"
""",
    )
    chosen = discover().select(["stock.One", "stock.Two"])
    assert [(each.label, each.plans) for each in chosen] == [
        ("stock.Groups@depot", ("stock.One", "stock.Two")),
        ("stock.Items@depot", ("stock.One",)),
    ]


def test_a_mapping_may_be_one_of_another_app(new_app: NewApp) -> None:
    new_app(
        "stock",
        data_sync_spec="""
from data_migration.sync import Plan
from tests.apps.exchange.data_sync_spec import TagToAtlas
class Mine(Plan):
    mappings, connector = [TagToAtlas], "depot"
""",
    )
    assert labels(discover().select(["stock.Mine"])) == ["exchange.TagToAtlas@depot"]


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("exchange", 3),
        ("exchange.AtlasSync", 3),
        ("exchange.ItemToAtlas", 1),
        ("exchange.ItemToAtlas@atlas", 1),
    ],
)
def test_a_label_is_an_app_a_plan_a_mapping_or_one_with_its_account(
    label: str, found: int
) -> None:
    assert len(discover().select([label])) == found


def test_a_label_that_names_nothing_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UnknownLabel, match=r"Did you mean 'exchange.AtlasSync'"):
        discover().select(["exchange.AtlasSynk"])


def test_another_account_takes_the_place_of_the_plans() -> None:
    chosen = discover().select(["exchange.AtlasSync"], connector="depot")
    assert chosen.connectors == ("depot",)
    assert "exchange.TagToAtlas@depot" in labels(chosen)


def test_two_mappings_of_one_name_are_an_error(new_app: NewApp) -> None:
    app = new_app("stock", data_sync_spec=SPEC, more=SPEC)
    (app.folder / "data_sync_spec.py").write_text(
        f"from . import more\n{SPEC}\nclass P(Plan):\n    mappings = [Tags, more.Tags]\n"
    )
    with pytest.raises(SpecError, match=r"stock.Tags is defined twice"):
        discover()


def test_a_spec_that_cannot_be_imported_is_named_with_its_line(new_app: NewApp) -> None:
    new_app("stock", data_sync_spec="import nothing_like_it")
    with pytest.raises(SpecImportError, match=r"data_sync_spec cannot be imported.*line 1"):
        discover()


def test_what_is_no_mapping_is_named(new_app: NewApp) -> None:
    new_app("stock", data_sync_spec=f"{SPEC}\nclass P(Plan):\n    mappings = [Tags, Item]\n")
    with pytest.raises(SpecError, match=r"stock.P: mappings has .*Item"):
        discover()


def test_fields_that_are_no_dict_are_an_error(new_app: NewApp) -> None:
    new_app("stock", data_sync_spec=f"{SPEC}\nTags.fields = ['word']\n")
    with pytest.raises(SpecError, match=r"stock.Tags: fields has to be a dict"):
        discover()


def test_fields_are_resolved_by_the_model() -> None:
    fields = {each.remote: each for each in fields_of(ItemToAtlas)}
    assert fields["group_id"].name == "group"
    assert fields["tags"].name == "tags"
    assert fields["address.city"].path == ("address", "city")
    assert (fields["vendor"].pulls, fields["vendor"].pushes) == (False, True)
    assert (fields["note"].pulls, fields["note"].pushes) == (True, False)


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ('"nam": "item_nam"', "no field of exchange.Item. Did you mean 'item_name'"),
        ('"name": 7', "nothing that a mapping knows"),
        ('"g": is_a(Line)', "Its relations to that model are: none"),
    ],
)
def test_a_field_that_cannot_be_resolved_says_why(field: str, why: str) -> None:
    from data_migration.sync import Mapping, is_a
    from tests.apps.exchange.models import Item, Line

    fields = eval("{" + field + "}", {"is_a": is_a, "Line": Line})
    mapping = type("M", (Mapping,), {"objectname": "M", "model": Item, "fields": fields})
    with pytest.raises(SpecError, match=why):
        fields_of(mapping)
