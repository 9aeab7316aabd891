"""What is taken for the same value although its form is another one.

Kind of the legacy value -> kind of field -> whether what is stored is still that value. A pair
that is not here has to fail or to warn. The page "What may change a value on its way" has a line
for each kind, and names the fields.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models

ZONE = ZoneInfo("Europe/Berlin")

Same = Callable[[Any, Any], bool]

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")  # in any script
_DATE = r"(\d{4})-?(\d\d)-?(\d\d)"
_TIME = r"(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,6})0*)?)?"
_ONLY_DATE = re.compile(_DATE)
_MOMENT = re.compile(rf"{_DATE}(?:[ T]{_TIME}(Z|[+-]\d\d:\d\d)?)?")
_ONLY_TIME = re.compile(_TIME)
_DURATION = re.compile(r"(?:(-?\d+) )?(-?)(?:(\d+):)?(\d+):(\d\d)(?:\.(\d{1,6})0*)?")


def _shown(real: float) -> Decimal:
    return Decimal(repr(real))


def _equal(meaning: Any, stored: Any) -> bool:
    return bool(meaning == stored) or (meaning != meaning and stored != stored)


# ------------------------------------------------------------------------------------- numbers


def _number_in_text(meaning: Any, stored: str) -> bool:
    return _equal(Decimal(meaning), Decimal(stored)) and "E" not in stored


def _number_in_real(meaning: Decimal, stored: float) -> bool:
    return _equal(meaning, _shown(stored)) or meaning == Decimal(stored)


def _real_in_text(meaning: float, stored: str) -> bool:
    return _equal(meaning, float(stored)) and not stored.endswith(".0")


def _real_in_decimal(meaning: float, stored: Decimal) -> bool:
    return Decimal(f"{meaning:.15g}") == stored


def _real_in_json(meaning: float, stored: Any) -> bool:
    return _shown(meaning) == Decimal(str(stored))  # PostgreSQL writes 1e22 out


def _truth(meaning: Any, stored: bool) -> bool:
    return meaning in (0, 1) and stored is bool(meaning)


def _number_in_uuid(meaning: Decimal, stored: uuid.UUID) -> bool:
    return meaning == stored.int


# ---------------------------------------------------------------------------------------- text


def _number_of(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text.strip())


def _text_is_number(meaning: str, stored: Any) -> bool:
    return _equal(_number_of(meaning), stored)


def _text_is_real(meaning: str, stored: float) -> bool:
    if not math.isfinite(stored):
        return meaning.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
    return _number_in_real(_number_of(meaning), stored)


def _text_is_truth(meaning: str, stored: bool) -> bool:
    return (
        stored
        is {"t": True, "True": True, "1": True, "f": False, "False": False, "0": False}[meaning]
    )


def _text_is_date(meaning: str, stored: dt.date) -> bool:
    found = _MOMENT.fullmatch(meaning)
    if found is None:
        return False
    time = [int(part or 0) for part in found.groups()[3:7]]
    return dt.date(*map(int, found.groups()[:3])) == stored and not any(time) and not found[8]


def _moment_of(text: str) -> dt.datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    *parts, fraction, zone = found.groups()
    micro = int((fraction or "").ljust(6, "0") or 0)
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    moment = dt.datetime(year, month, day, hour, minute, second, micro)
    if not zone:
        return moment
    return moment.replace(tzinfo=dt.datetime.fromisoformat(f"2000-01-01T00:00{zone}").tzinfo)


def _text_is_moment(meaning: str, stored: dt.datetime) -> bool:
    moment = _moment_of(meaning)
    if moment is None:
        return False
    return moment == stored if moment.tzinfo else _naive_in_moment(moment, stored)


def _text_is_time(meaning: str, stored: dt.time) -> bool:
    found = _ONLY_TIME.fullmatch(meaning)
    if found is None:
        return False
    *parts, fraction = found.groups()
    micro = int((fraction or "").ljust(6, "0") or 0)
    hour, minute, second = (int(part or 0) for part in parts)
    return dt.time(hour, minute, second, micro) == stored


def _text_is_duration(meaning: str, stored: dt.timedelta) -> bool:
    if _NUMBER.fullmatch(meaning):  # seconds, as Django reads them
        return Decimal(meaning.strip()) == Decimal(str(stored.total_seconds()))
    if found := re.fullmatch(r"P(\d+)DT(\d+)H", meaning):
        return dt.timedelta(days=int(found[1]), hours=int(found[2])) == stored
    found = _DURATION.fullmatch(meaning)
    if found is None:
        return False
    days, sign, hours, minutes, seconds, fraction = found.groups()
    micro = int((fraction or "").ljust(6, "0") or 0)
    time = dt.timedelta(0, int(seconds), micro, 0, int(minutes), int(hours or 0))
    return dt.timedelta(int(days or 0)) + (-time if sign else time) == stored


def _text_is_uuid(meaning: str, stored: uuid.UUID) -> bool:
    return re.sub(r"[{}-]|urn:|uuid:", "", meaning).lower() == stored.hex


def _text_is_address(meaning: str, stored: str) -> bool:
    try:
        return ipaddress.ip_address(meaning.strip()) == ipaddress.ip_address(stored)
    except ValueError:
        return meaning.strip() == stored  # SQLite and MySQL keep any text


def _address_in_text(meaning: Any, stored: str) -> bool:
    return bool(meaning == ipaddress.ip_address(stored))  # its spelling is Python's affair


def _text_is_json(meaning: str, stored: Any) -> bool:
    names: list[int] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names.append(len(found) - len(dict(found)))
        return dict(found)

    read = json.loads(meaning, parse_float=Decimal, object_pairs_hook=pairs)
    return not any(names) and _same_json(read, stored)


def _same_json(meaning: Any, stored: Any) -> bool:
    if isinstance(meaning, dict):
        return meaning.keys() == stored.keys() and all(
            _same_json(each, stored[name]) for name, each in meaning.items()
        )
    if isinstance(meaning, list):
        return len(meaning) == len(stored) and all(map(_same_json, meaning, stored))
    if isinstance(meaning, Decimal):
        return _number_in_real(meaning, float(stored))
    return type(meaning) is type(stored) and _equal(meaning, stored)


def _json_is_truth(meaning: Any, stored: bool) -> bool:
    return _text_is_truth(meaning, stored) if isinstance(meaning, str) else _truth(meaning, stored)


def _json_in_uuid(meaning: Any, stored: uuid.UUID) -> bool:
    return type(meaning) is int and meaning == stored.int


def _json_in_text(meaning: Any, stored: str) -> bool:
    if isinstance(meaning, (str, bool)):
        return stored == str(meaning)
    return _equal(json.loads(stored), meaning)


# --------------------------------------------------------------------------------------- bytes


def _of_decoded(same: Same) -> Same:
    return lambda meaning, stored: same(meaning.decode(), stored)


def _text_in_bytes(meaning: Any, stored: bytes) -> bool:
    return str(meaning).encode() == stored


def _bytes_in_uuid(meaning: bytes, stored: uuid.UUID) -> bool:
    return meaning == stored.bytes


def _bytes_in_truth(meaning: bytes, stored: bool) -> bool:
    return stored is {b"\x00": False, b"\x01": True}[meaning]


# --------------------------------------------------------------------------------------- times


def _naive_in_moment(meaning: dt.datetime, stored: dt.datetime) -> bool:
    return stored.astimezone(ZONE).replace(tzinfo=None) == meaning


def _date_in_moment(meaning: dt.date, stored: dt.datetime) -> bool:
    return _naive_in_moment(dt.datetime.combine(meaning, dt.time()), stored)


def _naive_in_date(meaning: dt.datetime, stored: dt.date) -> bool:
    return meaning == dt.datetime.combine(stored, dt.time())


def _instant_in_date(meaning: dt.datetime, stored: dt.date) -> bool:
    return _naive_in_date(meaning.astimezone(ZONE).replace(tzinfo=None), stored)


def _instant_in_text(meaning: dt.datetime, stored: str) -> bool:
    read = dt.datetime.fromisoformat(stored)
    return (read if read.tzinfo else read.replace(tzinfo=ZONE)) == meaning


def _duration_in_time(meaning: dt.timedelta, stored: dt.time) -> bool:
    return dt.datetime.combine(dt.date(2000, 1, 1), stored) - dt.datetime(2000, 1, 1) == meaning


def _iso(meaning: Any, stored: str) -> bool:
    return str(meaning) == stored


def _duration_in_text(meaning: dt.timedelta, stored: str) -> bool:
    hours = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d)", stored)  # as MySQL writes a TIME
    if hours:
        made = dt.timedelta(hours=int(hours[2]), minutes=int(hours[3]), seconds=int(hours[4]))
        return (-made if hours[1] else made) == meaning
    return str(meaning) == stored


TEXTS = (models.CharField, models.TextField, models.FileField)


def _in_texts(same: Same) -> dict[type[Any], Same]:
    return dict.fromkeys(TEXTS, same)


_TEXT: dict[type[Any], Same] = {
    **_in_texts(_equal),
    models.IntegerField: _text_is_number,
    models.DecimalField: _text_is_number,
    models.FloatField: _text_is_real,
    models.BooleanField: _text_is_truth,
    models.DateField: _text_is_date,
    models.DateTimeField: _text_is_moment,
    models.TimeField: _text_is_time,
    models.DurationField: _text_is_duration,
    models.UUIDField: _text_is_uuid,
    models.JSONField: _text_is_json,
    models.BinaryField: _text_in_bytes,
    models.GenericIPAddressField: _text_is_address,
}

ACCEPTED: Mapping[str, Mapping[type[Any], Same]] = {
    "number": {
        **_in_texts(_number_in_text),
        models.IntegerField: _equal,
        models.DecimalField: _equal,
        models.FloatField: _number_in_real,
        models.BooleanField: _truth,
        models.UUIDField: _number_in_uuid,
        models.JSONField: _equal,
    },
    "real": {
        **_in_texts(_real_in_text),
        models.IntegerField: _equal,
        models.DecimalField: _real_in_decimal,
        models.FloatField: _equal,
        models.BooleanField: _truth,
        models.JSONField: _real_in_json,
    },
    "bool": {
        **_in_texts(_iso),
        models.IntegerField: _equal,
        models.DecimalField: _equal,
        models.FloatField: _equal,
        models.BooleanField: _equal,
        models.JSONField: _equal,
    },
    "text": _TEXT,
    "bytes": {
        **_in_texts(_of_decoded(_equal)),
        models.BooleanField: _bytes_in_truth,
        models.UUIDField: _bytes_in_uuid,
        models.BinaryField: _equal,
        models.JSONField: _of_decoded(_text_is_json),
        models.GenericIPAddressField: _of_decoded(_text_is_address),
    },
    "date": {
        **_in_texts(_iso),
        models.DateField: _equal,
        models.DateTimeField: _date_in_moment,
    },
    "moment": {
        **_in_texts(_iso),
        models.DateField: _naive_in_date,
        models.DateTimeField: _naive_in_moment,
    },
    "instant": {
        **_in_texts(_instant_in_text),
        models.DateField: _instant_in_date,
        models.DateTimeField: _equal,
    },
    "time": {**_in_texts(_iso), models.TimeField: _equal},
    "time with zone": _in_texts(_iso),
    "duration": {
        **_in_texts(_duration_in_text),
        models.TimeField: _duration_in_time,
        models.DurationField: _equal,
    },
    "uuid": {
        **_in_texts(_iso),
        models.UUIDField: _equal,
        models.GenericIPAddressField: _iso,
        models.BinaryField: _text_in_bytes,  # some drivers return text
    },
    "address": {
        **_in_texts(_address_in_text),
        models.GenericIPAddressField: _address_in_text,
        models.BinaryField: lambda meaning, stored: _address_in_text(meaning, stored.decode()),
    },
    "json": {
        **_in_texts(_json_in_text),
        models.JSONField: _same_json,
        **dict.fromkeys((models.IntegerField, models.DecimalField, models.FloatField), _equal),
        models.BooleanField: _json_is_truth,
        models.UUIDField: _json_in_uuid,
        models.BinaryField: _text_in_bytes,
        models.GenericIPAddressField: _equal,
    },
    "list": {
        **_in_texts(_json_in_text),
        models.JSONField: _equal,
    },
    #: 0000-00-00 and what is no day: nothing is the same.
    "no date": {},
}


def is_same(kind: str, meaning: Any, field: Any, stored: Any) -> bool:
    """Whether ``stored`` is what the legacy database had, as far as anybody promised."""
    same = next(filter(None, map(ACCEPTED[kind].get, type(field).__mro__)), None)
    if same is None:
        return False
    if stored is None and isinstance(meaning, str) and not meaning.strip():
        return isinstance(field, (models.BooleanField, models.GenericIPAddressField))
    try:
        return same(meaning, stored)
    except (ValueError, KeyError, InvalidOperation, UnicodeDecodeError, TypeError, AttributeError):
        return False
