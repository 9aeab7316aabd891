"""``is_a(...)``: what a column of the query means for the model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from inspect import isclass

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model


class Relation(StrEnum):
    """How a column refers to another model."""

    FK = "fk"
    O2O = "o2o"
    M2M = "m2m"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """The meaning of one column, as :func:`is_a` returns it."""

    klass: type[Model] | None = None
    search_attr: str = ""
    relation: Relation | None = None
    exclude: bool = False
    delimiter: str = ";"
    skip_missing: bool = False
    prefetch: bool = True
    assign_by_id: bool = False
    legacy: bool = False


def is_a(
    klass: type[Model] | None = None,
    search_attr: str | None = None,
    fk: bool = False,
    m2m: bool = False,
    o2o: bool = False,
    exclude: bool = False,
    delimiter: str = ";",
    skip_missing: bool = False,
    prefetch: bool = True,
    assign_by_id: bool = False,
    legacy: bool = False,
) -> Column:
    """Describe a column of the query for ``column_description``.

    Exactly one of ``fk``, ``o2o``, ``m2m``, or ``exclude=True`` (the column is left for hooks).
    The related object is the one of ``klass`` whose ``search_attr`` equals the column's value.

    ``delimiter`` splits the text of a many-to-many column. ``skip_missing`` turns a target that
    does not exist into NULL (or leaves it out of a many-to-many) and counts a warning instead of
    failing the row. ``prefetch`` reads the targets' keys once per migration when they are few
    enough; without it they are looked up batch by batch. ``assign_by_id`` gives hooks an instance
    with only the key set, which saves memory. ``legacy`` finds the target by its legacy key.

    Raises :exc:`~django.core.exceptions.ImproperlyConfigured` on misuse. The order of the
    positional arguments is that of django-data-migration 0.2.1.
    """
    if exclude:
        return Column(exclude=True)
    relation = _only_relation(fk=fk, m2m=m2m, o2o=o2o)
    if not (isclass(klass) and issubclass(klass, Model)):
        raise ImproperlyConfigured(
            f"is_a(): the first argument has to be a model class, got {klass!r}."
        )
    if legacy:
        raise ImproperlyConfigured("is_a(): legacy=True is not supported yet; use search_attr.")
    if not search_attr:
        raise ImproperlyConfigured(
            f"is_a({klass.__name__}): name the attribute that the column's values are compared"
            ' with, for example search_attr="id".'
        )
    if relation is Relation.M2M and not delimiter:
        raise ImproperlyConfigured(f"is_a({klass.__name__}): delimiter must not be empty.")
    return Column(
        klass=klass,
        search_attr=search_attr,
        relation=relation,
        delimiter=delimiter,
        skip_missing=skip_missing,
        prefetch=prefetch,
        assign_by_id=assign_by_id,
    )


def _only_relation(**chosen: bool) -> Relation:
    relations = [Relation(name) for name, wanted in chosen.items() if wanted]
    if len(relations) != 1:
        raise ImproperlyConfigured(
            "is_a(): exactly one of fk=True, o2o=True, m2m=True, or exclude=True is needed, got "
            + (" and ".join(f"{relation}=True" for relation in relations) or "none")
            + "."
        )
    return relations[0]
