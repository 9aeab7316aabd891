"""Objects that anybody may remark on: a relation that no foreign key holds."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Remark(models.Model):
    text = models.CharField(max_length=40)
    # Without a constraint: this app has no schema migrations, so its tables come first.
    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.PositiveBigIntegerField()
    about = GenericForeignKey()


class Subject(models.Model):
    name = models.CharField(max_length=40)
    remarks = GenericRelation(Remark)
