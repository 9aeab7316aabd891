"""Drafts that were written -> links and before-images, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..fields.digests import FieldDigests, unpacked
from ..fields.lookup import stored_values
from ..fields.primary_keys import is_in_key, is_set, pk_to_text
from ..ledger import images
from ..ledger.deferrals import Deferral, DeferralBook
from ..ledger.images import Images, Snapshot
from ..ledger.links import Link, LinkBook
from ..models import MigrationState
from ..outcomes import LinkKind, Outcome, Unsettled
from ..rows.drafts import Draft
from ..rows.keys import key_text
from ..tables import Meanwhile
from ..utils.chunks import query_chunks

#: A draft -> the values of its object by attribute name.
ValuesOf = Callable[[Draft], Mapping[str, Any]]

# Plain numbers: the drivers take several times as long to write a member of an enumeration.
_CREATED, _ADOPTED, _SKIPPED = (kind.value for kind in LinkKind)


class Keeper:
    """Remembers the rows of one keyed step.

    ``m2m`` gives the names of the many-to-manys that the step writes. They are asked for with
    every batch, since a hook may bring a column that the query does not have. With
    ``digests_early`` new objects are written from values that no hook changes any more.
    ``meanwhile`` is called while the database takes new links, as for
    :class:`~data_migration.tables.TableInsert`.
    """

    def __init__(
        self,
        book: LinkBook,
        model: Any,
        *,
        run: int,
        m2m: Callable[[], Sequence[str]],
        digests_early: bool,
        meanwhile: Meanwhile,
    ) -> None:
        self._book = book
        self._model = model
        self._run = run
        self._m2m = m2m
        self._digests_early = digests_early
        self._meanwhile = meanwhile
        self._text_of = pk_to_text(model)
        self._digests: FieldDigests | None = None
        self._m2m_known: tuple[str, ...] = ()
        self._images = Images(book.state, database=book.database, run=run)

    def digest(self, drafts: Iterable[Draft]) -> None:
        """Work out early what :meth:`keep` will write of new objects, where that is known."""
        digests = self._digests
        if self._digests_early and digests is not None and digests.are_foretold:
            self._digest([d for d in drafts if d.existing is None], digests, _values)

    def keep(self, drafts: list[Draft]) -> None:
        """Write what is to be remembered of the drafts; a failed one leaves no trace."""
        done = [draft for draft in drafts if draft.error is None]
        digests = self._current_digests()
        fresh = [draft for draft in done if draft.link is None]
        known = [draft for draft in done if draft.link is not None]
        former = [draft.link for draft in known]
        values = _values if digests.are_foretold else self._as_stored(done)
        self._images.keep([snapshot(draft) for draft in done if _leaves_an_image(draft)])
        self._link(fresh, digests, values)
        for draft in known:
            draft.link = self._renewed(draft, digests, values)
        self._book.add([draft.link for draft in fresh], self._meanwhile)
        changed = [d.link for d, then in zip(known, former, strict=True) if d.link != then]
        self._book.replace(changed)

    def forget(self, drafts: Iterable[Draft]) -> None:
        """Drafts that failed after they were written: some objects are gone, others look again."""
        failed = [draft for draft in drafts if draft.link is not None]
        # Django takes the key from an instance that it deletes.
        gone = [draft for draft in failed if not is_set(draft.object.pk)]
        self._book.forget([draft.identity.hash for draft in gone])
        left = [draft.link for draft in failed if draft not in gone]
        self._book.replace([link._replace(unsettled=Unsettled.WARNED) for link in left])

    def _current_digests(self) -> FieldDigests:
        names = tuple(self._m2m())
        if self._digests is None or names != self._m2m_known:
            self._m2m_known = names
            self._digests = FieldDigests(self._model, names, database=self._book.database)
            self._book.know_layout(self._digests.layout, self._digests.names)
        return self._digests

    def _as_stored(self, drafts: Iterable[Draft]) -> ValuesOf:
        """The values of the drafts' objects as the database gives them back."""
        keys = {_object_pk(draft) for draft in drafts} - {None}
        found: dict[Any, Mapping[str, Any]] = {}
        objects = self._model._base_manager.using(self._book.database)
        for chunk in query_chunks(keys, self._book.database):
            found |= {each.pk: stored_values(each) for each in objects.filter(pk__in=chunk)}
        return lambda draft: found.get(_object_pk(draft), {})

    def _link(self, drafts: list[Draft], digests: FieldDigests, values: ValuesOf) -> None:
        """Give each draft the link of a row that is new to the ledger."""
        stored = [d for d in drafts if d.outcome != Outcome.SKIPPED or d.existing is not None]
        self._digest([draft for draft in stored if not draft.digests], digests, values)
        for draft in stored:
            if draft.agreed:
                known = unpacked(draft.digests, {str(digests.layout): digests.names})
                draft.digests = digests.repacked({**known, **draft.agreed})
        run, text_of = self._run, self._text_of
        for draft in stored:
            _, key_hash, key, checksum = draft.identity
            draft.link = Link(
                key_hash,
                key,
                text_of(_object_pk(draft)),
                checksum,
                draft.digests,
                run,
                _CREATED if draft.is_new else _ADOPTED,
                _unsettled(draft) if _may_be_unsettled(draft) else 0,
            )
        for draft in drafts:
            if draft.link is None:
                _, key_hash, key, checksum = draft.identity
                draft.link = Link(
                    key_hash, key, None, checksum, b"", run, _SKIPPED, _unsettled(draft)
                )

    def _digest(self, drafts: list[Draft], digests: FieldDigests, values: ValuesOf) -> None:
        written = digests.packed(list(map(values, drafts)), [draft.m2m for draft in drafts])
        for draft, each in zip(drafts, written, strict=True):
            draft.digests = each

    def _renewed(self, draft: Draft, digests: FieldDigests, values: ValuesOf) -> Link:
        """The link of a row that was known before.

        ``run`` stays where nothing was written: it tells a rollback which run to undo.
        """
        link: Link = draft.link
        if draft.outcome == Outcome.CREATED:
            draft.digests = b""  # of before
            self._link([draft], digests, values)
            new: Link = draft.link
            is_as_it_was = draft.resumes is not None and draft.has_late_m2m
            return new._replace(written=link.written) if is_as_it_was else new
        if draft.existing is None or draft.outcome == Outcome.SKIPPED:
            return link._replace(checksum=draft.identity.checksum)
        return link._replace(
            checksum=draft.identity.checksum,
            written=self._rewritten(draft, link, digests, values),
            run=self._run if draft.outcome == Outcome.UPDATED else link.run,
            unsettled=_unsettled(draft),
        )

    def _rewritten(
        self, draft: Draft, link: Link, digests: FieldDigests, values: ValuesOf
    ) -> bytes:
        """The digests with those of what the row and the object now have in common.

        That is what was written, and what a person had made the same before. Other edits stay
        unknown to it.
        """
        targets = {} if draft.has_late_m2m else draft.m2m
        touched = [name for name in targets if name not in draft.changes.kept]
        fields = self._fields_in_common(draft)
        if not fields and not touched and not draft.agreed:
            return link.written
        known = self._book.written(link)
        known |= {name: digests.of_values(name, values(draft)) for name in fields}
        known |= digests.of_m2m({name: draft.m2m[name] for name in touched})
        return digests.repacked({**known, **draft.agreed})

    def _fields_in_common(self, draft: Draft) -> set[str]:
        if draft.resumes is not None:
            return set()  # only its many-to-manys were looked at
        given = draft.values
        fields = self._model._meta.concrete_fields
        named = {f.name for f in fields if f.name in given or f.attname in given}
        own = {f.name for f in fields if is_in_key(f, self._model) or f.generated}
        edited = {note.column for note in draft.conflicts + draft.undecided}
        return (named - own - edited - draft.agreed.keys()) | set(draft.changes.fields)


