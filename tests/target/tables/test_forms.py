"""What is written past Django is what Django writes, for any value of any stock field."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from django.db import connection
from django.db.models import FileField
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.tables import TableInsert, Unsuitable
from tests.apps.shop.models import Everything
from tests.support.engine import undone
from tests.support.examples import examples
from tests.target.tables.values import OWN, columns

pytestmark = pytest.mark.django_db

FIELDS = [field for field in Everything._meta.concrete_fields if not field.primary_key]
#: By INSERT, and where there is COPY by that as well.
WAYS = (False, True) if connection.vendor == "postgresql" else (False,)
#: As the database has it, with the type where that is the value's own affair.
_RAW = {
    "sqlite": "typeof({0}), quote({0})",
    "postgresql": "{0}::text",
    "mysql": "{0}",
}


def stored(field: Any) -> list[Any]:
    """The column of every row, without Django's conversions."""
    column = connection.ops.quote_name(field.column)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_RAW[connection.vendor].format(column)} FROM shop_everything ORDER BY id"
        )
        return cursor.fetchall()


def outcome(write: Any, field: Any) -> Any:
    """What ``write()`` leaves in the table, or the error that it raises."""
    with warnings.catch_warnings(), undone():
        warnings.simplefilter("ignore")  # naive times: Django says that it guesses the zone
        try:
            with undone():
                write()
                return stored(field)
        except Exception as error:
            return error


def test_every_field_has_values_to_be_tried() -> None:
    assert list(OWN) == [field.name for field in FIELDS]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@settings(max_examples=examples(100))
@given(data=st.data())
def test_what_is_written_is_what_django_writes(field: Any, data: Any) -> None:
    values = data.draw(columns(field.name))
    if isinstance(field, FileField):  # the object stands between the value and its column
        values = [field.pre_save(Everything(file=value), True) for value in values]
    by_django = outcome(
        lambda: Everything.objects.bulk_create(
            Everything(**{field.attname: value}) for value in values
        ),
        field,
    )
    for by_copy in WAYS:
        insert = TableInsert(Everything, [field], database="default", by_copy=by_copy)
        ours = outcome(lambda insert=insert: insert([values]), field)
        if isinstance(by_django, Exception):
            assert isinstance(ours, Exception), by_django
        elif not isinstance(ours, Unsuitable):
            assert ours == by_django
