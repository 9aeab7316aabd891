"""The dear part of the catalogue, on the market place as well."""

from __future__ import annotations

from decimal import Decimal

from data_migration.sync import From, Mapping, Plan

from .models import Product


class ProductToMarket(Mapping):
    objectname = "articles"
    model = Product
    # Each article there costs a fee, so only what earns it is sent. All that others have put
    # there is brought here.
    queryset = Product.objects.filter(price__gte=150)
    fields = {
        "sku": "sku",
        "title": "name",
        "handle": "slug",
        "price": From("price", pull=Decimal, push=str),
        "available": "is_available",
    }
    match = ("sku",)
    # A number that grows with every change over there: no clock has to be right.
    changed = "change"
    changed_lag = None
    # Where both sides changed the same field, somebody has to look.
    on_conflict = "report"


class MarketSync(Plan):
    mappings = (ProductToMarket,)
    connector = "market"
