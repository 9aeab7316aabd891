"""What objects refer to through their many-to-manys."""

from __future__ import annotations

import pytest

from data_migration.undo.m2m_targets import all_targets, targets_of
from tests.apps.shop.models import Product, Tag

pytestmark = pytest.mark.django_db


def test_targets_from_both_sides() -> None:
    tag, product = Tag.objects.create(name="t"), Product.objects.create(sku="1", name="P")
    lonely = Tag.objects.create(name="u")
    product.tags.add(tag)

    assert targets_of([tag, lonely], "products", database="default") == {
        tag.pk: {product.pk},
        lonely.pk: set(),
    }
    assert targets_of([], "products", database="default") == {}
    assert all_targets([product], database="default") == {product.pk: {"tags": {tag.pk}}}
    assert all_targets([tag, lonely], database="default") == {
        tag.pk: {"products": {product.pk}},
        lonely.pk: {},
    }
    assert all_targets([], database="default") == {}
