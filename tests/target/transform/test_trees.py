"""Relations to the model itself: any order of the rows, loops, links forward and back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from data_migration.exceptions import StepFailed
from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Category, Country, Rooted
from tests.support.engine import Result, migrate, migrate_fine, undone
from tests.support.examples import examples
from tests.support.writers import WRITERS

pytestmark = pytest.mark.django_db

Rows = list[dict[str, Any]]


def categories(writer: str, search_attr: str = "name", **more: Any) -> type[Migration]:
    described = {
        "parent": is_a(Category, search_attr, fk=True),
        "related": is_a(Category, search_attr, m2m=True),
        "followers": is_a(Category, search_attr, m2m=True),
    }
    attributes = {"model": Category, "column_description": described, "writer": writer}
    return type("CategoryMigration", (Migration,), attributes | more)


def parents() -> dict[str, str | None]:
    """What is stored: name -> the parent's name."""
    return dict(Category.objects.values_list("name", "parent__name"))


def failed_names(result: Result) -> list[str]:
    return sorted(message.key.strip('"') for message in result.messages)


class TestOrder:
    @pytest.mark.parametrize("batch_size", [1, 2, 100])
    def test_children_before_parents(self, writer: str, batch_size: int) -> None:
        chain: dict[str, str | None] = {"d": "c", "c": "b", "b": "a", "a": None}
        rows = [{"name": name, "parent": parent} for name, parent in chain.items()]
        migrate_fine(categories(writer), rows, batch_size=batch_size)
        assert parents() == chain

    def test_children_before_parents_by_primary_key(self, writer: str) -> None:
        rows = [{"id": 30, "name": "x", "parent": "20"}, {"id": 20, "name": "y", "parent": None}]
        migrate_fine(categories(writer, "id"), rows, batch_size=1)
        assert parents() == {"x": "y", "y": None}

    def test_parent_without_description(self, writer: str) -> None:
        class Plain(Migration):
            model = Category

        Plain.writer = writer
        rows = [{"id": 30, "name": "x", "parent_id": 20}, {"id": 20, "name": "y"}]
        migrate_fine(Plain, rows)
        assert parents() == {"x": "y", "y": None}

    def test_parent_that_was_there_before(self, writer: str) -> None:
        Category.objects.create(name="old")
        migrate_fine(categories(writer), [{"name": "new", "parent": "old"}])
        assert parents() == {"old": None, "new": "old"}

    def test_hooks_see_the_parent(self, writer: str) -> None:
        seen = []

        def hook_before_save(self: Any, instance: Category, row: Any) -> None:
            seen.append((instance.name, instance.parent and instance.parent.name))

        rows = [{"name": "b", "parent": "a"}, {"name": "a", "parent": None}]
        migrate_fine(categories(writer, hook_before_save=hook_before_save), rows)
        assert seen == [("a", None), ("b", "a")]

    @pytest.mark.slow
    def test_long_chain_the_wrong_way_round(self, writer: str) -> None:
        rows: Rows = [{"name": str(n), "parent": str(n + 1)} for n in range(100)]
        rows.append({"name": "100", "parent": None})
        migrate_fine(categories(writer), rows, batch_size=50)
        assert parents() == {row["name"]: row["parent"] for row in rows}


class TestLoops:
    def test_two_are_each_others_parents(self, writer: str) -> None:
        rows = [{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}]
        migrate_fine(categories(writer), rows)
        assert parents() == {"a": "b", "b": "a"}

    @pytest.mark.parametrize("search_attr", ["name", "id", "pk"])
    def test_own_parent(self, writer: str, search_attr: str) -> None:
        value = "a" if search_attr == "name" else 5
        rows = [{"id": 5, "name": "a", "parent": value}]
        migrate_fine(categories(writer, search_attr), rows)
        assert parents() == {"a": "a"}

    def test_root_that_must_name_itself(self, writer: str) -> None:
        class RootedMigration(Migration):
            model = Rooted
            column_description = {"parent": is_a(Rooted, "id", fk=True)}

        RootedMigration.writer = writer
        rows = [{"id": 2, "parent": 1}, {"id": 1, "parent": 1}, {"id": 3, "parent": 2}]
        migrate_fine(RootedMigration, rows)
        assert dict(Rooted.objects.values_list("pk", "parent_id")) == {1: 1, 2: 1, 3: 2}

    def test_loop_that_may_not_be_null_fails(self, writer: str) -> None:
        class RootedMigration(Migration):
            model = Rooted
            column_description = {"parent": is_a(Rooted, "id", fk=True)}

        RootedMigration.writer = writer
        rows = [{"id": 2, "parent": 1}, {"id": 1, "parent": 2}, {"id": 3, "parent": 3}]
        result = migrate(RootedMigration, rows)
        assert result.told == [("2", "parent", "1"), ("1", "parent", "2")]
        assert Rooted.objects.get().pk == 3

    def test_branch_that_hangs_on_a_loop(self, writer: str) -> None:
        rows = [
            {"name": "leaf", "parent": "twig"},
            {"name": "twig", "parent": "b"},
            {"name": "a", "parent": "b"},
            {"name": "b", "parent": "a"},
        ]
        migrate_fine(categories(writer), rows, batch_size=1)
        assert parents() == {row["name"]: row["parent"] for row in rows}


