"""The ``DATA_MIGRATION_*`` settings other than the sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from django.conf import settings as django_settings
from django.core.checks import CheckMessage

from ..conf import BACKGROUNDS, NAMES, PREFIX, settings
from .attributes import is_positive
from .faults import fault

#: Setting -> (what it has to be, its types).
_NUMBERS: dict[str, tuple[str, tuple[type, ...]]] = {
    "batch_size": ("a whole number above zero", (int,)),
    "relation_cache_size": ("a whole number above zero", (int,)),
    "progress_interval": ("a number of seconds above zero", (int, float)),
    "source_timeout": ("a number of seconds above zero", (int, float)),
    "heartbeat_interval": ("a number of seconds above zero", (int, float)),
    "lock_timeout": ("a number of seconds above zero", (int, float)),
}


def check_settings() -> Iterator[CheckMessage]:
    for attribute, (wanted, kinds) in _NUMBERS.items():
        value = getattr(settings, attribute)
        if not is_positive(value, *kinds):
            name = PREFIX + attribute.upper()
            yield fault("E070", name, name=name, wanted=wanted, value=value)
    if not isinstance(settings.patches_on_migrate, bool):
        name, value = f"{PREFIX}PATCHES_ON_MIGRATE", settings.patches_on_migrate
        yield fault("E070", name, name=name, wanted="True or False", value=value)
    if settings.background not in BACKGROUNDS:
        wanted = ", ".join(f'"{each}"' for each in BACKGROUNDS)
        name = f"{PREFIX}BACKGROUND"
        yield fault("E072", name, name=name, wanted=wanted, value=settings.background)
    if not isinstance(settings.connectors, (str, Mapping)):
        name = f"{PREFIX}CONNECTORS"
        yield fault("E111", name, kind=type(settings.connectors).__name__)
    for name in sorted(name for name in dir(django_settings) if name.startswith(PREFIX)):
        if name not in NAMES:
            close = get_close_matches(name, NAMES, n=1, cutoff=0.8)
            suggestion = f" Did you mean {close[0]}?" if close else ""
            yield fault("W071", name, name=name, suggestion=suggestion)
