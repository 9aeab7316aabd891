"""The demo's legacy database: always the same, and as ugly as real ones."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testapp.legacy import build

TABLES = ["Category", "CustDetail", "Customer", "Group", "Label", "Order", "OrderPos", "Product"]


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("shop") / "legacy.sqlite3"
    build(path)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_returns_how_many_rows_it_wrote(tmp_path: Path, legacy: sqlite3.Connection) -> None:
    counts = [number(legacy, f'SELECT COUNT(*) FROM "{table}"') for table in TABLES]
    assert build(tmp_path / "another.sqlite3") == sum(counts) == 10618


def test_rows_are_the_same_on_every_machine_and_python(legacy: sqlite3.Connection) -> None:
    digest = hashlib.sha256()
    for table in TABLES:
        for row in legacy.execute(f'SELECT * FROM "{table}" ORDER BY rowid'):
            digest.update(repr(row).encode())
    assert digest.hexdigest() == "4121dca857d2df0ed44bd0403e750881a9f952524236e834131874fe68149d2a"


def test_declares_no_keys_and_no_indexes(legacy: sqlite3.Connection) -> None:
    names = legacy.execute("SELECT name FROM sqlite_master").fetchall()
    assert sorted(names) == [(table,) for table in TABLES]
    for table in TABLES:
        columns = legacy.execute(f'PRAGMA table_info("{table}")').fetchall()
        assert not any(is_key for *_, is_key in columns)


@pytest.mark.parametrize(
    ("wart", "query"),
    [
        ("trailing blanks", "SELECT 1 FROM Customer WHERE CustName LIKE '% '"),
        ("e-mail in mixed case", "SELECT 1 FROM Customer WHERE EMail <> LOWER(EMail)"),
        ("0 for none", "SELECT 1 FROM Customer WHERE GroupID = 0"),
        ("date with zeros", "SELECT 1 FROM CustDetail WHERE BirthDay = '00.00.0000'"),
        ("empty date", "SELECT 1 FROM CustDetail WHERE BirthDay = ''"),
        ("child before parent", "SELECT 1 FROM Category WHERE ParentID > CatID"),
        ("decimal comma", "SELECT 1 FROM Product WHERE Price LIKE '%,%'"),
        ("list of ids", "SELECT 1 FROM Product WHERE LabelIDs LIKE '%,%'"),
        ("empty list", "SELECT 1 FROM Product WHERE LabelIDs = ''"),
        ("list that is NULL", "SELECT 1 FROM Product WHERE LabelIDs IS NULL"),
        ("Y and N", "SELECT 1 FROM \"Order\" WHERE Paid = 'N'"),
        ("dots in dates", "SELECT 1 FROM \"Order\" WHERE OrderDate LIKE '__.__.____ __:__'"),
        ("dashes in dates", "SELECT 1 FROM \"Order\" WHERE OrderDate LIKE '____-__-__ __:__:__'"),
        ("never shipped", "SELECT 1 FROM \"Order\" WHERE ShipDate = '00.00.0000 00:00'"),
    ],
)
def test_has_its_warts(legacy: sqlite3.Connection, wart: str, query: str) -> None:
    assert legacy.execute(query).fetchone(), f"no row with {wart}"


def test_exactly_one_order_has_no_customer(legacy: sqlite3.Connection) -> None:
    query = 'SELECT OrderID, CustID FROM "Order" WHERE CustID NOT IN (SELECT CustID FROM Customer)'
    assert legacy.execute(query).fetchall() == [(2042, 99999)]


def test_exactly_one_product_has_no_price(legacy: sqlite3.Connection) -> None:
    query = "SELECT TRIM(ArtNo), Price FROM Product WHERE Price NOT GLOB '[0-9]*[.,][0-9][0-9]'"
    assert legacy.execute(query).fetchall() == [("K-00417", "n/a")]


def test_wrong_rows_and_test_accounts_have_nothing_that_hangs_on_them(
    legacy: sqlite3.Connection,
) -> None:
    assert number(legacy, "SELECT COUNT(*) FROM OrderPos WHERE OrderID = 2042") == 0
    assert number(legacy, "SELECT COUNT(*) FROM OrderPos WHERE ProdID = 417") == 0
    accounts = "SELECT CustID FROM Customer WHERE LOWER(EMail) LIKE '%@test.example'"
    assert number(legacy, f"SELECT COUNT(*) FROM ({accounts})") == 4
    for table in ("CustDetail", '"Order"'):
        query = f"SELECT COUNT(*) FROM {table} WHERE CustID IN ({accounts})"
        assert number(legacy, query) == 0


def test_order_lines_refer_to_orders_and_products_that_exist(legacy: sqlite3.Connection) -> None:
    query = """SELECT COUNT(*) FROM OrderPos WHERE OrderID NOT IN (SELECT OrderID FROM "Order")
               OR ProdID NOT IN (SELECT ProdID FROM Product)"""
    assert number(legacy, query) == 0


def test_what_has_to_be_unique_is(legacy: sqlite3.Connection) -> None:
    for table, value in [
        ("Customer", "LOWER(EMail)"),
        ("Product", "TRIM(ArtNo)"),
        ('"Order"', "TRIM(OrderNo)"),
        ("OrderPos", "OrderID || '/' || ProdID"),
    ]:
        assert number(legacy, f"SELECT COUNT(*) - COUNT(DISTINCT {value}) FROM {table}") == 0


def number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
