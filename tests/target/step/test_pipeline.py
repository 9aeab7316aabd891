"""Batch by batch: what an interruption leaves, and that the next run makes it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.migration import Migration
from data_migration.models import RowError, RunStep
from data_migration.outcomes import OnError
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Brand, Category, Log, Product, Tag
from tests.settings import TARGET
from tests.support.engine import (
    Result,
    label_of,
    links_of,
    migrate,
    migrate_fine,
    open_failures_of,
    state_of,
    statements,
    undone,
)
from tests.support.examples import examples
from tests.support.writers import FASTEST, USUAL

pytestmark = pytest.mark.django_db

Rows = list[dict[str, Any]]
BATCH = 3


@pytest.fixture(autouse=True)
def targets() -> None:
    Brand.objects.create(code="acme")
    for name in "abc":
        Tag.objects.create(name=name)


class Ending:
    """How a run comes to its early end: ``at`` is a batch, or the name of a row."""

    def __init__(self, kind: str, at: Any) -> None:
        self.kind = kind
        self.at = at
        self._batches = count(1)

    def should_stop(self) -> bool:
        return self.kind == "stopped" and next(self._batches) == self.at

    def strike(self, name: Any) -> None:
        if self.kind != "stopped" and name == self.at:
            raise KeyboardInterrupt if self.kind == "Ctrl-C" else ValueError("a fault")


NEVER = Ending("stopped", 0)
#: Set by a test, asked by the hooks: the spec is the same in every run.
_ending = NEVER


@pytest.fixture(autouse=True)
def nothing_ends_early() -> Iterator[None]:
    yield
    _end_with(NEVER)


def _end_with(ending: Ending) -> None:
    global _ending
    _ending = ending


def name_of(row: dict[str, Any]) -> Any:
    return row.get("sku") or row["name"]


class Struck(Migration):
    """Ends where the test says: with a row that is written already, or not yet."""

    batch_size = BATCH

    def hook_before_save(self, instance: Any, row: dict[str, Any]) -> bool:
        return row["name"] != "skip"

    def hook_after_save(self, instance: Any, row: dict[str, Any]) -> None:
        _ending.strike(name_of(row))


class ProductMigration(Struck):
    model = Product
    search_attr = "sku"
    column_description = {
        "brand": is_a(Brand, "code", fk=True, skip_missing=True),
        "tags": is_a(Tag, "name", m2m=True),
    }


class CategoryMigration(Struck):
    model = Category
    search_attr = "name"
    column_description = {
        "parent": is_a(Category, "name", fk=True),
        "related": is_a(Category, "name", m2m=True),
        "followers": is_a(Category, "name", m2m=True, skip_missing=True),
    }


def products() -> Rows:
    """Fine rows, a warning, a row that is skipped, joins."""
    rows: Rows = [
        {"sku": f"s{n}", "name": "x", "brand": "acme", "tags": "a;b" if n % 2 else "c"}
        for n in range(1, 11)
    ]
    rows[1]["brand"] = "nowhere"
    rows[4]["name"] = "skip"
    return rows


def bad_products() -> Rows:
    rows = products()
    rows[3]["name"] = None
    rows[7]["tags"] = "a;nowhere"
    return rows


def tree() -> Rows:
    """Children before their parents, and a loop."""
    parents = {"i": "h", "h": "g", "b": "a", "c": "b", "a": "g", "g": None, "x": "y", "y": "x"}
    return [{"name": name, "parent": parent} for name, parent in parents.items()]


def web() -> Rows:
    """Many-to-manys to the model itself whose targets are still to come; one never comes."""
    followers = {"a": "h;b", "b": "a", "c": None, "d": "g;nowhere", "e": "e", "f": "a;b"}
    rows: Rows = [{"name": name, "followers": who} for name, who in followers.items()]
    rows += [{"name": "g", "followers": "h"}, {"name": "h", "followers": "a", "related": "b"}]
    return [{"related": None} | row for row in rows]


def thicket() -> Rows:
    """A tree whose rows have many-to-manys to rows further down as well."""
    return [
        row | {"followers": other["name"]} for row, other in zip(tree(), tree()[::-1], strict=True)
    ]


CASES: dict[str, tuple[type[Migration], Callable[[], Rows]]] = {
    "table": (ProductMigration, products),
    "failures": (ProductMigration, bad_products),
    "tree": (CategoryMigration, tree),
    "web": (CategoryMigration, web),
    "thicket": (CategoryMigration, thicket),
}


def stored(migration: type[Migration]) -> dict[str, Any]:
    """Objects, join rows and links as they are, without the keys that the database gave out."""
    if issubclass(migration, ProductMigration):
        objects = {p.pk: p.sku for p in Product.objects.all()}
        found: dict[str, Any] = {
            "objects": sorted(Product.objects.values_list("sku", "name", "brand__code")),
            "tags": sorted(Product.tags.through.objects.values_list("product__sku", "tag__name")),
        }
    else:
        objects = {c.pk: c.name for c in Category.objects.all()}
        found = {"objects": sorted(Category.objects.values_list("name", "parent__name"), key=str)}
        for name in ("related", "followers"):
            joins = getattr(Category, name).through.objects
            ends = joins.values_list("from_category__name", "to_category__name")
            found[name] = sorted(ends)
    return found | {
        "links": {
            key: (link.object_pk and objects[int(link.object_pk)], link.kind, link.unsettled)
            for key, link in links_of(migration).items()
        },
        "open": sorted(open_failures_of(migration)),
        "is read": (state_of(migration).is_read, state_of(migration).pass_run),
    }


def sums(migration: type[Migration]) -> dict[str, int]:
    """What every run together counted; a row that fails is counted by each that tries it."""
    steps = list(RunStep.objects.filter(migration=label_of(migration)).order_by("pk"))
    names = ("created", "updated", "unchanged", "skipped", "warnings")
    return {name: sum(getattr(step, name) for step in steps) for name in names} | {
        "failed": steps[-1].failed
    }


def warnings_of(migration: type[Migration]) -> list[tuple[str, str]]:
    told = RowError.objects.filter(step__migration=label_of(migration), kind="warning")
    return sorted(told.values_list("key", "cause"))


def run(migration: type[Migration], rows: Rows, ending: Ending = NEVER) -> Result:
    _end_with(ending)
    on_error = OnError.STOP if ending.kind == "a fault" else OnError.CONTINUE
    return migrate(
        migration, [dict(row) for row in rows], should_stop=ending.should_stop, on_error=on_error
    )


#: How the engine is stopped is the same on every database; what it left there is not.
ENDS = ["stopped", "Ctrl-C", "a fault"] if TARGET == "sqlite" else ["a fault"]
UPDATEABLE = [False, True] if TARGET == "sqlite" else [False]


def endings(kind: str, rows: Rows, created: Any) -> list[Ending]:
    if kind == "stopped":
        return [Ending(kind, batch) for batch in range(1, -(-len(rows) // BATCH) + 1)]
    return [Ending(kind, name_of(row)) for row in rows if name_of(row) in created]


@pytest.mark.slow
@pytest.mark.parametrize("updateable", UPDATEABLE)
@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_run_and_the_next_are_one_clean_run(
    writer: str, case: str, kind: str, updateable: bool
) -> None:
    if (case, kind) == ("failures", "a fault"):
        pytest.skip("the first bad row would end the run before the fault comes")
    if writer != FASTEST and kind != "a fault":
        pytest.skip("how the engine is stopped is the same with every writer")
    base, make_rows = CASES[case]
    attributes = {"writer": writer, "allow_updates": updateable}
    migration = type(base.__name__, (base,), attributes)
    rows = make_rows()
    with undone():
        clean = run(migration, rows)
        assert clean.error is None
        expected, counted, warned = stored(migration), sums(migration), warnings_of(migration)
    created = {row[0] for row in expected["objects"]}
    passed = 0
    for ending in endings(kind, rows, created):
        with undone():
            first = run(migration, rows, ending)
            assert first.step.status == ("failed" if kind == "a fault" else "interrupted")
            assert state_of(migration).pass_run == first.run.pk
            second = run(migration, rows)
            assert second.error is None, second.error
            assert stored(migration) == expected, ending.at
            assert sums(migration) == counted, ending.at
            assert warnings_of(migration) == warned, ending.at
            passed += second.step.passed
    assert passed > 0


@pytest.mark.parametrize("case", CASES)
def test_interrupted_after_every_batch_it_is_one_clean_run_in_the_end(
    writer: str, case: str
) -> None:
    base, make_rows = CASES[case]
    migration = type(base.__name__, (base,), {"writer": writer, "batch_size": 2})
    rows = make_rows()
    with undone():
        assert run(migration, rows).error is None
        expected, counted = stored(migration), sums(migration)
    for _ in range(20):
        result = run(migration, rows, Ending("stopped", 1 + result_of_last(migration)))
        if result.error is None:
            break
    assert result.error is None
    assert stored(migration) == expected
    assert sums(migration) == counted


def result_of_last(migration: type[Migration]) -> int:
    """How many batches the runs so far went: each shall get one batch further."""
    return RunStep.objects.filter(migration=label_of(migration)).count()


@st.composite
def _forests(draw: Any) -> Rows:
    """Rows of any graph, some of them bad, with many-to-manys to each other and to nothing."""
    size = draw(st.integers(1, 7))
    names = st.integers(1, size + 1).map("n{}".format)
    rows = [
        {
            "nr": number,
            "name": None if draw(st.integers(0, 6)) == 6 else f"n{number}",
            "parent": draw(st.none() | names),
            "followers": ";".join(draw(st.lists(names, max_size=2))),
        }
        for number in range(1, size + 1)
    ]
    return draw(st.permutations(rows))  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("writer_name", USUAL)
@settings(max_examples=examples(40))
@given(rows=_forests(), stops=st.lists(st.integers(1, 4), max_size=3), size=st.integers(1, 3))
def test_any_graph_interrupted_anywhere_is_one_clean_run(
    writer_name: str, rows: Rows, stops: list[int], size: int
) -> None:
    attributes = {
        "writer": writer_name,
        "batch_size": size,
        "legacy_key": "nr",
        "column_description": {
            **CategoryMigration.column_description,
            "nr": is_a(exclude=True),
        },
    }
    migration = type("CategoryMigration", (CategoryMigration,), attributes)
    with undone():
        assert run(migration, rows).error is None
        expected, counted = stored(migration), sums(migration)
    with undone():
        for stop in stops:
            run(migration, rows, Ending("stopped", stop))
        last = run(migration, rows)
        assert last.error is None, last.error
        assert stored(migration) == expected
        assert sums(migration) == counted


@pytest.mark.parametrize("kind", ["stopped", "Ctrl-C"])
def test_an_interrupted_rerun_goes_on_with_what_changed(writer: str, kind: str) -> None:
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    migration.allow_updates = True
    changed = [row | {"tags": "c" if row["tags"] == "a;b" else "a"} for row in products()]
    changed[5]["name"] = "new"
    changed += [{"sku": f"t{n}", "name": "x", "brand": None, "tags": None} for n in range(4)]
    for at in (1, 2, 3, 4) if kind == "stopped" else ("t0", "t1", "t3"):
        with undone():
            run(migration, products())
            with undone():
                clean = run(migration, changed)
                expected, counts = stored(migration), _added(clean)
            first = run(migration, changed, Ending(kind, at))
            assert first.step.status == "interrupted"
            second = run(migration, changed)
            assert second.error is None
            assert stored(migration) == expected
            assert _added(first, second) == counts


@pytest.mark.parametrize("order", [1, -1])
def test_the_counts_of_an_interrupted_rerun_add_up_whatever_is_skipped(
    writer: str, order: int
) -> None:
    """Rows that were skipped before, are skipped again or for the first time, and any order."""
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    migration.allow_updates = True
    rows = products()
    for at in range(1, -(-len(rows) // BATCH)):
        with undone():
            first_rows = [
                row | {"name": "skip" if n in (2, 7) else "x"} for n, row in enumerate(rows)
            ]
            run(migration, first_rows)
            changed = [dict(row) for row in first_rows]
            for number in (1, 5, 8):
                changed[number]["name"] = "skip"
            changed[4]["name"] = "new"
            with undone():
                counts = _added(run(migration, changed))
            first = run(migration, changed, Ending("stopped", at))
            again = run(migration, changed[::order], Ending("stopped", at))
            assert [each.step.status for each in (first, again)] == ["interrupted"] * 2
            last = run(migration, changed)
            added = _added(first, again, last)
            if order == -1:  # which of the rows that were not written is known by their order only
                for each in (added, counts):
                    each["unchanged"] += each.pop("skipped")
            assert (last.error, added) == (None, counts)
            assert first.step.read + again.step.read + last.step.read == len(changed)


def _added(*results: Any) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "skipped", "failed")
    sums = {name: sum(getattr(each.step, name) for each in results) for name in names}
    return {name: count for name, count in sums.items() if count}


def test_rows_that_were_done_before_cost_no_query_of_the_target(writer: str) -> None:
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    run(migration, products(), Ending("stopped", 3))
    rows = products()[:9]
    with statements() as ran:
        result = migrate(migration, rows)
    assert result.step.passed == 9
    asked = ran.starting("SELECT", table=Product)
    assert [sql for sql in asked if "setval" not in sql] == []
    assert ran.writing("shop_product") == []


def test_hooks_are_not_called_for_rows_that_were_done_before(writer: str) -> None:
    called = []

    def hook_before_transformation(self: Any, row: dict[str, Any]) -> None:
        called.append(row["sku"])

    attributes = {"writer": writer, "hook_before_transformation": hook_before_transformation}
    migration = type("ProductMigration", (ProductMigration,), attributes)
    run(migration, products(), Ending("stopped", 2))
    before = len(called)
    assert run(migration, products()).error is None
    assert (before, called[before:]) == (6, [f"s{n}" for n in range(7, 11)])


def test_what_changed_meanwhile_in_a_row_that_is_done_waits_for_an_update(writer: str) -> None:
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    run(migration, products(), Ending("stopped", 1))
    rows = [row | {"name": "new"} for row in products() if row["name"] == "x"]
    assert run(migration, rows).step.passed == 3
    assert set(Product.objects.filter(name="x").values_list("sku", flat=True)) == {
        *("s1", "s2", "s3")
    }
    assert migrate(migration, rows, update=True).step.updated == 3
    assert not Product.objects.filter(name="x").exists()


def test_a_step_without_a_key_is_whole_or_not_at_all(writer: str) -> None:
    attributes = {"writer": writer, "legacy_key": (), "search_attr": None}
    migration = type("ProductMigration", (ProductMigration,), attributes)
    result = run(migration, products(), Ending("stopped", 2))
    assert result.step.error == (
        "shop.ProductMigration was stopped. Nothing of shop.ProductMigration is kept."
    )
    assert not Product.objects.exists()
    assert result.counts == {}
    assert run(migration, products()).counts == {"created": 9, "skipped": 1, "warnings": 1}
    assert links_of(migration) == {}


def test_a_hook_before_all_is_kept_before_the_first_batch(writer: str) -> None:
    def hook_before_all(self: Any) -> None:
        Log.objects.create(text=f"log {Log.objects.count()}")

    attributes = {"writer": writer, "hook_before_all": hook_before_all}
    migration = type("ProductMigration", (ProductMigration,), attributes)
    run(migration, products(), Ending("Ctrl-C", "s1"))
    assert (Log.objects.count(), Product.objects.count()) == (1, 0)
    run(migration, products())
    assert Log.objects.count() == 2


def test_a_hook_after_all_that_fails_is_called_again_by_the_next_run(writer: str) -> None:
    called = []

    def hook_after_all(self: Any) -> None:
        Log.objects.create(text="end")
        called.append(Product.objects.count())
        if len(called) == 1:
            raise ValueError("not yet")

    attributes = {"writer": writer, "hook_after_all": hook_after_all}
    migration = type("ProductMigration", (ProductMigration,), attributes)
    first = run(migration, products())
    assert first.step.status == "failed"
    assert first.step.error.endswith("ValueError: not yet.")
    assert not Log.objects.exists()
    second = run(migration, products())
    assert second.counts == {"passed": 10}
    assert (called, Log.objects.count()) == ([9, 9], 1)


def test_new_objects_come_above_the_keys_of_an_interrupted_run(writer: str) -> None:
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    rows = [row | {"id": 1000 + n} for n, row in enumerate(products()[:4])]
    run(migration, rows, Ending("stopped", 1))
    migrate(migration, rows[:3])  # has nothing to write any more
    assert Product.objects.create(sku="new").pk > 1002


def test_a_child_whose_parent_came_with_an_earlier_run_is_written_at_once(writer: str) -> None:
    migration = type("CategoryMigration", (CategoryMigration,), {"writer": writer})
    rows: Rows = [{"name": name, "parent": None} for name in "abc"]
    rows += [{"name": "d", "parent": "a"}]
    run(migration, rows, Ending("stopped", 1))
    assert migrate_fine(migration, rows).counts == {"created": 1, "passed": 3}
    assert Category.objects.get(name="d").parent == Category.objects.get(name="a")


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_rows_are_numbered_as_the_query_returns_them(writer: str, batch_size: int) -> None:
    migration = type("ProductMigration", (ProductMigration,), {"writer": writer})
    rows = [row | {"name": None} for row in products()[:5]]
    result = migrate(migration, rows, batch_size=batch_size)
    assert [message.row_number for message in result.messages] == [1, 2, 3, 4, 5]
