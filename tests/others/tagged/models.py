"""Objects with tags of django-taggit."""

from __future__ import annotations

from django.db import models
from taggit.managers import TaggableManager
from taggit.models import TaggedItemBase


class Article(models.Model):
    title = models.CharField(max_length=40)
    tags = TaggableManager(blank=True)


class TaggedBook(TaggedItemBase):
    content_object = models.ForeignKey("Book", models.CASCADE)


class Book(models.Model):
    """Its tags have a join model of its own, with a foreign key."""

    title = models.CharField(max_length=40)
    tags = TaggableManager(through=TaggedBook, blank=True)
