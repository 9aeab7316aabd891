from __future__ import annotations

from data_migration import BaseMigration, is_a

from .models import Item, Person, Shelf, State, Store, Town


class StateMigration(BaseMigration):
    query = "SELECT DISTINCT bundesland AS code FROM ort"
    model = State
    legacy_key = "code"


class TownMigration(BaseMigration):
    query = "SELECT name, bundesland AS state FROM ort"
    model = Town
    legacy_key = ("name", "state")
    column_description = {"state": is_a(State, search_attr="code", fk=True)}


class StoreMigration(BaseMigration):
    query = """
        SELECT nr, name, ort AS town_name, bundesland AS state_code, leiter AS manager
        FROM filiale
    """
    model = Store
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        # Two towns have the same name: the state decides.
        "town": is_a(
            Town,
            search_attr=("name", "state__code"),
            columns=("town_name", "state_code"),
            fk=True,
        ),
        # Persons come after stores, so this is filled when all migrations have run.
        "manager": is_a(Person, fk=True, legacy=True, deferred=True),
    }


class PersonMigration(BaseMigration):
    query = "SELECT nr, name, filiale AS store FROM person"
    model = Person
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        # The legacy number of a store, whatever id the store has here.
        "store": is_a(Store, fk=True, legacy=True),
    }


class ShelfMigration(BaseMigration):
    query = "SELECT filiale AS store, platz AS place FROM regal"
    model = Shelf
    legacy_key = ("store", "place")
    column_description = {"store": is_a(Store, fk=True, legacy=True)}


class ItemMigration(BaseMigration):
    query = "SELECT id, name, filiale, platz FROM inventar"
    model = Item
    column_description = {
        # In the order of ShelfMigration.legacy_key. '01' and '1' are two places.
        "shelf": is_a(Shelf, fk=True, legacy=True, columns=("filiale", "platz")),
    }
