"""A legacy shop with warts: 0 for nothing, composite keys, prefixed names, HTML and line ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db.models import Count, Sum

from data_migration.models import RowError, Run
from tests.apps.oscommerce.models import (
    Attribute,
    Category,
    CategoryText,
    Country,
    Manufacturer,
    MenuEntry,
    OptionValue,
    Product,
    ProductText,
    Review,
    Special,
    Zone,
)
from tests.support import legacy
from tests.support.urls import ServerURL


@pytest.fixture(scope="session")
def oscommerce_file(shared_data: Path) -> Path:
    return shared_data / "oscommerce" / "oscommerce.sqlite"


@pytest.fixture(scope="session")
def oscommerce_on_mysql(
    shared_data: Path, fresh_mysql_database: Callable[[], ServerURL]
) -> ServerURL:
    script = shared_data / "oscommerce" / "oscommerce.mysql.sql"
    return legacy.load(fresh_mysql_database(), script)


@pytest.fixture(params=["sqlite", "mysql"])
def old_shop(request: pytest.FixtureRequest, settings: LazySettings) -> Callable[[str], list[Any]]:
    """Sets the source up; ``old_shop(query)`` asks it without anything of ours in between."""
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("oscommerce_file")
        entry, connect = {"ENGINE": "sqlite", "NAME": str(path)}, lambda: sqlite3.connect(path)
    else:
        url: ServerURL = request.getfixturevalue("oscommerce_on_mysql")
        entry, connect = url.source(), lambda: legacy.connect(url)
    settings.DATA_MIGRATION_SOURCES = {"oscommerce": entry}

    def ask(query: str) -> list[Any]:
        with closing(connect()) as connection:
            return legacy.rows(connection, query)

    return ask


@pytest.fixture
def new_shop(old_shop: Callable[[str], list[Any]], db: None) -> None:
    """The whole shop, moved."""
    call_command("migrate_legacy", "oscommerce", commit=True, no_progress=True, stdout=StringIO())


def arrived(model: Any, *fields: str) -> list[tuple[Any, ...]]:
    stored = (legacy.plain(row) for row in model.objects.values_list(*fields))
    return sorted(stored, key=lambda row: str(row))


#: Model -> its fields, and the query that the old shop answers alike.
SAME: dict[Any, tuple[str, str]] = {
    Country: (
        "id name iso2 iso3",
        "SELECT countries_id, countries_name, countries_iso_code_2, countries_iso_code_3"
        " FROM countries",
    ),
    Zone: (
        "country_id code name",
        "SELECT zone_country_id, zone_code, zone_name FROM zones",
    ),
    CategoryText: (
        "category_id language_id name description",
        "SELECT categories_id, language_id, categories_name, categories_description"
        " FROM categories_description",
    ),
    Manufacturer: (
        "id name image",
        "SELECT manufacturers_id, manufacturers_name, manufacturers_image FROM manufacturers",
    ),
    Product: (
        "id article image quantity price weight is_on_sale manufacturer_id",
        "SELECT products_id, products_model, products_image, products_quantity, products_price,"
        " products_weight, products_status, manufacturers_id FROM products",
    ),
    Product.categories.through: (
        "product_id category_id",
        "SELECT products_id, categories_id FROM products_to_categories",
    ),
    ProductText: (
        "product_id language_id name description url",
        "SELECT products_id, language_id, products_name, products_description, products_url"
        " FROM products_description",
    ),
    OptionValue: (
        "id name",
        "SELECT products_options_values_id, products_options_values_name"
        " FROM products_options_values",
    ),
    Attribute: (
        "id product_id option_id value_id price prefix",
        "SELECT products_attributes_id, products_id, options_id, options_values_id,"
        " options_values_price, price_prefix FROM products_attributes",
    ),
    Special: (
        "id product_id price is_active",
        "SELECT specials_id, products_id, specials_new_products_price, status FROM specials",
    ),
}


@pytest.mark.usefixtures("new_shop")
def test_every_cell_is_that_of_the_old_shop(old_shop: Callable[[str], list[Any]]) -> None:
    for model, (fields, query) in SAME.items():
        assert arrived(model, *fields.split()) == old_shop(query), model.__name__


@pytest.mark.usefixtures("new_shop")
def test_the_numbers_are_those_of_the_old_shop() -> None:
    sums = Product.objects.aggregate(price=Sum("price"), quantity=Sum("quantity"))
    assert (round(Decimal(sums["price"]), 4), sums["quantity"]) == (Decimal("3241.7300"), 442)
    counted = {model: model.objects.count() for model in SAME}
    assert counted == {
        Country: 239,
        Zone: 181,
        CategoryText: 21,
        Manufacturer: 10,
        Product: 28,
        Product.categories.through: 28,
        ProductText: 28,
        OptionValue: 11,
        Attribute: 13,
        Special: 4,
    }


@pytest.mark.usefixtures("new_shop")
@pytest.mark.parametrize("model", [Category, MenuEntry])
def test_zero_for_no_parent_makes_a_root_by_sql_or_by_hook(model: Any) -> None:
    roots = model.objects.filter(parent=None)
    assert (model.objects.count(), roots.count()) == (21, 4)
    assert model.objects.filter(parent__in=roots).count() == 17


@pytest.mark.usefixtures("new_shop")
def test_names_that_repeat_do_not_merge() -> None:
    assert CategoryText.objects.filter(name="Action").count() == 2
    repeated = Zone.objects.values("code").annotate(n=Count("pk")).filter(n=2)
    assert repeated.count() == 6


@pytest.mark.usefixtures("new_shop")
def test_line_ends_and_html_are_kept() -> None:
    texts = [text for (text,) in arrived(ProductText, "description")]
    assert sum("\r" in text for text in texts) == 15
    assert sum("<" in text for text in texts) == 25


@pytest.mark.usefixtures("new_shop")
def test_a_review_by_customer_zero_is_kept_without_a_customer_and_with_a_warning() -> None:
    review = Review.objects.get()
    assert (review.customer, review.author, review.rating) == (None, "John Doe", 5)
    assert Run.objects.get().steps.get(migration="oscommerce.ReviewMigration").warnings == 1
    message = RowError.objects.get()
    assert (message.column, message.value, message.key) == ("customer", "0", "1")


@pytest.mark.usefixtures("new_shop")
def test_an_object_is_as_old_as_its_row_although_the_field_has_auto_now_add() -> None:
    assert {added.year for added in Category.objects.values_list("added_at", flat=True)} == {2016}


@pytest.mark.usefixtures("new_shop")
def test_a_second_run_finds_nothing_to_do() -> None:
    stdout = StringIO()
    call_command("migrate_legacy", "oscommerce", commit=True, no_progress=True, stdout=stdout)
    assert "Nothing to do." in stdout.getvalue()
