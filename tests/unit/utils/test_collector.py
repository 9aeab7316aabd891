from __future__ import annotations

import gc

import pytest

from data_migration.utils.collector import rare_collections


def test_the_threshold_is_raised_for_the_run_and_restored_even_after_an_error() -> None:
    before = gc.get_threshold()
    during = []

    def run() -> None:
        with rare_collections():
            during.append(gc.get_threshold()[0])
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        run()
    assert during[0] > before[0]
    assert gc.get_threshold() == before


@pytest.mark.parametrize("threshold", [0, 1_000_000])
def test_a_collector_that_is_off_or_rarer_still_stays_so(threshold: int) -> None:
    before = gc.get_threshold()
    gc.set_threshold(threshold)
    try:
        with rare_collections():
            assert gc.get_threshold()[0] == threshold
    finally:
        gc.set_threshold(*before)
