"""Against servers that nobody here wrote, as real processes: Kinto, Roundup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.models import Outgoing, RowLink
from data_migration.outcomes import Mode
from data_migration.sync import Connector, Mapping, Page, Written
from tests.apps.shop.models import Everything
from tests.project.docs import replay
from tests.support.paths import ROOT
from tests.support.remotes import Kinto, Roundup, serving
from tests.support.syncing import synced, syncs_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def of_the_tutorial() -> type[Connector]:
    """The connector that docs/first-sync.rst has for Kinto."""
    (block,) = (
        block
        for block in replay.blocks(ROOT / "docs" / "first-sync.rst")
        if block.caption == "shop/connectors.py"
    )
    found: dict[str, Any] = {}
    exec(block.text, found)
    connector: type[Connector] = found["Kinto"]
    return connector


class Counting(of_the_tutorial()):  # type: ignore[misc]
    """Counts the calls by their method."""

    calls: Counter[str] = Counter()

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        type(self).calls[method] += 1
        return super().call(method, *args, **kwargs)


@pytest.fixture
def shelf(kinto: Kinto, settings: LazySettings) -> Kinto:
    kinto.collection("things")
    settings.DATA_MIGRATION_CONNECTORS = {
        "atlas": {**kinto.account, "CONNECTOR": f"{__name__}.Counting"}
    }
    Counting.calls.clear()
    return kinto


def calls(work: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """What the work returns, and the calls it made."""
    Counting.calls.clear()
    found = work()
    return found, dict(Counting.calls)


class Things(Mapping):
    objectname = "things"
    model = Everything
    fields = {"name": "text", "qty": "integer"}
    changed = "last_modified"
    changed_lag = None


def test_two_thousand_rows_come_in_twenty_pages_once(shelf: Kinto) -> None:
    shelf.put_all(
        "things", {f"n{number}": {"name": f"thing {number}", "qty": 1} for number in range(2000)}
    )
    syncs = syncs_of(Things)
    done, made = calls(lambda: synced(syncs, direction="pull"))
    assert done.pull(Things) == {"created": 2000}
    assert made == {"GET": 20}
    again, made = calls(lambda: synced(syncs))
    assert again.written == {}
    assert made == {"GET": 1}, "of what has not changed there is one page"


def test_what_is_pushed_arrives_once_and_does_not_come_back(shelf: Kinto) -> None:
    Everything.objects.bulk_create(Everything(text=f"t{n}", integer=n) for n in range(30))
    syncs = syncs_of(Things)
    done, made = calls(lambda: synced(syncs))
    assert (done.push(Things), made["PUT"]) == ({"created": 30}, 30)
    for _ in range(2):
        for direction in ("pull", "push"):
            again, made = calls(lambda direction=direction: synced(syncs, direction=direction))
            assert again.written == {}
            assert made.keys() <= {"GET"}
    Everything.objects.filter(integer=3).update(text="changed here")
    key = next(key for key, row in shelf.rows("things").items() if row["qty"] == 4)
    shelf.patch("things", key, name="changed there")
    done, made = calls(lambda: synced(syncs))
    assert (done.pull(Things)["updated"], done.push(Things)["updated"]) == (1, 1)
    assert {name: made.get(name, 0) for name in ("PUT", "PATCH", "DELETE")} == {
        "PUT": 0,
        "PATCH": 1,
        "DELETE": 0,
    }
    texts = set(Everything.objects.values_list("text", flat=True))
    assert {row["name"] for row in shelf.rows("things").values()} == texts
    assert not Outgoing.objects.exists()


def test_a_change_since_is_met_by_the_version_and_merged(shelf: Kinto) -> None:
    Everything.objects.create(text="Anvil", integer=1)
    syncs = syncs_of(Things)
    synced(syncs)
    (key,) = shelf.rows("things")
    shelf.patch("things", key, qty=5)
    Everything.objects.update(text="Amboss")
    done = synced(syncs, direction="push")  # without having pulled
    assert done.push(Things) == {"updated": 1}
    (row,) = shelf.rows("things").values()
    assert (row["name"], row["qty"]) == ("Amboss", 5)
    synced(syncs)
    assert Everything.objects.values_list("text", "integer").get() == ("Amboss", 5)


@pytest.mark.parametrize("changed", [None, "last_modified"])
def test_a_row_that_was_deleted_there_is_deleted_here(shelf: Kinto, changed: str | None) -> None:
    things = type(
        "Things",
        (Things,),
        {"changed": changed, "removed": "delete", "removed_limit": 60, "page_size": 10},
    )
    shelf.put_all("things", {f"n{n}": {"name": f"t{n}", "qty": n} for n in range(25)})
    syncs = syncs_of(things)
    synced(syncs)
    shelf.delete("things", "n7")
    for _ in range(2):
        synced(syncs)
        assert sorted(shelf.rows("things")) == sorted(f"n{n}" for n in range(25) if n != 7)
        assert not Everything.objects.filter(integer=7).exists()
        assert Everything.objects.count() == 24


def test_a_clock_three_hours_ahead_makes_no_news(tmp_path: Path, settings: LazySettings) -> None:
    with serving("kinto", "10800", tmp_path) as address:
        ahead = Kinto(address)
        ahead.collection("things")
        settings.DATA_MIGRATION_CONNECTORS = {
            "atlas": {**ahead.account, "CONNECTOR": f"{__name__}.Counting"}
        }
        ahead.put_all("things", {f"n{n}": {"name": f"t{n}", "qty": n} for n in range(5)})
        Everything.objects.create(text="ours", integer=9)
        syncs = syncs_of(Things)
        synced(syncs)
        for direction in ("pull", "push", "pull", "push"):
            done, made = calls(lambda direction=direction: synced(syncs, direction=direction))
            assert done.written == {}
            assert made.keys() <= {"GET"}
        assert len(ahead.rows("things")) == Everything.objects.count() == 6


def test_a_rehearsal_makes_no_call_that_writes(shelf: Kinto) -> None:
    shelf.put("things", "one", name="theirs", qty=1)
    Everything.objects.create(text="ours", integer=2)
    done, made = calls(lambda: synced(syncs_of(Things), mode=Mode.REHEARSAL))
    assert (done.pull(Things), done.push(Things)["created"]) == ({"created": 1}, 1)
    assert made.keys() == {"GET"}
    assert (len(shelf.rows("things")), Everything.objects.count()) == (1, 1)


# ---------------------------------------------------------------- Roundup


class Tracker(Connector):
    """Issues of a Roundup, as far as this story needs it."""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        tracker = Roundup.__new__(Roundup)
        tracker.host = self.config["HOST"]
        return tracker.call(method, path, body, **headers)

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        number = 1
        while True:
            names = ",".join({"id", *fields})
            query = f"@verbose=0&@page_size={size}&@page_index={number}&@fields={names}"
            data = self.call("GET", f"/{objectname}?{query}").data["data"]
            yield Page(data["collection"])
            if "next" not in data["@links"]:
                return
            number += 1

    def get(self, objectname: str, key: Any) -> Dict[str, Any] | None:
        data = self.call("GET", f"/{objectname}/{key}").data["data"]
        return {"id": key, "@etag": data["@etag"], **data["attributes"]}

    def version(self, objectname: str, row: Dict[str, Any]) -> str | None:
        return row.get("@etag")

    def find(self, objectname: str, values: Dict[str, Any]) -> Dict[str, Any] | None:
        for page in self.pages(objectname, fields=tuple(values), size=100):
            for row in page.rows:
                if all(row[name] == value for name, value in values.items()):
                    return row
        return None

    def insert(self, objectname: str, values: Dict[str, Any], *, idempotency_key: str) -> Written:
        return Written(self.call("POST", f"/{objectname}", dict(values)).data["data"]["id"])

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Dict[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        etag = version or self.call("GET", f"/{objectname}/{key}").headers["etag"]
        self.call("PUT", f"/{objectname}/{key}", dict(changes), **{"If-Match": etag})
        return Written(key)

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        etag = self.call("GET", f"/{objectname}/{key}").headers["etag"]
        self.call("DELETE", f"/{objectname}/{key}", **{"If-Match": etag})


class Issues(Mapping):
    objectname = "issue"
    model = Everything
    page_size = 10
    fields = {"title": "text", "priority": "integer"}
    deleted = "delete"
    deleted_limit = 50


@pytest.fixture
def tracker(roundup: Roundup, settings: LazySettings) -> Roundup:
    settings.DATA_MIGRATION_CONNECTORS = {
        "atlas": {**roundup.account, "CONNECTOR": f"{__name__}.Tracker"}
    }
    return roundup


def test_twenty_five_new_objects_become_twenty_five_issues(tracker: Roundup) -> None:
    """A page of 10 of what is new, asked for again and again, would leave 15 of them out."""
    Everything.objects.bulk_create(Everything(text=f"t{n}", integer=n) for n in range(25))
    syncs = syncs_of(Issues)
    assert synced(syncs).push(Issues) == {"created": 25}
    titles = [row["title"] for row in tracker.rows("issue").values()]
    assert sorted(titles) == sorted(f"t{n}" for n in range(25))
    assert RowLink.objects.exclude(object_pk=None).count() == 25
    assert synced(syncs).written == {}
    tracker.change("issue", "3", title="changed there")
    Everything.objects.filter(integer=7).update(text="changed here")
    Everything.objects.filter(integer=8).delete()
    synced(syncs)
    titles = [row["title"] for row in tracker.rows("issue").values()]
    assert sorted(titles) == sorted(Everything.objects.values_list("text", flat=True))
    assert len(titles) == 24
    assert synced(syncs).written == {}
