"""Customers: the simplest case first. One class is one query into one model.

The columns of a query carry the names of the model's fields, so most of the translation is done
by SQL aliases, in the database, where it is fast and where you can try it out.
"""

from __future__ import annotations

from typing import Any

from data_migration import BaseMigration, is_a
from testapp.dates import parse_day

from .models import Customer, CustomerGroup, Profile


class GroupMigration(BaseMigration):
    # BaseMigration reads from the source "legacy" of settings.DATA_MIGRATION_SOURCES.
    # "Group", "Order" and "Desc" are SQL words, so the old names need their quotes.
    query = """
        SELECT ID AS id, TRIM("Group") AS name, TRIM("Desc") AS description, "Order" AS position
        FROM "Group" ORDER BY ID
    """
    model = CustomerGroup


class CustomerMigration(BaseMigration):
    # The id is kept. It is also the key by which a later run knows the row again.
    # registered_at is auto_now_add, yet the time from the query wins. The old shop counts seconds
    # since 1970; the "Z" says that this is UTC.
    query = """
        SELECT CustID AS id, TRIM(CustName) AS name, LOWER(TRIM(EMail)) AS email,
               NULLIF(GroupID, 0) AS "group",
               CASE Active WHEN 'Y' THEN 1 ELSE 0 END AS is_active,
               strftime('%Y-%m-%dT%H:%M:%SZ', Created, 'unixepoch') AS registered_at
        FROM Customer ORDER BY CustID
    """
    model = Customer
    column_description = {
        # Some customers are in a group that was deleted long ago. That is no reason to lose them:
        # with skip_missing the group stays empty, and each case is counted as a warning.
        "group": is_a(CustomerGroup, search_attr="id", fk=True, skip_missing=True),
    }

    @classmethod
    def hook_before_save(cls, instance: Customer, row: dict[str, Any]) -> bool | None:
        # False leaves the row out, counted as skipped: nobody needs the old test accounts.
        return not instance.email.endswith("@test.example")


class ProfileMigration(BaseMigration):
    query = """
        SELECT CustID AS customer, TRIM(Phone) AS phone, BirthDay AS born_on,
               CASE Letter WHEN 'Y' THEN 1 ELSE 0 END AS wants_newsletter
        FROM CustDetail ORDER BY CustID
    """
    model = Profile
    # The rows have no id of their own; the customer tells them apart, so messages name it.
    legacy_key = "customer"
    column_description = {"customer": is_a(Customer, search_attr="id", o2o=True)}

    @classmethod
    def hook_before_transformation(cls, row: dict[str, Any]) -> None:
        # "31.12.1969" is beyond SQL; what a hook changes in the row is what gets migrated.
        row["born_on"] = parse_day(row["born_on"])
