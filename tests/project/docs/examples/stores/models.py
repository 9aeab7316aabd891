"""Models whose objects get new primary keys."""

from __future__ import annotations

from django.db import models


class State(models.Model):
    code = models.CharField(max_length=2, unique=True)


class Town(models.Model):
    name = models.CharField(max_length=40)
    state = models.ForeignKey(State, models.PROTECT)

    class Meta:
        unique_together = (("name", "state"),)


class Store(models.Model):
    name = models.CharField(max_length=40)
    town = models.ForeignKey(Town, models.PROTECT)
    manager = models.ForeignKey("Person", models.SET_NULL, null=True, related_name="+")


class Person(models.Model):
    name = models.CharField(max_length=40)
    store = models.ForeignKey(Store, models.PROTECT, related_name="people")


class Shelf(models.Model):
    store = models.ForeignKey(Store, models.CASCADE)
    place = models.CharField(max_length=10)


class Item(models.Model):
    name = models.CharField(max_length=40)
    shelf = models.ForeignKey(Shelf, models.SET_NULL, null=True)
