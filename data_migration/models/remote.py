"""What is on its way to remote systems, and what they are known to have."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..outcomes import Action, OutgoingState
from .links import MigrationState


class RemoteAccount(models.Model):
    """What is remembered of a connector from run to run: when it may be called again."""

    name = models.CharField(_("connector"), max_length=100, unique=True)
    not_before = models.DateTimeField(_("next allowed call"), null=True)
    #: Why it has to wait, in the words of the remote system.
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        verbose_name = _("remote account")
        verbose_name_plural = _("remote accounts")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class RemoteState(models.Model):
    """What the remote system got of one object, and has not told us otherwise since.

    ``sent`` are 4-byte digests of the remote fields that only go there, in the layouts of the
    mapping's state. ``version`` is what the next change has to name, empty where there is none.
    Written by the million, so without a key of its own.
    """

    pk = models.CompositePrimaryKey("mapping_id", "object_pk")
    mapping = models.ForeignKey(
        MigrationState, models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    object_pk = models.CharField(_("object"), max_length=255)
    sent = models.BinaryField(_("sent"))
    version = models.CharField(_("version"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("remote state")
        verbose_name_plural = _("remote states")

    def __str__(self) -> str:
        return f"{self.object_pk} ({self.version})" if self.version else self.object_pk


class Outgoing(models.Model):
    """A change that is to be sent, written before it is: nobody has to guess after a crash.

    ``key`` is the typed remote key as :mod:`data_migration.rows.keys` writes it, empty for a row
    that is to be created. ``digest`` is that of the values: the same idempotency key is used again
    for the same values only. ``attempts`` counts calls. Empty when all is well.
    """

    mapping = models.ForeignKey(MigrationState, models.CASCADE, related_name="outgoing")
    object_pk = models.CharField(_("object"), max_length=255)
    action = models.CharField(_("action"), max_length=8, choices=Action)
    key = models.TextField(_("remote key"), blank=True)
    idempotency_key = models.UUIDField(_("idempotency key"))
    digest = models.BigIntegerField(_("digest"))
    state = models.CharField(_("state"), max_length=8, choices=OutgoingState)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    planned_at = models.DateTimeField(_("planned at"))
    sent_at = models.DateTimeField(_("sent at"), null=True)
    next_try = models.DateTimeField(_("next try"), null=True)
    #: Why it failed or is held, in one sentence.
    cause = models.TextField(_("cause"), blank=True)
    run = models.PositiveBigIntegerField(_("run"))

    class Meta:
        verbose_name = _("outgoing change")
        verbose_name_plural = _("outgoing changes")
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["mapping", "object_pk"], name="data_migration_outgoing_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["mapping", "state"], name="data_migration_out_state"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_pk} ({self.state})"
