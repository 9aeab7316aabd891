from __future__ import annotations

import pytest
from django.db import connection

from data_migration import Migration
from data_migration.rows.drafts import Draft
from data_migration.writers.packets import Portions
from tests.apps.shop.models import Everything
from tests.support.engine import migrate_fine

pytestmark = pytest.mark.django_db


def test_a_batch_larger_than_a_packet_is_written_whole() -> None:
    # 40 rows of a megabyte: MariaDB takes statements of 16 MiB unless told otherwise.
    class TextMigration(Migration):
        query = "..."
        model = Everything
        writer = "bulk"

    text = "x" * 1_000_000
    result = migrate_fine(TextMigration, [{"id": n, "long_text": text} for n in range(1, 41)])

    assert result.counts == {"created": 40}
    assert {len(text) for text in Everything.objects.values_list("long_text", flat=True)} == {
        1_000_000
    }


def test_portions_keep_the_order_and_lose_nothing() -> None:
    portions = Portions("default")
    portions._characters = 100
    drafts = [Draft(number, {}) for number in range(10)]
    for draft in drafts:
        draft.instance = Everything(text="x" * 30 * (draft.number % 4))

    parts = list(portions(drafts))

    assert [draft for part in parts for draft in part] == drafts
    assert len(parts) > 1
    assert all(parts)


@pytest.mark.skipif(connection.vendor == "mysql", reason="MySQL limits its packets")
def test_other_databases_get_the_batch_whole() -> None:
    drafts = [Draft(1, {}), Draft(2, {})]

    assert list(Portions("default")(drafts)) == [drafts]
