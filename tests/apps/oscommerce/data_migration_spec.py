"""The catalogue of an osCommerce shop, the same for its MySQL and its SQLite form."""

from __future__ import annotations

from typing import Any

from data_migration import Migration, is_a

from .models import (
    Attribute,
    Category,
    CategoryText,
    Country,
    Customer,
    Language,
    Manufacturer,
    MenuEntry,
    Option,
    OptionValue,
    Product,
    ProductText,
    Review,
    Special,
    Zone,
)


class ShopMigration(Migration):
    source = "oscommerce"


class LanguageMigration(ShopMigration):
    query = "SELECT languages_id AS id, name, code FROM languages"
    model = Language


class CountryMigration(ShopMigration):
    query = """
        SELECT countries_id AS id, countries_name AS name, countries_iso_code_2 AS iso2,
               countries_iso_code_3 AS iso3
        FROM countries
    """
    model = Country


class ZoneMigration(ShopMigration):
    # Zone codes repeat and zones have no use for their old ids: they get new ones.
    query = """
        SELECT c.countries_iso_code_3 AS country, z.zone_code AS code, z.zone_name AS name
        FROM zones z JOIN countries c ON c.countries_id = z.zone_country_id
        ORDER BY z.zone_id
    """
    model = Zone
    column_description = {"country": is_a(Country, search_attr="iso3", fk=True)}


class CategoryMigration(ShopMigration):
    query = """
        SELECT categories_id AS id, NULLIF(parent_id, 0) AS parent, categories_image AS image,
               sort_order AS position, date_added AS added_at
        FROM categories ORDER BY parent_id DESC
    """
    model = Category
    column_description = {"parent": is_a(Category, search_attr="id", fk=True)}


class MenuEntryMigration(ShopMigration):
    query = """
        SELECT categories_id AS id, parent_id AS parent, sort_order AS position
        FROM categories ORDER BY parent_id DESC
    """
    model = MenuEntry
    column_description = {"parent": is_a(MenuEntry, search_attr="id", fk=True)}

    def hook_before_transformation(self, row: dict[str, Any]) -> None:
        row["parent"] = row["parent"] or None


class CategoryTextMigration(ShopMigration):
    query = """
        SELECT categories_id AS category, language_id AS language, categories_name AS name,
               categories_description AS description
        FROM categories_description
    """
    model = CategoryText
    legacy_key = ("category", "language")
    column_description = {
        "category": is_a(Category, search_attr="id", fk=True),
        "language": is_a(Language, search_attr="id", fk=True),
    }


class ManufacturerMigration(ShopMigration):
    query = """
        SELECT manufacturers_id AS id, manufacturers_name AS name, manufacturers_image AS image
        FROM manufacturers
    """
    model = Manufacturer


class ProductMigration(ShopMigration):
    query = """
        SELECT p.products_id AS id, p.products_model AS article, p.products_image AS image,
               p.products_quantity AS quantity, p.products_price AS price,
               p.products_weight AS weight, p.products_status AS is_on_sale,
               p.manufacturers_id AS manufacturer, p.products_date_added AS added_at,
               p.products_last_modified AS changed_at,
               (SELECT GROUP_CONCAT(c.categories_id) FROM products_to_categories c
                WHERE c.products_id = p.products_id) AS categories
        FROM products p
    """
    model = Product
    column_description = {
        "manufacturer": is_a(Manufacturer, search_attr="id", fk=True),
        "categories": is_a(Category, search_attr="id", m2m=True, delimiter=","),
    }


class ProductTextMigration(ShopMigration):
    query = """
        SELECT products_id AS product, language_id AS language, products_name AS name,
               products_description AS description, products_url AS url
        FROM products_description
    """
    model = ProductText
    legacy_key = ("product", "language")
    column_description = {
        "product": is_a(Product, search_attr="id", fk=True),
        "language": is_a(Language, search_attr="id", fk=True),
    }


class OptionMigration(ShopMigration):
    query = """
        SELECT products_options_id AS id, products_options_name AS name
        FROM products_options WHERE language_id = 1
    """
    model = Option


class OptionValueMigration(ShopMigration):
    query = """
        SELECT products_options_values_id AS id, products_options_values_name AS name
        FROM products_options_values WHERE language_id = 1
    """
    model = OptionValue


class AttributeMigration(ShopMigration):
    # "option" is a word of MySQL's own; SQLite takes its quotes as well.
    query = """
        SELECT products_attributes_id AS id, products_id AS product, options_id AS `option`,
               options_values_id AS value, options_values_price AS price, price_prefix AS prefix
        FROM products_attributes
    """
    model = Attribute
    column_description = {
        "product": is_a(Product, search_attr="id", fk=True),
        "option": is_a(Option, search_attr="id", fk=True),
        "value": is_a(OptionValue, search_attr="id", fk=True),
    }


class ReviewMigration(ShopMigration):
    query = """
        SELECT r.reviews_id AS id, r.products_id AS product, r.customers_id AS customer,
               r.customers_name AS author, r.reviews_rating AS rating,
               r.reviews_status AS is_public, d.reviews_text AS text
        FROM reviews r JOIN reviews_description d ON d.reviews_id = r.reviews_id
    """
    model = Review
    column_description = {
        "product": is_a(Product, search_attr="id", fk=True),
        # 0 stands for a guest; no customer has that number.
        "customer": is_a(Customer, search_attr="id", fk=True, skip_missing=True),
    }


class SpecialMigration(ShopMigration):
    query = """
        SELECT specials_id AS id, products_id AS product, specials_new_products_price AS price,
               status AS is_active
        FROM specials
    """
    model = Special
    column_description = {"product": is_a(Product, search_attr="id", o2o=True)}
