"""``DATA_MIGRATION_CONNECTORS``: which accounts there are, and a connector for one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils.module_loading import import_string

from ..conf import settings
from ..exceptions import AuthFailed, DataMigrationError, RemoteError, SpecError
from ..utils.redaction import keep_secret
from ..utils.wording import printable_cause, suggest, words
from .connector import Connector

SETTING = "DATA_MIGRATION_CONNECTORS"

_read_only: ContextVar[bool] = ContextVar("read_only", default=False)


#: What an entry may have; anything else for the connector itself goes into OPTIONS.
KEYS = frozenset(
    {"CONNECTOR", "HOST", "USER", "PASSWORD", "TOKEN", "AUTH", "OPTIONS"}
    | {"RATE", "TIMEOUT", "RETRIES", "MAX_WAIT"}
)


def accounts() -> Mapping[str, Any]:
    """The entries by name. Raises :exc:`SpecError` for a setting that is none."""
    entries = settings.connectors
    if isinstance(entries, str):
        entries = _called(entries)
    if not isinstance(entries, Mapping):
        raise SpecError(
            f"{SETTING} has to be a dict from name to account, or the dotted path of a function"
            f" that returns one; it is a {type(entries).__name__}."
        )
    return entries


def account(name: str) -> Mapping[str, Any]:
    """The entry of this name. Raises :exc:`SpecError` for one that is not there, or is wrong."""
    entries = accounts()
    where = f"{SETTING}[{name!r}]"
    if name not in entries:
        known = ", ".join(sorted(map(str, entries))) or "none"
        raise SpecError(
            f"{SETTING} has no connector {name!r}. It has: {known}."
            f"{suggest(name, map(str, entries))}"
        )
    entry = entries[name]
    if not isinstance(entry, Mapping):
        raise SpecError(f"{where} has to be a dict, not a {type(entry).__name__}.")
    keep_secret(entry)
    if unknown := sorted(entry.keys() - KEYS, key=str):
        raise SpecError(
            f"{where} has unknown keys: {', '.join(map(str, unknown))}. It knows"
            f" {', '.join(sorted(KEYS))}; anything for the connector itself goes into OPTIONS."
        )
    if not isinstance(entry.get("OPTIONS", {}), Mapping):
        raise SpecError(f"{where}: OPTIONS has to be a dict.")
    return entry


def connector_class(name: str) -> type[Connector]:
    """The class that the entry of this name names. Raises :exc:`SpecError`."""
    entry, where = account(name), f"{SETTING}[{name!r}]"
    path = entry.get("CONNECTOR")
    if isinstance(path, str) and path:
        try:
            path = import_string(path)
        except Exception as error:
            raise SpecError(
                f"{where}: CONNECTOR {entry['CONNECTOR']!r} cannot be imported: {words(error)}."
            ) from printable_cause(error)
    if not (isinstance(path, type) and issubclass(path, Connector)):
        raise SpecError(
            f"{where}: CONNECTOR has to be the dotted path of a subclass of"
            f" data_migration.sync.Connector, got {entry.get('CONNECTOR')!r}."
        )
    return path


def connect(name: str) -> Connector:
    """A connector for the account of this name; whoever asks closes it.

    It cannot write while nothing may be sent. Raises :exc:`SpecError` for a wrong entry and
    :exc:`RemoteError` where the account cannot be connected to.
    """
    found = connector_class(name)
    try:
        connector = found({"name": name, **account(name)})
    except DataMigrationError:
        raise
    except Exception as error:
        raise RemoteError(
            f"The connector {name} ({found.__name__}) could not connect: {words(error)}. Check its"
            f" entry in {SETTING}, and that the remote system can be reached from here."
        ) from printable_cause(error)
    if _read_only.get():
        connector.refuse_writes()
    return connector


def ping(name: str) -> tuple[bool, str]:
    """Whether the account of this name can be used now, and a line about it for a person."""
    try:
        connector = connect(name)
        try:
            if not connector.can("ping"):
                return True, f"{name}: {type(connector).__name__} has no ping(); it connects."
            return True, f"{name}: {connector.ping()}"
        finally:
            connector.close()
    except SpecError:
        raise
    except AuthFailed as error:
        return False, f"{name}: it is not let in: {words(error)}"
    except Exception as error:
        return False, f"{name}: {words(error)}"


def _called(path: str) -> Any:
    try:
        return import_string(path)()
    except Exception as error:
        raise SpecError(
            f"{SETTING} is {path!r}, which has to be the dotted path of a function that returns"
            f" the accounts: {words(error)}."
        ) from printable_cause(error)


@contextmanager
def nothing_sent() -> Iterator[None]:
    """Connectors that are made in the block, by hooks as well, refuse to write."""
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)
