"""The legacy database of the app. Its keys are no primary keys of the target's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.support.legacy import sqlite

#: How many rows each migration reads.
ROWS = {
    "ledger.StoreMigration": 3,
    "ledger.StaffMigration": 4,
    "ledger.NodeMigration": 5,
    "ledger.TermMigration": 4,
    "ledger.CountryMigration": 3,
    "ledger.ParcelMigration": 4,
    "ledger.CustomerMigration": 3,
    "ledger.TagMigration": 3,
    "ledger.OrderMigration": 4,
}

_SCRIPT = """
CREATE TABLE stores (nr INTEGER PRIMARY KEY, name TEXT, manager INTEGER);
INSERT INTO stores VALUES (101, 'North', 9002), (102, 'South', 9001), (103, 'Closed', NULL);

CREATE TABLE staff (nr INTEGER PRIMARY KEY, name TEXT, store INTEGER);
INSERT INTO staff VALUES (9001, 'Ada', 101), (9002, 'Bela', 102), (9003, 'Carlo', 101),
    (9004, 'Dora', NULL);

CREATE TABLE nodes (nr INTEGER PRIMARY KEY, name TEXT, parent INTEGER);
INSERT INTO nodes VALUES (501, 'leaf', 503), (502, 'twig', 504), (503, 'branch', 504),
    (504, 'root', NULL), (505, 'stone', NULL);

CREATE TABLE terms (nr INTEGER PRIMARY KEY, name TEXT, parents TEXT);
INSERT INTO terms VALUES (71, 'spork', '72,73'), (72, 'spoon', '74'), (73, 'fork', '74'),
    (74, 'cutlery', NULL);

CREATE TABLE countries (continent TEXT, code TEXT, name TEXT, PRIMARY KEY (continent, code));
INSERT INTO countries VALUES ('AF', '01', 'Algeria'), ('EU', '01', 'Austria'),
    ('EU', '1', 'Belgium');

CREATE TABLE parcels (continent TEXT, code TEXT, number TEXT, replaces TEXT,
    PRIMARY KEY (continent, code, number));
INSERT INTO parcels VALUES ('AF', '01', '0007', NULL), ('EU', '01', '0007', '7'),
    ('EU', '01', '7', NULL), ('EU', '1', '0007', NULL);

CREATE TABLE customers (nr INTEGER PRIMARY KEY, name TEXT, email TEXT);
INSERT INTO customers VALUES (4711, 'Emil', 'emil@example.org'), (4712, 'Flora', ''),
    (4713, 'Gustav', 'gustav@example.org');

CREATE TABLE tags (nr INTEGER PRIMARY KEY, name TEXT);
INSERT INTO tags VALUES (31, 'paid'), (32, 'late'), (33, 'gift');

CREATE TABLE orders (nr INTEGER PRIMARY KEY, customer INTEGER, total TEXT, tags TEXT);
INSERT INTO orders VALUES (80001, 4711, '12.50', '31,33'), (80002, 4711, '3.00', NULL),
    (80003, 4712, '99.90', '32'), (80004, 4713, '0.50', '31');
"""


def build(path: Path) -> None:
    """Write the legacy database; all its rows are fine."""
    with closing(sqlite(path)) as connection:
        connection.executescript(_SCRIPT)


def change(path: Path, *statements: str) -> None:
    """Change the legacy database as its owner would."""
    with closing(sqlite(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
