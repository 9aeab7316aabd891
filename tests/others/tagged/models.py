"""An object with tags of django-taggit."""

from __future__ import annotations

from django.db import models
from taggit.managers import TaggableManager


class Article(models.Model):
    title = models.CharField(max_length=40)
    tags = TaggableManager(blank=True)
