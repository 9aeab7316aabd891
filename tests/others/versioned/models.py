"""Objects whose every version is kept, with django-simple-history."""

from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords


class Contract(models.Model):
    name = models.CharField(max_length=40)
    history = HistoricalRecords()
