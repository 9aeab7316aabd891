"""The specs of the documentation. A spec may be a package: it has to import its parts."""

from __future__ import annotations

from . import attributes, failures, hooks, relations, updates

__all__ = ["attributes", "failures", "hooks", "relations", "updates"]
