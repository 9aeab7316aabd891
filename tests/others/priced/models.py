"""Amounts with their currency, with django-money."""

from __future__ import annotations

from django.db import models
from djmoney.models.fields import MoneyField


class Offer(models.Model):
    name = models.CharField(max_length=40)
    price = MoneyField(max_digits=10, decimal_places=2, default_currency="EUR")
    discount = MoneyField(
        max_digits=10, decimal_places=2, null=True, blank=True, default_currency=None
    )
