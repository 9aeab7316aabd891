"""A selection -> what would be deleted, put back and forgotten, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max

from ..fields.primary_keys import pk_from_text, pk_to_text
from ..ledger import FINISHED, Ledger, Link
from ..ledger.images import Image, had_parent, merged
from ..models import RunStep
from ..outcomes import LinkKind, Mode, RunKind
from ..plan.graph import Plan
from ..utils.chunks import chunks
from ..utils.databases import database_of
from .former_targets import FormerTargets
from .judge import Candidate, Judge
from .refusals import Refusal, Refusals
from .rollback_plan import Former, RollbackPlan, Undo, deleted_by, put_back_by, uncovered_by
from .selection import Part, Selection, models_of, parts_of, unknown_labels

_CHUNK = 1000


def plan_rollback(
    selection: Selection, plan: Plan, ledger: Ledger, *, locks: bool = False
) -> RollbackPlan:
    """Find out what undoing migrations means. ``plan`` are all of them in their order.

    With ``locks`` nobody changes what was looked at until the transaction ends that this needs.
    """
    parts = parts_of(selection, plan, ledger)
    notes = []
    if not selection.labels and (unknown := unknown_labels(plan, ledger.database)):
        notes.append(
            f"Left as it is, since the classes are in no spec any more: {', '.join(unknown)}."
        )
    return plan_undo(parts, models_of(plan), notes, database=ledger.database, locks=locks)


def plan_undo(
    parts: list[Part],
    models: Mapping[str, Any],
    notes: Sequence[str] = (),
    *,
    database: str,
    locks: bool = False,
    noun: str = "migration",
) -> RollbackPlan:
    """Find out what undoing the parts means, dependants first.

    ``models`` are those that anybody writes to, by label, whose links to the objects are asked
    for. ``locks`` as for :func:`plan_rollback`.
    """
    planner = _Planner(parts, models, database=database, locks=locks)
    undos = [undo for part in parts if (undo := planner.undo(part)) is not None]
    planner.refuse(undos)
    return RollbackPlan(undos, planner.refusals, list(notes), noun)


class _Planner:
    """Makes the undos one by one, and collects what stands against them."""

    def __init__(
        self, parts: list[Part], models: Mapping[str, Any], *, database: str, locks: bool
    ) -> None:
        self.refusals = Refusals()
        self._judge = Judge(parts, models, database=database)
        self._targets = FormerTargets(database=database)
        self._locks = locks

    def undo(self, part: Part) -> Undo | None:
        """What is undone of one migration; None where there is nothing."""
        if part.run is not None:
            for image in part.images.all(run__gt=part.run, link__run=part.run):
                assert image.link is not None, "the query asks for the run of the former link"
                self.refusals.add(_written_later(part, image.link, image.run))
        undo = Undo(part)
        has_images = part.images.rows.filter(**part.of_images).exists()
        has_links = False
        for links in chunks(part.links(), _CHUNK):
            has_links = True
            self._undo_links(undo, links, has_images=has_images)
        if self._undo_deletions(undo) or has_links:
            return undo
        if not part.is_whole or not part.book.is_empty():
            return None
        if _has_objects_without_links(part):
            why = (
                "it has no legacy key, so the ledger does not know its objects. Delete them by"
                " hand or restore a backup; with a legacy_key its next run can be rolled back"
            )
            self.refusals.add(Refusal(part.label, "", "", why))
            return None
        return undo if part.state.is_read else None

    def _undo_links(self, undo: Undo, links: list[Link], *, has_images: bool) -> None:
        """Add a batch of links to the undo; refuse the objects that people changed."""
        part = undo.part
        images = part.images.find(
            [link.key_hash for link in links] if has_images else [], **part.of_run
        )
        pk_of = pk_from_text(part.model)
        pks = {link: pk_of(link.object_pk) for link in links}
        objects = part.model._base_manager.using(part.database)
        if self._locks:
            objects = database_of(part.database).locking(objects, to_delete=True)
        stored = objects.in_bulk([pk for pk in pks.values() if pk is not None])
        candidates = []
        for link, pk in pks.items():
            kept = images.get(link.key_hash, ())
            own = [each for each in kept if each.object_pk == link.object_pk]
            image = merged(own) if own else None
            if pk not in stored:
                undo.forgotten += 1
            elif had_parent(part.model, image):
                assert image is not None, "the image says so"
                undo.deleted.add(pk)
                undo.uncovered[pk] = former = Former.of(image)
                of_child = {field.name for field in part.model._meta.local_fields}
                candidates.append(Candidate(link, stored[pk], former.names | of_child))
            elif _was_created(link, image, part.run):
                undo.deleted.add(pk)
                candidates.append(Candidate(link, stored[pk]))
            elif image is not None and (former := Former.of(image)).names:
                undo.restored[pk] = former
                self._put_back(part, link, image)
                candidates.append(Candidate(link, stored[pk], former.names))
            else:
                undo.forgotten += 1
        for edited in self._judge.edited(part, candidates):
            why = f"changed since: {', '.join(sorted(edited.names))}"
            self.refusals.add(Refusal.of(part, edited.link, why))

    def _undo_deletions(self, undo: Undo) -> bool:
        """Add the objects that come back; returns whether there are images of deleted ones."""
        part = undo.part
        images = list(part.images.all(**part.of_images, is_deleted=True))
        for chunk in chunks(images, _CHUNK):
            links = part.book.find([image.key_hash for image in chunk])
            pk_of = pk_from_text(part.model)
            pks = [pk_of(image.object_pk) for image in chunk]
            stored = part.model._base_manager.using(part.database).in_bulk(set(pks))
            for image, pk in zip(chunk, pks, strict=True):
                assert image.link is not None, "only what has a link is deleted"
                # A run's deletions come back; of a whole migration what was there before it.
                if part.run is None and image.link.kind != LinkKind.ADOPTED:
                    continue
                undo.recreated[pk] = Former.of(image)
                self._put_back(part, image.link, image)
                self._targets.come_back(part.model, image)
                link = links.get(image.key_hash)
                if part.run is not None and link is not None and link.run > part.run:
                    self.refusals.add(_written_later(part, link, link.run))
                if pk in stored and pk not in undo.deleted:
                    why = "another object has its primary key now"
                    self.refusals.add(Refusal.of(part, image.link, why, is_final=True))
        return bool(images)

    def _put_back(self, part: Part, link: Link, image: Image) -> None:
        self._targets.add(part, link, image)
        for name, cause in image.lost.items():
            why = f"its former {name} is not known: {cause}"
            self.refusals.add(Refusal.of(part, link, why, is_final=True))

    def refuse(self, undos: list[Undo]) -> None:
        """Refuse what is told by all undos together: what others have or need, or what is gone."""
        group = deleted_by(undos)
        writers = [undo.part for undo in undos]
        for shared in self._judge.shared(group):
            why = f"{shared.link.state.label} has it for its key {shared.link.key}"
            self._refuse_object(undos, shared.model, shared.pk, why)
        for reference in self._judge.referred_to(
            group, writers, put_back_by(undos), uncovered_by(undos)
        ):
            owners = [] if self.refusals.is_full else self._judge.owners(reference)
            self._refuse_object(undos, reference.model, reference.pk, reference.told(owners))
        for refusal in self._targets.missing():
            self.refusals.add(refusal)

    def _refuse_object(self, undos: list[Undo], model: type[Any], pk: Any, why: str) -> None:
        label, key = "", ""
        for undo in undos:
            if pk in undo.deleted and issubclass(undo.part.model, model):
                label = undo.label
                if not self.refusals.is_full:
                    text = pk_to_text(model)(pk)
                    key = next((x.key for x in undo.part.book.all(object_pk=text)), "")
                break
        self.refusals.add(Refusal(label, key, f"{model._meta.label} {pk}", why))


def _has_objects_without_links(part: Part) -> bool:
    """Whether a migration without links wrote objects since it was last rolled back.

    Where its runs were pruned, one that was read to its end counts as having done so.
    """
    steps = RunStep.objects.using(part.database).filter(migration=part.label)
    undone = steps.filter(run__kind=RunKind.ROLLBACK).aggregate(last=Max("run"))["last"] or 0
    since = steps.filter(run__gt=undone, status__in=FINISHED).exclude(run__mode=Mode.REHEARSAL)
    counts = list(since.values_list("has_key", "created", "updated"))
    wrote = any(created + updated for has_key, created, updated in counts if not has_key)
    return wrote or (part.state.is_read and not counts)


def _was_created(link: Link, image: Image | None, run: int | None) -> bool:
    """Whether what is undone made the object."""
    if link.kind != LinkKind.CREATED:
        return False
    # Within a run, an image speaks of an object that was there before, unless the run had made
    # its link already.
    if run is None or image is None:
        return True
    return image.link is not None and image.link.run == run


def _written_later(part: Part, link: Link, run: int) -> Refusal:
    why = f"run {run} wrote it later; roll back run {run} first"
    return Refusal.of(part, link, why, is_final=True)
