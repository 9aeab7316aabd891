"""``Connector``: how one kind of remote system is spoken to, whatever its protocol is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from ..exceptions import Refused
from ..sources.pages import Page
from .calling import Caller

__all__ = ["Connector", "Page", "Written"]

T = TypeVar("T")

_WRITING = ("insert", "update", "delete", "insert_many", "update_many")


@dataclass(frozen=True, slots=True)
class Written:
    """What the remote system made of one row that was sent.

    ``key`` is the row's key there, ``row`` the row as it is stored there where the answer has it,
    ``version`` what a later change has to name (an ETag, a revision).
    """

    key: Any
    row: Mapping[str, Any] | None = None
    version: str | None = None


class Connector:
    """One account of a remote system; ``config`` is its entry in ``DATA_MIGRATION_CONNECTORS``.

    Connect in ``__init__``. A capability is a method that is overridden, and a mapping that needs
    one that is not there fails its system check. Of what can go wrong, raise :exc:`Transient` (try
    again later), :exc:`Refused` (this row), :exc:`Gone`, :exc:`Conflict`, :exc:`AuthFailed` (ends
    the step at once) or :exc:`Uncertain` (sent, and no answer came); whatever else is raised ends
    the step as well. An ``objectname`` is the remote system's word for a kind of row.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @cached_property
    def caller(self) -> Caller:
        """What makes the calls, by RATE, RETRIES and MAX_WAIT of the account."""
        return Caller(self.config)

    def patiently(self, call: Callable[[], T], *, may_repeat: bool = True) -> T:
        """What ``call()`` returns: not more calls than RATE says, :exc:`Transient` errors again.

        For each call of a connector of your own: nobody else makes a call again. ``may_repeat``
        says whether one may be made twice although nobody knows whether it arrived.
        """
        return self.caller(call, may_repeat=may_repeat)

    def ping(self) -> str:
        """Look whether the system answers and lets us in: a line for a person."""
        raise NotImplementedError

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        """The rows, at most ``size`` at once; with ``since`` those that changed since then.

        ``since`` is a mark that an earlier pass ended with: the ``cursor`` of its last page, or
        the highest value of the mapping's ``changed`` column, in the form in which it came.
        ``fields`` are the names that are needed; more do no harm.
        """
        raise NotImplementedError

    def get(self, objectname: str, key: Any) -> Mapping[str, Any] | None:
        """The row with this key; None where there is none."""
        raise NotImplementedError

    def find(self, objectname: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A row with all of these values; None where there is none, any where there are several.

        For rows that are to be adopted (``match``), and for those of which nobody knows whether
        they were created.
        """
        raise NotImplementedError

    def version(self, objectname: str, row: Mapping[str, Any]) -> str | None:
        """The version of a row that was read; None where the system has none."""
        return None

    def insert(
        self, objectname: str, values: Mapping[str, Any], *, idempotency_key: str
    ) -> Written:
        """Create a row. The same key again means: the same row, and only once."""
        raise NotImplementedError

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        """Change some values of a row; raises :exc:`Conflict` where it has another ``version``."""
        raise NotImplementedError

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        """Delete a row; raises :exc:`Gone` where there is none any more."""
        raise NotImplementedError

    def insert_many(
        self, objectname: str, rows: Sequence[tuple[Mapping[str, Any], str]]
    ) -> Sequence[Written | Exception]:
        """Create rows, each given with its idempotency key: for each what :meth:`insert` returns
        or raises, in the same order.
        """
        raise NotImplementedError

    def update_many(
        self, objectname: str, rows: Sequence[tuple[Any, Mapping[str, Any], str | None]]
    ) -> Sequence[Written | Exception]:
        """Change rows, each given as key, changes and version: for each what :meth:`update`
        returns or raises, in the same order.
        """
        raise NotImplementedError

    def describe(self, objectname: str) -> Mapping[str, Any] | None:
        """The names of what a row has there, each with what is known of it; None where the system
        does not tell.
        """
        raise NotImplementedError

    def remembers(self, objectname: str) -> float:
        """For how many seconds :meth:`insert` knows an idempotency key again; 0: it never does."""
        return 0

    def refuse_writes(self) -> None:
        """From now on nothing is written through this connector: for rehearsals, and their hooks.

        Extend it where requests can be sent in other ways than by these methods.
        """
        for name in _WRITING:
            setattr(self, name, _refusing(name))

    def close(self) -> None:
        """End the connection; called once, at the end of a run."""

    @classmethod
    def can(cls, capability: str) -> bool:
        """Whether a method of this name is overridden."""
        return getattr(cls, capability) is not getattr(Connector, capability)


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise Refused(
            f"{name}() was called in a rehearsal, which sends nothing. Repeat the command with"
            " --commit to send it"
        )

    return refuse
