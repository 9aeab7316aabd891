from __future__ import annotations

from typing import Any

from data_migration import BaseMigration
from shop.models import LowestStock, Stock


class StockMigration(BaseMigration):
    query = "SELECT nr AS sku, qty AS quantity FROM stand"
    model = Stock
    allow_updates = True
    search_attr = "sku"


class LowestStockMigration(BaseMigration):
    query = "SELECT nr AS sku, qty AS quantity FROM stand"
    model = LowestStock
    allow_updates = True
    search_attr = "sku"

    def hook_update_existing(self, instance: LowestStock, row: dict[str, Any]) -> None:
        if row["quantity"] < instance.quantity:
            instance.quantity = row["quantity"]
            instance.save(update_fields=["quantity"])
