"""Plain progress lines to the letter; the bar is tried on a real terminal in test_runner."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from data_migration import progress
from data_migration.progress import Bar, Lines, Progress, for_stream


class Clock:
    """``time.monotonic`` in our hands."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def test_a_line_every_ten_seconds_and_none_before(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("shop.OrderMigration", 2, 5, 10_000)
    for _ in range(25):
        clock.now += 1
        lines.advance(100, 0)
    lines.finish()

    assert stream.getvalue() == (
        "[2/5] shop.OrderMigration  10%  1,000/10,000 rows  100 rows/s  1m 30s left\n"
        "[2/5] shop.OrderMigration  20%  2,000/10,000 rows  100 rows/s  1m 20s left\n"
    )


def test_a_patch_has_objects(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("shop.fill_slugs", 2, 5, 1_000, noun="object")
    clock.now += 10
    lines.advance(100, 0)

    assert stream.getvalue() == (
        "[2/5] shop.fill_slugs  10%  100/1,000 objects  10 objects/s  1m 30s left\n"
    )


def test_the_interval_is_a_setting(clock: Clock, settings: Any) -> None:
    settings.DATA_MIGRATION_PROGRESS_INTERVAL = 2
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("a.B", 1, 1, 6)
    for _ in range(6):
        clock.now += 1
        lines.advance(1, 0)

    assert [line.split()[2] for line in stream.getvalue().splitlines()] == ["33%", "67%", "100%"]


def test_with_an_interval_of_zero_there_is_a_line_for_each_batch(settings: Any) -> None:
    settings.DATA_MIGRATION_PROGRESS_INTERVAL = 0
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("a.B", 1, 1, 4)
    lines.advance(2, 0)
    lines.advance(2, 0)

    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\[1/1\] a\.B  50%  2/4 rows  [\d,]+ rows/s  0s left", first)
    assert re.fullmatch(r"\[1/1\] a\.B  100%  4/4 rows  [\d,]+ rows/s  0s left", second)


def test_the_rate_is_that_since_the_last_line(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("a.B", 1, 1, 1_000_000)
    clock.now += 10
    lines.advance(100_000, 0)
    clock.now += 10
    lines.advance(50, 0)

    first, second = stream.getvalue().splitlines()
    assert "  10,000 rows/s  1m 30s left" in first
    assert "  5 rows/s  49h 59m left" in second


def test_an_unknown_total_and_failed_rows(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("a.B", 1, 3, None)
    clock.now += 20
    lines.advance(2_000, 1_234)

    assert stream.getvalue() == "[1/3] a.B  2,000 rows  100 rows/s  1,234 failed\n"


def test_more_rows_than_were_counted_leave_no_time(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("a.B", 1, 1, 10)
    clock.now += 10
    lines.advance(20, 0)

    assert stream.getvalue() == "[1/1] a.B  200%  20/10 rows  2 rows/s  0s left\n"


def test_a_second_migration_starts_from_zero(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    for position in (1, 2):
        lines.start("a.B", position, 2, 100)
        clock.now += 10
        lines.advance(50, 0)
        lines.finish()

    assert stream.getvalue() == (
        "[1/2] a.B  50%  50/100 rows  5 rows/s  10s left\n"
        "[2/2] a.B  50%  50/100 rows  5 rows/s  10s left\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (61, "1m 01s"),
        (3599, "59m 59s"),
        (3600, "1h 00m"),
        (90_061, "25h 01m"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_everything_else_lines() -> None:
    pytest.importorskip("tqdm")

    assert type(for_stream(Terminal())) is Bar
    assert type(for_stream(io.StringIO())) is Lines


def test_a_terminal_without_tqdm_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)

    assert type(for_stream(Terminal())) is Lines


def test_the_bar_tells_failed_rows_and_is_wiped_at_the_end() -> None:
    pytest.importorskip("tqdm")
    stream = Terminal()
    bar = Bar(stream)
    bar.start("a.B", 1, 2, 10)
    bar._bar.mininterval = 0
    bar.advance(5, 3)
    bar.finish()

    drawn = stream.getvalue()
    assert "[1/2] a.B" in drawn
    assert "3 failed" in drawn
    assert drawn.endswith("\r")


def test_the_silent_progress_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Progress()
    silent.start("a.B", 1, 1, 1)
    silent.advance(1, 1)
    silent.finish()

    assert capsys.readouterr() == ("", "")
