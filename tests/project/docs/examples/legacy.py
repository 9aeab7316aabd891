"""Builds the legacy databases of the examples: ``python legacy.py FOLDER``."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

LEGACY = """
CREATE TABLE land (code TEXT, name TEXT);
INSERT INTO land VALUES ('AT', 'Austria'), ('IT', 'Italy');

CREATE TABLE kunde (id INTEGER, name TEXT, land TEXT, since TEXT, credit TEXT, vip TEXT,
    closed TEXT);
INSERT INTO kunde VALUES
    (7, ' Ada ', 'AT', '2009-01-31 10:00:00', '12.50', 'Y', NULL),
    (8, 'Bela', 'at', '2010-02-28 10:00:00', '0', 'N', NULL),
    (9, 'Carlo', NULL, '2011-03-31 10:00:00', NULL, 'N', NULL),
    (10, 'Dora', 'XX', '2011-04-30 10:00:00', NULL, 'N', NULL),
    (11, 'Emil', 'IT', '1999-04-30 10:00:00', NULL, 'N', '2001-12-31');

CREATE TABLE rubrik (id INTEGER, parent INTEGER, name TEXT);
INSERT INTO rubrik VALUES (3, 2, 'Bulbs'), (2, 1, 'Lamps'), (1, NULL, 'Everything');

CREATE TABLE label (id INTEGER, name TEXT);
INSERT INTO label VALUES (1, 'new'), (2, 'cheap'), (3, 'green');

CREATE TABLE artikel (nr TEXT, title TEXT, rubrik TEXT, price TEXT, labels TEXT, similar TEXT);
INSERT INTO artikel VALUES
    ('A-1', 'Desk lamp', 'lamps', '19.90', '1,3', 'A-2'),
    ('A-2', 'Floor lamp', 'LAMPS', '49.00', '2,99', NULL),
    ('A-3', 'Bulb', 'Bulbs', '2.50', NULL, 'A-1;A-2');

CREATE TABLE auftrag (id INTEGER, kunde INTEGER, placed TEXT, remark TEXT);
INSERT INTO auftrag VALUES
    (100, 7, '31.01.2012 14:05', 'ring twice'),
    (101, 8, '01.02.2012 09:00', NULL),
    (102, 7, '02.02.2012 10:30', 'TEST');

CREATE TABLE position (auftrag INTEGER, artikel TEXT, qty INTEGER);
INSERT INTO position VALUES (100, 'A-1', 2), (100, 'A-3', 4), (101, 'A-2', 1);

CREATE TABLE stand (nr TEXT, qty INTEGER);
INSERT INTO stand VALUES ('A-1', 5), ('A-2', 0), ('A-3', 80);

CREATE TABLE gutschein (code TEXT, value TEXT);
INSERT INTO gutschein VALUES ('X1', '5.00'), ('X2', 'five'), ('X3', '7.00');

CREATE TABLE ort (name TEXT, bundesland TEXT);
INSERT INTO ort VALUES ('Neustadt', 'BY'), ('Neustadt', 'SN');
CREATE TABLE filiale (nr INTEGER, name TEXT, ort TEXT, bundesland TEXT, leiter INTEGER);
INSERT INTO filiale VALUES (10, 'North', 'Neustadt', 'SN', 901),
    (20, 'South', 'Neustadt', 'BY', 999);
CREATE TABLE person (nr INTEGER, name TEXT, filiale INTEGER);
INSERT INTO person VALUES (901, 'Ada', 20), (902, 'Bela', 10);
CREATE TABLE regal (filiale INTEGER, platz TEXT);
INSERT INTO regal VALUES (10, '01'), (10, '1'), (20, '01');
CREATE TABLE inventar (id INTEGER, name TEXT, filiale INTEGER, platz TEXT);
INSERT INTO inventar VALUES (1, 'ladder', 10, '1'), (2, 'lamp', 20, '01'), (3, 'van', NULL, NULL);

CREATE TABLE author (id INTEGER, name TEXT);
INSERT INTO author VALUES (1, 'Ann');
CREATE TABLE post (id INTEGER, title TEXT, author INTEGER, posted TEXT);
INSERT INTO post VALUES (1, 'Hello', 1, '2014-09-01T10:00:00Z');
CREATE TABLE comment (id INTEGER, post INTEGER, text TEXT);
INSERT INTO comment VALUES (1, 1, 'First!'), (2, 1, 'Second.');
"""

ARCHIVE = """
CREATE TABLE kunde (id INTEGER, name TEXT, since TEXT);
INSERT INTO kunde VALUES (1, 'Zeno', '1989-05-05 10:00:00');
"""


def build(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    build(folder / "legacy.sqlite3", LEGACY)
    build(folder / "archive.sqlite3", ARCHIVE)
