"""The project for the ancestor: the same, with its ``data_migration`` in the place of ours."""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from benchmarks.settings import *  # noqa: F403 - the same project

#: The environment variable with the folder into which pip has put django-data-migration.
FOLDER = "BENCHMARK_ANCESTOR"

# It asks Python 2 helpers of ``future``, and networkx for the order of several migrations.
for name in ("future", "future.builtins", "networkx"):
    sys.modules[name] = ModuleType(name)
sys.modules["future.builtins"].str = builtins.str  # type: ignore[attr-defined]
sys.path.insert(0, os.environ[FOLDER])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
