"""The rows of one migration that its query does not return any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Model

from ..fields.primary_keys import pk_from_text
from ..ledger import Link, LinkBook
from ..models import RunStep
from ..outcomes import Removed
from ..spec.migration import Migration
from ..utils.chunks import chunks
from ..utils.databases import database_of
from .keys_read import KeysRead

_CHUNK = 1000


@dataclass(kw_only=True)
class GoneRows:
    """What the links of a migration have and its query does not, once it ``is_read`` to its end.

    ``policy`` says what becomes of their objects. Where ``named`` is given, these keys are what is
    gone, by hash, and no others.
    """

    step: RunStep
    migration: Migration
    book: LinkBook
    policy: Removed
    keys: KeysRead = field(default_factory=KeysRead)
    is_read: bool = False
    named: Mapping[str, Any] | None = None

    @property
    def model(self) -> Any:
        return self.migration.model._meta.concrete_model

    #: Which links go, each one's key has to tell.
    is_whole = False

    def includes(self, key_hash: str, run: int) -> bool:
        """Whether the link with this key is of a row that is gone."""
        return key_hash not in self.keys if self.named is None else key_hash in self.named

    @cached_property
    def hashes(self) -> list[str]:
        """Their keys; rows that were skipped left no object to speak of."""
        if self.named is not None:
            found = self.book.find(list(self.named)).values()
            return [link.key_hash for link in found if link.object_pk is not None]
        return [
            link.key_hash for link in self.keys.missing(self.book.all(object_pk__isnull=False))
        ]

    def objects(self, *, to_delete: bool) -> Iterator[list[tuple[Link, Model | None]]]:
        """Their links with the objects, in batches; None for an object that is gone as well.

        Those ``to_delete`` are locked.
        """
        pk_of = pk_from_text(self.model)
        rows = self.model._base_manager.using(self.book.database)
        if to_delete:
            rows = database_of(self.book.database).locking(rows, to_delete=True)
        for chunk in chunks(self.hashes, _CHUNK):
            links = list(self.book.find(chunk).values())
            pks = [pk_of(link.object_pk) for link in links]
            stored = rows.in_bulk(set(pks))
            yield [(link, stored.get(pk)) for link, pk in zip(links, pks, strict=True)]
