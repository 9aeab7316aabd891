"""What ``process()`` changed of the objects of a page, saved in bulk; the bad object is found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import DataError, Error, IntegrityError, transaction
from django.db.models import FileField, ForeignKey, QuerySet

from ..exceptions import DataMigrationError, RowFailure
from ..fields.changes import Columns
from ..fields.lookup import keys_without_row, table_of
from ..tables import Updates
from ..utils.databases import database_of
from ..utils.wording import words
from ..writers.deferred import DeferredConstraints
from ..writers.diagnosis import why_refused

#: Names of fields.
Names = tuple[str, ...]
#: Objects by their model, and by the fields that are to be written.
Groups = dict[tuple[Any, Names], list[Any]]


class Saved(NamedTuple):
    """How many objects were written, and were as before; those that failed, and why."""

    updated: int
    unchanged: int
    failed: list[tuple[Any, Exception]]


class Changes:
    """The objects of a page as they were read, and then what is different of them.

    Needs a transaction around it, from the reading of the objects on.
    """

    def __init__(self, objects: Sequence[Any], saving: Saving) -> None:
        self._saving = saving
        self._read = [
            _Read(item, item.pk, saving.table(type(item)).columns.copy(item)) for item in objects
        ]

    def keys(self) -> dict[int, Any]:
        """The keys with which the objects were read, by the objects' ids."""
        return {id(read.item): read.key for read in self._read}

    def written(self, *, but: Collection[int] = ()) -> Saved:
        """Write the columns that changed, but those of the objects with these ids (of Python).

        An object that was deleted counts as written. Raises what is no object's fault.
        """
        groups: Groups = defaultdict(list)
        failed: list[tuple[Any, Exception]] = []
        unchanged = deleted = 0
        late = self._late()
        for read in self._read:
            item = read.item
            if id(item) in but:
                continue
            try:
                if item.pk != read.key and self._is_deleted(read):
                    deleted += 1
                elif names := self._changed(item, read.before | late.get(id(item), {})):
                    groups[type(item), names].append(item)
                else:
                    unchanged += 1
            except Exception as error:
                _raise_if_ours(error)
                failed.append((item, error))
        written = sum(map(len, groups.values()))
        refused = self._saving(groups)
        failed += refused
        places = {id(read.item): place for place, read in enumerate(self._read)}
        failed.sort(key=lambda each: places[id(each[0])])
        return Saved(written - len(refused) + deleted, unchanged, failed)

    def _changed(self, item: Any, before: dict[str, Any]) -> Names:
        """The fields that are to be written. Raises what Django says against the object."""
        if item._state.fields_cache:  # the key of an object that was saved after it was assigned
            item._prepare_related_fields_for_save("process")
        columns = self._saving.table(type(item)).columns
        fields = [columns.fields[name] for name in columns.changed(item, before)]
        for field in fields:
            if isinstance(field, FileField):
                field.pre_save(item, False)  # which stores the file
        return tuple(field.name for field in fields)

    def _late(self) -> dict[int, dict[str, Any]]:
        """By the object's id, what is stored in columns that were deferred, and have a value now.

        Whether that was read or assigned nobody knows.
        """
        found: dict[int, dict[str, Any]] = {}
        models: dict[Any, list[tuple[_Read, list[str]]]] = defaultdict(list)
        for read in self._read:
            model = type(read.item)
            names = self._saving.table(model).columns.late(read.item, read.before)
            if names and read.item.pk == read.key:
                models[model].append((read, names))
        for model, late in models.items():
            wanted = {name for _, names in late for name in names}
            rows = self._saving.rows(model).only(*wanted)
            stored = rows.in_bulk([read.key for read, _ in late])
            for read, names in late:
                if read.key in stored:
                    values = vars(stored[read.key])
                    found[id(read.item)] = {name: values[name] for name in names}
        return found

    def _is_deleted(self, read: _Read) -> bool:
        """Whether the object, whose key is another, is gone. Raises where it is still there."""
        now = read.item.pk
        if now is None and not self._saving.rows(type(read.item)).filter(pk=read.key).exists():
            return True
        read.item.pk = read.key
        raise RowFailure(
            f"its key was changed from {read.key} to {now}. Saved under another key it would be"
            " another object: create that one, and delete this one"
        )


class _Read(NamedTuple):
    """An object, its key, and the values that it was read with."""

    item: Any
    key: Any
    before: dict[str, Any]


class _Table(NamedTuple):
    """What is needed to save objects of one model."""

    columns: Columns
    updates: Updates
    deferred: DeferredConstraints


