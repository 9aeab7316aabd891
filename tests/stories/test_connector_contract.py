"""The kit for tests of connectors passes on what is right, and fails on what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import pytest

from data_migration.sync import Connector, Gone, Page, Written
from data_migration.testing import ConnectorContract
from tests.stories.test_syncs_http import KintoByValues, RoundupByValues
from tests.support.faulty_api import faulty_api
from tests.support.memory_remote import MemoryRemote, forget_remotes
from tests.support.remotes import Kinto, Roundup


class Named(ConnectorContract):
    """Rows with a name and a number."""

    objectname = "things"
    make: Callable[[], Connector]

    def connector(self) -> Connector:
        return self.make()

    def values(self, number: int) -> dict[str, Any]:
        return {"name": f"thing {number}", "qty": number}

    def changes(self) -> dict[str, Any]:
        return {"name": "another"}


TESTS = [name for name in vars(ConnectorContract) if name.startswith("test_")]


def verdicts(kit: ConnectorContract) -> dict[str, str]:
    """Of each test by its name: passed, skipped, or what it says."""
    found = {}
    for name in TESTS:
        try:
            getattr(kit, name)()
            found[name] = "passed"
        except SkipTest:
            found[name] = "skipped"
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def of(make: Callable[[], Connector], **attributes: Any) -> Named:
    return type("Kit", (Named,), {"make": staticmethod(make), **attributes})()


def wrong(kit: ConnectorContract) -> dict[str, str]:
    return {
        name: said for name, said in verdicts(kit).items() if said not in ("passed", "skipped")
    }


@pytest.fixture(autouse=True)
def _empty() -> Any:
    forget_remotes()
    yield
    forget_remotes()


def memory(cls: type[MemoryRemote] = MemoryRemote) -> Named:
    return of(lambda: cls({"HOST": "kit"}), changed="updated_at")


def test_it_passes_on_a_system_in_memory_without_leaving_anything_out() -> None:
    assert set(verdicts(memory()).values()) == {"passed"}


def test_it_passes_on_an_api_over_http() -> None:
    from tests.unit.sync.test_http import Plain

    with faulty_api() as api:
        kit = of(lambda: Plain({"HOST": api.address}), objectname="items", changed="changed")
        assert set(verdicts(kit).values()) == {"passed"}


@pytest.mark.slow
def test_it_passes_on_kinto(kinto: Kinto) -> None:
    kinto.collection("things")
    kit = of(lambda: KintoByValues(kinto.account), changed="last_modified")
    assert set(verdicts(kit).values()) == {"passed"}


class Issues(Named):
    objectname = "issue"

    def values(self, number: int) -> dict[str, Any]:
        return {"title": f"issue {number}"}

    def changes(self) -> dict[str, Any]:
        return {"title": "another"}


@pytest.mark.slow
def test_it_passes_on_roundup(roundup: Roundup) -> None:
    make = staticmethod(lambda: RoundupByValues(roundup.account))
    kit = type("Kit", (Issues,), {"make": make})()
    assert wrong(kit) == {}
    assert list(verdicts(kit).values()).count("passed") >= 5


class TwicePaged(MemoryRemote):
    def pages(self, objectname: str, **asked: Any) -> Any:
        for page in super().pages(objectname, **asked):
            yield page
            yield page


class TooLargePages(MemoryRemote):
    def pages(self, objectname: str, *, size: int, **asked: Any) -> Any:
        yield from super().pages(objectname, size=size * 2, **asked)


class LostPages(MemoryRemote):
    def pages(self, objectname: str, **asked: Any) -> Any:
        yield next(iter(super().pages(objectname, **asked)))


class Forgetful(MemoryRemote):
    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        return super().insert(objectname, values, idempotency_key=f"{id(object())}{len(values)}x")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.remote.idempotent = _Nothing()


class _Nothing(dict[str, Any]):
    def get(self, key: Any, default: Any = None) -> Any:
        return default


class Careless(MemoryRemote):
    def update(self, objectname: str, key: Any, changes: Any, *, version: Any = None) -> Written:
        return super().update(objectname, key, changes)


class Deaf(MemoryRemote):
    """Deletes nothing."""

    def delete(self, objectname: str, key: Any, *, version: Any = None) -> None:
        if self.remote.tables[objectname].get(key) is None:
            raise Gone("there is none")


class AnyRow(MemoryRemote):
    def find(self, objectname: str, values: Any) -> Any:
        return next(iter(self.remote.tables[objectname].values()), None)


class Timeless(MemoryRemote):
    def pages(self, objectname: str, *, since: Any = None, **asked: Any) -> Any:
        if since is None:
            yield from super().pages(objectname, **asked)
        else:
            yield Page([])


@pytest.mark.parametrize(
    ("cls", "test"),
    [
        (TwicePaged, "test_every_row_comes_once_however_large_the_pages_are"),
        (TooLargePages, "test_every_row_comes_once_however_large_the_pages_are"),
        (LostPages, "test_every_row_comes_once_however_large_the_pages_are"),
        (Forgetful, "test_the_same_idempotency_key_makes_one_row"),
        (Careless, "test_an_old_version_is_a_conflict"),
        (Deaf, "test_what_was_deleted_is_gone"),
        (AnyRow, "test_a_row_is_found_by_its_values"),
        (Timeless, "test_since_a_mark_comes_what_changed_later"),
    ],
)
def test_it_fails_on_a_planted_fault(cls: type[MemoryRemote], test: str) -> None:
    assert wrong(memory(cls))[test].startswith("AssertionError: ")
