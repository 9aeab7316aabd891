"""One link for each legacy row that was handled, and what it takes to undo or finish it.

A link is written by the million, so it is kept small and written without model instances: see
:mod:`data_migration.ledger.links`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..outcomes import LinkKind, Unsettled


class MigrationState(models.Model):
    """What is remembered of one migration from run to run; its id stands for it in every link."""

    label = models.CharField(_("migration"), max_length=255, unique=True)
    #: Digest of the spec as it was last applied; see :mod:`data_migration.spec.fingerprint`.
    fingerprint = models.CharField(_("fingerprint"), max_length=32, blank=True)
    #: Whether the query was once read to its end since the last rollback.
    is_read = models.BooleanField(_("is read"), default=False)
    #: The first run of a pass over the query that has not come to its end; None outside of one.
    #: What was linked by it or later is passed over when the pass goes on.
    pass_run = models.PositiveBigIntegerField(_("run of the open pass"), null=True)
    #: The highest value of the high-water column that was read, with its type.
    high_water = models.JSONField(_("high-water mark"), null=True)
    #: Where an open pass goes on, of a remote system that sorts its rows by their changes.
    pass_mark = models.JSONField(_("mark of the open pass"), null=True)
    #: The field names of each layout of ``RowLink.written``, by the number it begins with.
    layouts = models.JSONField(_("layouts"), default=dict)

    class Meta:
        verbose_name = _("state of a migration")
        verbose_name_plural = _("status")  # so the admin calls the page of all of them
        ordering: ClassVar = ["label"]

    def __str__(self) -> str:
        return self.label


class RowLink(models.Model):
    """The memory that a legacy key became an object.

    ``key_hash`` stands for the typed key (:mod:`data_migration.rows.keys`), ``key`` is its
    readable JSON. ``object_pk`` is None for a row that was skipped. ``checksum`` is a digest of
    the row as it came, ``written`` one of each field as it was last written
    (:mod:`data_migration.fields.digests`). ``run`` is the last run that wrote the link.
    """

    pk = models.CompositePrimaryKey("migration_id", "key_hash")
    # Checked nowhere: a million links would lock and look up the same row.
    migration = models.ForeignKey(
        MigrationState, models.CASCADE, db_constraint=False, db_index=False, related_name="links"
    )
    key_hash = models.UUIDField(_("hash of the key"))
    key = models.TextField(_("legacy key"))
    object_pk = models.CharField(_("object"), max_length=255, null=True)  # noqa: DJ001
    checksum = models.BigIntegerField(_("checksum"))
    written = models.BinaryField(_("written"))
    run = models.PositiveBigIntegerField(_("run"))
    kind = models.PositiveSmallIntegerField(_("kind"), choices=LinkKind)
    unsettled = models.PositiveSmallIntegerField(_("unsettled"), choices=Unsettled, default=0)

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        indexes: ClassVar = [
            # Not the migration first: PostgreSQL, without statistics of a new migration, would
            # look through all of its links here for every key.
            models.Index(fields=["object_pk", "migration"], name="data_migration_link_object"),
        ]

    def __str__(self) -> str:
        return f"{self.key} -> {self.object_pk}"


class BeforeImage(models.Model):
    """What a run changed in one object: enough to put it back.

    ``values`` are the former values by field name as ``Field.value_to_string`` gives them,
    ``m2m`` the former targets by accessor name. ``link`` is the former link, None where the run
    made it. With ``is_deleted`` the run deleted the object, and ``values`` are all of its fields.
    ``deferred`` are the relations that were open then: of each the ``column``, ``value`` and
    ``row_number`` that its :class:`DeferredRelation` had.
    """

    migration = models.ForeignKey(MigrationState, models.CASCADE, related_name="images")
    key_hash = models.UUIDField(_("hash of the key"))
    # Not a foreign key: what it takes to roll a migration back outlives the run's history.
    run = models.PositiveBigIntegerField(_("run"))
    object_pk = models.CharField(_("object"), max_length=255)
    is_deleted = models.BooleanField(_("is deleted"), default=False)
    values = models.JSONField(_("values"), default=dict)
    m2m = models.JSONField(_("many-to-many"), default=dict)
    link = models.JSONField(_("former link"), null=True)
    deferred = models.JSONField(_("deferred relations"), default=list)

    class Meta:
        verbose_name = _("before-image")
        verbose_name_plural = _("before-images")
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["migration", "key_hash"], name="data_migration_image_key"),
            models.Index(fields=["run"], name="data_migration_image_run"),
        ]

    def __str__(self) -> str:
        return f"{self.object_pk} before run {self.run}"


class DeferredRelation(models.Model):
    """A relation that is still to be filled: its target was not there when the row was written.

    ``column`` is the entry of ``column_description``, ``value`` the legacy value (a list for
    several columns) as :mod:`data_migration.rows.keys` writes it.
    """

    migration = models.ForeignKey(MigrationState, models.CASCADE, related_name="deferred")
    column = models.CharField(_("column"), max_length=255)
    object_pk = models.CharField(_("object"), max_length=255)
    value = models.TextField(_("value"))
    key_hash = models.UUIDField(_("hash of the key"), null=True)
    key = models.TextField(_("legacy key"), blank=True)
    row_number = models.PositiveBigIntegerField(_("row number"))

    class Meta:
        verbose_name = _("deferred relation")
        verbose_name_plural = _("deferred relations")
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(
                fields=["migration", "column", "object_pk"], name="data_migration_deferred"
            ),
            models.Index(fields=["migration", "key_hash"], name="data_migration_deferred_key"),
        ]

    def __str__(self) -> str:
        return f"{self.column} of {self.object_pk}"
