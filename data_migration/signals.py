"""Events of a run, for projects that want to listen (metrics, chat, a page).

All are sent with the :class:`~data_migration.models.Run` as ``run``; the step and row events add
``step`` (:class:`~data_migration.models.RunStep`). ``sender`` is the :class:`Run` class.
"""

from __future__ import annotations

from django.dispatch import Signal

#: A run begins.
run_started = Signal()
#: A migration, or a patch, begins; ``step``.
step_started = Signal()
#: A migration, or a patch, ended, well or not; ``step``.
step_finished = Signal()
#: A row, or an object of a patch, failed; ``step``, ``row`` (the dict) and ``exception``.
row_failed = Signal()
#: A run ended, well or not.
run_finished = Signal()
