"""Kinds of one model in tables of their own, with django-polymorphic."""

from __future__ import annotations

from django.db import models
from polymorphic.models import PolymorphicModel


class Shape(PolymorphicModel):
    name = models.CharField(max_length=40)


class Circle(Shape):
    radius = models.IntegerField()
