"""Whether the migrations can be put in an order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.core.checks import CheckMessage

from ..exceptions import DependencyCycle, UnknownDependency
from ..plan.graph import build_plan
from ..spec.migration import Migration
from .faults import fault


def check_order(migrations: Mapping[str, type[Migration]]) -> Iterator[CheckMessage]:
    """Needs migrations whose models and dependencies are classes.

    Whether a model that no migration fills has rows already is for the run to find out.
    """
    try:
        build_plan(migrations, is_filled=lambda model: True)
    except UnknownDependency as error:
        yield fault("E042", _first_label(str(error), migrations), problem=error)
    except DependencyCycle as error:
        yield fault("E043", _first_label(str(error), migrations), problem=error)


def _first_label(message: str, migrations: Mapping[str, type[Migration]]) -> str | None:
    return next((word for word in re.findall(r"\w+\.\w+", message) if word in migrations), None)
