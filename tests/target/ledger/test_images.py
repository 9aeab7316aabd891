"""Before-images give back exactly what was there."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple

import pytest
from django.db import models
from django.test.utils import isolate_apps
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from data_migration.ledger import Link
from data_migration.ledger.images import (
    Image,
    Images,
    Snapshot,
    former_values,
    merged,
    stored_form,
)
from data_migration.models import BeforeImage, DeferredRelation, MigrationState
from data_migration.outcomes import LinkKind, Unsettled
from data_migration.rows.keys import identify
from tests.apps.shop.models import Brand, Everything, Product, Restaurant, Tag, Token

LINK = Link(identify(7)[0], "7", "1", -(2**62), b"\0\xff", 3, LinkKind.ADOPTED, 1)


@pytest.fixture
def state(db: None) -> MigrationState:
    return MigrationState.objects.create(label="shop.SomeMigration")


def snapshot(
    instance: models.Model,
    before: Mapping[str, Any],
    *,
    key: Any = 7,
    link: Link | None = None,
    m2m: Mapping[str, list[Any]] | None = None,
) -> Snapshot:
    return Snapshot(identify(key)[0], instance, before, m2m or {}, link)


def only(images: Images, key: Any = 7, **conditions: Any) -> Image:
    digits = identify(key)[0]
    (found,) = images.find([digits], **conditions)[digits]
    return found


EVERYTHING: dict[str, Any] = {
    "text": 'a "quoted"\ttext\nof \\ two lines ’',
    "long_text": "",
    "file": "folder/file.pdf",
    "integer": -1,
    "big": 2**62,
    "real": 0.1,
    "decimal": Decimal("-12345.670"),
    "boolean": False,
    "date": dt.date(1, 1, 1),
    "date_time": dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC),
    "time": dt.time(23, 59, 59, 999999),
    "duration": dt.timedelta(days=-3, microseconds=1),
    "uuid": uuid.UUID(int=5),
    "binary": bytes(range(256)),
    "json": {"list": [1, None, "’"], "empty": {}},
    "address": "2001:db8::1",
}


def test_values_of_every_type_come_back_as_they_were(state: MigrationState) -> None:
    pk = Everything.objects.create(**EVERYTHING).pk
    stored = Everything.objects.get(pk=pk)
    before = {name: getattr(stored, name) for name in EVERYTHING}
    images = Images(state, database="default", run=4)

    images.keep([snapshot(stored, before)])

    image = only(images)
    assert former_values(Everything, image.values) == EVERYTHING
    assert {type(v) for v in former_values(Everything, image.values).values()} == {
        type(value) for value in EVERYTHING.values()
    }
    assert (image.run, image.object_pk, image.is_deleted, image.link) == (4, str(pk), False, None)


def test_null_is_not_an_empty_text(state: MigrationState) -> None:
    stored = Everything.objects.create(long_text="")
    images = Images(state, database="default", run=4)

    images.keep([snapshot(stored, {"text": None, "long_text": "", "json": None, "binary": None})])

    assert former_values(Everything, only(images).values) == {
        "text": None,
        "long_text": "",
        "json": None,
        "binary": None,
    }


def test_relations_are_kept_as_keys(state: MigrationState) -> None:
    brand = Brand.objects.create(name="A", code="a")
    tags = [Tag.objects.create(name=name) for name in "xy"]
    product = Product.objects.create(sku="1", name="P")
    images = Images(state, database="default", run=4)
    before = {"brand": brand.pk, "maker": brand}

    images.keep([snapshot(product, before, m2m={"tags": [tags[0].pk, tags[1]], "suppliers": []})])

    image = only(images)
    assert former_values(Product, image.values) == {"brand_id": brand.pk, "maker_id": "a"}
    assert image.m2m == {"tags": [str(tag.pk) for tag in tags], "suppliers": []}


def test_the_former_link_comes_back(state: MigrationState) -> None:
    images = Images(state, database="default", run=4)

    images.keep([snapshot(Tag.objects.create(name="x"), {"name": "y"}, link=LINK)])

    assert only(images).link == LINK


def test_nothing_to_keep_is_nothing_written(state: MigrationState) -> None:
    Images(state, database="default", run=4).keep([])

    assert not BeforeImage.objects.exists()


def test_a_deleted_object_is_kept_with_all_of_its_tables(state: MigrationState) -> None:
    inn = Restaurant.objects.create(name="Inn", stars=2)
    token = Token.objects.create(name="t")
    images = Images(state, database="default", run=4)

    images.keep_deleted([(LINK, inn)], {inn.pk: {"tags": {3, 4}}})
    other = LINK._replace(key_hash=identify(8)[0])
    images.keep_deleted([(other, token)])

    image = only(images)
    assert image.is_deleted
    assert former_values(Restaurant, image.values) == {
        "id": inn.pk,
        "place_ptr_id": inn.pk,
        "name": "Inn",
        "stars": 2,
    }
    assert sorted(image.m2m["tags"]) == ["3", "4"]
    assert former_values(Token, only(images, 8).values) == {"id": token.pk, "name": "t"}


def test_the_oldest_value_of_each_field_counts(state: MigrationState) -> None:
    tag = Tag.objects.create(name="x")
    images = Images(state, database="default", run=4)
    images.keep([snapshot(tag, {"name": "first"})])
    images.keep([snapshot(tag, {"name": "second", "id": 5}, link=LINK, m2m={"products": [1]})])

    found = images.find([identify(7)[0]])[identify(7)[0]]
    image = merged(found)

    assert image.values == {"name": "first", "id": "5"}
    assert image.m2m == {"products": ["1"]}
    assert image.link is None
    assert image.number == found[-1].number


def test_relations_that_are_open_are_kept_with_the_oldest_image(state: MigrationState) -> None:
    product = Product.objects.create(sku="1", name="P")
    key_hash, key = identify(7)
    kept = {"column": "brand", "value": '"b"', "row_number": 3}
    common = {"migration": state, "key": key, "object_pk": str(product.pk)}
    DeferredRelation.objects.create(**common, **kept, key_hash=uuid.UUID(key_hash))
    DeferredRelation.objects.create(**common, **kept, key_hash=uuid.UUID(identify(8)[0]))
    DeferredRelation.objects.create(**common, **kept)  # of a row without a key
    images = Images(state, database="default", run=4)

    images.keep([snapshot(product, {"name": "P"}, link=LINK)])
    DeferredRelation.objects.all().delete()
    images.keep([snapshot(product, {"email": ""}, link=LINK)])

    assert [image.deferred for image in images.all()] == [[kept], []]
    assert merged(list(images.all())).deferred == [kept]
    assert images.kept_of([key_hash, identify(8)[0]]) == {key_hash}
    assert Images(state, database="default", run=5).kept_of([key_hash]) == set()


def test_images_of_other_runs_and_migrations_stay_apart(state: MigrationState) -> None:
    tag = Tag.objects.create(name="x")
    other = MigrationState.objects.create(label="shop.OtherMigration")
    Images(state, database="default", run=4).keep([snapshot(tag, {"name": "four"})])
    Images(state, database="default", run=5).keep([snapshot(tag, {"name": "five"})])
    Images(other, database="default", run=5).keep([snapshot(tag, {"name": "other"})])

    images = Images(state, database="default")
    assert [image.values["name"] for image in images.all()] == ["four", "five"]
    assert only(images, run=5).values == {"name": "five"}
    assert images.find([identify(8)[0]]) == {}


def test_a_field_that_the_model_lost_is_left_out() -> None:
    assert former_values(Tag, {"name": "x", "colour": "red"}) == {"name": "x"}


def test_an_unsettled_link_is_kept_as_a_number(state: MigrationState) -> None:
    link = LINK._replace(kind=LinkKind.CREATED, unsettled=Unsettled.RELATIONS)
    images = Images(state, database="default", run=4)

    images.keep([snapshot(Tag.objects.create(name="x"), {}, link=link)])

    assert only(images).link == link


class StoredForm(TestCase):
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "text": st.none() | st.text(st.characters(codec="utf-8")),
                "real": st.none() | st.floats(allow_nan=False),
                "decimal": st.none() | st.decimals(allow_nan=False, allow_infinity=False),
                "date_time": st.none() | st.datetimes(timezones=st.just(dt.UTC)),
                "time": st.none() | st.times(),
                "duration": st.none() | st.timedeltas(),
                "binary": st.none() | st.binary(),
                "uuid": st.none() | st.uuids(),
                "json": st.recursive(
                    st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                ),
            },
        )
    )
    def test_every_value_survives(self, values: dict[str, Any]) -> None:
        assert former_values(Everything, stored_form(Everything(), values)) == values


class Point(NamedTuple):
    x: int
    y: int


class OwnField(models.TextField):  # type: ignore[type-arg]
    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, (Point, NoneType)) else Point(*json.loads(value))

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else json.dumps(value)


class Written(OwnField):
    """Its text is no text, but what JSON can hold."""

    def value_to_string(self, obj: Any) -> Any:
        return {"x": Decimal(obj.point.x), "y": obj.point.y}

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return Point(int(value["x"]), value["y"])
        return super().to_python(value)


class Forgetful(OwnField):
    """Says ``Point(x=1, y=2)``, as Django's own way does, and cannot read that."""


class Rounding(OwnField):
    def value_to_string(self, obj: Any) -> str:
        return json.dumps([obj.point.x, 0])


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Written(), ""),
        (
            Forgetful(),
            "Forgetful cannot read what it wrote itself: JSONDecodeError: Expecting value:"
            " line 1 column 1 (char 0)",
        ),
        (Rounding(), "Rounding reads '[1, 0]' as Point(x=1, y=0)"),
    ],
)
@isolate_apps("tests.apps.shop")
def test_what_a_field_of_the_project_cannot_read_again_is_not_kept(field: Any, why: str) -> None:
    model = type(
        "Place", (models.Model,), {"__module__": "tests.apps.shop.models", "point": field}
    )
    stored = json.loads(json.dumps(stored_form(model(), {"point": Point(1, 2)})))
    image = Image("", 1, "1", False, stored, {}, None, [], 1)
    assert image.lost == ({"point": why} if why else {})
    assert former_values(model, image.values) == ({} if why else {"point": Point(1, 2)})
