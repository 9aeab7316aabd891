"""Changes of data that every shop of this kind needs once."""

from __future__ import annotations

import os
from decimal import ROUND_CEILING, Decimal

from django.db.models import QuerySet

from data_migration.patches import Patch

from .models import Product


class EndPrices(Patch):
    """Let every price end in 90 cents."""

    batch_size = 50
    writes = [Product]  # so that it can be rolled back
    on_fresh_install = "run"  # the products of a new shop come from the old one, after migrate

    def queryset(self) -> QuerySet[Product]:
        return Product.objects.all()

    def process(self, product: Product) -> None:
        product.price = product.price.quantize(Decimal(1), ROUND_CEILING) - Decimal("0.10")

    def throttle(self) -> float:
        # A large shop would look here at how busy its database is. The demo waits for a moment
        # between two batches, since it wants to be killed between them.
        return float(os.environ.get("DEMO_THROTTLE", "0"))
