"""Before-images: what a run changed in objects that were there before, so that it can be undone.

Values are kept as ``Field.value_to_string`` writes them and read with ``Field.to_python``: what
a project's own fields need for ``dumpdata`` serves here as well. A value that such a field does
not read again is not kept: nothing else may come back in its place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import BinaryField, Field, JSONField, Model

from ..fields.lookup import target_field_of
from ..fields.primary_keys import pk_to_text
from ..fields.stock import is_converted_by_django
from ..models import BeforeImage, MigrationState
from .deferrals import DeferralBook
from .links import Link
from .statements import RowInsert

_COLUMNS = ("key_hash", "run", "object_pk", "is_deleted", "values", "m2m", "link", "deferred")


class Image(NamedTuple):
    """An object as it was before a run; ``link`` is None where the run took the object over.

    ``values`` are in their stored form; :func:`former_values` reads them. ``number`` grows with
    time. ``deferred`` are the relations that were open, as
    :meth:`DeferralBook.find() <data_migration.ledger.deferrals.DeferralBook.find>` gives them.
    """

    key_hash: str
    run: int
    object_pk: str
    is_deleted: bool
    values: Mapping[str, Any]
    m2m: Mapping[str, list[str]]
    link: Link | None
    deferred: list[dict[str, Any]]
    number: int

    @property
    def lost(self) -> dict[str, str]:
        """The fields whose former value could not be kept, and why."""
        return {name: value[_LOST] for name, value in self.values.items() if _is_lost(value)}


class Snapshot(NamedTuple):
    """An object that a run is about to change: what it takes to keep an image of it.

    ``values`` are the former values of what changes, by field name, ``m2m`` the former targets by
    accessor name, ``link`` the link as it was; None where the run takes the object over.
    """

    key_hash: str
    instance: Model
    values: Mapping[str, Any]
    m2m: Mapping[str, Iterable[Any]]
    link: Link | None


class Images:
    """The before-images of one migration; those that are kept are of ``run``."""

    def __init__(self, state: MigrationState, *, database: str, run: int = 0) -> None:
        self._state = state
        self._database = database
        self._run = run
        self._open = DeferralBook(state, database=database)

    def keep(self, snapshots: Iterable[Snapshot]) -> None:
        """Remember what objects were before they were changed."""
        self._insert(
            (
                each.key_hash,
                self._run,
                pk_to_text(type(each.instance))(each.instance.pk),
                False,
                stored_form(each.instance, each.values),
                {name: _texts(targets) for name, targets in each.m2m.items()},
                each.link,
            )
            for each in snapshots
        )

    def keep_deleted(
        self,
        gone: Iterable[tuple[Link, Model]],
        m2m: Mapping[Any, Mapping[str, Iterable[Any]]] | None = None,
    ) -> None:
        """Remember all of objects that are about to be deleted.

        ``m2m`` are their targets by primary key and accessor name.
        """
        images = []
        for link, instance in gone:
            fields = [field for field in instance._meta.concrete_fields if not field.generated]
            values = {field.name: getattr(instance, field.attname) for field in fields}
            former = stored_form(instance, values)
            targets = (m2m or {}).get(instance.pk, {})
            texts = {name: _texts(each) for name, each in targets.items()}
            pk = pk_to_text(type(instance))(instance.pk)
            images.append((link.key_hash, self._run, pk, True, former, texts, link))
        self._insert(images)

    def _insert(self, images: Iterable[tuple[str, int, str, bool, Any, Any, Link | None]]) -> None:
        images = list(images)
        if not images:
            return
        deferred: Mapping[str, list[dict[str, Any]]] = {}
        if self._has_deferred:
            deferred = self._open.find([key_hash for key_hash, *_ in images])
        rows = [
            (
                key_hash,
                *head,
                _json(values),
                _json(m2m),
                _json(link and {**link._asdict(), "written": link.written.hex()}),
                _json(deferred.get(key_hash, [])),
            )
            for key_hash, *head, values, m2m, link in images
        ]
        connection = connections[self._database]
        RowInsert(connection, BeforeImage, _COLUMNS)(self._state.pk, rows)

    @cached_property
    def _has_deferred(self) -> bool:
        # Asked once: what a run leaves open of an object is newer than its first image of it,
        # and that is the one that counts.
        return not self._open.is_empty()

    @property
    def rows(self) -> Any:
        """The stored images, oldest first."""
        return BeforeImage.objects.using(self._database).filter(migration=self._state)

    def find(self, hashes: Collection[str], **conditions: Any) -> dict[str, list[Image]]:
        """The images of these keys, the oldest first."""
        found: dict[str, list[Image]] = defaultdict(list)
        if hashes:
            for image in self.all(key_hash__in=list(hashes), **conditions):
                found[image.key_hash].append(image)
        return found

    def kept_of(self, hashes: Collection[str]) -> set[str]:
        """Those of these keys that have an image of this run."""
        found = self.rows.filter(run=self._run, key_hash__in=list(hashes))
        return {each.hex for each in found.values_list("key_hash", flat=True)}

    def all(self, **conditions: Any) -> Iterator[Image]:
        """Every image that meets the conditions, streamed, the oldest first."""
        rows = self.rows.filter(**conditions).order_by("id")
        for row in rows.values_list(*_COLUMNS, "id").iterator():
            key_hash, *head, link, deferred, number = row
            former = link and Link(**{**link, "written": bytes.fromhex(link["written"])})
            yield Image._make((key_hash.hex, *head, former or None, deferred, number))


def beneath(instance: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """What an image keeps of a new child of a parent's row that was there, by field name.

    The key of that row says so, and stands with those values of it that the child has changed.
    """
    meta = instance._meta
    changed = {
        name: value
        for name, value in before.items()
        if getattr(instance, meta.get_field(name).attname) != value
    }
    links = {link.name: getattr(instance, link.attname) for link in _parent_links(type(instance))}
    return links | changed


def had_parent(model: type[Model], image: Image | None) -> bool:
    """Whether the image says that the object's row in a parent's table was there before it."""
    if image is None or image.link is not None or image.is_deleted:
        return False
    return any(link.name in image.values for link in _parent_links(model))


def _parent_links(model: type[Model]) -> list[Any]:
    return [link for link in model._meta.parents.values() if link is not None]


def merged(images: Sequence[Image]) -> Image:
    """One image of what the object was before the oldest of ``images``, which come in order.

    A second pass of a run may change further fields of an object that it changed before.
    """
    values: dict[str, Any] = {}
    m2m: dict[str, list[str]] = {}
    for image in reversed(images):
        values |= image.values
        m2m |= image.m2m
    return images[0]._replace(
        values=values,
        m2m=m2m,
        number=images[-1].number,
        is_deleted=any(image.is_deleted for image in images),
    )


def former_values(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Stored values as Python values by attribute name, of the fields that the model still has."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    return {
        fields[name].attname: _restored(fields[name], value)
        for name, value in values.items()
        if name in fields and not _is_lost(value)
    }


def stored_form(instance: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Python values by field name in the form in which an image keeps them."""
    fields = [(instance._meta.get_field(name), value) for name, value in values.items()]
    return {field.name: _stored(field, value) for field, value in fields}