class TestFailures:
    def test_missing_parent_fails_the_whole_branch(self, writer: str) -> None:
        rows = [
            {"name": "leaf", "parent": "twig"},
            {"name": "twig", "parent": "nowhere"},
            {"name": "fine", "parent": None},
        ]
        result = migrate(categories(writer, search_attr="name", legacy_key="name"), rows)
        assert sorted(result.told) == [
            ('"leaf"', "parent", "'twig'"),
            ('"twig"', "parent", "'nowhere'"),
        ]
        assert parents() == {"fine": None}

    def test_bad_row_in_a_loop_takes_the_loop_and_its_branches_along(self, writer: str) -> None:
        rows = [
            {"id": 1, "name": "a", "parent": 2},
            {"id": 2, "name": None, "parent": 1},
            {"id": 3, "name": "twig", "parent": 1},
            {"id": 4, "name": "leaf", "parent": 3},
            {"id": 5, "name": "fine", "parent": None},
        ]
        result = migrate(categories(writer, "id"), rows)
        assert result.error is None
        assert failed_names(result) == ["1", "2", "3", "4"]
        assert parents() == {"fine": None}

    def test_missing_parent_may_be_skipped(self, writer: str) -> None:
        described = {"parent": is_a(Category, "name", fk=True, skip_missing=True)}
        rows = [{"name": "leaf", "parent": "twig"}, {"name": "twig", "parent": "nowhere"}]
        result = migrate(categories(writer, column_description=described), rows)
        assert result.counts == {"created": 2, "warnings": 1}
        assert parents() == {"leaf": "twig", "twig": None}


class TestLinks:
    @pytest.mark.parametrize("batch_size", [1, 100])
    def test_forward_and_mutual(self, writer: str, batch_size: int) -> None:
        rows = [
            {"name": "a", "followers": "b;c"},
            {"name": "b", "followers": "a;b"},
            {"name": "c", "followers": None},
        ]
        migrate_fine(categories(writer), rows, batch_size=batch_size)
        linked = {
            category.name: "".join(sorted(each.name for each in category.followers.all()))
            for category in Category.objects.all()
        }
        assert linked == {"a": "bc", "b": "ab", "c": ""}

    @pytest.mark.parametrize("batch_size", [1, 100])
    def test_symmetrical(self, writer: str, batch_size: int) -> None:
        rows = [{"name": "a", "related": "b"}, {"name": "b", "related": "a;c"}, {"name": "c"}]
        migrate_fine(categories(writer), rows, batch_size=batch_size)
        assert Category.related.through.objects.count() == 4
        b = Category.objects.get(name="b")
        assert sorted(each.name for each in b.related.all()) == ["a", "c"]

    @pytest.mark.parametrize("batch_size", [1, 100])
    def test_between_members_of_a_loop(self, writer: str, batch_size: int) -> None:
        rows = [
            {"name": "a", "parent": "b", "followers": "b;c"},
            {"name": "b", "parent": "a", "followers": "a"},
            {"name": "c", "parent": "a", "followers": "c"},
        ]
        migrate_fine(categories(writer), rows, batch_size=batch_size)
        linked = Category.followers.through.objects.values_list(
            "from_category__name", "to_category__name"
        )
        assert set(linked) == {("a", "b"), ("a", "c"), ("b", "a"), ("c", "c")}
        assert parents() == {"a": "b", "b": "a", "c": "a"}

    def test_forward_link_keeps_the_warnings_of_other_columns(self, writer: str) -> None:
        described = {
            "parent": is_a(Category, "name", fk=True, skip_missing=True),
            "followers": is_a(Category, "name", m2m=True, skip_missing=True),
        }
        rows = [
            {"name": "a", "parent": "nowhere", "followers": "b;nix"},
            {"name": "b", "parent": None, "followers": "a"},
        ]
        result = migrate(categories(writer, column_description=described), rows)
        assert result.counts == {"created": 2, "warnings": 2}
        assert sorted(column for _, column, _ in result.told) == ["followers", "parent"]

    def test_missing_target_fails_the_row_and_its_object_goes(self, writer: str) -> None:
        rows = [{"name": "a", "followers": "b;nix"}, {"name": "b", "followers": "b"}]
        result = migrate(categories(writer, legacy_key="name"), rows, batch_size=1)
        assert result.told == [('"a"', "followers", "'nix'")]
        assert parents() == {"b": None}
        assert Category.followers.through.objects.count() == 1

    @pytest.mark.parametrize(
        "other", [{"followers": None, "parent": "a"}, {"followers": "a", "parent": None}]
    )
    def test_missing_target_of_a_row_that_others_need_ends_the_step(
        self, writer: str, other: dict[str, Any]
    ) -> None:
        rows = [{"name": "a", "followers": "nix", "parent": None}, {"name": "b", **other}]
        result = migrate(categories(writer, legacy_key="name"), rows, batch_size=1)
        assert isinstance(result.error, StepFailed)
        assert "'nix'" in str(result.error)
        assert "Other rows refer to this one" in str(result.error)
        assert set(parents()) == {"a", "b"}  # their batches are committed

        rows[0]["followers"] = "b"
        migrate_fine(categories(writer, legacy_key="name"), rows, batch_size=1)
        followers = {each.name for each in Category.objects.get(name="a").followers.all()}
        assert followers == {"b"}

    def test_a_late_link_to_a_row_that_failed_is_missing_too(self, writer: str) -> None:
        rows = [
            {"name": "a", "followers": "b", "parent": None},
            {"name": "b", "followers": "nix", "parent": None},
            {"name": "fine", "followers": None, "parent": None},
        ]
        result = migrate(categories(writer, legacy_key="name"), rows, batch_size=1)
        assert failed_names(result) == ["a", "b"]
        assert result.counts == {"created": 1, "failed": 2}
        assert parents() == {"fine": None}

    def test_a_long_chain_from_its_end_is_written_in_one_statement_per_generation(
        self, writer: str
    ) -> None:
        rows = [
            {"name": str(n), "followers": None, "parent": str(n + 1) if n < 60 else None}
            for n in range(61)
        ]
        with CaptureQueriesContext(connection) as queries:
            migrate_fine(categories(writer, legacy_key="name"), rows)
        lookups = [q for q in queries if '"name" IN' in q["sql"] or "`name` IN" in q["sql"]]
        assert len(lookups) <= len(rows) + 1
        assert parents()["0"] == "1"

    def test_missing_target_may_be_skipped(self, writer: str) -> None:
        described = {"followers": is_a(Category, "name", m2m=True, skip_missing=True)}
        rows = [{"name": "a", "followers": "b;nix"}, {"name": "b", "followers": None}]
        result = migrate(categories(writer, column_description=described), rows)
        assert result.counts == {"created": 2, "warnings": 1}
        assert [each.name for each in Category.objects.get(name="a").followers.all()] == ["b"]

    def test_to_itself_with_a_key_of_text(self, writer: str) -> None:
        class CountryMigration(Migration):
            model = Country
            column_description = {"neighbours": is_a(Country, "code", m2m=True)}

        CountryMigration.writer = writer
        rows = [{"code": "DE", "neighbours": "DE;FR"}, {"code": "FR", "neighbours": "DE"}]
        migrate_fine(CountryMigration, [row | {"name": "x"} for row in rows])
        assert Country.neighbours.through.objects.count() == 3


