"""django-money: amounts and currencies arrive, are updated, judged and put back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from data_migration import Migration
from data_migration.outcomes import Mode
from tests.support.engine import migrate, migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def offers(install: Any) -> Any:
    return install("priced", "djmoney").Offer


def of(model: Any, writer: str = "auto", **attributes: Any) -> type[Migration]:
    defaults = {"model": model, "writer": writer, "allow_updates": True}
    return type("Offers", (Migration,), defaults | attributes)


def stored(model: Any) -> list[tuple[Any, ...]]:
    names = ("price", "price_currency", "discount", "discount_currency")
    return list(model.objects.order_by("pk").values_list(*names))


ROW = {
    "id": 1,
    "price": "1.50",
    "price_currency": "USD",
    "discount": "0.25",
    "discount_currency": "CHF",
}
ARRIVED = (Decimal("1.50"), "USD", Decimal("0.25"), "CHF")


def test_an_amount_with_its_currency_arrives_whatever_the_order_of_the_columns(
    offers: Any, writer: str
) -> None:
    turned = dict(reversed(ROW.items()))
    assert migrate_fine(of(offers, writer), [ROW]).counts == {"created": 1}
    assert stored(offers) == [ARRIVED]
    offers.objects.all().delete()
    assert migrate_fine(type("Turned", (of(offers, writer),), {}), [turned]).counts == {
        "created": 1
    }
    assert stored(offers) == [ARRIVED]


def test_a_changed_amount_and_a_changed_currency_are_updated_and_put_back(
    offers: Any, writer: str
) -> None:
    migration = of(offers, writer)
    migrate_fine(migration, [ROW])
    assert migrate_fine(migration, [ROW]).counts == {"unchanged": 1}
    changed = ROW | {"price": "2.50", "discount_currency": "EUR"}
    result = migrate_fine(migration, [changed])
    assert result.counts == {"updated": 1}
    assert stored(offers) == [(Decimal("2.50"), "USD", Decimal("0.25"), "EUR")]
    assert migrate_fine(migration, [changed]).counts == {"unchanged": 1}
    undo(migration, result.run)
    assert stored(offers) == [ARRIVED]
    undo(migration)
    assert stored(offers) == []


def test_an_optional_amount_goes_to_null_and_comes_back(offers: Any, writer: str) -> None:
    migration = of(offers, writer)
    nothing = ROW | {"discount": None, "discount_currency": None}
    migrate_fine(migration, [nothing])
    assert stored(offers) == [(*ARRIVED[:2], None, None)]
    assert migrate_fine(migration, [ROW]).counts == {"updated": 1}
    assert stored(offers) == [ARRIVED]
    result = migrate_fine(migration, [nothing])
    assert result.counts == {"updated": 1}
    assert stored(offers) == [(*ARRIVED[:2], None, None)]
    undo(migration, result.run)
    assert stored(offers) == [ARRIVED]


def test_without_a_column_for_it_the_currency_is_the_fields_default(offers: Any) -> None:
    migrate_fine(of(offers), [{"id": 1, "price": 3}])
    assert stored(offers) == [(Decimal("3.00"), "EUR", None, None)]


def test_a_person_who_changes_the_amount_is_not_overruled(offers: Any) -> None:
    migration = of(offers)
    migrate_fine(migration, [ROW])
    offer = offers.objects.get()
    offer.price = 9
    offer.save()
    result = migrate(migration, [ROW | {"price": "2.50"}])
    assert result.counts == {"unchanged": 1, "warnings": 1}
    assert "which is kept" in result.causes[0]
    assert stored(offers)[0][:2] == (Decimal("9.00"), "USD")


def test_a_rehearsal_shows_the_same_and_leaves_nothing(offers: Any) -> None:
    migration = of(offers)
    migrate_fine(migration, [ROW])
    result = migrate_fine(migration, [ROW | {"price": "2.50"}], mode=Mode.REHEARSAL)
    assert result.counts == {"updated": 1}
    assert stored(offers) == [ARRIVED]
