"""What a patch with ``writes`` changes is kept, so that it can be rolled back.

Rows are compared as the database has them before and after, so it does not matter how they were
changed: by ``save()``, a statement of the patch's own, a trigger. What was kept reads like that of
a migration: links with the digests of what was written, and before-images; their keys are primary
keys.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from tempfile import SpooledTemporaryFile
from typing import Any

from django.db import connections
from django.db.models import Model

from ..exceptions import SpecError
from ..fields.digests import FieldDigests
from ..fields.lookup import stored_values
from ..fields.primary_keys import is_in_key, pk_to_text
from ..ledger import Link, LinkBook
from ..ledger.images import Images, Snapshot
from ..ledger.states import state_of
from ..outcomes import LinkKind
from ..rows.keys import identify, key_text
from ..utils.databases import database_of
from .patch import Patch

#: Rows that are compared at once.
_PAGE = 2000
#: Bytes of rows as they were that are kept in memory; more go into a temporary file.
_IN_MEMORY = 32 * 2**20


def state_label(step_label: str, model: type[Model]) -> str:
    """Under which label it is kept what a patch changes of a model."""
    return f"{step_label}/{model._meta.label}"


def models_written(patch: Patch) -> list[Any]:
    """The models in ``writes``, of the apps that the patch runs with; none where it keeps nothing.

    Raises :exc:`SpecError` where what it changes of them could not be kept.
    """
    name = type(patch).__name__
    found = []
    for each in patch.writes:
        label = each if isinstance(each, str) else each._meta.label
        try:
            found.append(patch.ctx.model(label)._meta.concrete_model)
        except (LookupError, ValueError) as error:
            raise SpecError(
                f"{name}: writes names {label}, and there is no such model."
            ) from error
    if found and patch.atomic is False:
        raise SpecError(
            f"{name}: with atomic = False others write at the same time, so nobody can tell what"
            " the patch changes. Leave out writes, or atomic."
        )
    return list(dict.fromkeys(found))


def keeper_of(
    patch: Patch, step_label: str, model: type[Model], *, run: int, database: str
) -> Keeper | None:
    """Who keeps what a patch changes of the objects of its queryset; None where nobody does.

    Raises :exc:`SpecError` where ``writes`` has other models than theirs.
    """
    written = models_written(patch)
    own: Any = model._meta.concrete_model
    if own not in written and own._meta.label in {each._meta.label for each in written}:
        raise SpecError(
            f"{type(patch).__name__}: queryset() is of the {own._meta.label} of today's code, and"
            " in a schema migration writes means the one of that place. Write"
            f' self.ctx.model("{own._meta.label}") in queryset(), which is right in both.'
        )
    if others := [each._meta.label for each in written if each is not own]:
        raise SpecError(
            f"{type(patch).__name__}: writes has {', '.join(others)}, and queryset() is of"
            f" {model._meta.label}. Of a patch with a queryset only its own objects are kept: make"
            " another patch for the others, or one with execute()."
        )
    return Keeper(step_label, model, run=run, database=database) if written else None


@contextmanager
def keeping(patch: Patch, step_label: str, *, run: int, database: str) -> Iterator[None]:
    """Keep what the block changes of the models in ``writes``, in a transaction that there is.

    Nobody else writes to their tables until its end; on MySQL that is so in the transaction of
    :func:`isolated`.
    """
    models = models_written(patch)
    if models:
        _keep_others_out(models, database)
    with ExitStack() as stack:
        for model in models:
            keeper = Keeper(step_label, model, run=run, database=database)
            stack.enter_context(keeper.comparing())
        yield


class Keeper:
    """Keeps what a run changes of the objects of one model for one patch.

    To be made in a transaction that is committed before those of the objects, or with them.
    """

    def __init__(self, step_label: str, model: Any, *, run: int, database: str) -> None:
        self._model = model._meta.concrete_model
        self._run = run
        self._database = database
        state = state_of(state_label(step_label, self._model), database=database)
        self._book = LinkBook(state, database=database)
        self._images = Images(state, database=database, run=run)
        self._digests = FieldDigests(self._model, database=database)
        # That it is known says as well that something was kept, even if nothing was changed.
        self._book.know_layout(self._digests.layout, self._digests.names)
        self._text_of = pk_to_text(self._model)
        self._fields = [
            field
            for field in self._model._meta.concrete_fields
            if not (is_in_key(field, self._model) or field.generated)
        ]
        self._columns = [field.attname for field in self._model._meta.concrete_fields]

    @contextmanager
    def watching(self, keys: Collection[Any]) -> Iterator[None]:
        """Keep what the block changes of the objects with these keys, in the transaction of it."""
        before = database_of(self._database).locking(self._rows).in_bulk(keys)
        yield
        after = self._rows.in_bulk(keys)
        self._keep(before, list(after.values()))
        self._keep_deleted([before[pk] for pk in before.keys() - after.keys()])

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """Keep what the block changes, creates and deletes; nobody else may write meanwhile."""
        with SpooledTemporaryFile(_IN_MEMORY) as file:
            bounds = []
            for page in self._pages():
                pickle.dump([[vars(each)[name] for name in self._columns] for each in page], file)
                bounds.append(page[-1].pk)
            yield
            file.seek(0)
            for last, bound in zip([None, *bounds], [*bounds, None], strict=True):
                before = {} if bound is None else self._loaded(file)
                for page in self._pages(after=last, to=bound):
                    self._keep(before, page)
                    for each in page:
                        before.pop(each.pk, None)
                self._keep_deleted(list(before.values()))

    def _loaded(self, file: Any) -> dict[Any, Any]:
        from_db = self._model.from_db
        found = [from_db(self._database, self._columns, row) for row in pickle.load(file)]
        return {each.pk: each for each in found}

    @property
    def _rows(self) -> Any:
        return self._model._base_manager.using(self._database)

    def _pages(self, after: Any = None, to: Any = None) -> Iterator[list[Any]]:
        """The objects behind a key, up to another, in the order of their keys."""
        rows = self._rows.order_by("pk")
        if _TABLE_LOCKS.get(connections[self._database].vendor) is None:
            rows = _locked_one_by_one(rows, self._database)
        if to is not None:
            rows = rows.filter(pk__lte=to)
        while page := list((rows if after is None else rows.filter(pk__gt=after))[:_PAGE]):
            yield page
            after = page[-1].pk

    def _keep(self, before: Mapping[Any, Any], after: Sequence[Any]) -> None:
        """Keep what is different of objects that are there, and which of them are new."""
        changed: list[tuple[Any, Any, list[str]]] = []
        created = []
        for new in after:
            old = before.get(new.pk)
            if old is None:
                created.append(new)
            elif names := [f.name for f in self._fields if _differ(old, new, f.attname)]:
                changed.append((old, new, names))
        if not (changed or created):
            return
        links = self._links([new for _, new, _ in changed] + created)
        self._images.keep(
            Snapshot(
                self._identity(old)[0],
                old,
                {name: getattr(old, old._meta.get_field(name).attname) for name in names},
                {},
                links.get(self._identity(old)[0]),
            )
            for old, _, names in changed
        )
        renewed = [self._renewed(new, names, links) for _, new, names in changed]
        written = self._digests.packed(list(map(stored_values, created)), [{}] * len(created))
        fresh = [
            self._link(new, each, LinkKind.CREATED)
            for new, each in zip(created, written, strict=True)
        ]
        if links:
            self._book.forget(links.keys())
        self._book.add([*renewed, *fresh])

    def _renewed(self, new: Any, names: Iterable[str], links: Mapping[str, Link]) -> Link:
        """The link of a changed object, with the digests of all that the patch has written."""
        link = links.get(self._identity(new)[0])
        known = {} if link is None else self._book.written(link)
        known |= {name: self._digests.of_values(name, stored_values(new)) for name in names}
        written = self._digests.repacked(known)
        if link is None:
            return self._link(new, written, LinkKind.ADOPTED)
        return link._replace(written=written, run=self._run)

    def _keep_deleted(self, gone: Sequence[Any]) -> None:
        """Keep all of objects that are there no more."""
        if not gone:
            return
        links = self._links(gone)
        self._images.keep_deleted(
            (
                links.get(self._identity(each)[0]) or self._link(each, b"", LinkKind.ADOPTED),
                each,
            )
            for each in gone
        )
        if links:
            self._book.forget(links.keys())

    def _links(self, objects: Iterable[Any]) -> dict[str, Link]:
        return self._book.find([self._identity(each)[0] for each in objects])

    def _link(self, instance: Any, written: bytes, kind: LinkKind) -> Link:
        key_hash, key = self._identity(instance)
        pk = self._text_of(instance.pk)
        return Link(key_hash, key, pk, 0, written, self._run, kind.value)

    def _identity(self, instance: Any) -> tuple[str, str]:
        """The hash and the text of the object's key, as one of a row."""
        try:
            key_text(instance.pk)
        except TypeError:  # of a type of the field's own
            return identify(self._text_of(instance.pk))
        return identify(instance.pk)


