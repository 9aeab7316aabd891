"""The words for what happened: the same in the database, the commands, JSON, admin and docs."""

from __future__ import annotations

from django.db.models import TextChoices
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


class Mode(TextChoices):
    """How a run treats the target database."""

    REHEARSAL = "rehearsal", _("rehearsal")
    COMMIT = "commit", _("commit")
    ATOMIC = "atomic", _("atomic")


class OnError(TextChoices):
    """What a failed row does to the run."""

    STOP = "stop", _("stop")
    CONTINUE = "continue", _("continue")


class WriterName(TextChoices):
    """How objects get into the database."""

    AUTO = "auto", _("auto")
    SAVE = "save", _("save")
    BULK = "bulk", _("bulk")
