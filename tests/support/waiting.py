"""How long a test waits for what is to come: for ever, as far as a busy machine is concerned."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

#: Seconds after which something is taken to hang. No test's verdict hangs on it.
PATIENCE = 300


def wait_until(condition: Callable[[], Any], process: subprocess.Popen[Any] | None = None) -> None:
    """Return when ``condition()`` is true; fails should ``process`` end before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"it did not come true within {PATIENCE} seconds"
        time.sleep(0.02)