def _stored(field: Field[Any, Any], value: Any) -> Any:
    if isinstance(value, Model):
        value = getattr(value, target_field_of(field).attname)
    if value is None:
        return None
    if isinstance(field, JSONField):
        return json.loads(json.dumps(value, cls=field.encoder))
    holder: Any = SimpleNamespace(**{field.attname: value})
    return (
        field.value_to_string(holder) if is_converted_by_django(field) else _checked(field, holder)
    )


def _checked(field: Field[Any, Any], holder: Any) -> Any:
    """What a project's own field makes of its value, where it can read that again.

    It may be any value that JSON can hold: django-money gives a number.
    """
    value = getattr(holder, field.attname)
    try:
        stored = json.loads(json.dumps(field.value_to_string(holder), default=str))
        again = _restored(field, stored)
        if again == value or field.get_prep_value(again) == field.get_prep_value(value):
            return stored
        why = f"reads {stored!r} as {again!r}"
    except Exception as error:  # whatever a project's field makes of it
        why = f"cannot read what it wrote itself: {type(error).__name__}: {error}"
    return {_LOST: f"{type(field).__name__} {why}"}


#: What an image holds in place of a value: why there is none.
_LOST = "not kept"


def _is_lost(stored: Any) -> bool:
    return isinstance(stored, Mapping) and stored.keys() == {_LOST}


def _restored(field: Field[Any, Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, JSONField):
        return json.loads(json.dumps(value), cls=field.decoder) if field.decoder else value
    value = field.to_python(value)
    return bytes(value) if isinstance(target_field_of(field), BinaryField) else value


def _texts(targets: Iterable[Any]) -> list[str]:
    return [str(each.pk if isinstance(each, Model) else each) for each in targets]


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
