"""Which column and value made the database refuse a row.

Databases name a constraint at best; the person needs the column of the query and its value. Only
called for rows that failed, so it may ask the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db import Error, IntegrityError
from django.db.models import Field, ForeignKey

from ..exceptions import RowFailure
from ..fields.stock import is_clock
from ..rows.drafts import Draft, Note
from ..utils.databases import TooLong
from ..utils.wording import hook_of


def describe(draft: Draft, *, database: str) -> Note:
    """Say in one sentence why the draft failed, with column and value where one is to blame.

    Where the value is not what the legacy database has, that comes first.
    """
    note = _described(draft, database)
    for before in draft.notes:
        if before.is_settled and before.column == note.column:
            return note._replace(value=before.value, cause=f"{before.cause} ({note.cause})")
    return note


def _described(draft: Draft, database: str) -> Note:
    error = draft.error
    if isinstance(error, RowFailure):
        return Note(error.column, error.value, error.cause)
    cause = f"{hook_of(error)}{type(error).__name__}: {' '.join(str(error).split())}"
    instance = draft.object
    if isinstance(error, TooLong) and instance is not None:
        return Note(*_longest(draft, instance), hook_of(error) + str(error))
    if instance is None or not isinstance(error, (Error, ValueError, ArithmeticError)):
        return Note("", None, cause)
    field, why = next(_suspects(draft.row, instance, error, database), (None, ""))
    if field is None:
        return Note("", None, cause)
    column = next((name for name in (field.name, field.attname) if name in draft.row), "")
    value = draft.row[column] if column else getattr(instance, field.attname)
    return Note(column or field.name, value, f"{why} ({cause})")


def _longest(draft: Draft, instance: Any) -> tuple[str, Any]:
    """The column with the longest value, and the value."""

    def length(field: Field[Any, Any]) -> int:
        value = getattr(instance, field.attname)
        return len(value if isinstance(value, (str, bytes)) else str(value))

    field = max(instance._meta.concrete_fields, key=length)
    return field.name, getattr(instance, field.attname)


def why_refused(
    instance: Any, names: Collection[str], error: BaseException, *, database: str
) -> str:
    """Which of an object's fields in ``names`` made the database refuse it, and why; or nothing.

    In one phrase, which begins with the name of the field.
    """
    for field, why in _suspects(names, instance, error, database):
        if field.name in names:
            return f"{field.name}: {why}"
    return ""


def _suspects(
    given: Collection[str], instance: Any, error: BaseException, database: str
) -> Iterator[tuple[Field[Any, Any], str]]:
    fields = [field for field in instance._meta.concrete_fields if not field.generated]
    for field in fields:
        if why := _is_refused(field, getattr(instance, field.attname), given):
            yield field, why
    if isinstance(error, IntegrityError):
        yield from _duplicates(instance, database)
        yield from _dangling(fields, instance, database)
    # Last, since a validator is stricter than the database: it may complain of another column.
    for field in fields:
        if why := _is_invalid(field, getattr(instance, field.attname)):
            yield field, why


def _is_refused(field: Field[Any, Any], value: Any, given: Collection[str]) -> str:
    if value is None:
        if field.null or is_clock(field) or field.has_db_default():
            return ""
        if field.auto_created or field.primary_key:  # Django or the database gives it
            return ""
        if field.name in given or field.attname in given:
            return f"{field.name} may not be NULL"
        return f"{field.name} needs a value and the query has no such column"
    if isinstance(value, str) and "\x00" in value:
        return (
            f"the text holds a NUL character, at place {value.index(chr(0)) + 1:,} of"
            f" {len(value):,}, which the database does not take. Leave it out in"
            ' hook_before_transformation: .replace("\\x00", "")'
        )
    return ""


def _is_invalid(field: Field[Any, Any], value: Any) -> str:
    try:
        # A default or a hook may have left a value of another type than the field's own.
        field.run_validators(field.to_python(value))
    except ValidationError as error:
        return " ".join(error.messages)
    except Exception:  # whatever a user's validator makes of a wrong value: no help here
        return ""
    return ""


def _duplicates(instance: Any, database: str) -> Iterator[tuple[Field[Any, Any], str]]:
    """The unique fields whose value is taken, then the constraints that do not hold.

    Django's ``validate_unique`` would look through the default manager of the default database.
    """
    checks, _ = instance._get_unique_checks(include_meta_constraints=True)
    for model, names in checks:
        fields = [model._meta.get_field(name) for name in names]
        wanted = {field.attname: getattr(instance, field.attname) for field in fields}
        rows = model._base_manager.using(database).filter(**wanted)
        if not instance._state.adding:
            rows = rows.exclude(pk=instance.pk)
        if None not in wanted.values() and rows.exists():
            yield fields[0], " ".join(instance.unique_error_message(model, names).messages)
    yield from _broken_constraints(instance, database)


def _broken_constraints(instance: Any, database: str) -> Iterator[tuple[Field[Any, Any], str]]:
    for model, constraints in instance.get_constraints():
        for constraint in constraints:
            try:
                constraint.validate(model, instance, using=database)
            except ValidationError as error:
                for name in _fields_of(constraint)[:1]:
                    yield model._meta.get_field(name), " ".join(error.messages)


def _fields_of(constraint: Any) -> list[str]:
    """The names of the fields that a constraint speaks of, as far as it tells."""
    if fields := getattr(constraint, "fields", ()):
        return list(fields)
    return sorted(getattr(constraint.condition, "referenced_base_fields", ()))


def _dangling(
    fields: list[Field[Any, Any]], instance: Any, database: str
) -> Iterator[tuple[Field[Any, Any], str]]:
    for field in fields:
        value = getattr(instance, field.attname)
        if isinstance(field, ForeignKey) and value is not None:
            target = field.target_field
            rows = target.model._base_manager.using(database)
            if not rows.filter(**{target.attname: value}).exists():
                yield field, f"no {target.model._meta.label} has {target.name} = {value!r}"
