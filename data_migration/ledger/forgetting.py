"""Rows forgotten: what a rollback undid is as if it had never been; what a run deleted is gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..models import BeforeImage, RowLink, RunStep
from ..outcomes import MessageKind
from ..utils.chunks import chunks
from .deferrals import Deferral, DeferralBook
from .images import Image, Images, merged
from .links import LinkBook
from .messages import open_messages
from .states import forget_spec, read_again

_CHUNK = 500


def forget_deleted(book: LinkBook, hashes: Collection[str]) -> None:
    """Forget rows whose objects a run deleted; their images stay, to bring them back."""
    book.forget(hashes)
    DeferralBook(book.state, database=book.database).forget(hashes)
    _close_conflicts(book, hashes)


def _close_conflicts(book: LinkBook, hashes: Collection[str]) -> None:
    """Of objects that are gone, or are what they were, no field waits for a person."""
    rows = open_messages(book.database).filter(migration=book.state, kind=MessageKind.CONFLICT)
    for keys in chunks(sorted(hashes), _CHUNK):
        rows.filter(key_hash__in=keys).update(is_open=False)


def forget_undone(
    book: LinkBook, *, run: int | None = None, hashes: Collection[str] | None = None
) -> None:
    """Forget the links of a run, of some keys, or all; a run's former links come back.

    With them the relations are open again that were open then. The migration's query is read
    from its start the next time, unless the run did not read it: it only filled relations.
    """
    if run is None and hashes is None:
        for model in (RowLink, BeforeImage):
            _rows(model, book).delete()
        DeferralBook(book.state, database=book.database).forget_all()
    else:
        images = Images(book.state, database=book.database)
        if hashes is None:
            linked = _rows(RowLink, book).filter(run=run).values_list("key_hash", flat=True)
            imaged = images.rows.filter(run=run).values_list("key_hash", flat=True)
            hashes = {each.hex for rows in (linked, imaged) for each in rows.iterator()}
        for keys in chunks(sorted(hashes), _CHUNK):
            _forget_some(book, images, keys, run)
    if book.is_empty():
        open_messages(book.database).filter(migration=book.state).update(is_open=False)
        forget_spec(book.state, database=book.database)
    steps = RunStep.objects.using(book.database).filter(run=run, started_at__isnull=False)
    if run is None or steps.filter(migration=book.state.label).exists():
        read_again(book.state, database=book.database)


def _forget_some(book: LinkBook, images: Images, keys: list[str], run: int | None) -> None:
    conditions = {} if run is None else {"run": run}
    former: list[Image] = []
    for each in images.find(keys, **conditions).values() if run is not None else ():
        image = merged(each)
        if image.link is not None and image.link.run != run:
            former.append(image)
    book.forget(keys)
    _close_conflicts(book, keys)
    book.add([image.link for image in former if image.link is not None])
    _rows(BeforeImage, book).filter(key_hash__in=keys, **conditions).delete()
    deferrals = DeferralBook(book.state, database=book.database)
    deferrals.forget(keys)
    deferrals.add(
        Deferral(object_pk=image.object_pk, key=image.link.key, key_hash=image.key_hash, **each)
        for image in former
        if image.link is not None
        for each in image.deferred
    )


def _rows(model: Any, book: LinkBook) -> Any:
    return model.objects.using(book.database).filter(migration=book.state)
