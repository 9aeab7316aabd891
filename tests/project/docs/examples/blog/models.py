from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=40)


class Comment(models.Model):
    text = models.CharField(max_length=100)


class Post(models.Model):
    title = models.CharField(max_length=40)
    author = models.ForeignKey(Author, models.CASCADE)
    comments = models.ManyToManyField(Comment)
    posted = models.DateTimeField(auto_now_add=True)
