"""The links of one migration: found and written in bulk, without model instances.

What a link costs is in docs/architecture. Statements are written by hand, since they run for
every batch of every import.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections

from ..fields.digests import unpacked
from ..models import MigrationState, RowLink
from ..outcomes import LinkKind, Unsettled
from ..tables import Meanwhile, nothing
from ..utils.chunks import query_chunks
from ..utils.databases import database_of
from .statements import (
    RowInsert,
    delete_by_hash,
    select_by_hash,
    select_by_object,
    values_between,
    values_by_hash,
)

_PAGE = 2000
#: Up to how many times as many links as rows are read where they are next to each other.
_SPREAD = 3
_COLUMNS = ("key_hash", "key", "object_pk", "checksum", "written", "run", "kind", "unsettled")


class Link(NamedTuple):
    """One link as it is stored; ``key_hash`` in 32 hexadecimal digits."""

    key_hash: str
    key: str
    object_pk: str | None
    checksum: int
    written: bytes
    run: int
    kind: int = LinkKind.CREATED
    unsettled: int = Unsettled.NOTHING


class LinkBook:
    """The links of one migration in ``database``.

    ``had_links`` says whether the rows in question can have links, where that is known: those of
    a range, say, whose keys nobody else writes. None asks the table.
    """

    def __init__(
        self, state: MigrationState, *, database: str, had_links: bool | None = None
    ) -> None:
        self.state = state
        self.database = database
        self._had_links = had_links
        #: Whether the hashes of a batch were next to each other in the index so far.
        self._is_in_order = True

    def is_empty(self) -> bool:
        return not (self._rows.exists() if self._had_links is None else self._had_links)

    def count(self) -> int:
        return int(self._rows.count())

    @property
    def _rows(self) -> Any:
        return RowLink.objects.using(self.database).filter(migration=self.state)

    def find(self, hashes: Collection[str]) -> dict[str, Link]:
        """The links of these keys by hash, in one query."""
        rows = select_by_hash(
            connections[self.database], RowLink, _COLUMNS, [self.state.pk], hashes
        )
        return {link.key_hash: link for link in map(Link._make, rows)}

    def written_of(self, pks: Collection[str]) -> list[tuple[str, bytes]]:
        """What was last written of these objects, by the text of their primary keys.

        One that several rows became is there several times.
        """
        rows = select_by_object(
            connections[self.database], RowLink, ("object_pk", "written"), [self.state.pk], pks
        )
        return [(pk, bytes(written)) for pk, written in rows]

    def of_objects(self, pks: Collection[str]) -> dict[str, list[Link]]:
        """The links of these objects, by the text of their primary keys."""
        found: dict[str, list[Link]] = {}
        for chunk in query_chunks(pks, self.database) if pks else ():
            rows = self._rows.filter(object_pk__in=chunk).order_by("key_hash")
            for key_hash, *rest in rows.values_list(*_COLUMNS):
                link = Link(key_hash.hex, *rest)
                found.setdefault(str(link.object_pk), []).append(
                    link._replace(written=bytes(link.written))
                )
        return found

    def settled(
        self, hashes: Sequence[str], *, before: int, skipped: bool
    ) -> Mapping[int, str | None]:
        """By checksum what the rows with these keys became of which nothing is left to be done.

        That is where the link is of a run ``before`` that one; ``skipped`` says whether rows that
        were skipped count. There may be checksums of other keys among them.
        """
        if not hashes:
            return {}
        where = f"unsettled = {int(Unsettled.NOTHING)} AND run < {int(before)}"
        if not skipped:
            where += f" AND kind <> {int(LinkKind.SKIPPED)}"
        columns = ("checksum", "object_pk")
        place = connections[self.database], RowLink, columns, self.state.pk, hashes, where
        if self._is_in_order:
            found = values_between(*place, limit=_SPREAD * len(hashes))
            if found is not None:
                return dict(found)
            self._is_in_order = False
        return dict(values_by_hash(*place))

    def add(self, links: Sequence[Link], meanwhile: Meanwhile = nothing) -> None:
        """Write new links. Raises :exc:`django.db.IntegrityError` for a key that has one.

        ``meanwhile`` as for :class:`~data_migration.tables.TableInsert`.
        """
        self._insert(self.state.pk, links, meanwhile)

    @cached_property
    def _insert(self) -> RowInsert:
        return RowInsert(connections[self.database], RowLink, _COLUMNS)

    def replace(self, links: Sequence[Link]) -> None:
        """Write links in place of those that their keys have."""
        self.forget([link.key_hash for link in links])
        self.add(links)

    def forget(self, hashes: Collection[str]) -> None:
        """Remove the links of these keys."""
        delete_by_hash(connections[self.database], RowLink, self.state.pk, hashes)

    def all(self, **conditions: Any) -> Iterator[Link]:
        """Every link that meets the conditions, in the order of the hashes.

        Read page by page, since MySQL's drivers hold a whole result in memory; the links may be
        changed meanwhile.
        """
        rows = self._rows.filter(**conditions).order_by("key_hash").values_list(*_COLUMNS)
        page = rows[:_PAGE]
        while found := list(page):
            for key_hash, *rest in found:
                link = Link(key_hash.hex, *rest)
                yield link._replace(written=bytes(link.written))
            page = rows.filter(key_hash__gt=found[-1][0])[:_PAGE]

    def written(self, link: Link) -> dict[str, int]:
        """The digest of each field as it was last written, by name."""
        return unpacked(link.written, self.state.layouts)

    def know_layout(self, layout: int, names: Sequence[str]) -> None:
        """Make sure that digests of this layout can be read by every later run.

        Needs a transaction. The layouts of all workers stand in one row, which is locked until the
        end of it: they are merged, not written over.
        """
        if str(layout) in self.state.layouts:
            return
        no_key = database_of(self.database).locks_all_but_the_key
        rows = MigrationState.objects.using(self.database).select_for_update(no_key=no_key)
        known: Mapping[str, Any] = rows.values_list("layouts", flat=True).get(pk=self.state.pk)
        self.state.layouts = {**known, str(layout): list(names)}
        self.state.save(using=self.database, update_fields=["layouts"])
