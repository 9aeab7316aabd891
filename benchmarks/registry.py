"""Every way by its name, in the order of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from data_migration.options import RunOptions
from data_migration.outcomes import WriterName

#: What every ratio refers to.
BASE = "hand-written loop"
ANCESTOR = "django-data-migration 0.2.1"
ANCESTOR_SETTINGS = "benchmarks.ancestor_settings"


@dataclass(frozen=True)
class Way:
    """A module of :mod:`benchmarks.ways` with options."""

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    #: Measured on a tenth of the rows and in the first round only.
    slow: bool = False
    #: Measured in the first round only; on all rows, for it needs a while to begin.
    once: bool = False
    #: A part of ``make bench-quick``.
    quick: bool = False
    #: Options of a run that comes before the measured one; the target is not emptied between.
    first: dict[str, Any] | None = None
    settings: str = "benchmarks.settings"


@cache
def ways() -> dict[str, Way]:
    """By name; ours first, then what we compare ourselves with."""
    return {way.name: way for way in (*_ours(), *_others())}


def ours(writer: str, *, hooks: bool = False, links: bool = False, workers: int = 1) -> str:
    """The name of one of our ways."""
    parts = [writer, *(["hooks"] if hooks else []), *(["links"] if links else [])]
    return ", ".join(parts + ([f"{workers} workers"] if workers > 1 else []))


def rerun(writer: str) -> str:
    return f"{ours(writer, links=True)}, unchanged rerun"


def has_workers() -> bool:
    return "workers" in {each.name for each in fields(RunOptions)}


def writers() -> list[str]:
    """Those that can be asked for by name."""
    return [name for name in WriterName.values if name != WriterName.AUTO]


def _ours() -> Iterator[Way]:
    for writer in writers():
        slow = writer == WriterName.SAVE
        for links in (False, True):
            for hooks in (False, True):
                name = ours(writer, hooks=hooks, links=links)
                options = {"writer": writer, "hooks": hooks, "links": links}
                quick = not slow and not hooks
                yield Way(name, "ours", options, slow=slow, quick=quick)
        if slow:
            continue
        options = {"writer": writer, "links": True}
        if has_workers():  # each works on a range of keys, so only with links
            name = ours(writer, links=True, workers=2)
            yield Way(name, "ours", {**options, "workers": 2})
        yield Way(rerun(writer), "ours", {**options, "update": True}, first=options)


def _others() -> Iterator[Way]:
    yield Way(BASE, "hand_written", quick=True)
    yield Way("naive save() loop", "naive", slow=True)
    yield Way("django-import-export", "import_export", slow=True)
    yield Way("raw COPY / executemany", "raw")
    yield Way("pgloader", "pgloader", once=True)
    yield Way("dlt", "dlt", once=True)
    yield Way(ANCESTOR, "ancestor", slow=True, settings=ANCESTOR_SETTINGS)
