"""What a pull asks for again, what it takes for gone, and where it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.exceptions import SourceError
from data_migration.models import MigrationState
from data_migration.sync import Connector
from tests.apps.exchange.data_sync_spec import GroupToAtlas, TagToAtlas
from tests.apps.exchange.models import ItemGroup
from tests.support.memory_remote import ListOnly, MemoryRemote

from .pulling import Pulled, mapping, pull, remote

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_remotes")]


def groups(**attributes: Any) -> Any:
    fields = {"title": "name"}
    return mapping(GroupToAtlas, **{"fields": fields, "changed_lag": None, **attributes})


def put(number: int) -> None:
    for n in range(number):
        remote().put("Group", {"title": f"group {n}"})


def pulled(base: Any, **options: Any) -> Pulled:
    (done,) = pull(base, **options)
    return done


def test_a_delta_of_nothing_is_one_call_and_reads_only_what_is_at_the_mark() -> None:
    put(30)
    assert pulled(groups(page_size=10)).counts == {"created": 30}
    remote().calls.clear()
    assert pulled(groups(page_size=10)).counts == {"unchanged": 1}
    assert remote().calls == {"pages": 1}


def test_full_compares_everything_whatever_the_mark_says() -> None:
    put(3)
    pulled(groups())
    assert pulled(groups(), full=True).counts == {"unchanged": 3}


def test_the_mark_is_lowered_by_the_lag() -> None:
    put(30)
    pulled(groups())
    from datetime import timedelta

    done = pulled(groups(changed_lag=timedelta(seconds=10)))
    assert done.counts == {"unchanged": 11}


def test_a_row_that_failed_moves_the_mark_and_is_asked_for_again_by_its_key() -> None:
    put(5)
    remote().tables["Group"][2]["title"] = None
    assert pulled(groups()).counts == {"created": 4, "failed": 1}
    remote().tables["Group"][2]["title"] = "short"  # and its change is below the mark
    remote().calls.clear()
    assert pulled(groups()).counts == {"created": 1, "unchanged": 1}
    assert remote().calls == {"pages": 1, "get": 1}
    assert ItemGroup.objects.count() == 5


def test_without_get_a_row_that_failed_holds_the_mark() -> None:
    put(5)
    remote().tables["Group"][2]["title"] = None
    assert pulled(groups(), connector=ListOnly).counts == {"created": 4, "failed": 1}
    assert MigrationState.objects.get(label__contains="Group").high_water is None
    remote().tables["Group"][2]["title"] = "short"
    assert pulled(groups(), connector=ListOnly).counts == {"created": 1, "unchanged": 4}


def test_a_tombstone_of_a_delta_deletes_its_object_and_no_other() -> None:
    put(30)
    pulled(groups(removed="delete"))
    remote().remove("Group", 7)
    done = pulled(groups(removed="delete"))
    assert (done.error, done.counts) == (None, {"unchanged": 1, "removed": 1})
    assert ItemGroup.objects.count() == 29
    assert not ItemGroup.objects.filter(name="group 6").exists()


def test_more_tombstones_than_removed_limit_allows_delete_nothing() -> None:
    put(30)
    pulled(groups(removed="delete"))
    for key in range(1, 8):
        remote().remove("Group", key)
    done = pulled(groups(removed="delete"))
    assert "more than removed_limit" in str(done.error)
    assert ItemGroup.objects.count() == 30


def test_a_complete_pass_takes_what_is_absent_for_gone_a_limited_one_does_not() -> None:
    put(30)
    pulled(groups(changed=None, removed="delete"))
    del remote().tables["Group"][7]
    pulled(groups(changed=None, removed="delete"), limit=5)
    assert ItemGroup.objects.count() == 30
    pulled(groups(changed=None, removed="delete"))
    assert ItemGroup.objects.count() == 29


def test_a_pass_that_was_broken_off_goes_on_where_it_was_where_rows_are_sorted() -> None:
    put(30)
    remote().failures["pages"] = [None, None, RuntimeError("the line is dead")]
    broken = pulled(groups(page_size=10), batch_size=10)
    assert broken.error is not None
    done = ItemGroup.objects.count()
    assert 0 < done < 30
    remote().calls.clear()
    pulled(groups(page_size=10))
    assert ItemGroup.objects.count() == 30
    assert remote().calls["pages"] < 3
    assert MigrationState.objects.get(label__contains="Group").pass_mark is None


def test_unsorted_pages_begin_at_the_start_again() -> None:
    put(30)
    remote().failures["pages"] = [None, None, RuntimeError("the line is dead")]
    pulled(groups(page_size=10), connector=ListOnly, batch_size=10)
    remote().calls.clear()
    pulled(groups(page_size=10), connector=ListOnly)
    assert ItemGroup.objects.count() == 30
    assert remote().calls["pages"] == 3


class Liar(MemoryRemote):
    """Says that its rows are sorted, and sorts them the other way round."""

    def pages(self, objectname: str, **asked: Any) -> Any:
        for page in super().pages(objectname, **asked):
            yield type(page)(list(reversed(page.rows)), is_sorted=True)


class Circle(MemoryRemote):
    """Gives one page again and again."""

    def pages(self, objectname: str, **asked: Any) -> Any:
        (page,) = super().pages(objectname, **asked)
        while True:
            yield type(page)(page.rows)


@pytest.mark.parametrize(
    ("connector", "said"),
    [(Liar, "says that it is sorted"), (Circle, "the one before it once more")],
)
def test_pages_that_cannot_be_are_refused(connector: type[Connector], said: str) -> None:
    put(3)
    done = pulled(groups(), connector=connector)
    assert isinstance(done.error, SourceError)
    assert said in str(done.error)


def test_without_changed_everything_is_compared() -> None:
    remote().put("Tag", {"word": "new"})
    pulled(TagToAtlas)
    assert pulled(TagToAtlas).counts == {"unchanged": 1}
