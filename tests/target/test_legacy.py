"""``data_migration.legacy``: from a legacy key to the object, and back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from data_migration import BaseMigration, legacy
from tests.apps.ledger.fixtures import Keyed, keyed_fixture  # noqa: F401
from tests.apps.ledger.models import Customer, Parcel, Staff
from tests.apps.library.testing import migrate

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def migrated(keyed: Keyed) -> None:
    result = migrate("ledger", "--commit")
    assert result.code == 0, result.everything


@pytest.mark.parametrize("key", [4712, "4712"])
def test_a_number_finds_its_object_also_as_text(key: Any) -> None:
    assert legacy.resolve("ledger.CustomerMigration", key).name == "Flora"


def test_the_migration_may_be_its_class() -> None:
    from tests.apps.ledger.data_migration_spec import CustomerMigration

    assert legacy.resolve(CustomerMigration, 4711).name == "Emil"
    assert legacy.legacy_key_of(Customer.objects.get(name="Emil"), CustomerMigration) == 4711


@pytest.mark.parametrize("key", [("EU", "01", "7"), ("EU", "01", "0007")])
def test_a_composite_key_comes_part_by_part_and_goes_as_a_tuple(key: tuple[str, ...]) -> None:
    found = legacy.resolve("ledger.ParcelMigration", *key)
    assert (found.country.name, found.number) == ("Austria", key[2])
    assert legacy.legacy_key_of(found) == key


def test_keys_that_only_look_alike_are_different() -> None:
    assert legacy.resolve("ledger.CountryMigration", "EU", "01").name == "Austria"
    assert legacy.resolve("ledger.CountryMigration", "EU", "1").name == "Belgium"
    assert legacy.resolve("ledger.CustomerMigration", "04711") is None


def test_nothing_is_found_for_an_unknown_key_or_a_deleted_object() -> None:
    assert legacy.resolve("ledger.CustomerMigration", 1) is None
    Staff.objects.filter(name="Carlo").delete()
    assert legacy.resolve("ledger.StaffMigration", 9003) is None


def test_an_object_of_another_origin_has_no_legacy_key() -> None:
    # Its primary key is one that objects of other models have.
    taken = {*Parcel.objects.values_list("pk", flat=True)}
    new = Customer.objects.create(name="New")
    assert legacy.legacy_key_of(new) is None
    assert taken


def test_several_rows_of_one_object_are_listed(keyed: Keyed) -> None:
    keyed.change("INSERT INTO customers VALUES (4799, 'Emil', 'other@example.org')")
    keyed.set("Customer", search_attr="name", allow_updates=True)
    assert migrate("ledger.CustomerMigration", "--commit").code == 0
    emil = Customer.objects.get(name="Emil")
    assert legacy.resolve("ledger.CustomerMigration", 4799) == emil
    with pytest.raises(LookupError, match=r"4711 of ledger\.CustomerMigration and 4799 of"):
        legacy.legacy_key_of(emil)


@pytest.mark.once
def test_a_migration_that_does_not_exist_is_named_with_one_like_it() -> None:
    with pytest.raises(LookupError, match=r"Did you mean 'ledger\.CustomerMigration'"):
        legacy.resolve("ledger.CustomerMigratoin", 1)


@pytest.mark.once
def test_a_key_is_needed() -> None:
    with pytest.raises(TypeError, match="needs the legacy key"):
        legacy.resolve("ledger.CustomerMigration")


@pytest.mark.once
@pytest.mark.parametrize("named", [None, 7, Customer, object()])
def test_what_is_no_migration_is_refused(named: Any) -> None:
    with pytest.raises(TypeError, match=r"by its class or as 'shop\.CustomerMigration', not "):
        legacy.resolve(named, 4711)
    with pytest.raises(LookupError, match=r"migration\.BaseMigration is in no spec, or has no"):
        legacy.resolve(BaseMigration, 4711)


@pytest.mark.once
@pytest.mark.parametrize("key", [[4711], {"nr": 4711}, ("EU", ["01"]), {1}])
def test_what_cannot_be_a_key_is_refused_with_how_to_give_it(key: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be a legacy key\. A composite one is given part"):
        legacy.resolve("ledger.CustomerMigration", key)


@pytest.mark.parametrize("key", [4711.5, True, None, "x", "\x00", 10**40, ("EU",), ("EU", None)])
def test_a_key_of_another_type_finds_nothing(key: Any) -> None:
    assert legacy.resolve("ledger.CustomerMigration", key) is None


@pytest.mark.once
@pytest.mark.parametrize("instance", [None, "Emil", 7, Customer])
def test_what_is_no_object_is_refused(instance: Any) -> None:
    with pytest.raises(TypeError, match=r"legacy_key_of\(\) needs an object of a model, got "):
        legacy.legacy_key_of(instance)


def test_an_unsaved_object_and_one_of_a_model_without_migration_have_no_key() -> None:
    assert legacy.legacy_key_of(Customer(name="New")) is None
    assert legacy.legacy_key_of(ContentType.objects.get_for_model(Customer)) is None


def test_the_named_migration_has_to_fill_the_model() -> None:
    emil = Customer.objects.get(name="Emil")

    with pytest.raises(LookupError) as caught:
        legacy.legacy_key_of(emil, "ledger.ParcelMigration")

    assert str(caught.value) == (
        "ledger.ParcelMigration fills ledger.Parcel, so no ledger.Customer came from it."
    )
