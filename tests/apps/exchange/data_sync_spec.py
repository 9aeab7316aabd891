"""Groups, tags and items, kept equal with an account called atlas."""

from __future__ import annotations

from decimal import Decimal

from data_migration.sync import Const, From, Mapping, Nested, Plan, is_a

from .models import Item, ItemGroup, Line, Tag


class GroupToAtlas(Mapping):
    objectname = "Group"
    model = ItemGroup
    fields = {"title": "name", "parent_id": is_a(ItemGroup, field="parent")}
    changed = "updated_at"


class TagToAtlas(Mapping):
    objectname = "Tag"
    model = Tag
    fields = {"word": "word"}


class LineToAtlas(Mapping):
    """The lines that stand in an item."""

    objectname = "Line"
    remote_key = "no"
    model = Line
    fields = {"no": "position", "text": "text", "group_id": is_a(ItemGroup)}


class ItemToAtlas(Mapping):
    objectname = "Item"
    model = Item
    fields = {
        "name": "item_name",
        "sku": "sku",
        "rate": From("price", pull=Decimal, push=str),
        "vendor": Const("GadgetTech"),
        "address.city": "city",
        "group_id": is_a(ItemGroup),
        "tags": is_a(Tag),
        "lines": Nested(LineToAtlas),
        "note": From("note", direction="pull"),
    }
    queryset = Item.objects.filter(is_published=True)
    changed = "updated_at"


class AtlasSync(Plan):
    mappings = [ItemToAtlas, TagToAtlas, GroupToAtlas]
    connector = "atlas"
