"""A column of a batch -> what the database driver, or COPY, is given for it.

Each function is made once per step. Values of the field's own type are written all together;
any other goes through the field by itself.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import methodcaller
from typing import Any

from django.conf import settings
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import fields

from ..fields.lookup import target_field_of
from ..fields.stock import Kind, is_json, kind_of, written_type_of

Values = Sequence[Any]
#: The values of a column, in their order -> as many written ones.
Form = Callable[[Values], Values]


class Unsuitable(Exception):
    """A value that only Django can write: an expression, say."""


def parameters(field: Any, connection: Any) -> Form:
    """What the driver is given for ``field``. The form raises :exc:`Unsuitable`."""

    def each(value: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            raise Unsuitable(f"{field.name} is an expression")
        return field.get_db_prep_save(value, connection)

    target = target_field_of(field)
    return _form(target, _adapter(target, connection), each)


def texts(field: Any) -> Form:
    """PostgreSQL's text form of each value, None for NULL. Raises :exc:`Unsuitable`.

    Needs a field that :func:`.stock.copy_refusal` has nothing against.
    """
    target = target_field_of(field)
    if is_json(target):
        return lambda values: _around_nulls(_json(target), values)
    own = written_type_of(target)
    assert own is not None, "copy_refusal() comes first"
    written = _TEXTS[own]

    def each(value: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            raise Unsuitable(f"{field.name} is an expression")
        value = field.get_prep_value(value)
        if value is None or (value == "" and _empty_is_null(target)):
            return None
        if not isinstance(value, own) or not _is_plain(target, [value]):
            raise Unsuitable(f"{field.name} is a {type(value).__name__}")
        return next(iter(written([value])))

    return _form(target, written, each)


def copied(values: Values) -> Values:
    """Texts as COPY's text format has them (PostgreSQL, "COPY", "File Formats")."""
    if None in values:
        return _around_nulls(copied, values, "\\N")
    together = "".join(values)
    for special, escaped in _ESCAPES:  # str.translate takes ten times as long
        if special in together:
            values = [value.replace(special, escaped) for value in values]
    return values


def array(values: Values) -> str:
    """Texts as the one text of an array (PostgreSQL, "Array Input and Output Syntax")."""
    if None in values:
        return f"{{{','.join('NULL' if each is None else _element(each) for each in values)}}}"
    if _SPECIAL_IN_ARRAY.search("".join(values)) is not None:
        return f"{{{','.join(map(_element, values))}}}"
    return '{"' + '","'.join(values) + '"}' if values else "{}"


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


#: The backslash first: the others bring one of their own.
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_SPECIAL_IN_ARRAY = re.compile(r'[\\"]')


def literals(form: Form, connection: Any) -> Form:
    """What ``form`` makes of the values, as literals of MySQL's SQL."""
    raw = connection.connection
    encoding = raw.encoding

    def quoted(values: Values) -> Values:
        if encoding == "utf8" and _SPECIAL_IN_LITERAL.search("".join(values)) is None:
            return [f"'{text}'" for text in values]
        return [str(raw.string_literal(text.encode(encoding)).decode(encoding)) for text in values]

    def literal(value: Any) -> str:
        if type(value) in (bytes, memoryview, bytearray):
            return f"x'{bytes(value).hex()}'"
        return str(raw.literal(value).decode(encoding))

    def form_literals(values: Values) -> Values:
        values = form(values)
        kinds = set(map(type, values))
        if kinds == {int}:
            return list(map(str, values))
        if kinds == {str}:
            return quoted(values)
        if kinds == {bytes}:
            return [f"x'{value.hex()}'" for value in values]
        return list(map(literal, values))

    return form_literals


#: What a literal has to escape (MySQL, "String Literals"), or no connection can send.
_SPECIAL_IN_LITERAL = re.compile("[\0\n\r\x1a\"'\\\\\ud800-\udfff]")


def _form(target: Any, written: Form | None, each: Callable[[Any], Any]) -> Form:
    """Values of the field's own type by ``written``, all together; any other by ``each``."""
    own = written_type_of(target)
    plain, with_nulls = {own}, {own, type(None)}

    def form(values: Values) -> Values:
        kinds = set(map(type, values))
        if written is not None:
            if kinds == plain and _is_plain(target, values):
                return written(values)
            if kinds == with_nulls:
                return _around_nulls(form, values)
        return [each(value) for value in values]

    return form


def _is_plain(target: Any, values: Values) -> bool:
    """Whether values of the field's own type are written without a look at each."""
    if isinstance(target, fields.DateTimeField):
        return all((value.tzinfo is not None) is settings.USE_TZ for value in values)
    if isinstance(target, fields.TimeField):
        return all(value.tzinfo is None for value in values)  # of which columns have none
    if isinstance(target, fields.DecimalField):
        return all(map(Decimal.is_finite, values))  # Django refuses NaN, which servers store
    return not (_empty_is_null(target) and "" in values)


def _empty_is_null(target: Any) -> bool:
    return isinstance(target, fields.GenericIPAddressField)


def _around_nulls(form: Form, values: Values, null: Any = None) -> Values:
    written = iter(form([value for value in values if value is not None]))
    return [null if value is None else next(written) for value in values]


def _adapter(field: Any, connection: Any) -> Form | None:
    """How values of the own type become parameters; None where the field is to be asked."""
    ops, kind = connection.ops, kind_of(field)
    if kind in _AS_THEY_ARE:
        return lambda values: values
    if kind is fields.DecimalField:
        digits, places = field.max_digits, field.decimal_places
        return lambda values: [ops.adapt_decimalfield_value(v, digits, places) for v in values]
    own = BaseDatabaseOperations.adapt_datefield_value
    if kind is fields.DateField and type(ops).adapt_datefield_value is own:
        # The database takes a date as Python writes it.
        return lambda values: list(map(str, values))
    if kind in _ADAPTERS:
        adapt = getattr(ops, _ADAPTERS[kind])
        return lambda values: list(map(adapt, values))
    return None


_AS_THEY_ARE: frozenset[Kind | None] = frozenset(
    {
        *(fields.BooleanField, fields.IntegerField, fields.FloatField),
        *(fields.CharField, fields.TextField, fields.files.FileField, fields.BinaryField),
    }
)
_ADAPTERS: dict[Kind | None, str] = {
    fields.DateTimeField: "adapt_datetimefield_value",
    fields.DateField: "adapt_datefield_value",
    fields.TimeField: "adapt_timefield_value",
}


def _json(field: Any) -> Form:
    def form(values: Values) -> Values:
        if any(hasattr(value, "resolve_expression") for value in values):
            raise Unsuitable(f"{field.name} is an expression")
        return [json.dumps(value, cls=field.encoder) for value in values]

    return form


def _duration(value: dt.timedelta) -> str:
    return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


def _each(function: Callable[[Any], str]) -> Form:
    return lambda values: list(map(function, values))


#: Type -> PostgreSQL's text for values of just this type.
_TEXTS: dict[type, Form] = {
    bool: lambda values: ["t" if value else "f" for value in values],
    int: _each(str),
    float: lambda values: [repr(value + 0.0) for value in values],  # no -0.0, as in a literal
    Decimal: _each(str),
    dt.datetime: _each(dt.datetime.isoformat),
    dt.date: _each(dt.date.isoformat),
    dt.time: _each(dt.time.isoformat),
    dt.timedelta: _each(_duration),
    uuid.UUID: _each(str),
    bytes: lambda values: ["\\x" + digits for digits in map(methodcaller("hex"), values)],
    str: lambda values: values,
}
