"""Objects that stay in their table when they are deleted, with django-model-utils."""

from __future__ import annotations

from django.db import models
from model_utils.models import SoftDeletableModel, TimeStampedModel


class Member(SoftDeletableModel):
    name = models.CharField(max_length=40)


class Letter(TimeStampedModel):
    subject = models.CharField(max_length=40)
    member = models.ForeignKey(Member, models.CASCADE, null=True)
