"""Relations found by legacy key, and those that are filled later."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from data_migration import Migration, is_a
from data_migration.checks import check_specs
from tests.apps.ledger.models import Country, Customer, Node, Order, Parcel, Tag
from tests.support.checking import numbered, only, spec


def found(**migrations: type[Migration]) -> dict[str, CheckMessage]:
    return numbered(check_specs({f"ledger.{name}": cls for name, cls in migrations.items()}))


def orders(**described: Any) -> type[Migration]:
    query = "SELECT id, customer, tags FROM orders"
    return spec(query=query, model=Order, column_description=described)


def customers(**attributes: Any) -> type[Migration]:
    query = attributes.pop("query", "SELECT id, name FROM customers")
    return spec(query=query, model=Customer, **attributes)


def by_key(legacy: Any = True, **options: Any) -> dict[str, Any]:
    return {"customer": is_a(Customer, fk=True, legacy=legacy, **options)}


def test_e029_what_may_not_be_null_cannot_be_filled_later() -> None:
    text = only("E029", found(A=orders(**by_key(deferred=True)), B=customers()))
    assert "ledger.Order.customer may not be NULL" in text


def test_e029_is_silent_about_nullable_relations_and_many_to_manys() -> None:
    tags = is_a(Tag, m2m=True, search_attr="id", deferred=True)
    assert found(A=orders(tags=tags)) == {}
    parent = is_a(Node, fk=True, search_attr="id", deferred=True)
    assert (
        found(A=spec(query="SELECT id FROM n", model=Node, column_description={"parent": parent}))
        == {}
    )


def test_e033_nothing_fills_the_model() -> None:
    assert "no migration with a legacy key fills" in only("E033", found(A=orders(**by_key())))


def test_e033_what_fills_the_model_has_no_key() -> None:
    only("E033", found(A=orders(**by_key()), B=customers(query="SELECT name FROM customers")))


def test_e033_is_silent_where_a_key_is_possible() -> None:
    for attributes in (
        {"query": "SELECT * FROM customers"},
        {"query": "SELECT name FROM customers", "legacy_key": "name"},
        {"query": "SELECT name FROM customers", "search_attr": "name"},
    ):
        assert found(A=orders(**by_key()), B=customers(**attributes)) == {}


def test_e034_a_migration_that_does_not_fill_the_model() -> None:
    text = only("E034", found(A=orders(**by_key("ledger.Bee")), B=customers()))
    assert "ledger.Bee, which is no migration" in text
    only("E034", found(A=orders(**by_key("ledger.A")), B=customers()))


def test_e034_is_silent_about_the_right_one_as_label_or_class() -> None:
    filling = customers()
    for legacy in ("ledger.B", filling):
        assert found(A=orders(**by_key(legacy)), B=filling, C=customers()) == {}


def test_e035_a_key_of_another_number_of_columns() -> None:
    countries = spec(
        query="SELECT continent, code FROM c", model=Country, legacy_key=("continent", "code")
    )
    parcels = {
        columns: spec(
            query="SELECT id, code, continent FROM p",
            model=Parcel,
            column_description={
                "country": is_a(Country, fk=True, legacy=True, columns=columns),
            },
        )
        for columns in [("code",), ("continent", "code")]
    }
    text = only("E035", found(A=parcels["code",], B=countries))
    assert "of 1 column(s), but that of ledger.B has 2 (continent, code)" in text
    assert found(A=parcels["continent", "code"], B=countries) == {}
