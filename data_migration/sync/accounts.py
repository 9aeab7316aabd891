"""Accounts: the entries of ``DATA_MIGRATION_CONNECTORS``, and connectors made of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils.module_loading import import_string

from ..conf import settings
from ..exceptions import RemoteError, SpecError
from ..utils.wording import suggest
from .connector import Connector

#: What may change something over there.
WRITING = ("insert", "update", "delete", "insert_many", "update_many")

_read_only: ContextVar[bool] = ContextVar("read_only", default=False)


class NothingIsSent(RemoteError):
    """A hook tried to write to a remote system in a rehearsal."""


def accounts() -> Dict[str, Dict[str, Any]]:
    """The entry of each account by its name. Raises :exc:`SpecError`."""
    found = settings.connectors
    if isinstance(found, str):
        try:
            found = import_string(found)()
        except ImportError as error:
            raise SpecError(
                f"DATA_MIGRATION_CONNECTORS is {found!r}, which cannot be imported: {error}. It is"
                " a mapping, or the dotted path of a function that returns one."
            ) from error
    if not isinstance(found, Dict):
        raise SpecError("DATA_MIGRATION_CONNECTORS has to be a mapping from name to account.")
    return found


def connect(name: str) -> Connector:
    """A new connector of an account, which cannot write while nothing may be sent.

    Raises :exc:`SpecError` for an account that is not there, or whose connector is none.
    """
    known = accounts()
    if name not in known:
        raise SpecError(
            f"There is no account {name!r} in DATA_MIGRATION_CONNECTORS.{suggest(name, known)}"
        )
    path = known[name].get("CONNECTOR", "")
    try:
        cls = import_string(path)
    except ImportError as error:
        raise SpecError(
            f"DATA_MIGRATION_CONNECTORS[{name!r}]: the connector {path!r} cannot be imported:"
            f" {error}."
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Connector)):
        raise SpecError(
            f"DATA_MIGRATION_CONNECTORS[{name!r}]: {path!r} is no Connector. Name a class that"
            " derives from data_migration.sync.Connector."
        )
    config = {"name": name, **known[name]}
    return (_without_writing(cls) if _read_only.get() else cls)(config)


@contextmanager
def nothing_sent() -> Iterator[None]:
    """Connectors that are made in the block, by hooks as well, refuse to write."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


def _without_writing(cls: type[Connector]) -> type[Connector]:
    def refusing(verb: str) -> Any:
        def refuse(self: Connector, objectname: str, *args: Any, **kwargs: Any) -> Any:
            raise NothingIsSent(f"{verb}({objectname!r}): a rehearsal sends nothing")

        return refuse

    return type(cls.__name__, (cls,), {v: refusing(v) for v in WRITING if cls.can(v)})
