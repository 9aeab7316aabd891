"""A selection -> what would be deleted, put back and forgotten, and what stands against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..ledger import FINISHED, Ledger, Link
from ..ledger.images import Image, Images, former_values
from ..plan.graph import Plan
from ..utils.chunks import query_chunks
from .edits import Edits, SharedLink, Sharing
from .references import JoinEnd, Reference, join_end, references
from .refusals import Refusal, Refusals
from .selection import Part, Selection, parts_of, unknown_labels
from .undos import Former, RollbackPlan, Undo, comes_back, image_of, names_of, run_of, was_created

_CHUNK = 1000


def plan_rollback(selection: Selection, plan: Plan, ledger: Ledger) -> RollbackPlan:
    """Find out what undoing the selection means. ``plan`` are all migrations in their order."""
    parts = parts_of(selection, plan, ledger)
    notes = []
    if not selection.labels and (unknown := unknown_labels(plan, ledger.database)):
        notes.append(
            f"Left as it is, since the classes are in no spec any more: {', '.join(unknown)}."
        )
    planner = _Planner(parts, plan, ledger)
    undos = [undo for part in parts if (undo := planner.undo(part)) is not None]
    result = RollbackPlan(undos, planner.refusals, notes)
    planner.refuse_references(result)
    planner.refuse_missing_targets(result)
    return result


class _Planner:
    def __init__(self, parts: list[Part], plan: Plan, ledger: Ledger) -> None:
        self.refusals = Refusals()
        self._parts = {part.state.pk: part for part in parts}
        self._sharing = Sharing(plan, database=ledger.database)
        self._ledger = ledger
        self._database = ledger.database
        self._last_steps = ledger.states()
        #: Foreign key -> the values that it gets back, each with one of the objects.
        self._former: dict[Any, dict[Any, tuple[Part, Link]]] = defaultdict(dict)

    def undo(self, part: Part) -> Undo | None:
        """What is undone of one migration; None where there is nothing."""
        undo = Undo(part)
        if part.run is not None:
            self._refuse_what_was_written_later(part)
        edits = Edits(part.model, part.book)
        images = part.images if part.images.rows.filter(**part.of_images).exists() else None
        links = part.links()
        has_links = False
        while batch := list(islice(links, _CHUNK)):
            has_links = True
            self._add(undo, batch, edits, images)
        has_images = self._add_recreated(undo)
        if has_links or has_images:
            return undo
        if part.is_whole and part.book.is_empty():
            return self._without_links(undo)
        return None

    def _without_links(self, undo: Undo) -> Undo | None:
        last = self._last_steps.get(undo.label)
        if last is not None and last.status in FINISHED and last.created + last.updated:
            why = (
                "it has no legacy key, so the ledger does not know its objects. Delete them by"
                " hand or restore a backup; with a legacy_key its next run can be rolled back"
            )
            self.refusals.add(Refusal(undo.label, "", "", why))
            return None
        return undo if undo.part.state.is_read else None

    def _refuse_what_was_written_later(self, part: Part) -> None:
        for image in part.images.all(run__gt=part.run, link__run=part.run):
            assert image.link is not None, "the query asks for the run of the former link"
            why = f"run {image.run} wrote it later; roll back run {image.run} first"
            self._refuse(part, image.link, why, is_final=True)

    def _refuse(self, part: Part, link: Link, why: str, *, is_final: bool = False) -> None:
        shown = f"{part.model._meta.label} {link.object_pk}" if link.object_pk else ""
        self.refusals.add(Refusal(part.label, link.key, shown, why, is_final))

    def _add(self, undo: Undo, links: list[Link], edits: Edits, kept: Images | None) -> None:
        """Add a batch of links to the undo; refuse the objects that people changed."""
        part = undo.part
        hashes = [link.key_hash for link in links] if kept else []
        found = part.images.find(hashes, **run_of(part))
        images = {link: image_of(link, found) for link in links}
        keys = {link: part.model._meta.pk.to_python(link.object_pk) for link in links}
        stored = part.model._base_manager.using(self._database).in_bulk(
            [key for key in keys.values() if key is not None]
        )
        there = [(link, stored[key]) for link, key in keys.items() if key in stored]
        undo.forgotten += len(links) - len(there)
        edited = edits.find(there)
        for link, instance in there:
            names = edited.get(link.key_hash, set())
            if was_created(link, images[link], part.run):
                undo.deleted.add(instance.pk)
            elif names_of(images[link]):
                undo.restored[instance.pk] = Former(link.key_hash, names_of(images[link]))
                self._note_targets(part, link, images[link])
                names = names & names_of(images[link])
            else:
                undo.forgotten += 1
                continue
            if names and (names := self._not_ours(part, link, instance, names)):
                self._refuse(part, link, f"changed since: {', '.join(sorted(names))}")

    def _not_ours(self, part: Part, link: Link, instance: Any, names: set[str]) -> set[str]:
        """Those of ``names`` that no other link of the selection wrote as they are."""
        own = (part.state.pk, link.key_hash)
        others = [
            each
            for each in self._sharing.links_to(part.model, [link.object_pk])
            if (each.state.pk, each.key_hash) != own and self._includes(each)
        ]
        return self._sharing.unexplained(instance, names, others)

    def _includes(self, link: SharedLink) -> bool:
        part = self._parts.get(link.state.pk)
        return part is not None and part.includes(link.key_hash, link.run)

    def _add_recreated(self, undo: Undo) -> bool:
        """Add the objects that come back; returns whether there are images of deleted ones."""
        part = undo.part
        images = list(part.images.all(**part.of_images, is_deleted=True))
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            links = part.book.find([image.key_hash for image in chunk])
            pks = [part.model._meta.pk.to_python(image.object_pk) for image in chunk]
            stored = part.model._base_manager.using(self._database).in_bulk(set(pks))
            for image, pk in zip(chunk, pks, strict=True):
                if comes_back(image, part.run):
                    self._add_one_recreated(undo, image, pk, links.get(image.key_hash))
                    if pk in stored and pk not in undo.deleted:
                        why = "another object has its primary key now"
                        self._refuse(part, image.link or _NO_LINK, why, is_final=True)
        return bool(images)

    def _add_one_recreated(self, undo: Undo, image: Image, pk: Any, link: Link | None) -> None:
        undo.recreated[pk] = image.key_hash
        self._note_targets(undo.part, image.link or _NO_LINK, image)
        if undo.part.run is not None and link is not None and link.run > undo.part.run:
            why = f"run {link.run} wrote it later; roll back run {link.run} first"
            self._refuse(undo.part, link, why, is_final=True)

    def _note_targets(self, part: Part, link: Link, image: Image | None) -> None:
        values = former_values(part.model, image.values) if image is not None else {}
        for name, value in values.items():
            field = part.model._meta.get_field(name)
            if value is not None and getattr(field, "db_constraint", False):
                self._former[field].setdefault(value, (part, link))

    def refuse_missing_targets(self, plan: RollbackPlan) -> None:
        """Refuse objects that would refer to what is gone; the database could say less of it."""
        for field, values in self._former.items():
            model = field.related_model
            target = model._base_manager.using(self._database)
            undos = [undo for undo in plan.undos if issubclass(undo.part.model, model)]
            back = {pk for undo in undos for pk in undo.recreated}
            for chunk in query_chunks(values.keys() - back, self._database):
                name = field.target_field.attname
                found = target.filter(**{f"{name}__in": chunk}).values_list(name, flat=True)
                for value in sorted({*chunk} - {*found}):
                    why = f"its former {field.name} is gone: {model._meta.label} {value}"
                    self._refuse(*values[value], why, is_final=True)

    def refuse_references(self, plan: RollbackPlan) -> None:
        """Refuse objects that something refers to which stays."""
        restored: dict[Any, dict[Any, Former]] = defaultdict(dict)
        for undo in plan.undos:
            restored[undo.part.model] |= undo.restored

        def spares(model: Any, pk: Any, name: str) -> bool:
            former = restored[model].get(pk) if model in restored else None
            return former is not None and name in former.names

        own = {end for undo in plan.undos for end in _own_ends(undo.part)}
        for each in references(plan.group, database=self._database, own=own, spares=spares):
            self._refuse_object(plan, each.model, each.pk, self._told(each))
        for model, pks in plan.group.items():
            self._refuse_other_links(plan, model, pks)

    def _told(self, reference: Reference) -> str:
        """The reference with the migrations that have the object which refers."""
        if self.refusals.is_full:
            return str(reference)
        links = self._sharing.links_to(reference.by_model, [str(reference.by_pk)])
        return reference.told(sorted({link.state.label for link in links}))

    def _refuse_other_links(self, plan: RollbackPlan, model: Any, pks: Iterable[Any]) -> None:
        """Refuse objects that a link leads to which stays."""
        whole = {number for number, part in self._parts.items() if part.is_whole}
        for chunk in query_chunks(pks, self._database):
            for link in self._sharing.links_to(model, map(str, chunk), without=whole):
                if not self._includes(link):
                    pk = model._meta.pk.to_python(link.object_pk)
                    why = f"{link.state.label} has it for its key {link.key}"
                    self._refuse_object(plan, model, pk, why)

    def _refuse_object(self, plan: RollbackPlan, model: Any, pk: Any, why: str) -> None:
        label, key = "", ""
        for undo in plan.undos:
            if pk in undo.deleted and issubclass(undo.part.model, model):
                label = undo.label
                if not self.refusals.is_full:
                    key = next((x.key for x in undo.part.book.all(object_pk=str(pk))), "")
                break
        self.refusals.add(Refusal(label, key, f"{model._meta.label} {pk}", why))


_NO_LINK = Link("", "", None, 0, b"", 0)


def _own_ends(part: Part) -> Iterator[JoinEnd]:
    """The join rows that the migration wrote, from whichever side."""
    names = {name for layout in part.state.layouts.values() for name in layout}
    for name in sorted(names):
        if (end := join_end(part.model, name)) is not None:
            yield end
