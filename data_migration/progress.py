"""Progress: what a run tells people while it works. The engine calls it, never prints itself."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from .conf import settings


class Progress:
    """The interface, and its silent implementation."""

    def start(
        self, label: str, position: int, steps: int, total: int | None, *, noun: str = "row"
    ) -> None:
        """A migration or a patch begins; ``total`` rows are expected, None when nobody knows.

        ``noun`` is what one of them is called.
        """

    def advance(self, rows: int, failed: int) -> None:
        """``rows`` more were read, and ``failed`` have failed so far."""

    def give_way(self) -> None:
        """Something else is about to write to the screen."""

    def finish(self) -> None:
        """The migration or the patch ended."""


class Lines(Progress):
    """A plain line every few seconds, for logs and CI."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def start(
        self, label: str, position: int, steps: int, total: int | None, *, noun: str = "row"
    ) -> None:
        self._title = f"[{position}/{steps}] {label}"
        self._total = total
        self._nouns = f"{noun}s"
        self._read = 0
        self._last_time = time.monotonic()
        self._last_read = 0

    def advance(self, rows: int, failed: int) -> None:
        self._read += rows
        now = time.monotonic()
        if now - self._last_time < settings.progress_interval:
            return
        # The rate since the last line, not since the start: it is the honest one.
        rate = (self._read - self._last_read) / max(now - self._last_time, 1e-9)
        self._last_time, self._last_read = now, self._read
        parts = [f"{self._read:,} {self._nouns}", f"{rate:,.0f} {self._nouns}/s"]
        if self._total:
            share = self._read / self._total
            parts[0] = f"{share:.0%}  {self._read:,}/{self._total:,} {self._nouns}"
            left = max(self._total - self._read, 0) / rate if rate else 0
            parts.append(f"{duration(left)} left")
        if failed:
            parts.append(f"{failed:,} failed")
        print("  ".join([self._title, *parts]), file=self._stream, flush=True)


class Bar(Progress):
    """A bar on a terminal, drawn by tqdm (the ``progress`` extra)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def start(
        self, label: str, position: int, steps: int, total: int | None, *, noun: str = "row"
    ) -> None:
        from tqdm import tqdm  # noqa: PLC0415  an extra

        self._bar = tqdm(
            total=total,
            desc=f"[{position}/{steps}] {label}",
            unit=f" {noun}s",
            file=self._stream,
            dynamic_ncols=True,
            leave=False,
        )

    def advance(self, rows: int, failed: int) -> None:
        if failed:
            self._bar.set_postfix_str(f"{failed:,} failed", refresh=False)
        self._bar.update(rows)

    def give_way(self) -> None:
        self._bar.clear()

    def finish(self) -> None:
        self._bar.close()


def for_stream(stream: TextIO) -> Progress:
    """The progress that suits ``stream``: a bar on a terminal, lines elsewhere."""
    if stream.isatty():
        try:
            import tqdm  # noqa: F401, PLC0415  an extra
        except ImportError:
            return Lines(stream)
        return Bar(stream)
    return Lines(stream)


def duration(seconds: float) -> str:
    """``3s``, ``2m 05s`` or ``1h 10m``, as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
