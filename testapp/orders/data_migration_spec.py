"""Orders: they need customers and products, so they run last, whatever the apps' order."""

from __future__ import annotations

from typing import Any

from data_migration import BaseMigration, is_a
from testapp.catalogue.models import Product
from testapp.customers.models import Customer
from testapp.dates import parse_moment

from .models import Order, OrderLine


class OrderMigration(BaseMigration):
    query = """
        SELECT OrderID AS id, TRIM(OrderNo) AS number, CustID AS customer,
               OrderDate AS placed_at, ShipDate AS shipped_at,
               CASE Paid WHEN 'Y' THEN 1 ELSE 0 END AS is_paid, COALESCE(Note, '') AS note
        FROM "Order" ORDER BY OrderID
    """
    model = Order
    # is_a(Customer) alone already puts customers first. depends_on insists: if nobody migrates
    # customers, the run is refused at once instead of ending with every order failed.
    depends_on = [Customer]
    # No skip_missing: an order without its customer is a fault that somebody has to look at.
    column_description = {"customer": is_a(Customer, search_attr="id", fk=True)}

    @classmethod
    def hook_before_transformation(cls, row: dict[str, Any]) -> None:
        row["placed_at"] = parse_moment(row["placed_at"])
        row["shipped_at"] = parse_moment(row["shipped_at"])


class OrderLineMigration(BaseMigration):
    # The old join table knows products by id, we know them by article number: a JOIN translates.
    # It is a LEFT JOIN, so that a line without its product would fail aloud, not get lost.
    # Prices are in cents. printf makes them text, because a price must never become a float.
    query = """
        SELECT pos.OrderID AS "order", TRIM(p.ArtNo) AS product, pos.Qty AS quantity,
               printf('%d.%02d', pos.PriceCent / 100, pos.PriceCent % 100) AS unit_price
        FROM OrderPos pos LEFT JOIN Product p ON p.ProdID = pos.ProdID
        ORDER BY pos.OrderID, p.ArtNo
    """
    model = OrderLine
    # Two columns together identify a line.
    legacy_key = ("order", "product")
    column_description = {
        "order": is_a(Order, search_attr="id", fk=True),
        "product": is_a(Product, search_attr="sku", fk=True),
    }
