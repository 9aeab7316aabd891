"""django-mptt and django-treebeard: trees in any order of rows, and what a rollback needs."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.exceptions import LedgerError
from tests.support.engine import migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def genres(install: Any) -> Any:
    return install("nested", "mptt").Genre


@pytest.fixture(scope="module")
def trees(install: Any) -> Any:
    return install("trees", "treebeard")


def of(model: Any, **attributes: Any) -> type[Migration]:
    return type("Nodes", (Migration,), {"model": model, "allow_updates": True, **attributes})


#: A child before its parent.
ROWS = [
    {"id": 1, "name": "child", "parent": 2},
    {"id": 2, "name": "root", "parent": None},
    {"id": 3, "name": "grandchild", "parent": 1},
]


def told(genres: Any) -> list[tuple[str, int, int]]:
    """(name, level, number of descendants), depth first."""
    nodes = genres.objects.all()
    return [(each.name, each.level, each.get_descendant_count()) for each in nodes]


def test_mptt_builds_its_tree_whatever_the_order_of_the_rows(genres: Any) -> None:
    result = migrate_fine(of(genres), ROWS)
    assert (result.counts, result.step.writer) == ({"created": 3}, "save")
    assert told(genres) == [("root", 0, 2), ("child", 1, 1), ("grandchild", 2, 0)]
    assert migrate_fine(of(genres), ROWS).counts == {"unchanged": 3}


def test_mptt_moves_a_node_whose_parent_changed(genres: Any) -> None:
    migrate_fine(of(genres), ROWS)
    moved = [*ROWS[:2], ROWS[2] | {"parent": 2}]
    assert migrate_fine(of(genres), moved).counts == {"updated": 1, "unchanged": 2}
    assert told(genres) == [("root", 0, 2), ("child", 1, 0), ("grandchild", 1, 0)]


def test_mptt_is_rebuilt_after_a_rollback_of_a_run(genres: Any) -> None:
    migrate_fine(of(genres), ROWS)
    result = migrate_fine(of(genres), [*ROWS[:2], ROWS[2] | {"parent": 2}])
    undo(of(genres), result.run)
    genres.objects.rebuild()
    assert told(genres) == [("root", 0, 2), ("child", 1, 1), ("grandchild", 2, 0)]


def test_mptt_needs_force_for_a_rollback_since_nodes_move_each_other(genres: Any) -> None:
    migrate_fine(of(genres), ROWS)
    with pytest.raises(LedgerError, match=r"(?s)changed since: rght.*--force"):
        undo(of(genres))
    undo(of(genres), force=True)
    assert not genres.objects.exists()


def test_treebeards_adjacency_lists_are_plain_trees(trees: Any) -> None:
    nodes = of(trees.Department)
    rows = [row | {"sib_order": 1} for row in ROWS]
    assert migrate_fine(nodes, rows).counts == {"created": 3}
    assert migrate_fine(nodes, rows).counts == {"unchanged": 3}
    assert [each.name for each in trees.Department.objects.get_tree()] == [
        "root",
        "child",
        "grandchild",
    ]
    undo(nodes)
    assert not trees.Department.objects.exists()


def paths(page: Any) -> type[Migration]:
    """Parents come first, each row is saved before the next one's hook, counts come last."""

    def hook_before_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        parent = page.objects.filter(pk=row["parent"]).first()
        instance.depth = parent.depth + 1 if parent else 1
        instance.path = page._get_path(parent.path if parent else "", instance.depth, row["place"])

    def hook_after_all(self: Any) -> None:
        page.objects.fix_tree()

    exclude = {name: is_a(exclude=True) for name in ("parent", "place")}
    hooks = {"hook_before_save": hook_before_save, "hook_after_all": hook_after_all}
    return of(page, writer="save", column_description=exclude, **hooks)


PAGES = [
    {"id": 2, "name": "root", "parent": None, "place": 1},
    {"id": 1, "name": "child", "parent": 2, "place": 1},
    {"id": 3, "name": "grandchild", "parent": 1, "place": 1},
]


def test_treebeards_paths_are_set_by_a_hook(trees: Any) -> None:
    nodes = paths(trees.Page)
    assert migrate_fine(nodes, PAGES).counts == {"created": 3}
    root = trees.Page.objects.get(name="root")
    assert [(n.name, n.depth, n.numchild) for n in trees.Page.objects.get_tree()] == [
        ("root", 1, 1),
        ("child", 2, 1),
        ("grandchild", 3, 0),
    ]
    assert [each.name for each in trees.Page.objects.get_descendants(root)] == [
        "child",
        "grandchild",
    ]
    assert migrate_fine(nodes, PAGES).counts == {"unchanged": 3}
    renamed = [PAGES[0] | {"name": "top"}, *PAGES[1:]]
    result = migrate_fine(nodes, renamed)
    assert result.counts == {"updated": 1, "unchanged": 2}
    undo(nodes, result.run)
    assert trees.Page.objects.get_first_root_node().name == "root"


def test_treebeards_nested_sets_come_with_their_numbers(trees: Any) -> None:
    rows = [
        {"id": 1, "name": "root", "lft": 1, "rgt": 4, "tree_id": 1, "depth": 1},
        {"id": 2, "name": "child", "lft": 2, "rgt": 3, "tree_id": 1, "depth": 2},
    ]
    nodes = of(trees.Region)
    assert migrate_fine(nodes, rows).counts == {"created": 2}
    root = trees.Region.objects.get_first_root_node()
    assert [each.name for each in trees.Region.objects.get_children(root)] == ["child"]
    undo(nodes)
    assert not trees.Region.objects.exists()
