"""A migration into products that may run again, as several test modules vary it."""

from __future__ import annotations

from typing import Any

from data_migration import Migration, is_a
from tests.apps.shop.models import Brand, Product, Tag


def updateable(
    writer: str,
    model: Any = Product,
    *,
    name: str = "Updateable",
    skip_missing: bool = False,
    **attributes: Any,
) -> type[Migration]:
    """The class ``name``; ``attributes`` come on top, among them what identifies a row."""
    described = {
        "nr": is_a(exclude=True),
        "brand": is_a(Brand, "code", fk=True, skip_missing=skip_missing),
        "tags": is_a(Tag, "name", m2m=True),
    }
    defaults = {
        "model": model,
        "writer": writer,
        "allow_updates": True,
        "column_description": described,
    }
    return type(name, (Migration,), defaults | attributes)


def make_targets(*brands: str) -> None:
    """The brands and tags that the rows of such a migration refer to."""
    for code in brands:
        Brand.objects.create(code=code)
    for name in "abc":
        Tag.objects.create(name=name)
