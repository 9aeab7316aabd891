"""Where the project and what stands beside it are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = ROOT / "manage.py"
#: Real legacy databases, in a folder beside the project; tests that need them skip without it.
SHARED_DATA = ROOT.parent / "shared" / "data"
