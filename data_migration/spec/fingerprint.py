"""The fingerprint of a spec: did it change since it was applied?"""

from __future__ import annotations

import inspect
from hashlib import blake2b
from typing import Final

from .hooks import ROW_HOOKS, OwnHooks
from .migration import Migration


def fingerprint(migration: type[Migration]) -> str:
    """32 hexadecimal digits for what the spec says: query, model, columns and its own hooks.

    A hook counts with its source text; what it calls elsewhere is not seen.
    """
    own = OwnHooks(migration)
    said = [
        " ".join((migration.query or "").split()),
        repr(migration.query_params),
        migration.model._meta.label,
        repr(migration.legacy_key),
        *(f"{name}: {each!r}" for name, each in sorted(migration.column_description.items())),
        *(_source_of(migration, name) if name in own else "" for name in ROW_HOOKS),
    ]
    return blake2b("\n".join(said).encode(), digest_size=16).hexdigest()


ERROR_HOOK: Final = "hook_error_creating_instance"


def error_hook_checksum(migration: type[Migration]) -> int:
    """64 bits with a sign for the source of the error hook: another one has handled nothing."""
    digest = blake2b(_source_of(migration, ERROR_HOOK).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _source_of(migration: type[Migration], name: str) -> str:
    try:
        return inspect.getsource(getattr(migration, name))
    except (OSError, TypeError):  # made at run time
        return name
