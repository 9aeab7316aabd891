"""The legacy database of the demo: a small old shop for lamps, kettles and such, all invented.

It is as real ones are: no keys declared, SQL words as column names, 0 for "none", dates as text,
and a few rows that are simply wrong. The same rows come out at every build.
"""

from __future__ import annotations

from .build import build

__all__ = ["build"]
