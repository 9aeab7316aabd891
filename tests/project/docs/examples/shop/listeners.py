from __future__ import annotations

import sys
from typing import Any

from django.dispatch import receiver

from data_migration.models import Run
from data_migration.signals import run_finished


@receiver(run_finished)
def announce(run: Run, **kwargs: Any) -> None:
    if not run.is_dry:
        print(f"Run {run.pk} ended: {run.status}.", file=sys.stderr)
