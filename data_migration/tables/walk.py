"""The objects of a queryset in the order of their keys, a page at a time, never by offset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Manager, QuerySet

from ..exceptions import SpecError
from ..fields.lookup import table_of
from ..fields.primary_keys import pk_from_text, pk_to_text
from ..rows.keys import key_text
from ..utils.databases import database_of


def key_of(pk: Any) -> Any:
    """A primary key as one that the ledger can write: of a type of a field's own its text."""
    try:
        key_text(pk)
    except TypeError:
        return str(pk)
    return pk


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, by their keys, in order; ``objects`` only where they were wanted.

    ``select`` gives the query of these keys.
    """

    keys: list[Any]
    objects: list[Any]
    select: Callable[[Sequence[Any]], QuerySet[Any]]

    def rows(self) -> QuerySet[Any]:
        """The query of these objects."""
        return self.select(self.keys)

    def again(self) -> list[Any]:
        """The objects as they are in the database."""
        return once(self.rows())

    def halves(self) -> list[Page]:
        middle = len(self.keys) // 2
        return [
            Page(self.keys[:middle], self.objects[:middle], self.select),
            Page(self.keys[middle:], self.objects[middle:], self.select),
        ]


class Walk:
    """A walk over the objects of a queryset by their primary key.

    ``wants_objects``: else a page has the keys alone. ``words`` are those of whoever
    asks. Whatever order the queryset has counts for nothing. Raises :exc:`SpecError` for a
    queryset whose objects would be others if it is narrowed to a range of keys.
    """

    def __init__(
        self,
        rows: QuerySet[Any] | Manager[Any],
        *,
        database: str,
        wants_objects: bool,
        words: Words | None = None,
    ) -> None:
        rows = rows.all() if isinstance(rows, Manager) else rows
        if reason := why_not_walked(rows, database=database, words=words or Words()):
            raise SpecError(reason)
        self.model = rows.model
        self._database = database
        self._db = database_of(database)
        rows = rows if wants_objects else rows.select_related(None).prefetch_related(None)
        self._rows: QuerySet[Any] = rows.using(database).order_by("pk")
        self._rows.query.standard_ordering = True  # which reverse() has turned
        self._comes_once = comes_once(self._rows)
        self._wants_objects = wants_objects
        self.to_text = pk_to_text(self.model)
        self.from_text = pk_from_text(self.model)

    def upper(self) -> Any:
        """The highest key; None where there is no object."""
        return self._keys(self._rows).order_by("-pk").first()

    def lower(self, after: Any, upper: Any) -> Any:
        """The lowest key behind another; None where there is no object."""
        return self._keys(self.between(after, upper)).first()

    def total(self, after: Any, upper: Any, *, below: Any = None) -> int:
        """How many objects are behind a key, up to another."""
        return self._keys(self.between(after, upper, below=below)).count()

    def page(
        self, after: Any, upper: Any, size: int, *, lower: Any = None, below: Any = None
    ) -> Page:
        """The next objects behind a key, up to another, locked; in the transaction of the page.

        ``lower`` and ``below`` are the bounds of a range: the first is in it, the second is not.
        Without any objects it is the end. Until the transaction ends nobody else can change them.
        """
        while True:
            rows = self.between(after, upper, lower=lower, below=below)
            if (locked := self._locked_at_once(rows)) is not None:
                return self._page(locked[:size])
            keys = list(self._keys(rows)[:size])
            page = self.only(keys)
            if page.keys or not keys:
                return page
            after = keys[-1]  # others changed all of them while we waited for their locks

    def only(self, keys: Sequence[Any]) -> Page:
        """The objects with these keys, locked, as far as they are among the rows."""
        if not keys:
            return Page([], [], self._select)
        rows = self._select(keys)
        if (locked := self._locked_at_once(rows)) is not None:
            return self._page(locked)
        # First the rows alone, whatever the queryset is like. Then those that are still in it.
        rows = self._select(self._locked(keys))
        return self._page(rows.select_for_update() if self._db.may_read_old_rows else rows)

    def between(
        self, after: Any, upper: Any, *, lower: Any = None, below: Any = None
    ) -> QuerySet[Any]:
        """The objects between two keys, in their order."""
        bounds = {"gt": after, "lte": upper, "gte": lower, "lt": below}
        rows = self._rows
        for lookup, key in bounds.items():
            if key is not None:
                rows = rows.filter(**{f"pk__{lookup}": key})
            if isinstance(key, tuple):
                # MySQL finds no range of an index in a comparison of several columns.
                first = self.model._meta.pk_fields[0].attname
                rows = rows.filter(**{f"{first}__{lookup.rstrip('e')}e": key[0]})
        return rows

    def values(
        self, after: Any, upper: Any, size: int, names: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """The key and some attributes of the next objects behind a key, which are not locked."""
        return list(self._values(self.between(after, upper), names)[:size])

    def values_of(self, keys: Sequence[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
        """The same of the objects with these keys, as far as they are among the rows."""
        return list(self._values(self._select(keys), names)) if keys else []

    def objects(self, after: Any, upper: Any, size: int) -> list[Any]:
        """The next objects behind a key, which are not locked."""
        rows = self.between(after, upper)
        return once((rows if self._comes_once else rows.distinct())[:size])

    def objects_of(self, keys: Sequence[Any]) -> list[Any]:
        """The objects with these keys, not locked, as far as they are among the rows."""
        return once(self._select(keys)) if keys else []

    def _values(self, rows: QuerySet[Any], names: Sequence[str]) -> QuerySet[Any, Any]:
        found = rows.select_related(None).prefetch_related(None).values_list("pk", *names)
        return found if self._comes_once else found.distinct()

    def _page(self, rows: QuerySet[Any]) -> Page:
        if not self._wants_objects:
            keys = dict.fromkeys(rows.values_list("pk", flat=True))
            return Page(list(keys), [], self._select)
        objects = once(rows)
        return Page([item.pk for item in objects], objects, self._select)

    def _locked_at_once(self, rows: QuerySet[Any]) -> QuerySet[Any] | None:
        """The rows as they are read and locked in one query; None where that cannot be.

        PostgreSQL locks no rows of a query with DISTINCT or groups. Without OF, MariaDB would lock
        those of other tables as well, for which everybody else has to wait.
        """
        if not self._comes_once:
            return None
        features = self._db.connection.features
        if not (joined(rows) or rows.query.select_related):
            return self._db.locking(rows)
        has_of = features.has_select_for_update_of or not features.has_select_for_update
        is_one_table = not self.model._meta.parents
        if not (has_of and is_one_table and len(self.model._meta.pk_fields) == 1):
            return None  # Django's OF knows no keys of several columns
        return self._db.locking(rows, of=("self",))

    def _locked(self, keys: Sequence[Any]) -> Sequence[Any]:
        """The keys of those rows that are still there, now that they are locked."""
        if not self._db.connection.features.has_select_for_update:
            return keys
        own = self._db.locking(table_of(self.model, self._database).filter(pk__in=keys))
        if self.model._meta.parents:  # whose rows are locked where they are read
            return [each.pk for each in own]
        return list(own.values_list("pk", flat=True))

    def _keys(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        keys = rows.select_related(None).prefetch_related(None).values_list("pk", flat=True)
        return keys if self._comes_once else keys.distinct()

    def _select(self, keys: Sequence[Any]) -> QuerySet[Any]:
        return self._rows.filter(pk__in=keys)


def once(rows: QuerySet[Any]) -> list[Any]:
    """The objects of a query, each once: a join may bring one several times."""
    return list({item.pk: item for item in rows}.values())


def joined(rows: QuerySet[Any]) -> list[Any]:
    """The joins of the query, but those that Django makes when it is executed."""
    query = rows.query
    return [
        table
        for alias, table in query.alias_map.items()
        if query.alias_refcount[alias] and table.join_type is not None
    ]


def comes_once(rows: QuerySet[Any]) -> bool:
    """Whether each object is one row of the query, and a row of its table."""
    query = rows.query
    if query.distinct or query.group_by is not None or query.extra_tables:
        return False
    return all(each.join_field.many_to_one or each.join_field.one_to_one for each in joined(rows))


class Words(NamedTuple):
    """What people call the queryset, who reads it, and how many objects are read at once."""

    queryset: str = "queryset()"
    reader: str = "patch"
    size: str = "batch_size"


def why_not_walked(rows: Any, *, database: str, words: Words | None = None) -> str:
    """Why a queryset cannot be walked by keys, and what to do; empty where it can."""
    words = words or Words()
    queryset: Any = rows
    if not isinstance(rows, QuerySet):
        return (
            f"{words.queryset} returns a {type(rows).__name__}. It has to return a QuerySet, such"
            " as Item.objects.filter(...), which is then read in pages."
        )
    query, own = rows.query, f"{words.queryset} of {rows.model._meta.label}"
    pages = "It is read in pages by the keys of its objects"
    if queryset._fields is not None:
        return (
            f"{own} has values() or values_list(), so it gives no objects. Leave them out; only()"
            " reads few columns, too."
        )
    if query.is_sliced:
        return (
            f"{own} is sliced. {pages}, so it cannot have a beginning and an end of its own. Leave"
            f" the slice out: {words.size} is how many are read at once, --limit how many at all."
        )
    if query.combinator:
        return (
            f"{own} is a {query.combinator}(). {pages}, and Django cannot narrow that. Write"
            " filter(Q(...) | Q(...)), or filter(pk__in=...) with the keys of the parts."
        )
    if query.distinct_fields:
        return (
            f"{own} has distinct() with fields. {pages}, and which objects are the first ones"
            " would differ from page to page. Write filter(pk__in=...) with the keys of these."
        )
    if any(getattr(each, "contains_over_clause", False) for each in query.annotations.values()):
        return (
            f"{own} has a Window(). {pages}, and its values would be those of the page. Write"
            " filter(pk__in=...) with the keys of the objects you mean."
        )
    if queryset._db not in (None, database):
        return (
            f"{own} reads from the database {queryset._db!r}, and the {words.reader} runs on"
            f" {database!r}. Leave using() out, or name the other one with --database."
        )
    if _is_elsewhere(rows.model, database):
        return (
            f"{own} has no table in the database {database!r}, where the {words.reader} runs, and"
            " the routers of the project want none there. Name the database that has it with"
            " --database."
        )
    return ""


def _is_elsewhere(model: Any, database: str) -> bool:
    if router.allow_migrate_model(database, model):
        return False
    connection = connections[database]
    with connection.cursor() as cursor:
        tables = connection.introspection.get_table_list(cursor)
    return model._meta.db_table not in {each.name for each in tables}
