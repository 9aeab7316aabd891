"""``--max-errors`` and what the ledger keeps of a run's options."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.options import MaxErrors, RunOptions
from data_migration.outcomes import Mode, OnError


@pytest.mark.parametrize("text", ["0", "10", "5%", "2.5%", "0%", "100%"])
def test_max_errors_reads_numbers_and_percentages(text: str) -> None:
    assert str(MaxErrors.parse(text)) == text


@pytest.mark.parametrize("text", ["", "%", "-1", "-1%", "101%", "x", "1.5", "nan%", "inf%"])
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
        mode=Mode.COMMIT, on_error=OnError.CONTINUE, max_errors=MaxErrors(percent=5), limit=10
    )

    assert json.loads(json.dumps(options.recorded())) == {
        "on_error": "continue",
        "max_errors": "5%",
        "limit": 10,
        "batch_size": None,
        "update": False,
        "full": False,
        "retry_failed": False,
        "force_removal": False,
    }


def test_nobody_asks_a_run_to_stop_by_default() -> None:
    assert RunOptions().should_stop() is False
