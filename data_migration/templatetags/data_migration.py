"""How the admin's pages write numbers."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def grouped(value: Any) -> str:
    """A whole number with its thousands apart, in the language of the page: ``10,618``."""
    return number_format(value, force_grouping=True)


@register.filter
def count(value: Any) -> str:
    """:func:`grouped`; a dash for zero and for what is not known."""
    return grouped(value) if value else "–"
