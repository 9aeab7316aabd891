"""Digests of rows, fields and specs: the same for what is the same, another for what is not."""

from __future__ import annotations

import datetime as dt
import json
import string
import sys
import uuid
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import F, Value
from django.test.utils import isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration import Migration, is_a
from data_migration.fields.digests import UNKNOWN, FieldDigests, targets_digest, unpacked
from data_migration.rows.checksum import RowChecksum
from data_migration.spec.fingerprint import fingerprint
from tests.apps.shop.models import Brand, BrandProfile, Custom, Everything, Product
from tests.support.engine import undone

BERLIN = ZoneInfo("Europe/Berlin")


class ListField(models.TextField):  # type: ignore[type-arg]
    """Words with commas between them."""

    def from_db_value(self, value: str | None, *rest: Any) -> list[str] | None:
        return self.to_python(value)

    def to_python(self, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else ",".join(value)


class LowerField(models.CharField):  # type: ignore[type-arg]
    """Stores what it does not say that it stores."""

    def get_prep_value(self, value: Any) -> Any:
        return value and str(value).lower()


class SecretField(models.TextField):  # type: ignore[type-arg]
    """Never stores a value in the same way again."""

    def from_db_value(self, value: str | None, *rest: Any) -> str | None:
        return value and value.partition(":")[2]

    def get_prep_value(self, value: Any) -> Any:
        return value and f"{uuid.uuid4().hex}:{value}"


@pytest.fixture(scope="module")
def wide(django_db_setup: None, django_db_blocker: Any) -> Iterator[type[models.Model]]:
    """A model of the fields that no test app has; its table is dropped at the end."""
    with isolate_apps("tests.apps.shop"):

        class Wide(models.Model):
            long_decimal = models.DecimalField(null=True, max_digits=40, decimal_places=4)
            dates = models.JSONField(null=True, encoder=DjangoJSONEncoder)
            words = ListField(null=True)
            lower = LowerField(null=True, max_length=50)
            secret = SecretField(null=True)

            class Meta:
                app_label = "shop"

    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.create_model(Wide)
    yield Wide
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Wide)


def text(**options: Any) -> st.SearchStrategy[str]:
    # NUL and lone surrogates have no place in a database's text.
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), **options)


def number(bits: int, *, positive: bool = False) -> st.SearchStrategy[int]:
    return st.integers(0 if positive else -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


WORDS = st.text(string.ascii_letters, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | number(53) | st.floats(-1e300, 1e300) | text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text(), inner, max_size=3),
    max_leaves=6,
)
#: Years in which every database and every time zone has a place for the moment.
MOMENTS = st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": text(max_size=100) | st.integers(),
    "long_text": text(),
    "slug": WORDS,
    "email": WORDS,
    "url": WORDS,
    "file": WORDS,
    "integer": number(32) | st.booleans() | number(32).map(str),
    "small": number(16),
    "big": number(64),
    "positive": number(32, positive=True),
    "positive_small": number(16, positive=True),
    "positive_big": number(64, positive=True),
    "real": st.floats(-1e300, 1e300, allow_subnormal=False) | number(53),
    "decimal": st.decimals(-(10**9) + 1, 10**9 - 1, places=5)
    | st.decimals(-(10**9) + 1, 10**9 - 1, places=1),
    "boolean": st.booleans() | st.sampled_from([0, 1]),
    "date": st.dates(dt.date(1000, 1, 1)) | MOMENTS,
    "date_time": MOMENTS.map(lambda each: each.replace(tzinfo=dt.UTC))
    | MOMENTS.map(lambda each: each.replace(tzinfo=BERLIN)),
    "time": st.times(),
    "duration": st.timedeltas(dt.timedelta(days=-99999), dt.timedelta(days=99999)),
    "uuid": st.uuids(version=4) | st.uuids(version=4).map(str),
    "binary": st.binary() | st.binary().map(memoryview),
    "json": JSON,
    "address": st.ip_addresses().map(str) | st.just("") | st.just("::ffff:10.0.0.1"),
}
WIDE_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "long_decimal": st.integers(-(10**39), 10**39).map(lambda n: Decimal(n).scaleb(-4)),
    "dates": st.dictionaries(WORDS, st.dates() | st.decimals(0, 9, places=2), max_size=3),
    "words": st.lists(WORDS.filter(bool), min_size=1),
    "lower": WORDS,
    "secret": WORDS.filter(bool),
}


