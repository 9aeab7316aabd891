"""Which columns of an object were changed, of any type and in any way."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models import F, Value
from django.db.models.functions import Upper

from data_migration.exceptions import SpecError
from data_migration.fields.changes import Columns
from tests.apps.shop.models import Country, Custom, Everything, Product, Restaurant

pytestmark = pytest.mark.once

STORED: dict[str, Any] = {
    "text": "a",
    "long_text": "",
    "file": "a.txt",
    "integer": 1,
    "real": float("nan"),
    "decimal": Decimal("1.500"),
    "boolean": True,
    "date": dt.date(2024, 1, 2),
    "date_time": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    "duration": dt.timedelta(1),
    "uuid": uuid.UUID(int=1),
    "binary": memoryview(b"ab"),
    "json": {"a": [1, {"b": True}], "c": None},
    "address": "::1",
}


def changed(change: Callable[[Any], Any], **stored: Any) -> tuple[str, ...]:
    item = Everything(id=1, **{**STORED, **stored})
    columns = Columns(Everything)
    before = columns.copy(item)
    change(item)
    return columns.changed(item, before)


def assign(**values: Any) -> Callable[[Any], None]:
    def change(item: Any) -> None:
        for name, value in values.items():
            setattr(item, name, value)

    return change


def test_an_object_that_is_only_looked_at_is_unchanged() -> None:
    assert changed(lambda item: [getattr(item, name) for name in STORED]) == ()
    assert changed(lambda item: item.file.name.upper()) == ()


@pytest.mark.parametrize(
    "values",
    [
        {"text": "b"},
        {"text": None},
        {"integer": 2},
        {"real": 0.5},
        {"decimal": Decimal("1.501")},
        {"boolean": False},
        {"date": dt.date(2024, 1, 3)},
        {"date_time": dt.datetime(2024, 1, 2, 0, 0, 1, tzinfo=dt.UTC)},
        {"duration": None},
        {"uuid": uuid.UUID(int=2)},
        {"binary": b"abc"},
        {"address": "::2"},
        {"file": "b.txt"},
        {"file": ContentFile(b"x", name="a.txt")},
        {"integer": F("integer") + 1},
        {"text": Upper("text")},
        {"boolean": Value(True)},
        {"json": [1]},
        {"json": None},
    ],
    ids=repr,
)
def test_what_is_assigned_is_changed(values: dict[str, Any]) -> None:
    assert changed(assign(**values)) == tuple(values)
    assert changed(assign(**values, slug="s")) == tuple(sorted((*values, "slug"), key=_PLACES))


_PLACES = [field.name for field in Everything._meta.concrete_fields].index


@pytest.mark.parametrize(
    "values",
    [
        {"text": "a"},
        {"decimal": Decimal("1.5")},
        {"decimal": Decimal("1.5004")},
        {"date_time": dt.datetime(2024, 1, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))},
        {"binary": b"ab"},
        {"json": {"c": None, "a": [1, {"b": True}]}},
        {"file": "a.txt"},
    ],
    ids=repr,
)
def test_what_is_stored_alike_is_unchanged(values: dict[str, Any]) -> None:
    assert changed(assign(**values)) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.json.update(d=1),
        lambda item: item.json["a"].append(2),
        lambda item: item.json["a"][1].clear(),
        lambda item: item.json["a"].__setitem__(0, True),
        lambda item: item.json["a"].__setitem__(0, 1.0),
        lambda item: item.json["a"][1].update(b=1),
    ],
)
def test_what_is_changed_in_place_is_changed(change: Callable[[Any], Any]) -> None:
    assert changed(change) == ("json",)


def test_a_file_that_is_renamed_in_place_is_changed() -> None:
    def rename(item: Any) -> None:
        item.file.name = "b.txt"

    item = Everything(id=1, file="a.txt")
    assert item.file.name == "a.txt"  # the instance holds an object now, not the name
    columns = Columns(Everything)
    before = columns.copy(item)
    rename(item)
    assert columns.changed(item, before) == ("file",)
    assert changed(rename) == ("file",)


def test_keys_and_columns_that_the_database_computes_are_not_among_them() -> None:
    for model in (Country, Custom, Restaurant, Product):
        names = Columns(model).fields
        assert not names.keys() & {"id", "code" if model is Country else "id", "place_ptr_id"}
    assert list(Columns(Custom).fields) == ["upper", "width"]
    assert list(Columns(Restaurant).fields) == ["name", "stars"]


def test_a_foreign_key_is_changed_by_either_of_its_names() -> None:
    columns = Columns(Product)
    for change in (assign(brand_id=5), assign(brand=None)):
        item = Product(id=1, brand_id=3)
        before = columns.copy(item)
        change(item)
        assert columns.changed(item, before) == ("brand_id",)


def test_columns_that_were_deferred_are_late() -> None:
    item = Everything.from_db("default", ["id", "text"], [1, "a"])
    columns = Columns(Everything)
    before = columns.copy(item)
    item.text, item.integer = "b", 5

    assert columns.changed(item, before) == ("text",)
    assert columns.late(item, before) == ["integer"]
    assert columns.changed(item, {**before, "integer": 5}) == ("text",)


def test_a_value_that_cannot_be_copied_is_named() -> None:
    item = Everything(id=1, json=(each for each in ()))

    with pytest.raises(SpecError) as caught:
        Columns(Everything).copy(item)

    assert str(caught.value) == (
        "shop.Everything.json: a generator cannot be copied (cannot pickle 'generator' object), so"
        " nobody could tell whether it was changed. Leave it out with defer('json')"
    )
