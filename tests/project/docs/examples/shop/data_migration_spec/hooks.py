from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.timezone import make_aware

from data_migration import BaseMigration, is_a
from shop.models import Customer, Order


class OrderMigration(BaseMigration):
    query = "SELECT id, kunde AS customer, placed AS placed_at, remark FROM auftrag"
    model = Order
    column_description = {
        "customer": is_a(Customer, search_attr="id", fk=True),
        "remark": is_a(exclude=True),  # for the hooks only
    }

    def hook_before_all(self) -> None:
        # One instance of this class lives for one step, so self may keep things.
        self.numbers: dict[int, str] = {}

    def hook_row_count(self, connection: Any, cursor: Any) -> int:
        cursor.execute("SELECT COUNT(*) FROM auftrag")
        return int(cursor.fetchone()[0])

    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        placed = datetime.strptime(row["placed_at"], "%d.%m.%Y %H:%M")
        row["placed_at"] = make_aware(placed)

    def hook_before_save(self, instance: Order, row: dict[str, Any]) -> bool | None:
        if row["remark"] == "TEST":
            return False  # counted as skipped
        instance.number = f"{instance.placed_at:%Y}/{instance.pk}"
        return None

    def hook_after_save(self, instance: Order, row: dict[str, Any]) -> None:
        self.numbers[instance.pk] = instance.number
        if instance.customer.is_vip:
            instance.is_checked = True
            instance.save(update_fields=["is_checked"])

    def hook_after_all(self) -> None:
        if len(self.numbers) != Order.objects.count():
            raise ValueError("some orders are not from the old shop")
