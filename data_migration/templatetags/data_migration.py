"""How the admin's pages write numbers and labels."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.formats import number_format

from ..patches.definition import label_of_step

register = template.Library()


@register.filter
def grouped(value: Any) -> str:
    """A whole number with its thousands apart, in the language of the page: ``10,618``."""
    return number_format(value, force_grouping=True)


@register.filter
def count(value: Any) -> str:
    """:func:`grouped`; a dash for zero and for what is not known."""
    return grouped(value) if value else "–"


@register.filter
def step_name(label: str) -> str:
    """What people call a step: its migration, or its patch."""
    return label_of_step(label) or label


@register.filter
def patch_of(label: str) -> str:
    """The label of the patch whose step it is, or whose objects of one model; empty for that of a
    migration.
    """
    return (label_of_step(label) or "").partition("/")[0]