def packed_one(digests: FieldDigests, instance: Any, m2m: dict[str, Any]) -> bytes:
    (packed,) = digests.packed([vars(instance)], [m2m])
    return packed


def digest(instance: Any, name: str) -> int:
    """Asserts that the digest alone and among the others is the same."""
    digests = FieldDigests(type(instance), database="default")
    packed = packed_one(digests, instance, {})
    among_others = unpacked(packed, {str(digests.layout): digests.names})[name]
    assert digests.of(name, instance) == among_others
    return among_others


def written_and_read(model: type[models.Model], name: str, value: Any) -> tuple[int, int]:
    """The digests of an instance that was just written, and of the same read back."""
    with undone():
        instance = model._default_manager.create(**{name: value})
        read = model._default_manager.get(pk=instance.pk)
        return digest(instance, name), digest(read, name)


def assert_kept(model: type[models.Model], name: str, value: Any) -> None:
    before, after = written_and_read(model, name, value)
    assert before == after != UNKNOWN


def test_every_field_is_among_the_values() -> None:
    assert {field.name for field in Everything._meta.concrete_fields} - {"id"} == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_what_is_read_back_has_the_digest_of_what_was_written(db: None, name: str) -> None:
    @settings(max_examples=40)
    @given(VALUES[name])
    def check(value: Any) -> None:
        assert_kept(Everything, name, value)

    check()


@pytest.mark.parametrize("name", WIDE_VALUES)
def test_fields_of_a_projects_own_keep_their_digest(
    db: None, wide: type[models.Model], name: str
) -> None:
    @settings(max_examples=40)
    @given(WIDE_VALUES[name])
    def check(value: Any) -> None:
        assert_kept(wide, name, value)

    check()


@pytest.mark.parametrize("name", VALUES)
def test_another_value_has_another_digest(name: str) -> None:
    field = Everything._meta.get_field(name)
    of = FieldDigests(Everything, database="default").of

    @settings(max_examples=40)
    @given(VALUES[name], VALUES[name])
    def check(one: Any, other: Any) -> None:
        is_same = _comparable(field, one) == _comparable(field, other)
        digests = [of(name, Everything(**{name: each})) for each in (one, other)]
        assert (digests[0] == digests[1]) is is_same

    check()


def _comparable(field: Any, value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(field, models.JSONField):
        return json.dumps(_whole(value), sort_keys=True)
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC)
    value = field.to_python(value)
    if isinstance(value, Decimal):
        return value.quantize(Decimal("0.001"), rounding=_rounding())
    return value


def _rounding() -> str:
    return ROUND_HALF_EVEN if connection.vendor == "sqlite" else ROUND_HALF_UP


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


SHAPES = [
    ("decimal", Decimal("0.0005")),
    ("decimal", Decimal("0.0015")),
    ("decimal", Decimal("-0.0025")),
    ("decimal", Decimal("-0.0001")),
    ("decimal", Decimal("12.3")),
    ("decimal", "12.30"),
    ("decimal", 12.3),
    ("real", -0.0),
    ("real", sys.float_info.max),
    ("real", 5e-300),
    ("real", 0.1 + 0.2),
    ("text", "ends in spaces  "),
    ("text", "Zürich 😀\r\n\t\\"),
    ("text", ""),
    ("long_text", ""),
    ("binary", b""),
    ("json", {"b": 1, "a": [1.0, 1e22, 1e-7, -0.0]}),
    ("json", 7.041141725452863e16),
    ("json", {7: "number"}),
    ("json", (1, 2)),
    ("json", '{"text": 1}'),
    ("time", dt.time(23, 59, 59, 999999)),
    ("duration", dt.timedelta(microseconds=-1)),
    ("address", "2001:0DB8::0001"),
    ("date", "2020-02-29"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "value"), SHAPES)
def test_shapes_that_databases_keep_in_their_own_way(name: str, value: Any) -> None:
    assert_kept(Everything, name, value)


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
def test_a_naive_time_is_one_of_the_default_zone_as_when_it_is_written() -> None:
    assert_kept(Everything, "date_time", dt.datetime(2020, 7, 1, 12))


@pytest.mark.django_db
def test_no_number_is_null_where_the_database_makes_it_null() -> None:
    if connection.vendor == "mysql":
        pytest.skip("MySQL refuses it")
    assert_kept(Everything, "real", float("nan"))


