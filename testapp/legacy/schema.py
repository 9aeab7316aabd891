"""The tables of the old shop, in the handwriting of 2006."""

from __future__ import annotations

# No primary keys, no foreign keys, hardly a type that is enforced: nothing here stops bad data.
TABLES = """
CREATE TABLE "Group" (ID INTEGER, "Group" TEXT, "Desc" TEXT, "Order" INTEGER);
CREATE TABLE Customer (
    CustID INTEGER, CustName TEXT, EMail TEXT, GroupID INTEGER, Active CHAR(1), Created INTEGER
);
CREATE TABLE CustDetail (CustID INTEGER, Phone TEXT, BirthDay TEXT, Letter CHAR(1));
CREATE TABLE Category (CatID INTEGER, ParentID INTEGER, "Desc" TEXT, "Order" INTEGER);
CREATE TABLE Label (ID INTEGER, "Key" TEXT);
CREATE TABLE Product (
    ProdID INTEGER, ArtNo TEXT, Title TEXT, CatID INTEGER, Price TEXT, LabelIDs TEXT,
    Discontinued CHAR(1)
);
CREATE TABLE "Order" (
    OrderID INTEGER, OrderNo TEXT, CustID INTEGER, OrderDate TEXT, ShipDate TEXT, Paid CHAR(1),
    Note TEXT
);
CREATE TABLE OrderPos (OrderID INTEGER, ProdID INTEGER, Qty INTEGER, PriceCent INTEGER);
"""
