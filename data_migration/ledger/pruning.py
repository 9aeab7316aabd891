"""Old runs and their messages can go; what it takes to go on or to roll back stays."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from ..models import BeforeImage, MigrationState, PatchRecord, RowError, RowLink, Run
from ..outcomes import LinkKind, PatchState, RunStatus
from ..utils.chunks import chunks
from ..utils.sessions import writing
from .messages import open_messages
from .runs import Ledger
from .states import not_of_migrations

_CHUNK = 500


class Pruned(NamedTuple):
    """How much went: runs, their messages, and before-images that nothing needs without them."""

    runs: int
    messages: int
    images: int


def prune(before: datetime, *, database: str) -> Pruned:
    """Delete the runs that ended before that moment.

    Kept are the run of each migration that tells its state, runs with failures or conflicts that
    are still open, runs with ranges in which a patch goes on, runs whose part in a patch can be
    rolled back, links, and the before-images that a rollback of a whole migration needs: those of
    objects that were there before it.
    """
    with writing(database), transaction.atomic(using=database):
        waiting = open_messages(database).filter(step__run=OuterRef("pk"))
        telling = {step.run_id for step in Ledger(database).states().values()}
        old = Run.objects.using(database).filter(~Exists(waiting), finished_at__lt=before)
        old = old.exclude(status=RunStatus.RUNNING).exclude(pk__in=telling)
        old = old.exclude(steps__ranges__fingerprint__in=_marks(database))
        old = old.exclude(pk__in=_runs_of_patches(database))
        numbers = list(old.values_list("pk", flat=True))
        messages = images = 0
        for chunk in chunks(numbers, _CHUNK):
            rows = RowError.objects.using(database).filter(step__run__in=chunk)
            messages += rows.count()
            images += _spare_images(chunk, database).delete()[0]
            Run.objects.using(database).filter(pk__in=chunk).delete()
    return Pruned(len(numbers), messages, images)


def _marks(database: str) -> list[str]:
    """The fingerprints of ranges that tell how far a patch has come."""
    going_on = PatchRecord.objects.using(database).filter(state=PatchState.PARTIAL)
    return [record.mark for record in going_on]


def _runs_of_patches(database: str) -> set[int]:
    """The runs that wrote what is kept to roll patches back.

    Whether one of them has done all of a patch is asked of the others.
    """
    states = list(not_of_migrations(MigrationState.objects.using(database)))
    return {
        run
        for model in (RowLink, BeforeImage)
        for run in model.objects.using(database)
        .filter(migration__in=states)
        .order_by()
        .values_list("run", flat=True)
        .distinct()
    }


def _spare_images(runs: list[int], database: str) -> QuerySet[BeforeImage]:
    """Images of objects that a migration made itself: rolling it back deletes them.

    The links cannot tell which these are, since that of a row which is gone is gone as well.
    """
    images = BeforeImage.objects.using(database)
    taken_over = Q(link__isnull=True) | Q(link__kind=LinkKind.ADOPTED)
    needed = images.filter(
        taken_over, migration=OuterRef("migration"), key_hash=OuterRef("key_hash")
    )
    return images.filter(run__in=runs).filter(~Exists(needed))
