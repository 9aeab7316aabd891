"""The tasks that workers carry out: Celery finds this module by ``autodiscover_tasks()``.

They are defined in :mod:`data_migration.launch.tasks`.
"""

from __future__ import annotations

from .launch.tasks import execute_range, execute_run

__all__ = ["execute_range", "execute_run"]
