"""Primary keys in the ledger's text, and back."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps

from data_migration.fields.primary_keys import is_in_key, is_set, pk_from_text, pk_to_text
from tests.apps.modern.models import Seat
from tests.apps.shop.models import Country, Product, Restaurant, Token

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("model", "pk", "text"),
    [
        (Product, 7, "7"),
        (Country, "a, b", "a, b"),
        (Token, uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (Restaurant, 7, "7"),
        (Seat, (7, 'a "b"'), '["7", "a \\"b\\""]'),
    ],
)
def test_a_key_is_written_and_read(model: Any, pk: Any, text: str) -> None:
    assert pk_to_text(model)(pk) == text
    assert pk_from_text(model)(text) == pk


@isolate_apps("tests.apps.shop")
def test_bytes_are_written_and_read() -> None:
    model: Any = type(
        "Blob",
        (models.Model,),
        {
            "__module__": "tests.apps.shop.models",
            "id": models.BinaryField(primary_key=True, editable=True),
        },
    )
    assert pk_from_text(model)(pk_to_text(model)(b"\xff\x00")) == b"\xff\x00"


@pytest.mark.parametrize(
    ("pk", "whole"), [(0, True), ("", True), (None, False), ((1, 2), True), ((1, None), False)]
)
def test_a_key_is_set_when_all_of_it_is(pk: Any, whole: bool) -> None:
    assert is_set(pk) is whole


def test_parts_of_a_key_are_in_it() -> None:
    names = {f.name for f in Seat._meta.concrete_fields if is_in_key(f, Seat)}
    assert names == {"tenant", "code"}
    names = {f.name for f in Restaurant._meta.concrete_fields if is_in_key(f, Restaurant)}
    assert names == {"id", "place_ptr"}