def _differ(old: Any, new: Any, attname: str) -> bool:
    """Whether two objects have different values in a column, which the database gave both."""
    was, is_ = vars(old)[attname], vars(new)[attname]
    if isinstance(was, (dict, list)) or isinstance(is_, (dict, list)):
        return repr(was) != repr(is_)  # in Python True is 1, and 1 is 1.0
    is_nan = was != was and is_ != is_
    return bool(was != is_) and not is_nan


# ------------------------------------------------------------------ nobody else writes

#: The statement after which nobody else writes to tables until the transaction ends; empty where
#: nobody can anyway.
_TABLE_LOCKS = {
    "postgresql": "LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE",
    "sqlite": "",
}


def _keep_others_out(models: Iterable[Any], database: str) -> None:
    connection = connections[database]
    if statement := _TABLE_LOCKS.get(connection.vendor):
        tables = {
            each._meta.db_table for model in models for each in (model, *model._meta.all_parents)
        }
        listed = ", ".join(connection.ops.quote_name(table) for table in sorted(tables))
        with connection.cursor() as cursor:
            cursor.execute(statement.format(tables=listed))


def _locked_one_by_one(rows: Any, database: str) -> Any:
    """With each row that is read, and the gap before it, where the transaction is serializable."""
    can_lock = connections[database].features.has_select_for_update
    return rows.select_for_update() if can_lock else rows


def isolated(patch: Patch, database: str) -> AbstractContextManager[None]:
    """The transactions of the block are such that :func:`keeping` can keep others out.

    On MySQL, which has no lock of a table that ends with the transaction, a row that is read is
    locked with the gap before it when the transaction is serializable. That is said before it
    begins: one that there is, as around a rehearsal, stays what it is.
    """
    connection = connections[database]
    if not patch.writes or connection.vendor != "mysql" or connection.in_atomic_block:
        return nullcontext()
    return _serializable(connection)


@contextmanager
def _serializable(connection: Any) -> Iterator[None]:
    with connection.cursor() as cursor:
        # MariaDB calls it by its old name.
        cursor.execute("SHOW SESSION VARIABLES WHERE Variable_name IN (%s, %s)", _ISOLATION)
        former = cursor.fetchone()[1].replace("-", " ")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {former}")


_ISOLATION = ("transaction_isolation", "tx_isolation")
