"""The join table of a many-to-many: read and written past Django's managers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import ManyToManyField, Model, Q
from django.db.models.fields.reverse_related import ManyToManyRel

from ..fields.lookup import field_of, has_djangos_joins
from .inserting import TableInsert, has_own_way


class JoinTable:
    """The table between two models, seen from one of them."""

    def __init__(
        self, through: Any, source: Any, target: Any, *, database: str, by_copy: bool = False
    ) -> None:
        self._rows = through._base_manager.using(database)
        self._source, self._target = source, target
        #: The attribute of an object that the table keeps.
        self.source_attr: str = source.target_field.attname
        self._insert: TableInsert | None = None
        # A join table of the project's own may have further fields, with defaults.
        if through._meta.auto_created and has_own_way(database):
            self._insert = TableInsert(
                through, (source, target), database=database, by_copy=by_copy
            )

    def insert(self, pairs: Any) -> None:
        columns = list(zip(*pairs, strict=True))
        if not columns:
            return
        if self._insert is not None:
            self._insert(columns)
            return
        names = self._source.attname, self._target.attname
        self._rows.bulk_create(
            self._rows.model(**dict(zip(names, pair, strict=True)))
            for pair in zip(*columns, strict=True)
        )

    def stored(self, sources: Any) -> dict[Any, set[Any]]:
        """The targets that each source is linked to."""
        found: dict[Any, set[Any]] = defaultdict(set)
        rows = self._rows.filter(**{f"{self._source.name}__in": list(sources)})
        for source, target in rows.values_list(self._source.attname, self._target.attname):
            found[source].add(target)
        return found

    def remove(self, extra: dict[Any, set[Any]]) -> None:
        condition = Q()
        for source, targets in extra.items():
            condition |= Q(
                **{self._source.attname: source, f"{self._target.attname}__in": list(targets)}
            )
        if extra:
            self._rows.filter(condition).delete()


def join_table(
    model: type[Model], name: str, *, database: str, by_copy: bool = False
) -> JoinTable | None:
    """The join table of ``model``'s accessor ``name``; None where the manager has to do it."""
    field = field_of(model, name)
    if isinstance(field, ManyToManyField) and not field.remote_field.symmetrical:
        ends = field.m2m_field_name(), field.m2m_reverse_field_name()
        through = field.remote_field.through
    elif isinstance(field, ManyToManyRel) and has_djangos_joins(field):
        ends = field.field.m2m_reverse_field_name(), field.field.m2m_field_name()
        through = field.field.remote_field.through
    else:
        return None
    assert through is not None, "an installed many-to-many has its join table"
    source, target = (through._meta.get_field(end) for end in ends)
    return JoinTable(through, source, target, database=database, by_copy=by_copy)
