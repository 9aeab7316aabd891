"""Random edits and a process that ends at any point: afterwards both sides have the same."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_migration.models import RowLink, Run, RunLock
from data_migration.outcomes import RunStatus
from data_migration.sync import Connector, Mapping, Written
from tests.apps.exchange.models import Item
from tests.support.examples import examples
from tests.support.memory_remote import MemoryRemote, forget_remotes

from .pulling import remote
from .pushing import linked, on_its_way, push

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


class Fuse:
    """Ends the process at one of the points that it passes, and at each one after it."""

    def __init__(self, at: int) -> None:
        self.left = at

    def pass_by(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def watch(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if "data_migration_" in str(sql) and not str(sql).startswith("SELECT"):
            self.pass_by()
        return execute(sql, params, many, context)


FUSE = Fuse(10**9)


class Remembering(MemoryRemote):
    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        FUSE.pass_by()
        written = super().insert(objectname, values, idempotency_key=idempotency_key)
        FUSE.pass_by()
        return written

    def update(self, objectname: str, key: Any, changes: Any, **more: Any) -> Written:
        FUSE.pass_by()
        written = super().update(objectname, key, changes, **more)
        FUSE.pass_by()
        return written


class Finding(Remembering):
    remembers = Connector.remembers

    def __init__(self, config: Dict[str, Any]) -> None:
        super().__init__({**config, "OPTIONS": {"find_delay": 0}})

    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        self.remote.idempotent.clear()
        return super().insert(objectname, values, idempotency_key=idempotency_key)


class Things(Mapping):
    objectname = "Item"
    model = Item
    page_size = 2
    fields = {"name": "item_name", "sku": "sku", "shout": lambda item: item.item_name.upper()}
    match = ("sku",)


class Unmatched(Things):
    match = ()


def end_the_process() -> None:
    """What a dead process leaves is a run that is not over."""
    connection.close()
    Run.objects.filter(status=RunStatus.RUNNING).update(status=RunStatus.INTERRUPTED)
    RunLock.objects.update(run=None)


EDITS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["a", "b", "c"]), st.integers(0, 40)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=EDITS,
    how=st.sampled_from([(Things, Remembering), (Things, Finding), (Unmatched, Remembering)]),
)
def test_after_crashes_at_random_each_object_is_there_once_as_it_is_here(
    edits: list[tuple[int, str, int]], how: tuple[type[Mapping], type[MemoryRemote]]
) -> None:
    base, way = how
    forget_remotes()
    Item.objects.all().delete()
    RowLink.objects.all().delete()
    for number, name, at in edits:
        Item.objects.update_or_create(sku=f"S{number}", defaults={"item_name": name})
        FUSE.left = at
        try:
            with connection.execute_wrapper(FUSE.watch):
                push(base, connector=way)
        except Killed:
            FUSE.left = 10**9
            end_the_process()
    FUSE.left = 10**9

    done = push(base, connector=way)

    assert (done.counts.get("failed"), done.error, on_its_way()) == (None, None, [])
    assert done.step.read == Item.objects.count()
    here = sorted(Item.objects.values_list("sku", "item_name"))
    there = sorted((row["sku"], row["name"]) for row in remote().rows("Item"))
    assert there == here
    assert len(linked(base.__name__)) == len(here)
    writes = remote().writes
    assert push(base, connector=way).counts == {"unchanged": len(here)}
    assert remote().writes == writes
