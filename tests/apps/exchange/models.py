"""What a shop keeps equal with a remote system: groups in a tree, items with tags and lines."""

from __future__ import annotations

from django.db import models


class ItemGroup(models.Model):
    name = models.CharField(max_length=50)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="children")


class Tag(models.Model):
    word = models.CharField(max_length=50)


class Item(models.Model):
    sku = models.CharField(max_length=20, null=True)
    item_name = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    note = models.CharField(max_length=100, blank=True, default="")
    city = models.CharField(max_length=50, null=True)
    group = models.ForeignKey(ItemGroup, models.SET_NULL, null=True, related_name="items")
    tags = models.ManyToManyField(Tag, related_name="items")
    is_published = models.BooleanField(default=True)
    changed_at = models.DateTimeField(null=True)


class Line(models.Model):
    item = models.ForeignKey(Item, models.CASCADE, related_name="lines")
    position = models.IntegerField()
    text = models.CharField(max_length=50)
    group = models.ForeignKey(ItemGroup, models.SET_NULL, null=True)