def test_times_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False
    noon = dt.datetime(2020, 7, 1, 12)
    of = FieldDigests(Everything, database="default").of

    assert of("date_time", Everything(date_time=noon)) == of(
        "date_time", Everything(date_time=noon.replace(tzinfo=BERLIN))
    )
    assert of("date_time", Everything(date_time=noon)) != of(
        "date_time", Everything(date_time=noon.replace(microsecond=1))
    )


@pytest.mark.django_db
def test_relations_are_digested_as_the_key_that_they_hold() -> None:
    brand = Brand.objects.create(name="Brand", code="b-1")
    product = Product.objects.create(sku="1", brand=brand, maker=brand)
    profile = BrandProfile.objects.create(brand=brand)

    for instance, names in ((product, ("brand", "maker")), (profile, ("brand",))):
        read = type(instance)._default_manager.get(pk=instance.pk)
        assert [digest(read, name) for name in names] == [digest(instance, n) for n in names]
    before = digest(product, "maker")
    product.maker_id = "b-2"
    assert digest(product, "maker") != before


@pytest.mark.parametrize("name", VALUES)
def test_null_is_a_value_of_its_own(name: str) -> None:
    of = FieldDigests(Everything, database="default").of

    assert of(name, Everything()) not in (UNKNOWN, of(name, Everything(**{name: "1"})))


@pytest.mark.parametrize("value", [F("small"), F("small") + 1, Value(7), "seven", object()])
def test_what_cannot_be_known_is_unknown_and_harms_no_other_field(value: Any) -> None:
    instance = Everything(integer=value, text="Ada", decimal=Decimal(1))

    assert digest(instance, "integer") == UNKNOWN
    assert digest(instance, "text") == digest(Everything(text="Ada"), "text")


def test_a_text_that_no_database_takes_is_unknown() -> None:
    assert digest(Everything(text="\ud800"), "text") == UNKNOWN


# --- all fields of a model


def test_generated_fields_and_the_key_have_no_digest() -> None:
    assert FieldDigests(Custom, database="default").names == ("upper", "width")


def test_many_to_manys_follow_the_fields() -> None:
    digests = FieldDigests(Product, ["tags"], database="default")
    packed = packed_one(digests, Product(sku="1"), {"tags": [3, 1, 2]})
    known = unpacked(packed, {str(digests.layout): digests.names})

    assert digests.names[-1] == "tags"
    assert known["tags"] == targets_digest([1, 2, 3]) == targets_digest(["1", 2, 3, 3])
    assert targets_digest([]) not in (UNKNOWN, targets_digest([1]))
    unsaid = unpacked(packed_one(digests, Product(), {}), {str(digests.layout): digests.names})
    assert unsaid["tags"] == UNKNOWN


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_column_at_a_time_gives_each_value_its_own_digest(name: str, data: Any) -> None:
    digests = FieldDigests(Everything, database="default")
    layouts = {str(digests.layout): digests.names}
    odd = st.sampled_from([None, object(), F("integer"), "lone \ud800"])
    some = data.draw(st.lists(VALUES[name], max_size=4) | st.lists(VALUES[name] | odd, max_size=4))
    objects: list[dict[str, Any]] = [{name: value} for value in some]

    packed = digests.packed(objects, [{}] * len(some))

    assert packed == [digests.packed([each], [{}])[0] for each in objects]
    for each, written in zip(objects, packed, strict=True):
        found = unpacked(written, layouts)
        assert found.pop(name) == digests.of(name, SimpleNamespace(**each))
        assert set(found.values()) == {UNKNOWN}


def test_four_bytes_for_a_field_and_four_for_the_layout() -> None:
    digests = FieldDigests(Everything, database="default")

    assert len(packed_one(digests, Everything(), {})) == 4 + 4 * len(VALUES)


def test_digests_of_an_unknown_layout_say_nothing() -> None:
    digests = FieldDigests(Product, database="default")
    packed = packed_one(digests, Product(sku="1"), {})

    assert unpacked(packed, {}) == {}
    assert unpacked(b"", {"0": []}) == {}
    assert unpacked(packed[:-1], {str(digests.layout): digests.names}) == {}


def test_digests_by_name_go_back_into_their_packed_form() -> None:
    digests = FieldDigests(Product, ["tags"], database="default")
    layouts = {str(digests.layout): digests.names}
    known = unpacked(packed_one(digests, Product(sku="1"), {}), layouts)

    assert unpacked(digests.repacked(known), layouts) == known
    assert unpacked(digests.repacked({"sku": 7}), layouts)["name"] == UNKNOWN


