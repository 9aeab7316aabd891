"""Which hooks a migration brings of its own: the others do nothing, so no row pays for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .migration import Migration

Hook = Callable[..., Any]

#: The hook whose writes may be committed before the first row is read.
BEFORE_ALL = "hook_before_all"
#: The hooks that see rows and decide what becomes of them.
ROW_HOOKS = (
    "hook_before_transformation",
    "hook_before_save",
    "hook_after_save",
    "hook_update_existing",
)
_SEE_ROWS = (*ROW_HOOKS, "hook_error_creating_instance")
_SEE_NEW_INSTANCES = ("hook_before_save", "hook_after_save")
_SEE_INSTANCES = (*_SEE_NEW_INSTANCES, "hook_update_existing")


class OwnHooks:
    """The names of the hooks that a class, or a mixin of it, brings of its own.

    ``open_db_connection`` counts as one. ``see_rows``, ``see_instances`` and
    ``see_new_instances`` are those of them that do, in the order in which a row meets them.
    """

    def __init__(self, migration: type[Migration]) -> None:
        self.names = frozenset(
            name
            for name in vars(Migration)
            if name.startswith("hook_") or name == "open_db_connection"
            if _is_overridden(migration, name)
        )
        self.see_rows = self._own(_SEE_ROWS)
        self.see_instances = self._own(_SEE_INSTANCES)
        self.see_new_instances = self._own(_SEE_NEW_INSTANCES)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def _own(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.names)


class Hooks(OwnHooks):
    """The hooks of one step, each to be called, or None where it would do nothing."""

    def __init__(self, migration: Migration) -> None:
        super().__init__(type(migration))

        def own(name: str) -> Hook | None:
            return getattr(migration, name) if name in self.names else None

        self.before_transformation = own("hook_before_transformation")
        self.before_save = own("hook_before_save")
        self.after_save = own("hook_after_save")
        self.update_existing = own("hook_update_existing")
        self.row_count = own("hook_row_count")


def _is_overridden(migration: type[Migration], name: str) -> bool:
    own, default = getattr(migration, name), getattr(Migration, name)
    return getattr(own, "__func__", own) is not default.__func__
