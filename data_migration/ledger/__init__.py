"""The only writer of the app's own tables, which live in the target database of the rows."""

from __future__ import annotations

from .in_words import going_on
from .links import Link, LinkBook
from .lock import Lock, holder
from .lookup import LinkLookup
from .messages import Message, Messages, dismiss, open_keys
from .queue import give_up, queue_run, queued_run, request_stop, withdraw
from .runs import FINISHED, Ledger, NewStep

__all__ = [
    "FINISHED",
    "Ledger",
    "Link",
    "LinkBook",
    "LinkLookup",
    "Lock",
    "Message",
    "Messages",
    "NewStep",
    "dismiss",
    "give_up",
    "going_on",
    "holder",
    "open_keys",
    "queue_run",
    "queued_run",
    "request_stop",
    "withdraw",
]
