"""For people who test their connectors: what the engine relies on, as tests.

::

    from data_migration.testing import ConnectorContract


    class TestAtlas(ConnectorContract):
        objectname = "items"

        def connector(self):
            return Atlas({"HOST": "http://127.0.0.1:8080", "TOKEN": "..."})

        def values(self, number):
            return {"name": f"Item {number}"}

        def changes(self):
            return {"name": "Another"}

Against a system of the test's own: rows are created, changed and deleted there. Works with pytest
and with unittest. What a connector does not do is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import SkipTest
from uuid import uuid4

from .sync import Conflict, Connector, Gone, Refused, Written

__all__ = ["ConnectorContract"]

#: More than two pages of the smallest size.
_ROWS = 7


class ConnectorContract:
    """Derive from it, and say how the connector is made and what its rows are.

    ``objectname`` is a kind of row that may be written to, ``key`` the name of its key in a row.
    ``changed`` is what a mapping would name in ``changed``, where there is such a thing.
    """

    objectname: ClassVar[str] = ""
    key: ClassVar[str] = "id"
    changed: ClassVar[str] = ""

    def connector(self) -> Connector:
        """A new connector."""
        raise NotImplementedError

    def values(self, number: int) -> dict[str, Any]:
        """Those of a new row, which differ from number to number."""
        raise NotImplementedError

    def changes(self) -> dict[str, Any]:
        """Values that a row of :meth:`values` does not have."""
        raise NotImplementedError

    # ------------------------------------------------------------------ the tests

    def test_every_row_comes_once_however_large_the_pages_are(self) -> None:
        with self._connected("insert") as connector:
            made = {self._made(connector, number).key for number in range(_ROWS)}
            for size in (3, 100):
                keys = []
                for page in connector.pages(self.objectname, size=size):
                    assert len(page.rows) <= size, f"a page of {size} has {len(page.rows)} rows"
                    keys += [row[self.key] for row in page.rows]
                assert len(keys) == len(set(keys)), f"rows come twice in pages of {size}"
                assert made <= set(keys), f"{made - set(keys)} do not come in pages of {size}"

    def test_since_a_mark_comes_what_changed_later(self) -> None:
        with self._connected("insert") as connector:
            for number in range(2):
                self._made(connector, number)
            marks: list[Any] = []
            for page in connector.pages(self.objectname, size=100):
                if page.cursor is not None:
                    marks = [page.cursor]
                elif self.changed:
                    marks += [row[self.changed] for row in page.rows]
            if not marks:
                raise SkipTest("it has no marks")
            late = self._made(connector, 3)
            mark = marks[0] if len(marks) == 1 else max(marks)
            pages = list(connector.pages(self.objectname, since=mark, size=100))
            keys = {row[self.key] for page in pages for row in page.rows}
            assert late.key in keys, f"{late.key} was made after {mark} and does not come"

    def test_a_row_is_read_by_its_key_and_one_that_is_not_there_is_none(self) -> None:
        with self._connected("insert", "get") as connector:
            written = self._made(connector, 1)
            row = connector.get(self.objectname, written.key)
            assert row is not None, f"{written.key} was created, and is not there"
            connector.delete(self.objectname, written.key, version=self._version(connector, row))
            assert not self._is_listed(connector, written.key)

    def test_the_same_idempotency_key_makes_one_row(self) -> None:
        with self._connected("insert") as connector:
            if connector.remembers(self.objectname) <= 0:
                raise SkipTest("it does not know a key again")
            again = str(uuid4())
            keys = {
                connector.insert(self.objectname, self.values(1), idempotency_key=again).key
                for _ in range(2)
            }
            assert len(keys) == 1, f"one idempotency key made {len(keys)} rows"

    def test_a_change_is_there_afterwards(self) -> None:
        with self._connected("insert", "update", "get") as connector:
            written = self._made(connector, 1)
            row = connector.get(self.objectname, written.key) or {}
            changed = connector.update(
                self.objectname,
                written.key,
                self.changes(),
                version=self._version(connector, row),
            )
            assert changed.key == written.key, "a change gives the row another key"
            row = connector.get(self.objectname, written.key) or {}
            for name, value in self.changes().items():
                assert row.get(name) == value, f"{name} is {row.get(name)!r}, not {value!r}"

    def test_an_old_version_is_a_conflict(self) -> None:
        with self._connected("insert", "update", "get", "version") as connector:
            written = self._made(connector, 1)
            old = self._version(connector, connector.get(self.objectname, written.key) or {})
            assert old is not None, "a row that was read has no version"
            connector.update(self.objectname, written.key, self.changes(), version=old)
            try:
                connector.update(self.objectname, written.key, self.values(2), version=old)
            except Conflict:
                return
            raise AssertionError("a change of an old version was carried out")

    def test_what_was_deleted_is_gone(self) -> None:
        with self._connected("insert", "delete") as connector:
            written = self._made(connector, 1)
            for _ in range(2):
                row = self._row(connector, written.key)
                version = self._version(connector, row) if row is not None else None
                try:
                    connector.delete(self.objectname, written.key, version=version)
                except Gone:
                    break
                assert not self._is_listed(connector, written.key), "it is listed still"

    def test_a_row_is_found_by_its_values(self) -> None:
        with self._connected("insert", "find") as connector:
            number = uuid4().int % 10**8  # of which no other test has made a row
            self._made(connector, 1)
            written = self._made(connector, number)
            found = connector.find(self.objectname, self.values(number))
            assert found is not None, "a row that is there is not found"
            assert found[self.key] == written.key, "another row is found than that of the values"
            assert connector.find(self.objectname, self.values(number + 1)) is None

    def test_a_key_that_cannot_be_is_of_no_row(self) -> None:
        with self._connected("get") as connector:
            for key in ("no such row", "a/b", ".."):
                try:
                    assert connector.get(self.objectname, key) is None
                except (Gone, Refused):
                    continue

    # ------------------------------------------------------------------ what they need

    @contextmanager
    def _connected(self, *needed: str) -> Iterator[Connector]:
        connector = self.connector()
        try:
            if lacking := [name for name in needed if not connector.can(name)]:
                raise SkipTest(f"it has no {', '.join(lacking)}()")
            yield connector
        finally:
            connector.close()

    def _made(self, connector: Connector, number: int) -> Written:
        values = self.values(number)
        return connector.insert(self.objectname, values, idempotency_key=str(uuid4()))

    def _row(self, connector: Connector, key: Any) -> Mapping[str, Any] | None:
        return connector.get(self.objectname, key) if connector.can("get") else None

    def _version(self, connector: Connector, row: Mapping[str, Any]) -> str | None:
        return connector.version(self.objectname, row) if connector.can("version") else None

    def _is_listed(self, connector: Connector, key: Any) -> bool:
        pages = connector.pages(self.objectname, size=100)
        return any(row[self.key] == key for page in pages for row in page.rows)
