"""``is_a(...)``: what a column of the query means for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from inspect import isclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import ForeignKey, Model


class Relation(StrEnum):
    """How a column refers to another model."""

    FK = "fk"
    O2O = "o2o"
    M2M = "m2m"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """The meaning of one column, as :func:`is_a` returns it.

    The values of ``columns`` (of the column itself where there are none) are compared with
    ``search_attr``, or with legacy keys where ``legacy`` is True or a migration.
    """

    klass: type[Model] | None = None
    search_attr: str | tuple[str, ...] = ""
    relation: Relation | None = None
    exclude: bool = False
    delimiter: str = ";"
    skip_missing: bool = False
    prefetch: bool = True
    assign_by_id: bool = False
    legacy: bool | str | type[Any] = False
    columns: tuple[str, ...] = ()
    deferred: bool = False

    @property
    def search_attrs(self) -> tuple[str, ...]:
        """The attributes that identify a target; none where its legacy key does."""
        attrs = self.search_attr
        return attrs if isinstance(attrs, tuple) else (attrs,) if attrs else ()


def is_a(
    klass: type[Model] | None = None,
    search_attr: str | Sequence[str] | None = None,
    fk: bool = False,
    m2m: bool = False,
    o2o: bool = False,
    exclude: bool = False,
    delimiter: str = ";",
    skip_missing: bool = False,
    prefetch: bool = True,
    assign_by_id: bool = False,
    legacy: bool | str | type[Any] = False,
    columns: Sequence[str] | None = None,
    deferred: bool = False,
) -> Column:
    """Describe a column of the query for ``column_description``.

    Exactly one of ``fk``, ``o2o``, ``m2m``, or ``exclude=True`` (the column is left for hooks).
    The related object is the one of ``klass`` whose ``search_attr`` equals the column's value.

    ``delimiter`` splits the text of a many-to-many column. ``skip_missing`` turns a target that
    does not exist into NULL (or leaves it out of a many-to-many) and counts a warning instead of
    failing the row. ``prefetch`` reads the targets' keys once per migration when they are few
    enough; without it they are looked up batch by batch. ``assign_by_id`` gives hooks an instance
    with only the key set, which saves memory.

    ``legacy`` finds the target by its legacy key, whatever primary key it got; it may name the
    migration (a class or ``"app_label.ClassName"``) where several fill ``klass``. ``columns`` are
    the columns of the query that hold the value, several for a composite key or for a
    ``search_attr`` of several attributes; the entry is then named after the model's field.
    ``deferred`` writes NULL where the target is not there yet and fills it in at the end.

    Raises :exc:`~django.core.exceptions.ImproperlyConfigured` on misuse. The order of the
    positional arguments begins with that of django-data-migration 0.2.1.
    """
    _check_flags(
        fk=fk,
        m2m=m2m,
        o2o=o2o,
        exclude=exclude,
        skip_missing=skip_missing,
        prefetch=prefetch,
        assign_by_id=assign_by_id,
        deferred=deferred,
    )
    if exclude:
        return Column(exclude=True)
    relation = _only_relation(fk=fk, m2m=m2m, o2o=o2o)
    fault = _Faults(klass)
    described = Column(
        klass=klass,
        search_attr=fault.attrs(search_attr),
        relation=relation,
        delimiter=delimiter,
        skip_missing=skip_missing,
        prefetch=prefetch,
        assign_by_id=assign_by_id,
        legacy=fault.migration(legacy),
        columns=fault.names("columns", columns),
        deferred=deferred,
    )
    fault.check(described)
    return described


def as_key(field: ForeignKey[Any, Any]) -> Column:
    """A foreign key without ``is_a`` holds the target's key; the target still has to exist."""
    return Column(
        klass=field.related_model,
        search_attr=field.target_field.name,
        relation=Relation.FK,
        assign_by_id=True,
    )


class _Faults:
    """What may be wrong with the arguments; every method raises ``ImproperlyConfigured``."""

    def __init__(self, klass: Any) -> None:
        if not (isclass(klass) and issubclass(klass, Model)):
            raise ImproperlyConfigured(
                f"is_a(): the first argument has to be a model class, got {klass!r}."
            )
        self._where = f"is_a({klass.__name__})"

    def _refuse(self, why: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"{self._where}: {why}")

    def attrs(self, search_attr: Any) -> str | tuple[str, ...]:
        """One attribute by itself, or several; empty for none."""
        if isinstance(search_attr, str):
            return search_attr
        return self.names("search_attr", search_attr) or ""

    def names(self, argument: str, value: Any) -> tuple[str, ...]:
        """A tuple of names that differ; empty for None."""
        if value is None:
            return ()
        if isinstance(value, str):
            raise self._refuse(
                f'{argument} has to be a tuple of names, write {argument}=("{value}",).'
            )
        is_listed = isinstance(value, (list, tuple))
        if not is_listed or not all(isinstance(name, str) and name for name in value):
            raise self._refuse(f"{argument} has to be a tuple of names, got {value!r}.")
        if len(set(value)) != len(value):
            raise self._refuse(f"{argument} names one of {', '.join(value)} twice.")
        return tuple(value)

    def migration(self, legacy: Any) -> bool | str | type[Any]:
        """What ``legacy`` says: True, False, or a migration."""
        if isinstance(legacy, bool):
            return legacy
        is_label = isinstance(legacy, str) and legacy.count(".") == 1
        if not is_label and not (isclass(legacy) and hasattr(legacy, "column_description")):
            raise self._refuse(
                "legacy has to be True, a Migration class or its label such as"
                f' "shop.CustomerMigration", got {legacy!r}.'
            )
        return legacy  # type: ignore[no-any-return]

    def check(self, described: Column) -> None:
        """What no argument is wrong about by itself."""
        attrs, columns = described.search_attrs, described.columns
        if attrs and described.legacy:
            raise self._refuse(
                "a target is found by search_attr or by its legacy key: leave one of them out."
            )
        if not attrs and not described.legacy:
            raise self._refuse(
                "name the attribute that the column's values are compared with, for example"
                ' search_attr="id", or find the target by its legacy key with legacy=True.'
            )
        if attrs and len(attrs) != len(columns or ("itself",)):
            raise self._refuse(
                f"search_attr names {len(attrs)} and columns {len(columns)}: each attribute needs"
                " its column of the query, in the same order."
            )

        if not described.delimiter or not isinstance(described.delimiter, str):
            raise self._refuse(f"delimiter has to be a text, got {described.delimiter!r}.")
        if described.relation is Relation.M2M and len(columns) > 1:
            raise self._refuse(
                "a many-to-many is read from one column; several columns identify one target, with"
                " fk=True or o2o=True."
            )


def _check_flags(**flags: Any) -> None:
    """Raise ``ImproperlyConfigured`` for a value that only counts as True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ImproperlyConfigured(f"is_a(): {name} has to be True or False, got {value!r}.")


def _only_relation(**chosen: bool) -> Relation:
    relations = [Relation(name) for name, wanted in chosen.items() if wanted]
    if len(relations) != 1:
        raise ImproperlyConfigured(
            "is_a(): exactly one of fk=True, o2o=True, m2m=True, or exclude=True is needed, got "
            + (" and ".join(f"{relation}=True" for relation in relations) or "none")
            + "."
        )
    return relations[0]
