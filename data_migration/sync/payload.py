"""What of an object is to be sent: which values the remote system does not have yet."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from struct import Struct, unpack_from
from typing import Any
from zlib import crc32

from django.db.models import Model

from ..exceptions import MissingTarget, RowFailure
from ..fields.digests import UNKNOWN, FieldDigests, targets_digest, unpacked
from ..fields.lookup import field_of
from ..fields.primary_keys import pk_to_text
from ..fields.value_digests import ways_to_digest
from ..ledger import Link, LinkBook, LinkLookup
from ..ledger.outgoing import Known, RemoteStates
from ..models import MigrationState
from ..rows.keys import key_of_text
from ..tables.walk import Walk
from ..utils.wording import words
from .definition import Definition
from .discovery import Syncs
from .fields import RemoteField, fields_of
from .mapping import Mapping as Spec
from .nested import parent_of
from .words import Related


class Absent(MissingTarget):
    """What a relation refers to has no row in the remote system yet; ``label`` is its mapping."""

    def __init__(self, cause: str, *, column: str, value: Any, labels: Sequence[str]) -> None:
        self.labels = labels
        super().__init__(cause, column=column, value=value)


@dataclass(kw_only=True)
class Change:
    """What of one object is to be sent.

    ``values`` are by remote name, dotted ones as objects in it. ``local`` are the digests of the
    values here that go both ways, by the model's field, ``sent`` those of what only goes there, by
    remote name; ``ancestor`` and ``known`` are the same as they stand in the ledger. ``fields``
    are those that differ. ``error`` is why it cannot be sent, ``is_skipped`` says that
    ``pre_process`` leaves it out.
    """

    pk: Any
    object_pk: str
    link: Link | None
    fields: tuple[RemoteField, ...]
    values: dict[str, Any] = field(default_factory=dict)
    local: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    ancestor: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, int] = field(default_factory=dict)
    version: str = ""
    error: Exception | None = None
    is_skipped: bool = False

    @property
    def key(self) -> Any:
        """The remote key of the row that it is linked with."""
        assert self.link is not None, "a row that is linked"
        return key_of_text(self.link.key)

    @property
    def digest(self) -> int:
        """A digest of the values, of 64 bits."""
        text = canonical(self.values).encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)


@dataclass(frozen=True)
class Compared:
    """The objects of one page: their keys, how many are as the remote system has them, and those
    that are not. ``unchanged`` are the keys as text of the first.
    """

    pks: Sequence[Any]
    unchanged: Sequence[str]
    due: list[Change]


class Payload:
    """Compares the objects of one mapping with what the ledger knows of the remote system.

    A page takes one query for the objects, one for the links, one for what is known of values that
    only go there, and for those that differ one for each relation and each nested list. Without a
    function that wants the object no model instances are made.
    """

    def __init__(
        self,
        definition: Definition,
        syncs: Syncs,
        state: MigrationState,
        walk: Walk,
        *,
        database: str,
    ) -> None:
        self.mapping: Spec = definition.mapping()
        self.model: type[Model] = definition.mapping.model
        self.fields = tuple(each for each in fields_of(definition.mapping) if each.pushes)
        self.database = database
        self._walk = walk
        self._book = LinkBook(state, database=database)
        self._states = RemoteStates(state, database=database)
        self._pre_processes = definition.mapping.pre_process is not Spec.pre_process
        self.digests = FieldDigests(self.model, database=database)
        lookup = LinkLookup(database)
        self._sources = tuple(
            _source(each, self.model, definition, syncs, lookup, self.digests, database)
            for each in self.fields
        )
        self._two_way = tuple(each for each in self._sources if each.is_two_way)
        self._one_way = tuple(each for each in self._sources if not each.is_two_way)
        self._makes_objects = any(each.wants_object for each in self._sources)
        self._attnames = tuple(
            dict.fromkeys(each.attname for each in self._sources if each.attname)
        )
        self._layouts: dict[bytes, Struct | None] = {}
        self._sent_layouts: dict[bytes, Struct | None] = {}
        self._state = state

    @property
    def two_way(self) -> list[RemoteField]:
        """The fields of which both sides are compared with what both had at last."""
        return [each.field for each in self._two_way]

    @property
    def remembers_sent(self) -> bool:
        """Whether there are values that only go there."""
        return bool(self._one_way) or self._pre_processes

    def page(self, after: Any, upper: Any, size: int) -> Compared:
        """The next objects behind a key, up to another; without any it is the end."""
        if self._makes_objects:
            return self._compared(_of_objects(self._walk.objects(after, upper, size)))
        return self._compared(
            _Rows(self._walk.values(after, upper, size, self._attnames), self._attnames)
        )

    def only(self, pks: Sequence[Any]) -> Compared:
        """The objects with these keys, as far as they are among those that are pushed."""
        if self._makes_objects:
            return self._compared(_of_objects(self._walk.objects_of(pks)))
        return self._compared(_Rows(self._walk.values_of(pks, self._attnames), self._attnames))

    # ------------------------------------------------------------------ comparing

    def _compared(self, rows: _Rows) -> Compared:
        if not rows.pks:
            return Compared([], [], [])
        texts = list(map(self._walk.to_text, rows.pks))
        written: dict[str, bytes] = dict(self._book.written_of(texts))
        for source in self._sources:
            source.prepare(rows)
        local = [source.digests(rows) for source in self._two_way]
        for source in self._one_way if self._pre_processes else ():
            source.digests(rows)
        known: Mapping[str, Known] = {}
        if self.remembers_sent:
            known = self._states.find(texts)
        if self._pre_processes:
            candidates = list(range(len(texts)))
        else:
            sent = [source.digests(rows) for source in self._one_way]
            same = self._same(texts, written, local, self._two_way_of)
            if sent:
                has = {pk: each.sent for pk, each in known.items()}
                also = self._same(texts, has, sent, self._one_way_of)
                same = [a and b for a, b in zip(same, also, strict=True)]
            candidates = [n for n, is_same in enumerate(same) if not is_same]
        due = self._due(rows, texts, candidates, known)
        differ = {change.object_pk for change in due}
        return Compared(rows.pks, [text for text in texts if text not in differ], due)

    def _same(
        self,
        texts: Sequence[str],
        written: Mapping[str, bytes],
        columns: Sequence[Sequence[int]],
        form_of: Callable[[bytes], Struct | None],
    ) -> list[bool]:
        """Which objects have just these digests in the ledger."""
        if not columns:
            return [text in written for text in texts]
        found: list[bool] = []
        head, form = b"", None
        for text, digests in zip(texts, zip(*columns, strict=True), strict=True):
            packed = written.get(text, b"")
            if packed[:4] != head:
                head, form = packed[:4], form_of(packed)
            is_whole = form is not None and len(packed) == form.size
            found.append(is_whole and form.unpack(packed) == digests)  # type: ignore[union-attr]
        return found

    def _two_way_of(self, packed: bytes) -> Struct | None:
        return self._form(self._layouts, packed, [each.field.name for each in self._two_way])

    def _one_way_of(self, packed: bytes) -> Struct | None:
        return self._form(
            self._sent_layouts, packed, [each.field.remote for each in self._one_way]
        )

    def _form(
        self, forms: dict[bytes, Struct | None], packed: bytes, wanted: Sequence[str]
    ) -> Struct | None:
        """How the digests of these names are read out of packed ones, where all are there, in
        this order.
        """
        head = packed[:4]
        if head not in forms:
            names = self._names_in(packed)
            form = "".join("I" if name in wanted else "4x" for name in names)
            is_ordered = [name for name in names if name in wanted] == list(wanted)
            forms[head] = Struct(f"<4x{form}") if is_ordered else None
        return forms[head]

    def _names_in(self, packed: bytes) -> Sequence[str]:
        if len(packed) < 4:
            return ()
        (layout,) = unpack_from("<I", packed)
        names: Sequence[str] = self._state.layouts.get(str(layout), ())
        return names

    # ------------------------------------------------------------------ what differs

    def _due(
        self,
        rows: _Rows,
        texts: Sequence[str],
        candidates: Iterable[int],
        known: Mapping[str, Known],
    ) -> list[Change]:
        places = list(candidates)
        links = self._book.of_objects([texts[place] for place in places])
        if not self.remembers_sent and places:
            known = self._states.find([texts[place] for place in places])
        due = []
        for place in places:
            text = texts[place]
            had = known.get(text, Known())
            own = links.get(text, [])
            change = Change(
                pk=rows.pks[place],
                object_pk=text,
                link=own[0] if own else None,
                fields=(),
                ancestor=unpacked(own[0].written, self._state.layouts) if own else {},
                known=unpacked(had.sent, self._state.layouts),
                version=had.version,
            )
            change.fields = self._differing(change, rows, place)
            if len(own) > 1:
                change.error = RowFailure(
                    "several rows over there are linked with it:"
                    f" {', '.join(each.key for each in own)}. Delete all but one of them there"
                )
            if change.fields or change.link is None or self._pre_processes:
                due.append((place, change))
        wanted = [place for place, change in due]
        for source in self._sources:
            source.resolve(rows, wanted)
        return [change for place, change in due if self._filled(change, rows, place)]

    def _differing(self, change: Change, rows: _Rows, place: int) -> tuple[RemoteField, ...]:
        """The fields of which the remote system has another value, or none that is known of."""
        found = []
        for source in self._two_way:
            digest = source.digests(rows)[place]
            change.local[source.field.name] = digest
            was = change.ancestor.get(source.field.name, UNKNOWN)
            if change.link is None or (digest != was and digest != UNKNOWN):
                found.append(source.field)
        if not self._pre_processes:
            for source in self._one_way:
                digest = source.digests(rows)[place]
                change.sent[source.field.remote] = digest
                is_first = source.field.remote not in change.known
                if is_first or change.known[source.field.remote] != digest:
                    found.append(source.field)
        return tuple(found)

    def _filled(self, change: Change, rows: _Rows, place: int) -> bool:
        """Put in the values; whether there is anything to be said about the object."""
        if change.error is not None:
            return True
        heads = {each.path[0] for each in change.fields}
        everything = change.link is None or self._pre_processes
        wanted = [
            source for source in self._sources if everything or source.field.path[0] in heads
        ]
        values: dict[str, Any] = {}
        try:
            for source in wanted:
                try:
                    put(values, source.field.path, source.value(rows, place))
                except LeftOut:
                    # It is sent by a later run, when its target is there.
                    change.local.pop(source.field.name, None)
                    change.sent.pop(source.field.remote, None)
                    change.fields = tuple(
                        each for each in change.fields if each is not source.field
                    )
            change.values = values
            if self._pre_processes:
                return self._pre_processed(change)
        except Exception as error:
            change.error = error
        return bool(change.fields) or change.link is None or change.error is not None

    def _pre_processed(self, change: Change) -> bool:
        processed: Any = self.mapping.pre_process(change.values)
        if processed is None:
            change.is_skipped = True
            return True
        two_way = {source.field.path[0] for source in self._two_way}
        heads = {each.path[0] for each in change.fields}
        for name, value in processed.items():
            if name not in two_way:
                change.sent[name] = digest_of(value)
                if change.known.get(name) != change.sent[name]:
                    heads.add(name)
        if change.link is not None:
            processed = {name: value for name, value in processed.items() if name in heads}
        one_way = {source.field.path[0]: source.field for source in self._one_way}
        change.fields += tuple(one_way[name] for name in heads if name in one_way)
        change.values = processed
        return change.link is None or bool(processed)


class LeftOut(Exception):
    """The value of a field is not sent this time."""


class _Rows:
    """The objects of a page: their keys, columns by attribute name, and the objects, if any."""

    def __init__(
        self, rows: Sequence[tuple[Any, ...]], names: Sequence[str], objects: Sequence[Any] = ()
    ) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [()] * (1 + len(names))
        self.pks: Sequence[Any] = columns[0]
        self.columns = dict(zip(names, columns[1:], strict=True))
        self.objects = objects
        #: What each source keeps of the page.
        self.kept: dict[Any, Any] = {}


def _of_objects(objects: Sequence[Any]) -> _Rows:
    rows = _Rows([(each.pk,) for each in objects], (), objects)
    rows.columns = _Columns(objects)
    return rows


class _Columns(dict[str, Any]):
    def __init__(self, objects: Sequence[Any]) -> None:
        super().__init__()
        self._objects = objects

    def __missing__(self, name: str) -> list[Any]:
        self[name] = list(map(attrgetter(name), self._objects))
        return self[name]  # type: ignore[no-any-return]


# ---------------------------------------------------------------------- where values come from


class _Source:
    """Where the values of one remote field come from; here: a column of the model's table.

    ``attname`` is the column that has to be read. For a page first :meth:`prepare` is called, then
    :meth:`digests`, for those that differ :meth:`resolve`, and :meth:`value` at last.
    """

    wants_object = False

    def __init__(self, field: RemoteField, *, attname: str = "") -> None:
        self.field = field
        self.attname = attname
        self.is_two_way = False

    def prepare(self, rows: _Rows) -> None:
        """Read what digests take for all objects of a page."""

    def digests(self, rows: _Rows) -> Sequence[int]:
        """Four bytes for the value of each object; the same list each time."""
        if self not in rows.kept:
            rows.kept[self] = list(self._digests(rows))
        return rows.kept[self]  # type: ignore[no-any-return]

    def _digests(self, rows: _Rows) -> Iterable[int]:
        for place in range(len(rows.pks)):
            try:
                yield digest_of(self.value(rows, place))
            except Exception:
                yield UNKNOWN  # filling in the value tells why, since no known digest equals it

    def resolve(self, rows: _Rows, places: Sequence[int]) -> None:
        """Read what the values of these objects take."""

    def value(self, rows: _Rows, place: int) -> Any:
        """What is sent of one object. Raises :exc:`RowFailure`."""
        raise NotImplementedError

    def converted(self, value: Any) -> Any:
        if self.field.push is None or value is None:
            return value
        try:
            return self.field.push(value)
        except Exception as error:
            raise _failed(self.field, "push", error, value) from error


class _Column(_Source):
    def __init__(
        self, field: RemoteField, stored: Any, digests: FieldDigests, database: str, model: Any
    ) -> None:
        super().__init__(field, attname=stored.attname)
        self.is_two_way = field.pulls and field.name in digests.names
        self._all = ways_to_digest(stored, database)[0]
        self._by_remote_value = field.push is not None and not self.is_two_way

    def _digests(self, rows: _Rows) -> Iterable[int]:
        if self._by_remote_value:
            return super()._digests(rows)
        return self._all(rows.columns[self.attname])

    def value(self, rows: _Rows, place: int) -> Any:
        return self.converted(rows.columns[self.attname][place])


class _Attribute(_Source):
    """A property of the object, say."""

    wants_object = True

    def value(self, rows: _Rows, place: int) -> Any:
        return self.converted(getattr(rows.objects[place], self.field.name))


class _Made(_Source):
    wants_object = True

    def value(self, rows: _Rows, place: int) -> Any:
        make = self.field.make
        assert make is not None
        item = rows.objects[place]
        kept = rows.kept.setdefault((self, "made"), {})
        if place not in kept:
            try:
                kept[place] = make(item)
            except Exception as error:
                raise _failed(self.field, "the function", error, item.pk) from error
        return kept[place]


class _Literal(_Source):
    def __init__(self, field: RemoteField) -> None:
        super().__init__(field)
        assert field.const is not None
        self._value = field.const.value
        self._digest = digest_of(self._value)

    def _digests(self, rows: _Rows) -> Iterable[int]:
        return [self._digest] * len(rows.pks)

    def value(self, rows: _Rows, place: int) -> Any:
        return self._value


class _Relation(_Source):
    """A relation by the links of another mapping: the remote key of what it refers to."""

    def __init__(
        self, field: RemoteField, *, attname: str, labels: Sequence[str], lookup: LinkLookup
    ) -> None:
        super().__init__(field, attname=attname)
        assert field.related is not None
        self.related: Related = field.related
        self.labels = labels
        self._lookup = lookup

    def _find(self, rows: _Rows, texts: Collection[str]) -> None:
        rows.kept[self, "keys"] = self._lookup.keys(self.labels, texts)

    def _key(self, rows: _Rows, text: str) -> Any:
        found = rows.kept[self, "keys"].get(text, ())
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise MissingTarget(
                f"{self._name(text)} has several rows over there",
                column=self.field.remote,
                value=text,
            )
        if self.related.deferred:
            raise LeftOut
        raise Absent(
            f"it needs {self._name(text)}, which has no row over there yet: it has to be pushed"
            f" first, by {' or '.join(self.labels) or 'a mapping of its model'}",
            column=self.field.remote,
            value=text,
            labels=self.labels,
        )

    def _name(self, text: str) -> str:
        assert self.related.klass is not None
        return f"{self.related.klass._meta.label} {text}"


class _ForeignKey(_Relation):
    def __init__(
        self, field: RemoteField, stored: Any, digests: FieldDigests, database: str, **more: Any
    ) -> None:
        super().__init__(field, attname=stored.attname, **more)
        self.is_two_way = field.pulls and field.name in digests.names
        self._all = ways_to_digest(stored, database)[0]
        self._stored = stored
        self._database = database
        self._to_text = pk_to_text(stored.related_model)

    def _digests(self, rows: _Rows) -> Iterable[int]:
        return self._all(rows.columns[self.attname])

    def resolve(self, rows: _Rows, places: Sequence[int]) -> None:
        column = rows.columns[self.attname]
        values = {column[place] for place in places} - {None}
        target = self._stored.target_field
        pks = {value: value for value in values}
        if not target.primary_key and values:
            related = self._stored.related_model._base_manager.using(self._database)
            found = related.filter(**{f"{target.attname}__in": values})
            pks = dict(found.values_list(target.attname, "pk"))
        texts = {value: self._to_text(pk) for value, pk in pks.items()}
        rows.kept[self, "texts"] = texts
        self._find(rows, texts.values())

    def value(self, rows: _Rows, place: int) -> Any:
        value = rows.columns[self.attname][place]
        if value is None:
            return None
        try:
            return self._key(rows, rows.kept[self, "texts"].get(value, str(value)))
        except Absent:
            if self.related.skip_missing:
                return None
            raise


class _ManyToMany(_Relation):
    def __init__(self, field: RemoteField, stored: Any, database: str, **more: Any) -> None:
        super().__init__(field, attname="", **more)
        self.is_two_way = field.pulls
        self._through = stored.remote_field.through
        self._own = stored.m2m_field_name()
        self._other = stored.m2m_reverse_field_name()
        self._database = database
        self._to_text = pk_to_text(stored.related_model)

    def prepare(self, rows: _Rows) -> None:
        own = self._through._meta.get_field(self._own).attname
        other = self._through._meta.get_field(self._other).attname
        pairs = self._through._base_manager.using(self._database)
        pairs = pairs.filter(**{f"{own}__in": list(rows.pks)}).values_list(own, other)
        found: dict[Any, list[Any]] = defaultdict(list)
        for pk, target in pairs:
            found[pk].append(target)
        rows.kept[self, "targets"] = found

    def _targets(self, rows: _Rows, place: int) -> list[Any]:
        return rows.kept[self, "targets"].get(rows.pks[place], [])  # type: ignore[no-any-return]

    def _digests(self, rows: _Rows) -> Iterable[int]:
        return [targets_digest(self._targets(rows, place)) for place in range(len(rows.pks))]

    def resolve(self, rows: _Rows, places: Sequence[int]) -> None:
        targets = {target for place in places for target in self._targets(rows, place)}
        self._find(rows, list(map(self._to_text, targets)))

    def value(self, rows: _Rows, place: int) -> Any:
        keys = []
        for target in sorted(self._targets(rows, place)):
            try:
                keys.append(self._key(rows, self._to_text(target)))
            except Absent:
                if not self.related.skip_missing:
                    raise
        return keys


class _List(_Source):
    """Objects of another model that stand as a list in the row, in the order of their keys."""

    def __init__(
        self, field: RemoteField, parent: Any, sources: Sequence[_Source], database: str
    ) -> None:
        super().__init__(field)
        self._parent = parent
        self._sources = sources
        self._database = database
        self._names = tuple(dict.fromkeys(each.attname for each in sources if each.attname))
        self._makes_objects = any(each.wants_object for each in sources)

    def prepare(self, rows: _Rows) -> None:
        """Relations of the children are looked up at once, since the digests are of keys."""
        model, parent = self._parent.model, self._parent
        children = model._base_manager.using(self._database).order_by("pk")
        held = parent.target_field.attname
        owners = list(rows.pks)
        if not parent.target_field.primary_key:
            owners = list(rows.columns[held])
        children = children.filter(**{f"{parent.attname}__in": owners})
        if self._makes_objects:
            found = list(children)
            owner_of = [getattr(each, parent.attname) for each in found]
            inner = _of_objects(found)
        else:
            read = list(children.values_list(parent.attname, "pk", *self._names))
            owner_of = [row[0] for row in read]
            inner = _Rows([row[1:] for row in read], self._names)
        for source in self._sources:
            source.prepare(inner)
            source.resolve(inner, range(len(inner.pks)))
        by_owner: dict[Any, list[int]] = defaultdict(list)
        for place, owner in enumerate(owner_of):
            by_owner[owner].append(place)
        rows.kept[self, "lists"] = inner, by_owner, owners

    def value(self, rows: _Rows, place: int) -> Any:
        inner, by_owner, owners = rows.kept[self, "lists"]
        listed = []
        for child in by_owner.get(owners[place], ()):
            values: dict[str, Any] = {}
            for source in self._sources:
                try:
                    put(values, source.field.path, source.value(inner, child))
                except LeftOut:
                    continue
            listed.append(values)
        return listed


def _source(
    field: RemoteField,
    model: type[Model],
    definition: Definition,
    syncs: Syncs,
    lookup: LinkLookup,
    digests: FieldDigests,
    database: str,
) -> _Source:
    if field.const is not None:
        return _Literal(field)
    if field.make is not None:
        return _Made(field)
    if field.nested is not None:
        return _nested(field, model, definition, syncs, lookup, database)
    stored = field_of(model, field.name)
    if field.related is not None:
        related = syncs.related(field.related, definition.connector)
        more: dict[str, Any] = {"labels": [each.label for each in related], "lookup": lookup}
        if stored.many_to_many:
            return _ManyToMany(field, stored, database, **more)
        return _ForeignKey(field, stored, digests, database, **more)
    if getattr(stored, "concrete", False) and not stored.many_to_many:
        return _Column(field, stored, digests, database, model)
    return _Attribute(field)


def _nested(
    field: RemoteField,
    model: type[Model],
    definition: Definition,
    syncs: Syncs,
    lookup: LinkLookup,
    database: str,
) -> _List:
    nested = field.nested
    assert nested is not None
    child: Any = nested.mapping.model
    parent = parent_of(definition.mapping, field.remote, nested)
    own = FieldDigests(child, database=database)
    sources = [
        _source(each, child, definition, syncs, lookup, own, database)
        for each in fields_of(nested.mapping)
        if each.pushes
    ]
    return _List(field, parent, sources, database)


def _failed(field: RemoteField, what: str, error: Exception, value: Any) -> RowFailure:
    if isinstance(error, RowFailure):
        return error
    name, said = type(error).__name__, words(error)
    cause = f"{what} of {field.remote!r} failed: {name}{'' if said == name else f': {said}'}"
    return RowFailure(cause, column=field.remote, value=value)


# ---------------------------------------------------------------------- values of a row


def put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value where its dotted name says."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


NOT_THERE = object()


def take(row: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The value in a row at a dotted name; :data:`NOT_THERE` where it has none."""
    value: Any = row
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return NOT_THERE
        value = value[name]
    return value


def flat(values: Mapping[str, Any], fields: Sequence[RemoteField]) -> Iterator[tuple[str, Any]]:
    """The values by dotted name, as far as fields say so; others by their own names."""
    dotted = {each.path: each.remote for each in fields if len(each.path) > 1}
    heads = {path[0] for path in dotted}
    for name, value in values.items():
        if name not in heads:
            yield name, value
    for path, remote in dotted.items():
        if (value := take(values, path)) is not NOT_THERE:
            yield remote, value


def canonical(value: Any) -> str:
    """A value in one text, whatever its type is in Python."""
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def digest_of(value: Any) -> int:
    """Four bytes for a value that is sent; never :data:`UNKNOWN`."""
    return crc32(canonical(value).encode("utf-8", "surrogatepass")) or 1
