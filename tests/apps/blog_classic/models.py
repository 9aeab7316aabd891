"""A blog, filled by a spec as they were written for django-data-migration 0.2.1."""

from __future__ import annotations

from django.db import models


class Author(models.Model):
    username = models.CharField(max_length=50)
    email = models.EmailField()


class Comment(models.Model):
    body = models.TextField()


class Post(models.Model):
    title = models.CharField(max_length=100)
    body = models.TextField()
    posted = models.DateTimeField(auto_now_add=True)
    author = models.ForeignKey(Author, models.CASCADE)
    comments = models.ManyToManyField(Comment)
