"""What a person commits while a run is at work is never overwritten without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Place, Product, Restaurant, Tag
from tests.support.engine import Result, Row, migrate, migrate_fine
from tests.support.person import Person

pytestmark = pytest.mark.django_db(transaction=True)


def products(**attributes: Any) -> type[Migration]:
    defaults = {"model": Product, "allow_updates": True, "search_attr": "sku"}
    return type("ProductMigration", (Migration,), defaults | attributes)


def met_by(person: Callable[[], None]) -> Callable[..., None]:
    """A hook: the person comes when the objects of the batch have been read."""

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        person()

    return hook_before_save


def rows(**changed: Any) -> list[Row]:
    return [{"sku": f"s{n}", "name": "old", "price": "1.50"} | changed for n in range(3)]


def second() -> Product:
    return Product.objects.get(sku="s1")


def who_renames() -> Person:
    return Person(lambda: Product.objects.filter(sku="s1").update(name="mine"))


def update(person: Person, **attributes: Any) -> Result:
    """An update of all rows, during which the person renames the second product."""
    migration = products(hook_before_save=met_by(person), **attributes)
    return migrate(migration, rows(name="new"))


def test_an_edit_while_its_row_is_updated_comes_after_it(writer: str) -> None:
    migrate_fine(products(writer=writer), rows())
    person = who_renames()
    result = update(person, writer=writer)
    assert person.did() is None or second().name == "mine"
    assert result.error is not None or result.counts["updated"] == 3


def test_it_is_a_conflict_of_the_next_run(writer: str) -> None:
    migrate_fine(products(writer=writer), rows())
    person = who_renames()
    update(person, writer=writer)
    if person.did() is not None:
        result = migrate(products(writer=writer), rows(name="newer"))
        assert ("conflict", '"s1"') in [each[:2] for each in result.said]
        assert second().name == "mine"


def test_an_edit_of_an_object_that_was_there_before(writer: str) -> None:
    Product.objects.create(sku="s1", name="before")
    person = who_renames()
    update(person, writer=writer)
    assert person.did() is None or second().name == "mine"


def test_an_edit_of_an_object_without_a_link() -> None:
    migrate_fine(products(legacy_key=()), rows())
    person = who_renames()
    update(person, legacy_key=())
    assert person.did() is None or second().name == "mine"


def test_an_edit_while_a_hook_updates(writer: str) -> None:
    migrate_fine(products(writer=writer), rows())
    person = who_renames()

    def hook_update_existing(self: Any, instance: Any, row: dict[str, Any]) -> None:
        person()
        instance.name = row["name"]
        instance.save()

    update(person, writer=writer, hook_update_existing=hook_update_existing)
    assert person.did() is None or second().name == "mine"


def test_an_edit_in_the_table_of_a_parent() -> None:
    restaurants = {"model": Restaurant, "search_attr": "id"}
    data: list[Row] = [{"id": n, "name": "old", "stars": 1} for n in range(1, 4)]
    migrate_fine(products(**restaurants), data)
    person = Person(lambda: Place.objects.filter(pk=2).update(name="mine"))
    migration = products(**restaurants, hook_before_save=met_by(person))
    migrate(migration, [each | {"name": "new"} for each in data])
    assert person.did() is None or Place.objects.get(pk=2).name == "mine"


def test_a_target_that_is_added_meanwhile(writer: str) -> None:
    for name in "abc":
        Tag.objects.create(name=name)
    tagged = {"writer": writer, "column_description": {"tags": is_a(Tag, "name", m2m=True)}}
    data = [each | {"tags": "a;b"} for each in rows()]
    migrate_fine(products(**tagged), data)

    def add() -> int:
        second().tags.add(Tag.objects.get(name="c"))
        return 1

    person = Person(add)
    migration = products(**tagged, hook_before_save=met_by(person))
    migrate(migration, [each | {"tags": "a"} for each in data])
    assert person.did() is None or "c" in second().tags.values_list("name", flat=True)


def test_who_locks_objects_lets_others_refer_to_them(writer: str) -> None:
    """As an update itself does, where the database tells the one from the other."""
    Brand.objects.create(code="acme", name="old")
    brands = products(model=Brand, search_attr="code", writer=writer)
    migrate_fine(brands, [{"code": "acme", "name": "old"}])
    brand = Brand.objects.get()
    person = Person(lambda: Product.objects.create(sku="s", name="x", brand=brand).pk)
    brands.hook_before_save = met_by(person)  # type: ignore[method-assign]
    migrate(brands, [{"code": "acme", "name": "new"}])
    assert person.did() is None or Product.objects.get().brand == brand