def test_edited_are_the_fields_that_are_no_longer_as_written() -> None:
    digests = FieldDigests(Product, database="default")
    product = Product(sku="1", name="Lamp", price=Decimal("2.50"), brand_id=3)
    packed = packed_one(digests, product, {})
    written = unpacked(packed, {str(digests.layout): digests.names})
    stored = {"sku": "1", "name": "Lamp!", "price": Decimal("2.5"), "brand_id": 4}

    assert digests.edited(written, stored) == {"name", "brand"}
    assert digests.edited({**written, "name": UNKNOWN}, stored) == {"brand"}
    assert digests.edited({}, stored) == set()
    assert digests.edited(written, {"sku": "1"}) == set()


# --- rows

ROW = {"id": 7, "name": "Ada", "price": Decimal("1.50"), "at": dt.date(2020, 1, 1), "x": None}


def checksum(row: dict[str, Any], seed: str = "seed") -> int:
    return RowChecksum(list(row), seed)([tuple(row.values())])[0]


def test_the_same_row_has_the_same_checksum_of_64_bits() -> None:
    assert checksum(ROW) == checksum(dict(ROW))
    assert checksum(ROW).bit_length() < 64


@pytest.mark.parametrize(
    "change",
    [
        {"id": "7"},
        {"id": 8},
        {"id": None},
        {"name": "Ada "},
        {"price": Decimal("1.5")},
        {"at": dt.datetime(2020, 1, 1)},
        {"x": ""},
        {"x": "\ud800"},
    ],
    ids=str,
)
def test_another_value_or_type_has_another_checksum(change: dict[str, Any]) -> None:
    assert checksum(ROW | change) != checksum(ROW)


def test_names_and_the_seed_count() -> None:
    renamed = {("title" if name == "name" else name): value for name, value in ROW.items()}

    assert len({checksum(ROW), checksum(renamed), checksum(ROW, "other")}) == 3


def test_binary_values_of_psycopg2_count_with_what_they_hold() -> None:
    def row(content: bytes) -> dict[str, Any]:
        return {"id": 1, "picture": memoryview(content)}

    assert checksum(row(b"ab")) == checksum(row(b"ab")) == checksum({"id": 1, "picture": b"ab"})
    assert checksum(row(b"ab")) != checksum(row(b"ac"))


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.floats())))
def test_a_checksum_is_made_of_any_row(values: list[Any]) -> None:
    row = {str(number): value for number, value in enumerate(values)}

    assert checksum(row) == checksum(dict(row))


# --- specs


class Sound(Migration):
    query = "SELECT id, name FROM old"
    model = Brand


def changed(**attributes: Any) -> str:
    return fingerprint(type("Changed", (Sound,), attributes))


def test_a_fingerprint_is_32_digits_and_stays() -> None:
    assert fingerprint(Sound) == changed()
    assert len(fingerprint(Sound)) == 32


def test_white_space_in_the_query_says_nothing() -> None:
    assert changed(query="\n  SELECT id,\tname\n  FROM old  ") == fingerprint(Sound)


def hook_before_save(self: Any, instance: Any, row: Any) -> None:
    instance.name = row["name"].strip()


def another_hook(self: Any, instance: Any, row: Any) -> None:
    instance.name = row["name"].upper()


CHANGES: list[dict[str, Any]] = [
    {"query": "SELECT id, name FROM older"},
    {"query_params": (1,)},
    {"model": Product},
    {"legacy_key": "id"},
    {"column_description": {"brand": is_a(Brand, search_attr="id", fk=True)}},
    {"column_description": {"brand": is_a(Brand, search_attr="code", fk=True)}},
    {"hook_before_save": hook_before_save},
    {"hook_before_save": another_hook},
    {"hook_after_save": another_hook},
]


def test_what_the_spec_says_is_in_the_fingerprint() -> None:
    found = [changed(), *(changed(**each) for each in CHANGES)]

    assert len(set(found)) == len(found)


def test_what_does_not_change_objects_is_not_in_the_fingerprint() -> None:
    assert changed(batch_size=7, depends_on=[Product], skip=True) == fingerprint(Sound)


def test_a_hook_without_source_counts_by_its_name() -> None:
    namespace: dict[str, Any] = {}
    exec("def hook(self, instance, row): pass", namespace)

    assert changed(hook_after_save=namespace["hook"]) != fingerprint(Sound)
