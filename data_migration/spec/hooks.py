"""Which hooks a migration brings of its own: the others do nothing, so no row pays for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .migration import Migration


def hook_is_overridden(migration: type[Migration], name: str) -> bool:
    """Whether the class (or a mixin of it) brings its own ``name``."""
    own, default = getattr(migration, name), getattr(Migration, name)
    return getattr(own, "__func__", own) is not default.__func__


#: The hooks that see rows and decide what becomes of them.
ROW_HOOKS = (
    "hook_before_transformation",
    "hook_before_save",
    "hook_after_save",
    "hook_update_existing",
)


def overridden_hook(migration: Migration, name: str) -> Callable[..., Any] | None:
    """The migration's own hook; None where it would do nothing, so that no row pays for it."""
    return getattr(migration, name) if hook_is_overridden(type(migration), name) else None
