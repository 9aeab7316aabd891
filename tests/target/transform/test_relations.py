"""Relations: which object a value means, and at what price in queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_migration.migration import Migration
from data_migration.spec.columns import Column, is_a
from data_migration.transform.targets import TargetsByAttribute
from tests import settings
from tests.apps.shop.models import (
    Brand,
    BrandProfile,
    Country,
    Detail,
    Product,
    Supplier,
    Supply,
    Tag,
    Token,
)
from tests.support.engine import migrate, migrate_fine, statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db
BINARY_COLLATION = pytest.mark.skipif(
    settings.TARGET == "mysql", reason="iexact means exact under the collation utf8mb4_bin"
)


def products(*, before_save: Any = None, **described: Column) -> type[Migration]:
    attributes: dict[str, Any] = {"model": Product, "column_description": described}
    if before_save is not None:
        attributes["hook_before_save"] = before_save
    return type("ProductMigration", (Migration,), attributes)


def brands(*codes: str) -> list[Brand]:
    return [Brand.objects.create(code=code, name=code.upper()) for code in codes]


def stored(attr: str) -> list[Any]:
    return list(Product.objects.order_by("sku").values_list(attr, flat=True))


class TestValues:
    def test_text_finds_a_number(self) -> None:
        (brand,) = brands("a")
        described = products(brand=is_a(Brand, "id", fk=True))
        migrate_fine(described, [{"sku": 1, "brand": f" {brand.pk} ".strip()}])
        assert stored("brand") == [brand.pk]

    def test_number_finds_text(self) -> None:
        (brand,) = brands("7")
        migrate_fine(products(brand=is_a(Brand, "code", fk=True)), [{"sku": 1, "brand": 7}])
        assert stored("brand") == [brand.pk]

    def test_zero_is_a_key(self) -> None:
        brand = Brand.objects.create(code="zero", number=0)
        migrate_fine(products(brand=is_a(Brand, "number", fk=True)), [{"sku": 1, "brand": 0}])
        assert stored("brand") == [brand.pk]

    @pytest.mark.parametrize("prefetch", [True, False])
    def test_first_value_null(self, prefetch: bool) -> None:
        (brand,) = brands("a")
        rows = [{"sku": 1, "brand": None}, {"sku": 2, "brand": "a"}]
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=prefetch))
        migrate_fine(described, rows, batch_size=1)
        assert stored("brand") == [None, brand.pk]

    def test_empty_text_is_no_number(self) -> None:
        migrate_fine(products(brand=is_a(Brand, "id", fk=True)), [{"sku": 1, "brand": ""}])
        assert stored("brand") == [None]

    def test_empty_text_is_none_unless_an_object_has_it(self) -> None:
        described = products(brand=is_a(Brand, "code", fk=True))
        migrate_fine(described, [{"sku": 1, "brand": ""}])
        (empty,) = brands("")
        migrate_fine(described, [{"sku": 2, "brand": ""}])
        assert stored("brand") == [None, empty.pk]

    @pytest.mark.parametrize("skip_missing", [True, False])
    def test_value_that_the_attribute_cannot_have(self, skip_missing: bool) -> None:
        described = products(brand=is_a(Brand, "id", fk=True, skip_missing=skip_missing))
        result = migrate(described, [{"id": 5, "sku": 1, "brand": "five"}])
        assert result.told == [("5", "brand", "'five'")]
        expected = {"created": 1, "warnings": 1} if skip_missing else {"failed": 1}
        assert result.counts == expected

    @pytest.mark.parametrize("value", [10**30, -(10**30), 2**63])
    def test_number_beyond_every_key_is_missing(self, value: int) -> None:
        brands("a")
        described = products(brand=is_a(Brand, "id", fk=True, prefetch=False))
        result = migrate(described, [{"id": 5, "sku": 1, "brand": value}, {"id": 6, "sku": 2}])
        assert result.told == [("5", "brand", str(value))]
        assert result.counts == {"created": 1, "failed": 1}

    def test_nul_character_is_missing(self) -> None:
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=False))
        result = migrate(described, [{"id": 5, "sku": 1, "brand": "a\x00b"}, {"id": 6, "sku": 2}])
        assert result.told == [("5", "brand", r"'a\x00b'")]
        assert result.counts == {"created": 1, "failed": 1}

    @pytest.mark.parametrize("attr", ["code", "code__iexact"])
    def test_value_that_cannot_be_looked_up_fails_its_row(self, attr: str) -> None:
        described = products(brand=is_a(Brand, attr, fk=True))
        result = migrate(described, [{"id": 5, "sku": 1, "brand": ["a"]}, {"id": 6, "sku": 2}])
        assert [told[:2] for told in result.told] == [("5", "brand")]
        assert result.counts == {"created": 1, "failed": 1}

    def test_uuid_as_text_and_as_bytes(self) -> None:
        targets = TargetsByAttribute(
            Token, "id", value_attr="id", prefetch=False, database="default"
        )
        token = Token.objects.create()
        for value in (token.pk, str(token.pk), token.pk.bytes):
            key = targets.convert(value)
            targets.load({key})
            assert targets.get(key) == token.pk


class TestMissing:
    def test_row_fails_with_column_value_and_target(self) -> None:
        described = products(brand=is_a(Brand, "code", fk=True))
        result = migrate(described, [{"id": 9, "sku": 1, "brand": "nix"}])
        (message,) = result.messages
        assert result.told == [("9", "brand", "'nix'")]
        assert message.cause == "code = 'nix' matches no shop.Brand"

    def test_skip_missing_counts_a_warning_for_each(self) -> None:
        (tag,) = [Tag.objects.create(name="a")]
        described = products(
            brand=is_a(Brand, "code", fk=True, skip_missing=True),
            tags=is_a(Tag, "name", m2m=True, skip_missing=True),
        )
        result = migrate(described, [{"id": 9, "sku": 1, "brand": "nix", "tags": "a;b;c"}])
        assert result.counts == {"created": 1, "warnings": 3}
        assert sorted(result.told) == [
            ("9", "brand", "'nix'"),
            ("9", "tags", "'b'"),
            ("9", "tags", "'c'"),
        ]
        assert list(Product.objects.get().tags.all()) == [tag]
        assert stored("brand") == [None]

    def test_warnings_of_a_row_that_fails_are_not_counted(self) -> None:
        described = products(
            brand=is_a(Brand, "code", fk=True, skip_missing=True),
            maker=is_a(Brand, "code", fk=True),
        )
        result = migrate(described, [{"id": 9, "sku": 1, "brand": "nix", "maker": "nix"}])
        assert result.counts == {"failed": 1}

    @pytest.mark.parametrize("prefetch", [True, False])
    def test_ambiguous_target_fails(self, prefetch: bool) -> None:
        Brand.objects.create(code="1", name="same")
        Brand.objects.create(code="2", name="same")
        described = products(brand=is_a(Brand, "name", fk=True, prefetch=prefetch))
        result = migrate(described, [{"id": 9, "sku": 1, "brand": "same"}])
        assert result.told == [("9", "brand", "'same'")]
        assert "more than one" in result.messages[0].cause

    def test_one_of_many_missing_fails_the_row(self) -> None:
        Tag.objects.create(name="a")
        described = products(tags=is_a(Tag, "name", m2m=True))
        result = migrate(described, [{"id": 9, "sku": 1, "tags": "a;b"}])
        assert result.told == [("9", "tags", "'b'")]
        assert not Product.objects.exists()


class TestSearchAttributes:
    @pytest.mark.parametrize("prefetch", [True, False])
    def test_two_columns_of_one_class_do_not_collide(self, prefetch: bool) -> None:
        first, second = (
            Brand.objects.create(code="x", name="y"),
            Brand.objects.create(code="y", name="x"),
        )
        described = products(
            brand=is_a(Brand, "code", fk=True, prefetch=prefetch),
            maker=is_a(Brand, "name", fk=True, prefetch=prefetch),
        )
        migrate_fine(described, [{"sku": 1, "brand": "x", "maker": "x"}])
        product = Product.objects.get()
        assert (product.brand, product.maker) == (first, second)

    @BINARY_COLLATION
    def test_lookup_of_an_own_kind(self) -> None:
        (brand,) = brands("Acme")
        described = products(brand=is_a(Brand, "code__iexact", fk=True))
        rows = [{"id": 1, "sku": 1, "brand": "ACME"}, {"id": 2, "sku": 2, "brand": "other"}]
        result = migrate(described, rows)
        assert stored("brand") == [brand.pk]
        assert result.told == [("2", "brand", "'other'")]

    @pytest.mark.parametrize("prefetch", [True, False])
    def test_span_over_a_relation(self, prefetch: bool) -> None:
        first, second = brands("a", "b")
        BrandProfile.objects.create(brand=first, code="one")
        BrandProfile.objects.create(brand=second, code="two")
        described = products(brand=is_a(Brand, "profile__code", fk=True, prefetch=prefetch))
        migrate_fine(described, [{"sku": 1, "brand": "two"}, {"sku": 2, "brand": "one"}])
        assert stored("brand") == [second.pk, first.pk]

    @BINARY_COLLATION
    def test_lookup_at_the_end_of_a_span(self) -> None:
        (brand,) = brands("a")
        BrandProfile.objects.create(brand=brand, code="One")
        described = products(brand=is_a(Brand, "profile__code__iexact", fk=True))
        migrate_fine(described, [{"sku": 1, "brand": "oNE"}])
        assert stored("brand") == [brand.pk]

    @pytest.mark.parametrize("prefetch", [True, False])
    @pytest.mark.parametrize("with_hook", [True, False])
    @pytest.mark.parametrize("attr", ["pk", "id", "number"])
    def test_foreign_key_to_a_field_of_its_own(
        self, attr: str, with_hook: bool, prefetch: bool
    ) -> None:
        brand = Brand.objects.create(code="acme", number=8)
        value = {"pk": brand.pk, "id": brand.pk, "number": 8}[attr]
        hook = (lambda self, instance, row: None) if with_hook else None
        described = products(before_save=hook, maker=is_a(Brand, attr, fk=True, prefetch=prefetch))
        migrate_fine(described, [{"sku": 1, "maker": value}])
        assert stored("maker_id") == ["acme"]


class TestManyToMany:
    @pytest.fixture
    def tags(self) -> list[Tag]:
        return [Tag.objects.create(name=name) for name in "abc"]

    def linked(self, value: Any, **options: Any) -> str:
        described = products(tags=is_a(Tag, "name", m2m=True, **options))
        migrate_fine(described, [{"sku": 1, "tags": value}])
        return "".join(sorted(tag.name for tag in Product.objects.get().tags.all()))

    @pytest.mark.parametrize(
        ("value", "linked"),
        [
            ("a;b", "ab"),
            (" a ; b; ;", "ab"),
            ("a;a", "a"),
            ("", ""),
            (None, ""),
            (["a", "c"], "ac"),
            (("a",), "a"),
            ([], ""),
            ({"b"}, "b"),
            (b"a;b", "ab"),
        ],
    )
    def test_value(self, tags: list[Tag], value: Any, linked: str) -> None:
        assert self.linked(value) == linked

    def test_delimiter(self, tags: list[Tag]) -> None:
        assert self.linked("a|b", delimiter="|") == "ab"

    def test_single_number(self, tags: list[Tag]) -> None:
        described = products(tags=is_a(Tag, "id", m2m=True))
        migrate_fine(described, [{"sku": 1, "tags": tags[1].pk}])
        assert Product.objects.get().tags.get() == tags[1]

    def test_text_that_is_not_in_the_encoding_fails_its_row(self, tags: list[Tag]) -> None:
        described = products(tags=is_a(Tag, "name", m2m=True))
        result = migrate(described, [{"id": 5, "sku": 1, "tags": b"\xff"}, {"id": 6, "sku": 2}])
        assert [told[:2] for told in result.told] == [("5", "tags")]
        assert result.counts == {"created": 1, "failed": 1}

    def test_from_the_other_side(self) -> None:
        class TagMigration(Migration):
            model = Tag
            column_description = {"products": is_a(Product, "sku", m2m=True)}

        for sku in "xyz":
            Product.objects.create(sku=sku)
        migrate_fine(TagMigration, [{"name": "t", "products": "x;z"}])
        assert [each.sku for each in Tag.objects.get().products.order_by("sku")] == ["x", "z"]

    def test_join_table_of_its_own(self) -> None:
        suppliers = [Supplier.objects.create(name=name) for name in "ab"]
        described = products(suppliers=is_a(Supplier, "name", m2m=True))
        migrate_fine(described, [{"sku": 1, "suppliers": "a;b"}])
        assert set(Product.objects.get().suppliers.all()) == set(suppliers)
        assert set(Supply.objects.values_list("kind", flat=True)) == {"regular"}


def test_one_to_one() -> None:
    class DetailMigration(Migration):
        model = Detail
        column_description = {"product": is_a(Product, "sku", o2o=True)}

    product = Product.objects.create(sku="a")
    rows = [{"id": 1, "product": "a"}, {"id": 2, "product": "a"}]
    result = migrate(DetailMigration, rows)
    assert Detail.objects.get().product == product
    assert result.told == [("2", "product", "'a'")]


class TestQueries:
    """What looking up costs."""

    ROWS = 60

    def rows(self, column: str = "brand") -> list[dict[str, Any]]:
        for number in range(self.ROWS):
            Brand.objects.create(code=f"c{number}", name=f"n{number}")
        return [{"sku": n, column: f"c{n}"} for n in range(self.ROWS)]

    def test_one_per_batch(self) -> None:
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=False))
        with statements() as ran:
            migrate_fine(described, self.rows(), batch_size=20)
        assert len(ran.starting("SELECT", table=Brand)) == 3

    def test_one_for_all_with_prefetch(self) -> None:
        described = products(brand=is_a(Brand, "code", fk=True))
        with statements() as ran:
            migrate_fine(described, self.rows(), batch_size=20)
        assert len(ran.starting("SELECT", table=Brand)) == 2  # how many are there, and all of them

    def test_known_values_are_not_asked_for_again(self) -> None:
        rows = [*self.rows(), *({"sku": 100 + n, "brand": "c1"} for n in range(40))]
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=False))
        with statements() as ran:
            migrate_fine(described, rows, batch_size=20)
        assert len(ran.starting("SELECT", table=Brand)) == 3

    def test_many_to_many_is_one_per_batch_as_well(self) -> None:
        for name in "abcdef":
            Tag.objects.create(name=name)
        rows = [{"sku": n, "tags": ["abcdef"[n % 6], "abcdef"[(n + 1) % 6]]} for n in range(40)]
        described = products(tags=is_a(Tag, "name", m2m=True, prefetch=False))
        described.writer = "bulk"  # a COPY is no statement that can be counted here
        with statements() as ran:
            migrate_fine(described, rows, batch_size=20)
        assert len(ran.starting("SELECT", table=Tag)) <= 2
        assert len(ran.starting("INSERT", table=Product.tags.through)) == 2

    @pytest.mark.parametrize("by_id", [False, True])
    def test_hooks_get_the_object_without_a_query_per_row(self, by_id: bool) -> None:
        codes = []

        def note(self: Any, instance: Product, row: Any) -> None:
            codes.append(instance.brand_id if by_id else instance.brand.code)

        described = products(
            before_save=note, brand=is_a(Brand, "code", fk=True, assign_by_id=by_id)
        )
        rows = self.rows()
        with statements() as ran:
            migrate_fine(described, rows, batch_size=20)
        expected = Brand.objects.order_by("pk").values_list("pk" if by_id else "code", flat=True)
        assert codes == list(expected)
        assert len(ran.starting("SELECT", table=Brand)) == 2

    @pytest.mark.parametrize("prefetch", [True, False])
    @pytest.mark.parametrize("size", [1, 2, 7])
    def test_small_cache_changes_no_result(self, settings: Any, size: int, prefetch: bool) -> None:
        settings.DATA_MIGRATION_RELATION_CACHE_SIZE = size
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=prefetch))
        rows = self.rows()
        for row in rows[::3]:
            row["brand"] = "c0"
        migrate_fine(described, rows, batch_size=5)
        codes = {str(p.sku): p.brand.code for p in Product.objects.select_related("brand")}
        assert codes == {str(row["sku"]): row["brand"] for row in rows}

    def test_more_values_than_one_statement_takes_parameters(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(connection.features), "max_query_params", 25)
        described = products(brand=is_a(Brand, "code", fk=True, prefetch=False))
        migrate_fine(described, self.rows())
        assert Product.objects.filter(brand=None).count() == 0


_VALUES = st.one_of(
    st.none(),
    st.integers(-1, 6),
    st.integers(-1, 6).map(str),
    st.sampled_from(["", " 1", "x", 1.0, "1.0", True]),
)


def _naive(attr: str, value: Any) -> Any:
    """What a loop over the rows with ``get()`` would find; ``missing`` where it would raise."""
    if value is None or (value == "" and attr != "code"):
        return None
    if isinstance(value, float) and attr != "number":
        value = f"{value:.0f}"  # a whole number has no point in a text
    try:
        return Brand.objects.get(**{attr: value}).pk
    except (Brand.DoesNotExist, Brand.MultipleObjectsReturned, ValueError, TypeError):
        return None if value == "" else "missing"


@hypothesis_settings(max_examples=examples(25))
@given(
    st.lists(_VALUES, max_size=12),
    st.sampled_from(["number", "code", "name", "profile__code"]),
    st.integers(1, 5),
    st.integers(1, 9),
    st.booleans(),
)
def test_looking_up_equals_a_get_for_each_row(
    values: list[Any], attr: str, batch_size: int, cache_size: int, prefetch: bool
) -> None:
    with undone(), override_settings(DATA_MIGRATION_RELATION_CACHE_SIZE=cache_size):
        for number in range(4):
            brand = Brand.objects.create(code=f"{number}", number=number, name=f"{number % 3}")
            BrandProfile.objects.create(brand=brand, code=f"{number}")
        expected = {n: _naive(attr, value) for n, value in enumerate(values)}
        described = products(brand=is_a(Brand, attr, fk=True, prefetch=prefetch))
        rows = [{"id": n + 1, "sku": n, "brand": value} for n, value in enumerate(values)]
        result = migrate(described, rows, batch_size=batch_size, columns=["id", "sku", "brand"])
        found = {int(p.sku): p.brand_id for p in Product.objects.all()}
        missing = {int(message.key) - 1 for message in result.messages}
        assert found | dict.fromkeys(missing, "missing") == expected


class TestSeveralAttributes:
    """A brand by its name and the code of its profile; of two brands both may be the same."""

    @pytest.fixture(autouse=True)
    def stored(self) -> None:
        for number, (name, code) in enumerate([("a", "1"), ("a", "2"), ("b", "1")]):
            brand = Brand.objects.create(code=f"{number}", number=number, name=name)
            BrandProfile.objects.create(brand=brand, code=code)

    def described(self, attrs: Any = ("name", "profile__code"), **more: Any) -> type[Migration]:
        brand = is_a(Brand, search_attr=attrs, columns=("maker_name", "code"), fk=True, **more)
        return products(brand=brand)

    def found(self, rows: list[dict[str, Any]], **options: Any) -> list[str | None]:
        migrate_fine(self.described(**options), rows, batch_size=2)
        return stored("brand__code")

    @pytest.mark.parametrize("prefetch", [True, False])
    def test_the_pair_decides(self, prefetch: bool) -> None:
        pairs = [("a", "2"), ("b", "1"), ("a", "1"), (None, "1"), ("a", None)]
        rows = [{"sku": n, "maker_name": a, "code": b} for n, (a, b) in enumerate(pairs)]
        assert self.found(rows, prefetch=prefetch) == ["1", "2", "0", None, None]

    def test_parts_are_compared_through_their_fields(self) -> None:
        rows = [{"sku": 1, "maker_name": "a", "code": "1"}]
        assert self.found(rows, attrs=("name", "number")) == ["1"]

    def test_a_lookup_may_be_among_them(self) -> None:
        rows = [{"sku": 1, "maker_name": "a", "code": "2"}]
        assert self.found(rows, attrs=("name__startswith", "profile__code")) == ["1"]

    def test_hooks_see_the_object(self) -> None:
        seen = []

        def hook_before_save(self: Any, instance: Product, row: Any) -> None:
            seen.append(instance.brand and instance.brand.code)

        migration = type("Hooked", (self.described(),), {"hook_before_save": hook_before_save})
        migrate_fine(migration, [{"sku": 1, "maker_name": "b", "code": "1"}])
        assert seen == ["2"]

    def test_a_pair_that_nobody_has(self) -> None:
        result = migrate(self.described(), [{"id": 5, "sku": 1, "maker_name": "b", "code": "2"}])
        (message,) = result.messages
        assert message.cause == "name = 'b', profile__code = '2' matches no shop.Brand"

    def test_a_pair_of_several(self) -> None:
        BrandProfile.objects.create(
            brand=Brand.objects.create(code="z", name="b", number=9), code="1"
        )
        result = migrate(self.described(), [{"id": 5, "sku": 1, "maker_name": "b", "code": "1"}])
        assert "matches more than one shop.Brand" in result.messages[0].cause

    def test_a_value_that_one_of_them_cannot_have(self) -> None:
        migration = self.described(("name", "number"))
        result = migrate(migration, [{"id": 5, "sku": 1, "maker_name": "b", "code": "x"}])
        assert "cannot be the name, number of a shop.Brand" in result.messages[0].cause

    def test_one_query_for_a_batch(self) -> None:
        rows = [{"sku": n, "maker_name": "ab"[n % 2], "code": "1"} for n in range(40)]
        with statements() as seen:
            migrate_fine(self.described(prefetch=False), rows, batch_size=40)
        assert len(seen.starting("SELECT", table=Brand)) == 1

    def test_a_column_of_the_model_is_its_plain_value_too(self) -> None:
        brand = is_a(Brand, search_attr=("name", "profile__code"), columns=("name", "c"), fk=True)
        migrate_fine(products(brand=brand), [{"sku": 1, "name": "a", "c": "2"}])
        assert (stored("name"), stored("brand__code")) == (["a"], ["1"])


_PAIRS = st.tuples(st.sampled_from([None, "", "a", "b", "x"]), st.sampled_from([None, "", 0, "1"]))


@hypothesis_settings(max_examples=examples(25))
@given(st.lists(_PAIRS, max_size=10), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_looking_up_pairs_equals_a_get_for_each_row(
    pairs: list[Any], batch_size: int, cache_size: int, prefetch: bool
) -> None:
    def naive(name: Any, number: Any) -> Any:
        if name is None or number in (None, ""):
            return None
        brand = Brand.objects.filter(name=name, number=number).first()
        return brand.pk if brand else None if name == "" else "missing"

    with undone(), override_settings(DATA_MIGRATION_RELATION_CACHE_SIZE=cache_size):
        for number, name in enumerate("aab"):
            Brand.objects.create(code=f"{number}", number=number, name=name)
        expected = {n: naive(*pair) for n, pair in enumerate(pairs)}
        brand = is_a(
            Brand, search_attr=("name", "number"), columns=("x", "y"), fk=True, prefetch=prefetch
        )
        rows = [{"id": n + 1, "sku": n, "x": x, "y": y} for n, (x, y) in enumerate(pairs)]
        result = migrate(
            products(brand=brand), rows, batch_size=batch_size, columns=["id", "sku", "x", "y"]
        )
        found = {int(p.sku): p.brand_id for p in Product.objects.all()}
        missing = {int(message.key) - 1 for message in result.messages}
        assert found | dict.fromkeys(missing, "missing") == expected


def test_country_by_its_text_key() -> None:
    class CountryMigration(Migration):
        model = Country
        column_description = {"neighbours": is_a(Country, "code", m2m=True)}

    migrate_fine(
        CountryMigration,
        [
            {"code": "DE", "name": "D", "neighbours": "FR;PL"},
            {"code": "FR", "name": "F"},
            {"code": "PL", "name": "P", "neighbours": "DE"},
        ],
    )
    germany = Country.objects.get(code="DE")
    assert {each.code for each in germany.neighbours.all()} == {"FR", "PL"}
