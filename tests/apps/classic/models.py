"""People, their pets and tags: what specs in the style of django-data-migration 0.2.1 fill.

The app has no spec of its own; the tests write one for each case.
"""

from __future__ import annotations

from django.db import models


class Tag(models.Model):
    word = models.CharField(max_length=50, unique=True)


class Person(models.Model):
    name = models.CharField(max_length=50)
    email = models.CharField(max_length=50, unique=True, null=True)
    boss = models.ForeignKey("self", models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)
    seen_at = models.DateTimeField(auto_now_add=True)


class Kind(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=50)


class Pet(models.Model):
    name = models.CharField(max_length=50)
    owner = models.ForeignKey(Person, models.CASCADE, null=True, related_name="pets")
    breeder = models.ForeignKey(Person, models.CASCADE, null=True, related_name="bred")
    kind = models.ForeignKey(Kind, models.CASCADE, null=True)
