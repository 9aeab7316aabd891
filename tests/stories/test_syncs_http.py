"""``HttpConnector`` against servers that nobody here wrote, as real processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as Dict
from typing import Any

import pytest
from django.conf import LazySettings

from data_migration.models import Outgoing, RowLink
from data_migration.outcomes import Mode
from data_migration.sync import (
    HeaderToken,
    HttpConnector,
    Mapping,
    NextUrl,
    Resource,
    Written,
)
from data_migration.sync.accounts import connect
from tests.apps.shop.models import Everything
from tests.support.remotes import Kinto, Roundup
from tests.support.syncing import synced, syncs_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

#: The calls by their method.
MADE: Counter[str] = Counter()


class Counting(HttpConnector):
    def request(self, method: str, path: str, **more: Any) -> Any:
        MADE[method] += 1
        return super().request(method, path, **more)


class KintoByValues(Counting):
    """Values, and one method: Kinto takes the keys of new rows from its clients."""

    pages_by = HeaderToken("Next-Page")
    resources = {
        "things": Resource(
            "/collections/things/records",
            rows="data",
            row="data",
            wrap="data",
            since="_since",
            size="_limit",
            parameters={"_sort": "last_modified"},
            deleted="deleted",
            is_sorted=True,
            version="last_modified",
            find="{}",
            idempotency="If-None-Match",
            remembers=10**9,
        )
    }

    def version(self, objectname: str, row: Dict[str, Any]) -> str | None:
        return f'"{row["last_modified"]}"'

    def insert(self, objectname: str, values: Dict[str, Any], *, idempotency_key: str) -> Written:
        return self.update(objectname, idempotency_key, values, method="PUT")

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Dict[str, Any],
        *,
        version: str | None = None,
        method: str = "PATCH",
    ) -> Written:
        path = f"{self.resources[objectname].path}/{key}"
        headers = {} if version is None else {"If-Match": version}
        answer = self.request(method, path, body={"data": changes}, headers=headers)
        row = answer.data["data"]
        return Written(row["id"], row, self.version(objectname, row))


class RoundupByValues(Counting):
    """A list in pages with links; a change names the ETag, and a row comes in two parts."""

    pages_by = NextUrl("data.@links.next.0.uri")
    headers = {"X-Requested-With": "rest"}
    resources = {
        "issue": Resource(
            "/issue",
            rows="data.collection",
            size="@page_size",
            parameters={"@verbose": 0, "@fields": "id,title,priority", "@page_index": 1},
            version="etag",
            update="PUT",
        )
    }

    def __init__(self, config: Dict[str, Any]) -> None:
        super().__init__(config)
        scheme, _, rest = config["HOST"].partition("://")
        self.headers = {**self.headers, "Origin": f"{scheme}://{rest.partition('/')[0]}"}

    def get(self, objectname: str, key: Any) -> Any:
        row: Any = super().get(objectname, key)
        if row is not None:
            row.update(row["data"]["attributes"], id=key)
        return row

    def insert(self, objectname: str, values: Dict[str, Any], *, idempotency_key: str) -> Written:
        answer = self.request("POST", f"/{objectname}", body=values, may_repeat=False)
        return Written(answer.data["data"]["id"])

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Dict[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        headers = {"If-Match": version or ""}
        answer = self.request("PUT", f"/{objectname}/{key}", body=changes, headers=headers)
        return Written(key, version=answer.headers.get("etag"))


class Things(Mapping):
    objectname = "things"
    model = Everything
    fields = {"name": "text", "qty": "integer"}
    changed = "last_modified"
    changed_lag = None
    removed = "delete"


class Issues(Mapping):
    objectname = "issue"
    model = Everything
    page_size = 10
    fields = {"title": "text", "priority": "integer"}


def calls(work: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    MADE.clear()
    return work(), dict(MADE)


@pytest.fixture
def shelf(kinto: Kinto, settings: LazySettings) -> Kinto:
    kinto.collection("things")
    account = {**kinto.account, "CONNECTOR": f"{__name__}.KintoByValues", "RATE": "90000/minute"}
    settings.DATA_MIGRATION_CONNECTORS = {"atlas": account}
    return kinto


def test_kinto_is_spoken_to_by_values(shelf: Kinto) -> None:
    shelf.put_all(
        "things", {f"n{number}": {"name": f"thing {number}", "qty": 1} for number in range(250)}
    )
    Everything.objects.create(text="ours", integer=7)
    syncs = syncs_of(Things)
    done, made = calls(lambda: synced(syncs))
    assert (done.pull(Things), done.push(Things)) == (
        {"created": 250},
        {"created": 1, "unchanged": 250},
    )
    assert made == {"GET": 3, "PUT": 1}
    again, made = calls(lambda: synced(syncs))
    assert (again.written, made) == ({}, {"GET": 1})

    shelf.patch("things", "n3", name="changed there")
    shelf.delete("things", "n4")
    Everything.objects.filter(text="thing 5").update(text="changed here")
    done, made = calls(lambda: synced(syncs))
    assert (done.pull(Things)["updated"], done.push(Things)["updated"]) == (1, 1)
    assert made["PATCH"] == 1
    assert {row["name"] for row in shelf.rows("things").values()} == set(
        Everything.objects.values_list("text", flat=True)
    )
    assert Everything.objects.count() == 250
    assert not Outgoing.objects.exists()


def test_a_rehearsal_sends_kinto_nothing(shelf: Kinto) -> None:
    Everything.objects.create(text="ours", integer=7)
    _, made = calls(lambda: synced(syncs_of(Things), mode=Mode.REHEARSAL))
    assert made.keys() == {"GET"}
    assert shelf.rows("things") == {}


class Meddling(Things):
    """Sends something by itself, past the methods of the connector."""

    def pre_process(self, row: dict[str, Any]) -> dict[str, Any]:
        connector: Any = connect("atlas")
        try:
            connector.client.put(f"{connector.config['HOST']}/collections/others", json={})
        finally:
            connector.close()
        return row


def test_a_hook_sends_kinto_nothing_in_a_rehearsal_either(shelf: Kinto) -> None:
    shelf.put("things", "n1", name="theirs", qty=1)
    done = synced(syncs_of(Meddling), mode=Mode.REHEARSAL, direction="pull")
    assert done.pull(Meddling) == {"failed": 1}
    assert "in a rehearsal" in done.messages[0][3]
    with pytest.raises(AssertionError, match="404"):
        shelf.call("GET", "/collections/others")


def test_roundup_is_spoken_to_by_values_and_a_few_lines(
    roundup: Roundup, settings: LazySettings
) -> None:
    account = {**roundup.account, "CONNECTOR": f"{__name__}.RoundupByValues"}
    settings.DATA_MIGRATION_CONNECTORS = {"atlas": account}
    Everything.objects.bulk_create(Everything(text=f"t{n}", integer=n) for n in range(25))
    syncs = syncs_of(Issues)
    assert synced(syncs).push(Issues) == {"created": 25}
    assert RowLink.objects.exclude(object_pk=None).count() == 25
    again, made = calls(lambda: synced(syncs))
    assert (again.written, made) == ({}, {"GET": 3})
    roundup.change("issue", "3", title="changed there")
    Everything.objects.filter(integer=7).update(text="changed here")
    synced(syncs)
    titles = [row["title"] for row in roundup.rows("issue").values()]
    assert sorted(titles) == sorted(Everything.objects.values_list("text", flat=True))
