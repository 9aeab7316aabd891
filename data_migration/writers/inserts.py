"""New objects -> rows of their table, past ``bulk_create`` wherever the model allows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.db.models import FileField, Model

from ..exceptions import RowFailure
from ..fields.primary_keys import is_set
from ..fields.stock import copy_refusal, is_clock, is_plain, is_stock
from ..rows.drafts import Draft
from ..tables import Meanwhile, NewKeys, TableInsert, Unsuitable, has_own_way
from ..utils.databases import database_of

#: The values of each attribute, in the order of the rows.
Columns = dict[str, list[Any]]


class Inserts:
    """Writes the new objects of one step, by COPY with ``by_copy``.

    Values come from the drafts' instances. Drafts without one give their own values, which are
    completed by the defaults of the model.
    """

    def __init__(self, model: type[Model], *, database: str, by_copy: bool) -> None:
        self._model = model
        self._database = database
        self._by_copy = by_copy
        self._pk: Any = model._meta.pk
        self._key_names = [field.attname for field in model._meta.pk_fields]
        self._fields = {field.attname: field for field in written_fields(model)}
        self._new_keys = NewKeys(model, database=database)
        self._tables: dict[tuple[str, ...], TableInsert] = {}

    def __call__(self, drafts: list[Draft], meanwhile: Meanwhile) -> None:
        """Insert the drafts' objects and give each draft its key.

        ``meanwhile`` as for :class:`TableInsert`. Raises :exc:`Unsuitable`, before anything is
        written, for what only Django can write.
        """
        of = self._of_values if drafts[0].instance is None else self._of_instances
        columns = of(drafts)
        keys = self._keys(columns)
        has_keys = None not in keys if len(self._key_names) == 1 else all(map(is_set, keys))
        if has_keys:
            self._insert(columns, meanwhile)
        elif len(self._key_names) > 1 or any(key is not None for key in keys):
            raise Unsuitable("some rows have a key and some have none")
        elif self._new_keys:
            keys = list(self._new_keys.take(len(drafts)))
            self._insert({**columns, self._pk.attname: keys}, meanwhile)
        else:
            others = {name: values for name, values in columns.items() if name != self._pk.attname}
            keys = self._table(others).returning(list(others.values()), self._pk)
        for draft, key in zip(drafts, keys, strict=True):
            draft.pk, draft.has_key = key, has_keys
            if draft.instance is not None:
                setattr(draft.instance, self._pk.attname, key)
                draft.instance._state.adding = False
                draft.instance._state.db = self._database

    def _keys(self, columns: Columns) -> list[Any]:
        keys = [columns[name] for name in self._key_names]
        return keys[0] if len(keys) == 1 else list(zip(*keys, strict=True))

    def _insert(self, columns: Columns, meanwhile: Meanwhile) -> None:
        self._table(columns)(list(columns.values()), meanwhile)

    def _table(self, columns: Columns) -> TableInsert:
        names = tuple(columns)
        if names not in self._tables:
            fields = [self._fields[name] for name in names]
            self._tables[names] = TableInsert(
                self._model, fields, database=self._database, by_copy=self._by_copy
            )
        return self._tables[names]

    def _of_instances(self, drafts: list[Draft]) -> Columns:
        objects = [vars(draft.instance) for draft in drafts]
        columns = {}
        for name, field in self._fields.items():
            if is_clock(field) or isinstance(field, FileField):
                columns[name] = [_saved(field, draft.instance) for draft in drafts]
            else:
                columns[name] = [each[name] for each in objects]
        return columns

    def _of_values(self, drafts: list[Draft]) -> Columns:
        rows = [draft.values for draft in drafts]
        given = rows[0].keys()
        if not given <= self._fields.keys() or len(set(map(len, rows))) > 1:
            raise Unsuitable("rows of different columns, or a column that is no field")
        for name, field in self._fields.items():
            if name not in given or is_clock(field):
                _fill(field, rows)
        try:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
        except KeyError as error:
            raise Unsuitable("rows of different columns") from error
        for name in self._key_names:
            columns.setdefault(name, [None] * len(rows))
        return columns


def written_fields(model: type[Model]) -> list[Any]:
    """The fields of ``model`` that an INSERT may name."""
    return [field for field in model._meta.concrete_fields if not field.generated]


def _saved(field: Any, instance: Any) -> Any:
    """What the field would save; a time that came with the row stays, see :mod:`.timestamps`."""
    given = vars(instance).get(field.attname)
    return given if given is not None and is_clock(field) else field.pre_save(instance, True)


def _fill(field: Any, rows: list[dict[str, Any]]) -> None:
    """Give the rows what ``Model(...)`` and ``save()`` give an object without the value."""
    name = field.attname
    if is_clock(field):
        for row in rows:
            if row.get(name) is None:
                row[name] = field.pre_save(SimpleNamespace(), True)
    # The database fills in the others by itself.
    elif not field.has_db_default() and (field.has_default() or not field.primary_key):
        for row in rows:
            row[name] = field.get_default()


def refuse_empty_key(instance: Model) -> None:
    """Raise :exc:`RowFailure` where Django would save an empty text for a key that is NULL."""
    for field in instance._meta.pk_fields:
        if field.has_default() or field.has_db_default():
            continue
        if getattr(instance, field.attname) is None and field.get_default() == "":
            raise RowFailure("NULL cannot identify an object", column=field.name)


def django_has_to(model: type[Model], *, database: str) -> str:
    """Why new objects go through ``bulk_create``, in one phrase; empty where they need not."""
    db = database_of(database)
    if not has_own_way(database):
        return f"{db.name} has no faster way"
    for field in model._meta.concrete_fields:
        if not is_stock(field):
            return f"{field.name} is a {type(field).__name__}, which has methods of its own"
        if db.takes_copy and (reason := copy_refusal(field)):
            return reason  # a foreign key to such a field: arrays are texts, as COPY's columns
        if not is_plain(field):
            kind = type(getattr(model, field.attname)).__name__
            return f"{field.name} is read through a {kind}"
        if field.generated or field.has_db_default():
            return f"the database computes {field.name}"
    new_keys = NewKeys(model, database=database)
    if new_keys.are_given and not new_keys and not db.returns_new_keys:
        return "the database does not tell the keys of new rows"
    return ""


def copy_cannot(model: type[Model], *, database: str) -> str:
    """Why the new objects cannot go by COPY, in one phrase; empty where they can."""
    if not database_of(database).takes_copy:
        return "COPY is PostgreSQL's"
    if reason := django_has_to(model, database=database):
        return reason
    return next(filter(None, map(copy_refusal, written_fields(model))), "")