def _expected(rows: Rows) -> dict[int, int | None]:
    """What has to be stored: a row fails when it is bad or when an ancestor of it fails."""
    by_id = {row["id"]: row for row in rows}

    def is_fine(row: dict[str, Any]) -> bool:
        seen = set()
        while row["id"] not in seen:
            seen.add(row["id"])
            if row["name"] is None:
                return False
            if row["parent"] is None:
                return True
            if row["parent"] not in by_id:
                return False
            row = by_id[row["parent"]]
        return True

    return {row["id"]: row["parent"] for row in rows if is_fine(row)}


@st.composite
def _graphs(draw: Any, *, loops: bool, bad: bool) -> Rows:
    """Rows of a random forest (with loops: of any graph), in random order."""
    size = draw(st.integers(1, 8))
    rows = []
    for number in range(1, size + 1):
        highest = size + bad if loops else number - 1
        parent = draw(st.none() | st.integers(1, highest)) if highest else None
        name = None if bad and draw(st.integers(0, 4)) == 4 else f"n{number}"
        rows.append({"id": number, "name": name, "parent": parent})
    return draw(st.permutations(rows))  # type: ignore[no-any-return]


def _check(rows: Rows, batch_size: int, writer: str) -> None:
    expected = _expected(rows)
    with undone():
        result = migrate(categories(writer, "id"), rows, batch_size=batch_size)
        assert result.error is None, result.error
        assert dict(Category.objects.values_list("pk", "parent_id")) == expected
        assert {int(message.key) for message in result.messages} == {
            row["id"] for row in rows
        } - expected.keys()


_WRITERS = st.sampled_from(WRITERS)


@settings(max_examples=examples(25))
@given(_graphs(loops=False, bad=False), st.integers(1, 5), _WRITERS)
def test_any_forest_in_any_order(rows: Rows, batch_size: int, writer: str) -> None:
    _check(rows, batch_size, writer)


@settings(max_examples=examples(40))
@given(_graphs(loops=True, bad=True), st.integers(1, 5), _WRITERS)
def test_any_graph_with_bad_rows_and_loops(rows: Rows, batch_size: int, writer: str) -> None:
    _check(rows, batch_size, writer)
