"""Why objects may not go, or get back what they were: edited, shared, referred to.

A rollback refuses what the judge names, the removal of gone rows keeps it. Each says it in its own
words, and asks further questions of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from django.db.models import Model

from ..ledger import Link, LinkBook
from ..models import MigrationState
from .edits import find_edits
from .references import Group, PutBack, Reference, join_end, references
from .shared_links import SharedLink, SharedLinks


class LinksToGo(Protocol):
    """Those links of one migration that are to go: all where it ``is_whole``."""

    @property
    def book(self) -> LinkBook: ...

    @property
    def model(self) -> Any: ...

    @property
    def is_whole(self) -> bool: ...

    def includes(self, key_hash: str, run: int) -> bool:
        """Whether the link with this key, last written by this run, is to go."""


class Candidate(NamedTuple):
    """An object that is to go or to be put back, by one of its links.

    ``names`` are the fields and many-to-manys whose edits would be lost; None for all of them.
    """

    link: Link
    instance: Model
    names: frozenset[str] | None = None


class Edited(NamedTuple):
    """Somebody changed ``names`` of the object of the ``link`` since it was written."""

    model: type[Model]
    pk: Any
    link: Link
    names: frozenset[str]


class Shared(NamedTuple):
    """A ``link`` of another row, which stays, leads to the object."""

    model: type[Model]
    pk: Any
    link: SharedLink


#: What speaks against the object ``pk`` of ``model``.
Reason = Edited | Shared | Reference


class Judge:
    """Asks of the links in ``parts``, and of their objects, what speaks against their going.

    ``models`` are those that anybody writes to, by label. The questions are asked in the order of
    the methods: of objects in batches as they are read, then of the whole group. Who takes out of
    the group what was named asks :meth:`referred_to` again, since what stays may refer to more.
    """

    def __init__(
        self, parts: Iterable[LinksToGo], models: Mapping[str, Any], *, database: str
    ) -> None:
        self._parts = {part.book.state.pk: part for part in parts}
        self._whole = {number for number, part in self._parts.items() if part.is_whole}
        self._links = SharedLinks(models, database=database)
        self._database = database

    def edited(self, part: LinksToGo, candidates: Sequence[Candidate]) -> Iterator[Edited]:
        """Those of a batch that somebody changed since they were written.

        What another link that is to go wrote as it is now is nobody's edit.
        """
        pairs = [(each.link, each.instance) for each in candidates]
        found = find_edits(part.model, pairs, part.book)
        edited = []
        for each in candidates:
            names = found.get(each.link.key_hash, set())
            if names := names if each.names is None else names & each.names:
                edited.append((each, names))
        if not edited:
            return
        written = self._written_by_others(part, [each for each, _ in edited])
        for each, names in edited:
            if names := names - written[each.instance.pk]:
                yield Edited(part.model, each.instance.pk, each.link, frozenset(names))

    def _written_by_others(
        self, part: LinksToGo, edited: Sequence[Candidate]
    ) -> Mapping[Any, set[str]]:
        """By primary key, what is as another link that is to go wrote it."""
        to_object: dict[Any, list[SharedLink]] = defaultdict(list)
        for found in self._links.to(part.model, {each.instance.pk for each in edited}):
            if self._goes(found):
                to_object[found.pk].append(found)
        state = part.book.state
        others: dict[MigrationState, dict[str, Model]] = defaultdict(dict)
        for each in edited:
            for found in to_object[each.instance.pk]:
                if (found.state, found.key_hash) != (state, each.link.key_hash):
                    others[found.state][found.key_hash] = each.instance
        written: dict[Any, set[str]] = defaultdict(set)
        for other, instances in others.items():
            book = LinkBook(other, database=self._database)
            pairs = [(link, instances[link.key_hash]) for link in book.find([*instances]).values()]
            edits = find_edits(part.model, pairs, book)
            for link, instance in pairs:
                names = book.written(link).keys() - edits.get(link.key_hash, set())
                written[instance.pk] |= names
        return written

    def _goes(self, link: SharedLink) -> bool:
        part = self._parts.get(link.state.pk)
        return part is not None and part.includes(link.key_hash, link.run)

    def shared(self, group: Group) -> Iterator[Shared]:
        """Those of the group that a link leads to which stays, once for each such link."""
        for model, pks in group.items():
            for link in self._links.to(model, pks, without=self._whole):
                if not self._goes(link):
                    yield Shared(model, link.pk, link)

    def referred_to(
        self,
        group: Group,
        writers: Iterable[LinksToGo],
        put_back: PutBack = MappingProxyType({}),
        uncovered: Group = MappingProxyType({}),
    ) -> Iterator[Reference]:
        """Those of the group, or their parents, that something refers to which stays.

        The join rows that ``writers`` wrote go with their objects, from whichever side.
        ``put_back`` are the fields of objects that stay which will not be as they are now;
        ``uncovered`` those of the group that leave their parents behind.
        """
        own = {
            end
            for writer in writers
            for layout in writer.book.state.layouts.values()
            for name in layout
            if (end := join_end(writer.model, name)) is not None
        }
        return references(
            group, database=self._database, own=own, put_back=put_back, uncovered=uncovered
        )

    def owners(self, reference: Reference) -> list[str]:
        """The migrations that have the object which refers."""
        links = self._links.to(reference.by_model, [reference.by_pk])
        return sorted({link.state.label for link in links})
