"""A remote system in memory: pages, versions, tombstones, idempotency keys, and what was called.

::

    remote = remote_of("atlas")          # the state; every connector with this HOST has it
    remote.put("Item", {"id": 1, "name": "Anvil"})
    MemoryRemote({"HOST": "atlas"}).get("Item", 1)
    assert remote.calls == {"get": 1}
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from data_migration.sync import Conflict, Connector, Gone, Page, Transient, Written

_REMOTES: dict[str, Remote] = {}


class Remote:
    """The rows of one system by objectname and key.

    ``calls`` counts what connectors were asked for, ``writes`` those of them that may change
    something. ``failures`` are raised by the next calls of a method, in order; None lets one pass.
    What is in ``answers_lost`` (a method each) is carried out, and its answer does not come.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, dict[str, Any]]] = defaultdict(dict)
        self.deleted: list[tuple[str, Any, datetime]] = []
        self.calls: Counter[str] = Counter()
        self.failures: dict[str, list[Exception | None]] = defaultdict(list)
        self.answers_lost: list[str] = []
        self.idempotent: dict[str, tuple[str, Any]] = {}
        #: How far its clock goes wrong.
        self.skew = timedelta()
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._keys = itertools.count(1)

    @property
    def writes(self) -> int:
        return sum(self.calls[name] for name in ("insert", "update", "delete"))

    def now(self) -> datetime:
        """Its clock, a second later each time."""
        self._now += timedelta(seconds=1)
        return self._now + self.skew

    def put(self, objectname: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Create or change a row as somebody over there would; ``id`` may be left out."""
        row = dict(row)
        table = self.tables[objectname]
        key = row.setdefault("id", next(key for key in self._keys if key not in table))
        before = table.get(key, {"version": 0})
        table[key] = {
            **before,
            **row,
            "version": before["version"] + 1,
            "updated_at": self.now().isoformat(),
        }
        return table[key]

    def remove(self, objectname: str, key: Any) -> None:
        """Delete a row as somebody over there would."""
        del self.tables[objectname][key]
        self.deleted.append((objectname, key, self.now()))

    def rows(self, objectname: str) -> list[dict[str, Any]]:
        """What is there, without what the system adds by itself, by key."""
        own = {"version", "updated_at"}
        table = self.tables[objectname]
        return [{n: v for n, v in table[key].items() if n not in own} for key in sorted(table)]


def remote_of(host: str) -> Remote:
    """The system that connectors with this HOST speak to."""
    return _REMOTES.setdefault(host, Remote())


def forget_remotes() -> None:
    """Every system is empty again."""
    _REMOTES.clear()


class MemoryRemote(Connector):
    """Speaks to the system that its HOST names.

    Pages come in the order of the changes, and say so. A subclass may take a capability away:
    ``get = Connector.get``.
    """

    is_sorted = True

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.remote = remote_of(config["HOST"])

    def _call(self, name: str) -> None:
        self.remote.calls[name] += 1
        failures = self.remote.failures[name]
        if failures and (error := failures.pop(0)) is not None:
            raise error

    def _answer(self, name: str, written: Written) -> Written:
        if name in self.remote.answers_lost:
            self.remote.answers_lost.remove(name)
            raise ConnectionResetError("the connection was reset after the call was sent")
        return written

    def ping(self) -> str:
        self._call("ping")
        return f"in memory, {sum(map(len, self.remote.tables.values()))} rows"

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        rows = [dict(row) for row in self.remote.tables[objectname].values()]
        deleted: list[Any] = []
        if self.is_sorted:
            rows.sort(key=lambda row: row["updated_at"])
        if since is not None:
            rows = [row for row in rows if _time(row["updated_at"]) >= _time(since)]
            deleted = [
                key for name, key, at in self.remote.deleted if name == objectname
                if at >= _time(since) and key not in self.remote.tables[objectname]
            ]  # fmt: skip
        for start in range(0, max(len(rows), 1), size):
            self._call("pages")
            chunk = rows[start : start + size]
            is_last = start + size >= len(rows)
            yield Page(chunk, deleted=deleted if is_last else (), is_sorted=self.is_sorted)

    def get(self, objectname: str, key: Any) -> Mapping[str, Any] | None:
        self._call("get")
        row = self.remote.tables[objectname].get(key)
        return None if row is None else dict(row)

    def find(self, objectname: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self._call("find")
        for row in self.remote.tables[objectname].values():
            if all(row.get(name) == value for name, value in values.items()):
                return dict(row)
        return None

    def version(self, objectname: str, row: Mapping[str, Any]) -> str | None:
        return str(row["version"])

    def insert(
        self, objectname: str, values: Mapping[str, Any], *, idempotency_key: str
    ) -> Written:
        self._call("insert")
        if known := self.remote.idempotent.get(idempotency_key):
            row = self.remote.tables[known[0]][known[1]]
        else:
            row = self.remote.put(objectname, values)
            self.remote.idempotent[idempotency_key] = objectname, row["id"]
        return self._answer("insert", Written(row["id"], dict(row), str(row["version"])))

    def remembers(self, objectname: str) -> float:
        return 3600

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        self._call("update")
        self._require(objectname, key, version)
        row = self.remote.put(objectname, {**changes, "id": key})
        return self._answer("update", Written(key, dict(row), str(row["version"])))

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        self._call("delete")
        self._require(objectname, key, version)
        self.remote.remove(objectname, key)
        self._answer("delete", Written(key))

    def _require(self, objectname: str, key: Any, version: str | None) -> None:
        row = self.remote.tables[objectname].get(key)
        if row is None:
            raise Gone(f"there is no {objectname} {key}")
        if version is not None and version != str(row["version"]):
            raise Conflict(f"{objectname} {key} has version {row['version']}")


class ListOnly(MemoryRemote):
    """Tells its rows in no order, and none by its key."""

    is_sorted = False
    get = Connector.get
    find = Connector.find


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def busy(retry_after: float | None = None) -> Transient:
    """What a system says that has too much to do."""
    return Transient("it has too much to do", retry_after=retry_after)


def failing(times: int, error: Exception) -> Sequence[Exception | None]:
    """The error so many times."""
    return [error] * times
