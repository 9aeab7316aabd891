"""What newer Djangos leave to the database: keys of several columns, values, constraints."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Upper


class Tenant(models.Model):
    name = models.CharField(max_length=40)


class Seat(models.Model):
    pk = models.CompositePrimaryKey("tenant_id", "code")
    tenant = models.ForeignKey(Tenant, models.CASCADE)
    code = models.CharField(max_length=20)
    price = models.IntegerField(default=0)
    neighbour = models.ForeignKey(Tenant, models.SET_NULL, null=True, related_name="+")


class Computed(models.Model):
    """Two values are the database's own."""

    name = models.CharField(max_length=40)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=40), db_persist=True
    )
    state = models.CharField(max_length=10, db_default=Value("new"))


class Slot(models.Model):
    """One active slot for each room; places are exchanged within a transaction."""

    room = models.IntegerField()
    place = models.IntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["room"], condition=Q(is_active=True), name="modern_one_active_slot"
            ),
            models.UniqueConstraint(
                fields=["place"], deferrable=models.Deferrable.DEFERRED, name="modern_place"
            ),
            models.CheckConstraint(condition=Q(room__gte=0), name="modern_room"),
        ]
