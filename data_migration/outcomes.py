"""The words for what happened: the same in the database, the commands, JSON, admin and docs."""

from __future__ import annotations

from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy as _


class Outcome(TextChoices):
    """What became of one source row. Every row read ends in exactly one of them."""

    CREATED = "created", _("created")
    UPDATED = "updated", _("updated")
    UNCHANGED = "unchanged", _("unchanged")
    SKIPPED = "skipped", _("skipped")
    FAILED = "failed", _("failed")


class RunStatus(TextChoices):
    """Where a run, a step of it, and so a migration stands."""

    PENDING = "pending", _("pending")
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    PARTIAL = "partial", _("partial")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")
    SKIPPED = "skipped", _("skipped")


class MessageKind(TextChoices):
    """Why a message is kept with a row."""

    FAILURE = "failure", _("failure")
    WARNING = "warning", _("warning")
    CONFLICT = "conflict", _("conflict")
    REMOVED = "removed", _("removed")


class RunKind(TextChoices):
    """What a run is, and so who executes it. A new kind needs no schema migration."""

    IMPORT = "import", _("import")
    ROLLBACK = "rollback", _("rollback")
    PATCH = "patch", _("patch")
    SYNC = "sync", _("sync")


class Mode(TextChoices):
    """How a run treats the target database.

    A rollback is all or nothing, under a word of its own, which pages, JSON and receivers of
    signals have always been told. Whether a run is one, its :class:`RunKind` says.
    """

    REHEARSAL = "rehearsal", _("rehearsal")
    COMMIT = "commit", _("commit")
    ATOMIC = "atomic", _("atomic")
    ROLLBACK = "rollback", _("rollback")


class PatchState(TextChoices):
    """Where a patch stands in one environment.

    ``PARTIAL`` has begun: rows are left to be processed, or have failed. ``FAILED`` was rolled
    back as a whole. The others are not stored: a patch without a record is pending, one whose run
    is at work running, one that ran and has other code by now changed since; blocked ones wait,
    and impossible ones come too late.
    """

    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    PARTIAL = "partial", _("partial")
    FAILED = "failed", _("failed")
    DONE = "done", _("done")
    FAKED = "faked", _("faked")
    NOT_NEEDED = "not_needed", _("not needed")
    CHANGED_SINCE = "changed_since", _("changed since")
    BLOCKED = "blocked", _("blocked")
    IMPOSSIBLE = "impossible", _("impossible")


class OnError(TextChoices):
    """What a failed row does to the run."""

    STOP = "stop", _("stop")
    CONTINUE = "continue", _("continue")


class WriterName(TextChoices):
    """How objects get into the database."""

    AUTO = "auto", _("auto")
    SAVE = "save", _("save")
    BULK = "bulk", _("bulk")
    COPY = "copy", _("copy")


class OnConflict(TextChoices):
    """What an update does with a field that a person changed since it was written.

    ``NEWEST`` is for mappings only, whose remote rows say when they were changed.
    """

    KEEP = "keep", _("keep")
    OVERWRITE = "overwrite", _("overwrite")
    REPORT = "report", _("report")
    NEWEST = "newest", _("newest")


class Action(TextChoices):
    """What is sent to a remote system."""

    CREATE = "create", _("create")
    UPDATE = "update", _("update")
    DELETE = "delete", _("delete")


class OutgoingState(TextChoices):
    """How far one change has come on its way to a remote system.

    ``SENT`` ones may have arrived, and nobody knows. ``FAILED`` ones were refused and are tried
    again by the next run; ``HELD`` ones wait for a person.
    """

    PLANNED = "planned", _("planned")
    SENT = "sent", _("sent")
    FAILED = "failed", _("failed")
    HELD = "held", _("held")


class Deleted(TextChoices):
    """What an update does where a person deleted the object of a row that is still there."""

    CREATE = "create", _("create")
    KEEP = "keep", _("keep")
    REPORT = "report", _("report")


class Removed(TextChoices):
    """What becomes of an object whose row is gone from the source."""

    KEEP = "keep", _("keep")
    REPORT = "report", _("report")
    DELETE = "delete", _("delete")


class NullMarks(TextChoices):
    """What an incremental read does with rows whose high-water column is NULL."""

    INCLUDE = "include", _("include")
    EXCLUDE = "exclude", _("exclude")
    RAISE = "raise", _("raise")


class LinkKind(IntegerChoices):
    """How a row got its object. A number: it is stored by the million."""

    CREATED = 1, _("created")
    ADOPTED = 2, _("adopted")
    SKIPPED = 3, _("skipped")


class Unsettled(IntegerChoices):
    """Why a row is looked at again although it did not change."""

    NOTHING = 0, _("settled")
    WARNED = 1, _("warned")
    RELATIONS = 2, _("relations to complete")
