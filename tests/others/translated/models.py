"""Texts in two languages, with django-modeltranslation."""

from __future__ import annotations

from django.db import models


class News(models.Model):
    title = models.CharField(max_length=40)
    text = models.TextField(blank=True)
