"""Rows into tables, many at a time, in the fastest way that each target database has.

PostgreSQL: COPY, or INSERTs of many rows. MySQL and MariaDB: INSERTs of many rows. SQLite:
prepared ``executemany``. Columns of rows that are there are updated in the same ways. Values are
brought into their written form a column at a time, with the same result as
``Field.get_db_prep_save``: a function called for each of them would cost more than the database
does. Objects that are there are read in pages by their keys.

What a database can do is in ``utils/databases``. Knows models and fields. Of rows it is handed
columns of values; whose they are it is not told.
"""

from __future__ import annotations

from ..fields.stock import copy_refusal, is_stock
from .forms import Unsuitable
from .inserting import Meanwhile, TableInsert, has_own_way, nothing
from .new_keys import NewKeys
from .sequences import go_on_above
from .updating import TableUpdate, Updates, django_has_to_update

__all__ = [
    "Meanwhile",
    "NewKeys",
    "TableInsert",
    "TableUpdate",
    "Unsuitable",
    "Updates",
    "copy_refusal",
    "django_has_to_update",
    "go_on_above",
    "has_own_way",
    "is_stock",
    "nothing",
]
