"""The catalogue: a tree, a list of ids in a text column, and a key that is not the id."""

from __future__ import annotations

from typing import Any

from django.utils.text import slugify

from data_migration import BaseMigration, is_a

from .models import Category, Label, Product


class CategoryMigration(BaseMigration):
    query = """
        SELECT CatID AS id, TRIM("Desc") AS name, NULLIF(ParentID, 0) AS parent,
               "Order" AS position
        FROM Category ORDER BY CatID
    """
    model = Category
    # A tree in one table. Children may come before their parents, as many do here.
    column_description = {"parent": is_a(Category, search_attr="id", fk=True)}


class LabelMigration(BaseMigration):
    query = 'SELECT ID AS id, TRIM("Key") AS name FROM Label ORDER BY ID'
    model = Label


class ProductMigration(BaseMigration):
    # No id here: products get new ones, and the article number is what old and new have in
    # common. Prices were typed by hand, some with a decimal comma.
    query = """
        SELECT TRIM(ArtNo) AS sku, TRIM(Title) AS name, NULLIF(CatID, 0) AS category,
               NULLIF(LabelIDs, '') AS labels, REPLACE(TRIM(Price), ',', '.') AS price,
               CASE Discontinued WHEN 'Y' THEN 0 ELSE 1 END AS is_available
        FROM Product ORDER BY ArtNo
    """
    model = Product
    # The old shop goes on selling while the new one is built: this migration may run again and
    # again. It finds products by their article number, adds new ones, updates changed ones.
    allow_updates = True
    search_attr = "sku"
    column_description = {
        "category": is_a(Category, search_attr="id", fk=True),
        # LabelIDs is a text like "3,7,12". Ids of deleted labels are left out, with a warning.
        "labels": is_a(Label, search_attr="id", m2m=True, delimiter=",", skip_missing=True),
    }

    @classmethod
    def hook_before_save(cls, instance: Product, row: dict[str, Any]) -> None:
        # A field that the old shop never had. Returning nothing means: save it.
        instance.slug = slugify(f"{instance.name} {instance.sku}")
