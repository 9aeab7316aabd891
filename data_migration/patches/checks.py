"""The system checks of patches: whatever is wrong with one and can be known without a database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, register

from ..checks import TAG, mild_before_schema
from ..checks.faults import fault
from ..spec.discovery import subclasses
from .discovery import PATCHES, Patches, find
from .modules import is_base
from .patch import Patch


@register(TAG)
def check_patches(**kwargs: Any) -> list[CheckMessage]:
    """Check every patch and every ``patches.txt``.

    Nothing is worse than a warning before commands on the schema: a patch may be written before
    the schema migration that it needs is made.
    """
    found = find()
    messages = [*found.faults, *check_strangers(found.patches)]
    return mild_before_schema(message for message in messages if not message.is_silenced())


def check_strangers(patches: Patches) -> Iterator[CheckMessage]:
    """Classes in modules of apps, tests excepted, that no place for patches has."""
    used = {each.patch for each in patches}
    for cls in sorted(subclasses(Patch), key=lambda cls: (cls.__module__, cls.__qualname__)):
        module = sys.modules.get(cls.__module__)
        # What a function or a variable holds is not looked for: it goes by other names.
        is_held = getattr(module, cls.__name__, None) is cls
        if cls in used or not is_held or cls.__name__.startswith("_") or _is_for_others(cls):
            continue
        app = apps.get_containing_app_config(cls.__module__)
        parts = cls.__module__.removeprefix(f"{app.name}.").split(".") if app else []
        if app and app.name != "data_migration" and parts[0] != PATCHES and "tests" not in parts:
            yield fault("W086", f"{cls.__module__}.{cls.__qualname__}", folder=app.name)


def _is_for_others(cls: type[Patch]) -> bool:
    return is_base(cls) or bool(cls.__subclasses__())
