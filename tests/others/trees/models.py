"""Trees of django-treebeard: by path, by nested sets, by parents."""

from __future__ import annotations

from django.db import models
from treebeard.al_tree import AL_Node
from treebeard.mp_tree import MP_Node
from treebeard.ns_tree import NS_Node


class Page(MP_Node):
    name = models.CharField(max_length=40)


class Region(NS_Node):
    name = models.CharField(max_length=40)


class Department(AL_Node):
    name = models.CharField(max_length=40)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children_set")
    sib_order = models.PositiveIntegerField()
