from __future__ import annotations

from typing import Any

from data_migration import BaseMigration
from shop.models import Voucher


class VoucherMigration(BaseMigration):
    query = "SELECT code, value FROM gutschein"
    model = Voucher
    legacy_key = "code"

    def hook_error_creating_instance(self, exception: Exception, row: dict[str, Any]) -> None:
        # Returning means: put the row on record and go on with the next one.
        if row["value"] != "five":
            raise exception
