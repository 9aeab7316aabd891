from __future__ import annotations

from data_migration import BaseMigration, Migration, is_a
from shop.models import Country, Customer, Line, Order, Product


class CountryMigration(BaseMigration):
    query = "SELECT code, name FROM land"
    model = Country


class CustomerBase(Migration):
    # No query: a base class, never run.
    model = Customer
    batch_size = 500


class CustomerMigration(CustomerBase):
    source = "legacy"
    query = """
        SELECT id, TRIM(name) AS name, UPPER(land) AS country, since,
               CASE vip WHEN 'Y' THEN 1 ELSE 0 END AS is_vip
        FROM kunde WHERE closed IS NULL OR closed > ?
    """
    query_params = ("2002-01-01",)
    depends_on = [Country]
    column_description = {
        "country": is_a(Country, search_attr="code", fk=True, skip_missing=True),
    }


class ArchivedCustomerMigration(CustomerBase):
    # The same model again, from another database.
    source = "archive"
    query = "SELECT id + 1000000 AS id, name, since FROM kunde"


class LineMigration(BaseMigration):
    query = "SELECT auftrag AS 'order', artikel AS product, qty AS quantity FROM position"
    model = Line
    legacy_key = ("order", "product")
    column_description = {
        "order": is_a(Order, search_attr="id", fk=True),
        "product": is_a(Product, search_attr="sku", fk=True),
    }


class ClosedCustomerMigration(CustomerBase):
    source = "legacy"
    query = "SELECT id, name, since FROM kunde WHERE closed IS NOT NULL"
    skip = True  # the lawyers have not decided yet
