"""The demo's specs: the same questions to both databases, asked without the product."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from testapp.legacy import build
from tests.stories.test_demo import Folder

Databases = tuple[sqlite3.Connection, sqlite3.Connection]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The legacy database, and the new one after one run of all specs."""
    folder = Folder(tmp_path_factory.mktemp("specs"))
    build(folder.legacy)
    assert folder.manage("migrate").returncode == 0
    run = folder.manage("migrate_legacy", "--commit", "--on-error", "continue")
    assert "CommandError: 2 rows failed." in run.stderr, run.stdout + run.stderr
    with (
        closing(sqlite3.connect(folder.legacy)) as legacy,
        closing(sqlite3.connect(folder.target)) as target,
    ):
        yield legacy, target


@pytest.mark.parametrize(
    ("legacy_query", "target_query"),
    [
        pytest.param(
            'SELECT ID, TRIM("Group"), TRIM("Desc"), "Order" FROM "Group"',
            "SELECT id, name, description, position FROM customers_customergroup",
            id="groups",
        ),
        pytest.param(
            """SELECT CustID, RTRIM(CustName), LOWER(EMail),
                      CASE WHEN GroupID NOT IN (0, 9) THEN GroupID END, Active = 'Y', Created
               FROM Customer WHERE LOWER(EMail) NOT LIKE '%@test.example'""",
            """SELECT id, name, email, group_id, is_active,
                      CAST(strftime('%s', registered_at) AS INTEGER)
               FROM customers_customer""",
            id="customers",
        ),
        pytest.param(
            """SELECT CustID, RTRIM(Phone), Letter = 'Y',
                      CASE WHEN BirthDay NOT IN ('', '00.00.0000') THEN substr(BirthDay, 7)
                      || '-' || substr(BirthDay, 4, 2) || '-' || substr(BirthDay, 1, 2) END
               FROM CustDetail""",
            """SELECT customer_id, phone, wants_newsletter, born_on
               FROM customers_profile""",
            id="profiles",
        ),
        pytest.param(
            """SELECT CatID, TRIM("Desc"), CASE WHEN ParentID > 0 THEN ParentID END, "Order"
               FROM Category""",
            "SELECT id, name, parent_id, position FROM catalogue_category",
            id="category tree",
        ),
        pytest.param(
            """SELECT TRIM(ArtNo), TRIM(Title), CASE WHEN CatID > 0 THEN CatID END,
                      CAST(ROUND(REPLACE(Price, ',', '.') * 100) AS INTEGER),
                      Discontinued = 'N'
               FROM Product WHERE ProdID <> 417""",
            """SELECT sku, name, category_id, CAST(ROUND(price * 100) AS INTEGER),
                      is_available
               FROM catalogue_product""",
            id="products",
        ),
        pytest.param(
            """SELECT TRIM(ArtNo), ID FROM Product, Label
               WHERE ',' || LabelIDs || ',' LIKE '%,' || ID || ',%'""",
            """SELECT sku, label_id FROM catalogue_product_labels
               JOIN catalogue_product p ON p.id = product_id""",
            id="labels of products",
        ),
        pytest.param(
            """SELECT OrderID, TRIM(OrderNo), CustID, Paid = 'Y',
                      ShipDate = '00.00.0000 00:00', COALESCE(Note, '')
               FROM "Order" WHERE OrderID <> 2042""",
            """SELECT id, number, customer_id, is_paid, shipped_at IS NULL, note
               FROM orders_order""",
            id="orders",
        ),
        pytest.param(
            """SELECT OrderID, TRIM(ArtNo), Qty, PriceCent FROM OrderPos
               JOIN Product USING (ProdID)""",
            """SELECT order_id, sku, quantity, CAST(ROUND(unit_price * 100) AS INTEGER)
               FROM orders_orderline JOIN catalogue_product p ON p.id = product_id""",
            id="order lines",
        ),
    ],
)
def test_rows_are_the_same(
    databases: Databases,
    legacy_query: str,
    target_query: str,
) -> None:
    legacy, target = databases
    expected = sorted(legacy.execute(legacy_query).fetchall(), key=repr)
    assert len(expected) > 5
    assert sorted(target.execute(target_query).fetchall(), key=repr) == expected


def test_local_times_of_both_softwares_became_utc(databases: Databases) -> None:
    _, target = databases
    query = "SELECT placed_at, shipped_at FROM orders_order WHERE id IN (1001, 3300)"
    assert target.execute(query + " ORDER BY id").fetchall() == [
        ("2006-03-01 09:07:00", "2006-03-04 21:07:00"),
        ("2013-10-28 16:11:00", "2013-10-31 03:11:00"),
    ]
