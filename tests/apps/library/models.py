"""A small lending library: enough relations for every turn that a run can take."""

from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=40)


class Genre(models.Model):
    name = models.CharField(max_length=40)


class Book(models.Model):
    title = models.CharField(max_length=40)
    pages = models.PositiveIntegerField(null=True)
    author = models.ForeignKey(Author, models.PROTECT, related_name="books")
    genres = models.ManyToManyField(Genre)


class Member(models.Model):
    email = models.CharField(max_length=60, unique=True)
