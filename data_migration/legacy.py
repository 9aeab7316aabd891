"""Legacy keys and objects, for redirects and support questions: where did that row go?

::

    from data_migration import legacy

    customer = legacy.resolve("shop.CustomerMigration", 42)
    number = legacy.legacy_key_of(customer)

Both look at the ledger of the database that they are asked about, one or two queries each.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isclass
from typing import Any

from django.db.models import Model

from .fields.primary_keys import pk_from_text, pk_to_text
from .ledger import LinkLookup
from .models import RowLink
from .plan.graph import filled_by
from .rows.keys import alternative, key_of_text
from .spec.discovery import discover
from .spec.migration import Migration
from .utils.wording import suggest

__all__ = ["legacy_key_of", "resolve"]


def resolve(migration: type[Migration] | str, *key: Any, using: str = "default") -> Any:
    """The object that the row with this legacy key became, or None.

    ``migration`` is a class or its label, ``"shop.CustomerMigration"``. A composite key is given
    part by part: ``resolve("shop.ParcelMigration", "AT", 7)``. A number that comes as text, as it
    does from a URL, finds the number's row too. None also where the row was skipped or where
    somebody deleted the object.

    Raises :exc:`LookupError` for a migration that does not exist, and :exc:`TypeError` for a
    value that cannot be a key.
    """
    if not key:
        raise TypeError("resolve() needs the legacy key after the migration.")
    label, cls = _named(migration)
    wanted = key[0] if len(key) == 1 else key
    for part in wanted if isinstance(wanted, tuple) else (wanted,):
        if isinstance(part, (list, dict, set)):
            raise TypeError(
                f"{part!r} cannot be a legacy key. A composite one is given part by part:"
                ' resolve("shop.ParcelMigration", "AT", 7).'
            )
    found = LinkLookup(using)
    other = alternative(wanted)
    for form in [wanted] if other is None else [wanted, other]:
        for object_pk in found([label], (form,)).get(form, ()):
            rows = cls.model._base_manager.using(using)
            return rows.filter(pk=pk_from_text(cls.model)(object_pk)).first()
    return None


def legacy_key_of(instance: Model, migration: type[Migration] | str | None = None) -> Any:
    """The legacy key of the row that became ``instance``, a tuple for a composite one, or None.

    Raises :exc:`LookupError` when rows of several migrations became this object and none of them
    is named, when several rows of one migration did, or for a migration that does not exist or
    fills another model, and :exc:`TypeError` for what is no object of a model.
    """
    if not isinstance(instance, Model):
        raise TypeError(f"legacy_key_of() needs an object of a model, got {instance!r}.")
    labels = _labels_of(instance, migration)
    links = RowLink.objects.using(instance._state.db or "default").filter(
        migration__label__in=labels, object_pk=pk_to_text(type(instance))(instance.pk)
    )
    found = sorted(links.values_list("migration__label", "key"))
    if len(found) > 1:
        listed = " and ".join(f"{key} of {label}" for label, key in found)
        text = f"{instance._meta.label} {instance.pk} came from several rows: {listed}."
        if len({label for label, _ in found}) > 1:
            text += f" Name the migration: legacy_key_of(instance, {found[0][0]!r})."
        raise LookupError(text)
    return key_of_text(found[0][1]) if found else None


def _labels_of(instance: Model, migration: type[Migration] | str | None) -> Iterable[str]:
    if migration is None:
        return filled_by(type(instance), discover())
    label, cls = _named(migration)
    filled: Any = cls.model._meta.concrete_model
    # Objects of a parent model, or of a child, have the same primary key.
    if not (isinstance(instance, filled) or issubclass(filled, type(instance))):
        raise LookupError(
            f"{label} fills {filled._meta.label}, so no {instance._meta.label} came from it."
        )
    return [label]


def _named(migration: type[Migration] | str) -> tuple[str, type[Migration]]:
    migrations = discover()
    for label, cls in migrations.items():
        if migration in (label, cls):
            return label, cls
    if isinstance(migration, str):
        raise LookupError(f"There is no migration {migration!r}.{suggest(migration, migrations)}")
    if not (isclass(migration) and issubclass(migration, Migration)):
        raise TypeError(
            f"A migration is named by its class or as 'shop.CustomerMigration', not {migration!r}."
        )
    name = f"{migration.__module__}.{migration.__qualname__}"
    raise LookupError(f"{name} is in no spec, or has no query, so no row came from it.")