def _object_pk(draft: Draft) -> Any:
    return draft.pk if draft.existing is None else draft.existing.pk


def _values(draft: Draft) -> Mapping[str, Any]:
    """The values of the draft's object by attribute name."""
    return draft.values if draft.object is None else vars(draft.object)


def snapshot(draft: Draft) -> Snapshot:
    """The existing object as it was before, with the link as it is.

    Of a new child whose parent was there before: what it changed of the parent.
    """
    if draft.existing is None and draft.beneath is not None:
        before = images.beneath(draft.instance, draft.beneath)
        return Snapshot(draft.identity.hash, draft.instance, before, {}, draft.link)
    assert draft.existing is not None, "what is new has no former values"
    changes = draft.changes
    return Snapshot(
        draft.identity.hash, draft.existing, changes.before, changes.m2m_before, draft.link
    )


def _leaves_an_image(draft: Draft) -> bool:
    """Whether an object that was there before was changed, or taken over, or has a child now."""
    if draft.existing is None:
        return draft.beneath is not None and draft.outcome == Outcome.CREATED
    return draft.link is None or draft.outcome == Outcome.UPDATED


def _unsettled(draft: Draft) -> int:
    if draft.has_late_m2m:
        return Unsettled.RELATIONS.value
    is_settled = all(note.is_settled for note in draft.notes)
    is_done = is_settled and not (draft.undecided or draft.unfinished)
    return 0 if is_done else Unsettled.WARNED.value


def _may_be_unsettled(draft: Draft) -> bool:
    """Asked of every new row."""
    return bool(draft.notes or draft.has_late_m2m or draft.undecided or draft.unfinished)


class Deferrals:
    """Those of one step. ``value_of`` gives the legacy value of a draft's deferred column."""

    def __init__(
        self,
        state: MigrationState,
        model: Any,
        value_of: Callable[[Draft, str], Any],
        *,
        database: str,
    ) -> None:
        self._text_of = pk_to_text(model)
        self._value_of = value_of
        self._book = DeferralBook(state, database=database)

    def keep(self, drafts: Sequence[Draft]) -> None:
        """Put the open relations of written drafts in place of what was open before."""
        # What a hook updates was not looked up, so it stays open.
        looked_up = [draft for draft in drafts if draft.existing is not None and draft.values]
        hashes = [draft.identity.hash for draft in looked_up]
        self._book.forget([each for each in hashes if each])
        self._add((draft, draft.deferred) for draft in drafts)

    def keep_late(self, drafts: Iterable[Draft], columns: Collection[str]) -> None:
        """Add the open relations of written drafts that were looked up after :meth:`keep`."""
        self._add(
            (draft, tuple(each for each in draft.deferred if each in columns)) for draft in drafts
        )

    def _add(self, found: Iterable[tuple[Draft, Sequence[str]]]) -> None:
        self._book.add(
            Deferral(
                column=column,
                object_pk=self._text_of(_object_pk(draft)),
                value=key_text(self._value_of(draft, column)),
                row_number=draft.number,
                key=draft.identity.text,
                key_hash=draft.identity.hash,
            )
            for draft, columns in found
            if draft.error is None and draft.outcome != Outcome.SKIPPED
            for column in columns
        )
