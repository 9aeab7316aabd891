"""Legacy keys as a person types them."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from contextlib import suppress
from decimal import Decimal
from typing import Any

from ..exceptions import SpecError
from ..rows.keys import alternative, key_of_text, key_text


def typed_keys(text: str) -> list[str]:
    """``42,"a,b",["DE", 7],word`` -> the keys, each as it was typed."""
    keys = []
    rest = text.strip()
    while rest:
        key, rest = _first_key(rest)
        keys.append(key)
        rest = rest.removeprefix(",").strip()
    if not keys or "" in keys:
        raise SpecError(f"--keys takes keys with commas between them, not {text!r}.")
    return keys


def _first_key(text: str) -> tuple[str, str]:
    with suppress(ValueError, RecursionError):
        _, end = json.JSONDecoder().raw_decode(text)
        if not (rest := text[end:].strip()) or rest.startswith(","):
            return text[:end], rest
    word, comma, rest = text.partition(",")
    return word.strip(), comma + rest


def readings(typed: str) -> list[Any]:
    """The keys that a person may mean, the likeliest first: 42 is a number, else a text.

    What cannot identify a row is none of them.
    """
    keys: list[Any] = []
    with suppress(ValueError):
        key = key_of_text(typed)
        if key is not None and not isinstance(key, (bool, float)):
            keys += [key, alternative(key)]
    if not typed.startswith(('"', "[", "{")):
        keys.append(typed)
        for read in (_decimal, uuid.UUID, dt.date.fromisoformat, dt.datetime.fromisoformat):
            with suppress(ValueError, ArithmeticError):
                keys.append(read(typed))
    return [key for key in keys if key is not None and _is_one(key)]


def _is_one(key: Any) -> bool:
    try:
        key_text(key)
    except (TypeError, RecursionError):
        return False
    return True


def _decimal(text: str) -> Decimal | None:
    """A number with a point; without one, leading zeros would be lost."""
    return Decimal(text) if "." in text else None
