"""``Mapping``: what a project writes about one model and one kind of remote row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Model, QuerySet

from ..outcomes import OnConflict, Removed
from .words import SYNC, Const, From, Nested, Related

#: A field's name; the same with conversions; a literal; what is made of the object; a relation;
#: a list of rows.
Field = str | From | Const | Callable[[Any], Any] | Related | Nested


class Mapping:
    """One model and one kind of remote row. A declaration; the engine runs it.

    Its memory stands under ``app_label.ClassName@connector``, so that two accounts never read each
    other's keys.
    """

    #: The remote system's word for the kind of row.
    objectname: ClassVar[str] = ""
    #: The remote name of what identifies a row there.
    remote_key: ClassVar[str] = "id"
    model: ClassVar[type[Model]]
    #: ``"push"``, ``"pull"`` or ``"sync"``: pull first, then push of what still differs.
    direction: ClassVar[str] = SYNC
    #: Rows that are asked for, and sent, at once.
    page_size: ClassVar[int] = 100
    #: Remote name (dotted for a property of a JSON object) -> what it is here.
    fields: ClassVar[Dict[str, Field]] = {}
    #: What is pushed: a queryset, or what returns one. None: every object.
    queryset: ClassVar[QuerySet[Any] | Callable[[], QuerySet[Any]] | None] = None
    #: Mappings whose rows come before.
    depends_on: ClassVar[Sequence[type[Mapping]]] = ()
    #: The remote name of what grows with every change of a row, for delta runs; None compares all.
    changed: ClassVar[str | None] = None
    #: How far before the mark a delta begins, since clocks and transactions overlap.
    changed_lag: ClassVar[timedelta | int | None] = timedelta(seconds=30)
    #: The field of the model that says when an object was changed here; for ``"newest"``.
    changed_here: ClassVar[str | None] = None
    #: Where both sides changed one field: ``"keep"`` ours, ``"overwrite"`` with theirs,
    #: ``"newest"``, or ``"report"`` and hold it for a person.
    on_conflict: ClassVar[str] = OnConflict.KEEP
    #: Our objects whose remote row is gone: ``"keep"``, ``"report"`` or ``"delete"``.
    removed: ClassVar[str] = Removed.KEEP
    #: The share of the rows, in percent, above which no object is deleted unless forced.
    removed_limit: ClassVar[float] = 10
    #: Remote rows whose object is gone here: ``"keep"``, ``"report"`` or ``"delete"``.
    deleted: ClassVar[str] = Removed.KEEP
    #: The same share for remote rows.
    deleted_limit: ClassVar[float] = 10
    #: Remote names by which a row and an object that are not linked yet are taken to be the same.
    match: ClassVar[Sequence[str]] = ()
    #: Remote names whose values no message shows.
    sensitive: ClassVar[Sequence[str]] = ()

    def pre_process(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The source document before it is mapped: the remote row of a pull, of a push the
        values that would be sent. What is returned is used; None skips the row.
        """
        return row

    def post_process(self, *, local: Any, remote: Dict[str, Any], created: bool) -> None:
        """Called when a row was written, with the object here and the row there.

        Its failure leaves the row written and is a message of its own.
        """
