"""Models whose objects get primary keys of their own, so that only the ledger can find them."""

from __future__ import annotations

from django.db import models


class Store(models.Model):
    """A store has a manager, who works in a store: neither can be written first."""

    name = models.CharField(max_length=40)
    manager = models.ForeignKey("Staff", models.SET_NULL, null=True, related_name="managed")


class Staff(models.Model):
    name = models.CharField(max_length=40)
    store = models.ForeignKey(Store, models.SET_NULL, null=True, related_name="staff")


class Node(models.Model):
    """A tree."""

    name = models.CharField(max_length=40)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")


class Term(models.Model):
    """A term of a thesaurus may have several parents."""

    name = models.CharField(max_length=40)
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children")


class Country(models.Model):
    """Known to the legacy database by two texts, ``("EU", "01")``."""

    name = models.CharField(max_length=40)


class Parcel(models.Model):
    """Known by three texts, of which the first two are its country's."""

    number = models.CharField(max_length=10)
    country = models.ForeignKey(Country, models.PROTECT, related_name="parcels")
    replaces = models.OneToOneField("self", models.SET_NULL, null=True, related_name="replaced_by")


class Customer(models.Model):
    name = models.CharField(max_length=40)
    email = models.CharField(max_length=60, blank=True)


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    tags = models.ManyToManyField(Tag, related_name="orders")
