"""The only writer of the app's own tables, which live in the target database of the rows.

The lock of a run and its signs of life are here too. The counts and messages of a step are stored
here. What is kept of a draft is worked out by ``step/remember``. It takes and gives values, and
knows no spec, plan or draft, so that whatever runs may use it. It imports the models, keys, what
writes rows of a table, and how fields keep their values.
"""

from __future__ import annotations

from .lanes import IMPORTS, PATCHES
from .links import Link, LinkBook
from .lock import Lock, lock_holder, nobody_else
from .lookup import LinkLookup
from .messages import Message, Messages, about, dismiss, open_keys
from .outstanding import Outstanding
from .queue import ACTIVE, active_run, give_up, queue_run, queued_run, request_stop, withdraw
from .run_words import describe_run
from .runs import Ledger, NewStep
from .steps import FINISHED, StepLedger

__all__ = [
    "ACTIVE",
    "FINISHED",
    "IMPORTS",
    "PATCHES",
    "Ledger",
    "Link",
    "LinkBook",
    "LinkLookup",
    "Lock",
    "Message",
    "Messages",
    "NewStep",
    "Outstanding",
    "StepLedger",
    "about",
    "active_run",
    "describe_run",
    "dismiss",
    "give_up",
    "lock_holder",
    "nobody_else",
    "open_keys",
    "queue_run",
    "queued_run",
    "request_stop",
    "withdraw",
]
