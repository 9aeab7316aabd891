"""Migrations whose relations are found by legacy key; every query returns forward references."""

from __future__ import annotations

from data_migration import BaseMigration, is_a

from .models import Country, Customer, Node, Order, Parcel, Staff, Store, Tag, Term


class StoreMigration(BaseMigration):
    query = "SELECT nr, name, manager FROM stores ORDER BY nr"
    model = Store
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        "manager": is_a(Staff, fk=True, legacy=True, deferred=True),
    }


class StaffMigration(BaseMigration):
    query = "SELECT nr, name, store FROM staff ORDER BY nr"
    model = Staff
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        "store": is_a(Store, fk=True, legacy=True),
    }


class NodeMigration(BaseMigration):
    query = "SELECT nr, name, parent FROM nodes ORDER BY nr"
    model = Node
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        "parent": is_a(Node, fk=True, legacy=True),
    }


class TermMigration(BaseMigration):
    query = "SELECT nr, name, parents FROM terms ORDER BY nr"
    model = Term
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        "parents": is_a(Term, m2m=True, legacy=True, delimiter=","),
    }


class CountryMigration(BaseMigration):
    query = "SELECT continent, code, name FROM countries ORDER BY continent, code"
    model = Country
    legacy_key = ("continent", "code")
    column_description = {"continent": is_a(exclude=True), "code": is_a(exclude=True)}


class ParcelMigration(BaseMigration):
    query = (
        "SELECT continent, code, number, replaces FROM parcels ORDER BY continent, code, number"
    )
    model = Parcel
    legacy_key = ("continent", "code", "number")
    column_description = {
        "country": is_a(Country, fk=True, legacy=True, columns=("continent", "code")),
        "replaces": is_a(Parcel, o2o=True, legacy=True, columns=("continent", "code", "replaces")),
    }


class CustomerMigration(BaseMigration):
    query = "SELECT nr, name, email FROM customers ORDER BY nr"
    model = Customer
    legacy_key = "nr"
    column_description = {"nr": is_a(exclude=True)}


class TagMigration(BaseMigration):
    query = "SELECT nr, name FROM tags ORDER BY nr"
    model = Tag
    legacy_key = "nr"
    column_description = {"nr": is_a(exclude=True)}


class OrderMigration(BaseMigration):
    query = "SELECT nr, customer, total, tags FROM orders ORDER BY nr"
    model = Order
    legacy_key = "nr"
    column_description = {
        "nr": is_a(exclude=True),
        "customer": is_a(Customer, fk=True, legacy=True),
        "tags": is_a(Tag, m2m=True, legacy=True, delimiter=","),
    }
