"""A run that is going on, in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from data_migration.ledger.lock import Lock
from data_migration.ledger.run_words import describe_run
from data_migration.models import Run
from data_migration.outcomes import Mode
from tests.target.ledger.running import (
    LIVE,
    WORDS_OF_LIVE,
    begin,
    seconds_ago,
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "alice@here, process 7, since 12:00, last sign of life 3 s ago"),
        ({"owner": ""}, "here, process 7, since 12:00, last sign of life 3 s ago"),
        ({"live": LIVE}, f"last sign of life 3 s ago; {WORDS_OF_LIVE}."),
        (
            {"live": {"migration": "shop.B", "read": 1234567, "total": None, "failed": 1000}},
            "ago; shop.B 1,234,567 rows, 1,000 failed.",
        ),
        (
            {"live": {"migration": "patch:shop.fill", "read": 1000, "total": 2000}},
            "ago; shop.fill 1,000 of 2,000 objects, 0 failed.",
        ),
        ({"heartbeat": 300}, "last sign of life 5 min ago"),
        ({"heartbeat": 4 * 3600}, "last sign of life 4 h ago"),
        ({"heartbeat": -5}, "last sign of life 0 s ago"),
    ],
)
def test_a_run_is_told_in_one_sentence(fields: dict[str, Any], words: str) -> None:
    noon = timezone.localtime().replace(hour=12, minute=0)
    values = {"owner": "alice", "live": {}, "heartbeat": 3, **fields}
    values["heartbeat"] = seconds_ago(values["heartbeat"])
    run = Run.objects.create(
        status="running", mode="commit", host="here", process=7, started_at=noon, **values
    )

    assert describe_run(run).startswith(f"Run {run.pk} is going: ")
    assert words in describe_run(run)


@pytest.mark.django_db
def test_the_mode_and_the_date_are_told_where_they_matter() -> None:
    run = begin(Lock("default"), mode=Mode.ATOMIC, started_at=seconds_ago(3 * 86400))

    told = describe_run(run)

    assert told.startswith(f"Run {run.pk} (atomic) is going: ")
    assert f"since {timezone.localtime(run.started_at):%Y-%m-%d %H:%M}, " in told
    assert told.endswith("; shop.A 0 rows, 0 failed.")


@pytest.mark.django_db
def test_without_time_zones_moments_are_told_too(settings: Any) -> None:
    settings.USE_TZ = False
    run = Run(owner="", host="here", process=7, started_at=timezone.now(), mode="commit")
    run.heartbeat, run.pk, run.live = timezone.now(), 1, LIVE
    run._state.db = "default"

    assert f"since {run.started_at:%H:%M}, last sign of life 0 s ago" in describe_run(run)
