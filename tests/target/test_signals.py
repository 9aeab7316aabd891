"""The signals of a run, and what they are sent with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.dispatch import Signal

from data_migration import signals
from data_migration.models import Run, RunStep
from tests.apps.library.fixtures import (
    NOTHING,
    Library,
    counts,
    library_fixture,  # noqa: F401
)
from tests.apps.library.testing import migrate

pytestmark = pytest.mark.django_db
NAMES = ("run_started", "step_started", "row_failed", "step_finished", "run_finished")


@pytest.fixture
def received() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Each signal's name with its arguments, as they came."""
    calls: list[tuple[str, dict[str, Any]]] = []
    receivers: list[tuple[Signal, Any]] = []
    for name in NAMES:

        def receiver(_name: str = name, **arguments: Any) -> None:
            calls.append((_name, arguments))

        signal = getattr(signals, name)
        signal.connect(receiver)
        receivers.append((signal, receiver))
    yield calls
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def test_signals_come_in_order_with_their_arguments(
    library: Library, received: list[tuple[str, dict[str, Any]]]
) -> None:
    library.spoil_members()

    migrate("library.GenreMigration", "library.MemberMigration", "--on-error", "continue")

    run = Run.objects.get()
    told = [
        (name, arguments["step"].migration.removeprefix("library.") if "step" in arguments else "")
        for name, arguments in received
    ]
    assert told == [
        ("run_started", ""),
        ("step_started", "GenreMigration"),
        ("step_finished", "GenreMigration"),
        ("step_started", "MemberMigration"),
        ("row_failed", "MemberMigration"),
        ("step_finished", "MemberMigration"),
        ("run_finished", ""),
    ]
    for name, arguments in received:
        assert arguments["sender"] is Run
        assert arguments["signal"] is getattr(signals, name)
        assert arguments["run"] == run
        assert isinstance(arguments.get("step", RunStep()), RunStep)
    failed = dict(received)["row_failed"]
    assert failed["row"] == {"id": 3, "email": "member1@example.org"}
    assert isinstance(failed["exception"], Exception)
    assert dict(received)["run_finished"]["run"].status == "partial"


def test_a_failed_migration_finishes_too(
    library: Library, received: list[tuple[str, dict[str, Any]]]
) -> None:
    library.set("Genre", query="SELECT id FROM nothing_here")

    migrate("library.GenreMigration", "--commit")

    assert [name for name, _ in received] == [
        "run_started",
        "step_started",
        "step_finished",
        "run_finished",
    ]
    assert received[2][1]["step"].status == "failed"
    assert received[3][1]["run"].status == "failed"


def test_a_receiver_that_raises_at_the_start_fails_the_run_and_is_recorded(
    library: Library,
) -> None:
    def receiver(**arguments: Any) -> None:
        raise ValueError("chat is down")

    signals.run_started.connect(receiver)
    try:
        result = migrate("library", "--commit")
    finally:
        signals.run_started.disconnect(receiver)

    assert (result.code, counts()) == (1, NOTHING)
    assert result.err == "CommandError: The run: ValueError: chat is down.\n"
    assert Run.objects.get().status == "failed"
