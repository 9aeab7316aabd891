"""The tasks that workers carry out, for ``django.tasks`` and for Celery, if they are there.

Each is known to both as ``data_migration.tasks.NAME``. Arguments and results are what JSON can
hold.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .. import compat
from ..exceptions import DataMigrationError
from ..run.stopping import stop_on_signals
from ..utils.wording import error_text
from ..workers import execute_range as _execute_range
from .jobs import execute

Task = Callable[..., Any]


logger = logging.getLogger(__name__)


#: Where queues and people know the tasks to be, whichever module they are defined in.
_PUBLIC = "data_migration.tasks"

#: The functions themselves by name.
FUNCTIONS: dict[str, Task] = {}


def task(function: Task) -> Any:
    """Make the function known to whatever is installed."""
    FUNCTIONS[function.__name__] = function
    # A worker of django.tasks looks for the task in its function's module, under its name.
    function.__module__ = _PUBLIC
    try:
        from celery import shared_task  # noqa: PLC0415  an extra
    except ImportError:
        pass
    else:
        name = f"{_PUBLIC}.{function.__name__}"
        shared_task(name=name, ignore_result=True)(function)
    return compat.django_task_or(function)


@task
def execute_run(run: int, database: str) -> str:
    """Execute a queued run; returns the status in which it ended, or why it did not begin.

    A run that fails is no failed task: the run's row tells. A task that comes a second time finds
    the run claimed and does nothing.
    """
    with stop_on_signals(_tell, forward=True) as should_stop:
        try:
            done = execute(run, database, should_stop=should_stop, warn=logger.warning)
        except DataMigrationError as error:
            text = error_text(error)
            logger.warning("Run %s: %s", run, text)
            return text
    return str(done.run.status) if done.run is not None else ""


@task
def execute_range(number: int, database: str) -> str:
    """Work on a range of a step, unless somebody has taken it; returns how it ended.

    What goes wrong is recorded with the range, where its coordinator finds it. A worker that is
    told to end lets the range go after its batch, for another one.
    """
    with stop_on_signals(_tell, forward=True) as should_stop:
        return _execute_range(number, database, should_stop=should_stop)


def _tell() -> None:
    logger.warning("The run going on is stopped after its batch.")
