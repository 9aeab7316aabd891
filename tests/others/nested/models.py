"""A tree of django-mptt."""

from __future__ import annotations

from django.db import models
from mptt.models import MPTTModel, TreeForeignKey


class Genre(MPTTModel):
    name = models.CharField(max_length=40)
    parent = TreeForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