class Saving:
    """Saves fields of objects, together; each that is refused is found by halving.

    Made once for all pages.
    """

    def __init__(self, *, database: str) -> None:
        self._database = database
        self._db = database_of(database)
        self._tables: dict[Any, _Table] = {}

    def table(self, model: Any) -> _Table:
        if model not in self._tables:
            self._tables[model] = _Table(
                Columns(model),
                Updates(model, database=self._database),
                DeferredConstraints(model, database=self._database),
            )
        return self._tables[model]

    def rows(self, model: Any) -> QuerySet[Any]:
        return table_of(model, self._database)

    def __call__(self, groups: Groups) -> list[tuple[Any, Exception]]:
        """Save the objects by the fields that are to be written. Those that failed, and why.

        Raises what is no object's fault.
        """
        refused: list[_Refused] = []
        for (model, names), objects in groups.items():
            lost = self._without_target(objects, model, names)
            refused += [_Refused(item, names, error) for item, error in lost.values()]
            left: list[_Refused] = []
            self._save([item for item in objects if id(item) not in lost], names, left)
            refused += self._after_exchange(left, model, names)
        number = sum(map(len, groups.values()))
        while refused and len(refused) < number:
            # There and back: one may have had the value that another one wants.
            number = len(refused)
            refused = [
                each._replace(error=error)
                for each in reversed(refused)
                if (error := self._again(each)) is not None
            ]
        return [(each.item, self._named(each)) for each in refused]

    def _save(self, objects: list[Any], names: Names, refused: list[_Refused]) -> None:
        """Save together; where that fails each half, down to the objects that are refused.

        Where nothing is wrong with the first half, the second is not tried as a whole.
        """
        error = self._attempt(objects, names) if objects else None
        while error is not None and len(objects) > 1:
            before = len(refused)
            first, objects = objects[: len(objects) // 2], objects[len(objects) // 2 :]
            self._save(first, names, refused)
            if len(refused) > before or len(objects) == 1:
                error = self._attempt(objects, names)
        if error is not None:
            refused.append(_Refused(objects[0], names, error))

    def _attempt(self, objects: list[Any], names: Names) -> Exception | None:
        """Save in one savepoint; what speaks against it."""
        table = self.table(type(objects[0]))
        try:
            with transaction.atomic(using=self._database):
                if table.updates(objects, names) < len(objects):
                    raise RowFailure("its row is gone, or a trigger of the database keeps it")
                table.deferred.check()
        except Exception as error:
            _raise_if_ours(error)
            if self._db.is_at_fault(error):
                raise
            return error
        return None

    def _after_exchange(self, refused: list[_Refused], model: Any, names: Names) -> list[_Refused]:
        """Those that are left when the rows whose places are checked at the commit changed them.

        Halving may have torn apart two that exchange what is unique.
        """
        torn = [each for each in refused if isinstance(each.error, IntegrityError)]
        if len(torn) < 2 or not self.table(model).deferred:
            return refused
        if self._attempt([each.item for each in torn], names) is not None:
            return refused
        return [each for each in refused if each not in torn]

    def _again(self, refused: _Refused) -> Exception | None:
        if not isinstance(refused.error, IntegrityError):
            return refused.error
        return self._attempt([refused.item], refused.names)

    def _without_target(
        self, objects: Iterable[Any], model: Any, names: Names
    ) -> dict[int, tuple[Any, Exception]]:
        """The objects with a key that leads nowhere, where only the commit would say so."""
        lost: dict[int, tuple[Any, Exception]] = {}
        if self._db.checks_keys_at_once:
            return lost
        for field in map(model._meta.get_field, names):
            if not isinstance(field, ForeignKey) or not getattr(field, "db_constraint", True):
                continue
            target: Any = field.target_field
            keys = {
                id(item): (item, target.to_python(value))
                for item in objects
                if (value := vars(item)[field.attname]) is not None
                and not hasattr(value, "resolve_expression")
            }
            wanted = {key for _, key in keys.values()}
            missing = keys_without_row(field, wanted, database=self._database)
            for number, (item, key) in keys.items():
                if key in missing:
                    label = target.model._meta.label
                    error = RowFailure(f"{field.name}: no {label} has {target.name} = {key!r}")
                    lost[number] = item, error
        return lost

    def _named(self, refused: _Refused) -> Exception:
        """The error with the field that is to blame, where that can be told."""
        item, names, error = refused
        if not isinstance(error, (IntegrityError, DataError)):
            return error
        try:
            with transaction.atomic(using=self._database):
                why = why_refused(item, names, error, database=self._database)
        except Error:  # the database cannot be asked for the value either
            return error
        if not why:
            return error
        named = RowFailure(f"{why.rstrip('.')} ({type(error).__name__}: {words(error)})")
        named.__cause__ = error
        return named


class _Refused(NamedTuple):
    item: Any
    names: Names
    error: Exception


def _raise_if_ours(error: Exception) -> None:
    """An error of ours that is not about a row ends more than the object."""
    if isinstance(error, DataMigrationError) and not isinstance(error, RowFailure):
        raise error
