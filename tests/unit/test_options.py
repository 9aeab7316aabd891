"""``--max-errors`` and what the ledger keeps of a run's options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.options import MaxErrors, RunOptions
from data_migration.outcomes import Mode, OnError


@pytest.mark.parametrize("text", ["0", "10", "5%", "2.5%", "0%", "100%"])
def test_max_errors_reads_numbers_and_percentages(text: str) -> None:
    assert str(MaxErrors.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "%", "-1", "-1%", "101%", "x", "1.5", "nan%", "inf%", "9" * 5000]
)
def test_max_errors_refuses_everything_else(text: str) -> None:
    with pytest.raises(SpecError, match="takes a number or a percentage"):
        MaxErrors.parse(text)


@given(limit=st.integers(0, 50), failed=st.integers(0, 100))
def test_a_number_counts_the_whole_run(limit: int, failed: int) -> None:
    exceeded = MaxErrors(count=limit).is_exceeded(failed=failed, failed_in_step=0, rows=None)

    assert exceeded == (failed > limit)


@given(percent=st.integers(0, 100), rows=st.integers(1, 500), data=st.data())
def test_a_percentage_counts_the_rows_of_one_migration(
    percent: int, rows: int, data: st.DataObject
) -> None:
    failed = data.draw(st.integers(0, rows))
    limit = MaxErrors.parse(f"{percent}%")

    exceeded = limit.is_exceeded(failed=10_000, failed_in_step=failed, rows=rows)

    assert exceeded == (failed / rows > percent / 100)


def test_a_percentage_waits_while_nobody_knows_the_total() -> None:
    assert not MaxErrors(percent=1).is_exceeded(failed=9, failed_in_step=9, rows=None)


def test_the_options_that_are_recorded_fit_into_json() -> None:
    options = RunOptions(
        mode=Mode.COMMIT,
        labels=("shop", "crm.NoteMigration"),
        exclude=("shop.OrderMigration",),
        on_error=OnError.CONTINUE,
        max_errors=MaxErrors(percent=5),
        limit=10,
    )

    assert json.loads(json.dumps(options.recorded())) == {
        "labels": ["shop", "crm.NoteMigration"],
        "exclude": ["shop.OrderMigration"],
        "on_error": "continue",
        "max_errors": "5%",
        "limit": 10,
        "batch_size": None,
        "update": False,
        "full": False,
        "retry_failed": False,
        "failures": [],
        "force_removal": False,
        "workers": 1,
        "distribute": False,
    }


def test_options_come_back_from_the_ledger() -> None:
    options = RunOptions(mode=Mode.COMMIT, max_errors=MaxErrors(count=5), update=True, workers=3)
    recorded = json.loads(json.dumps(options.recorded()))
    assert RunOptions.from_recorded(recorded, mode="commit", database="default") == options

    recorded["distribute"] = True
    again = RunOptions.from_recorded(recorded, mode="commit", database="default")
    assert (again.workers, again.enqueue) == (1, None)
    with pytest.raises(SpecError, match="The recorded options cannot be used"):
        RunOptions.from_recorded({"on_error": "?"}, mode="commit", database="default")


@pytest.mark.parametrize("name", ["limit", "batch_size", "workers"])
@pytest.mark.parametrize(
    "value",
    [0, -1, True, "5", 2.5, 10**18, 10**5000],
    ids=lambda v: str(v)[:9] if not isinstance(v, int) or v < 10**19 else "huge",
)
def test_a_number_that_makes_no_sense_is_refused_when_it_is_asked_for(
    name: str, value: Any
) -> None:
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(SpecError, match=f"^{option} takes a whole number from 1 to "):
        RunOptions(**{name: value})


def test_nobody_asks_a_run_to_stop_by_default() -> None:
    assert RunOptions().should_stop() is False


@given(
    mode=st.sampled_from([Mode.REHEARSAL, Mode.COMMIT, Mode.ATOMIC]),
    labels=st.lists(st.text()),
    on_error=st.sampled_from(OnError),
    max_errors=st.none()
    | st.builds(MaxErrors, count=st.integers(0, 10**6))
    | st.builds(MaxErrors, percent=st.floats(0, 100).map(lambda each: round(each, 2))),
    numbers=st.lists(st.none() | st.integers(1, 10**6), min_size=2, max_size=2),
    flags=st.lists(st.booleans(), min_size=4, max_size=4),
    failures=st.lists(st.integers(1, 10**9)),
)
def test_what_is_recorded_gives_the_same_options_again(
    mode: Mode,
    labels: list[str],
    on_error: OnError,
    max_errors: MaxErrors | None,
    numbers: list[int | None],
    flags: list[bool],
    failures: list[int],
) -> None:
    limit, batch_size = numbers
    update, full, retry_failed, force_removal = flags
    options = RunOptions(
        mode=mode,
        database="other",
        labels=tuple(labels),
        exclude=tuple(reversed(labels)),
        on_error=on_error,
        max_errors=max_errors,
        limit=limit,
        batch_size=batch_size,
        update=update,
        full=full,
        retry_failed=retry_failed,
        failures=tuple(failures),
        force_removal=force_removal,
    )
    kept = json.loads(json.dumps(options.recorded()))

    assert RunOptions.from_recorded(kept, mode=mode.value, database="other") == options


def test_what_an_older_version_recorded_is_completed_with_defaults() -> None:
    options = RunOptions.from_recorded({"limit": 5}, mode="commit", database="default")

    assert options == RunOptions(mode=Mode.COMMIT, limit=5)


def test_what_no_option_has_is_refused_with_a_reason() -> None:
    with pytest.raises(SpecError, match=r"'explode' is not a valid OnError"):
        RunOptions.from_recorded({"on_error": "explode"}, mode="commit", database="default")


def test_the_recorded_options_get_what_is_not_recorded() -> None:
    told: list[str] = []
    options = RunOptions.from_recorded(
        {}, mode="rehearsal", database="default", should_stop=lambda: True, warn=told.append
    )
    options.warn("beware")

    assert options.should_stop()
    assert told == ["beware"]
