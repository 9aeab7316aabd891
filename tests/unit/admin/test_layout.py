"""The layout of the dependency graph."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from data_migration.admin.layout import NODE_HEIGHT, NODE_WIDTH, Drawing, draw

Needs = dict[str, list[str]]

#: Graphs without loops: each node needs some of those before it.
graphs = st.lists(st.sets(st.integers(0, 30), max_size=4), max_size=30).map(
    lambda sets: {
        f"n{position}": [f"n{need}" for need in sorted(needs) if need < position]
        for position, needs in enumerate(sets)
    }
)


def places(drawing: Drawing) -> dict[str, tuple[int, int]]:
    return {node.name: (node.x, node.y) for node in drawing.nodes}


def test_a_node_stands_right_of_what_it_needs() -> None:
    at = places(draw({"a": [], "b": ["a"], "c": ["a", "b"]}))
    assert at["a"][0] + NODE_WIDTH < at["b"][0]
    assert at["b"][0] + NODE_WIDTH < at["c"][0]


def test_the_order_of_the_nodes_does_not_matter_for_their_columns() -> None:
    at = places(draw({"c": ["b"], "b": ["a"], "a": []}))
    assert at["a"][0] < at["b"][0] < at["c"][0]


def test_lines_that_need_not_cross_do_not() -> None:
    at = places(draw({"a": [], "b": [], "x": ["b"], "y": ["a"]}))
    assert (at["a"][1] < at["b"][1]) == (at["y"][1] < at["x"][1])


def test_a_line_over_several_columns_passes_between_their_nodes() -> None:
    drawing = draw({"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]})
    (line,) = [line for line in drawing.lines if (line.start, line.end) == ("a", "d")]
    middle = int(line.path.split("H")[0].split()[-1])
    assert all(not node.y <= middle <= node.y + NODE_HEIGHT for node in drawing.nodes[1:3])


def test_a_need_that_is_no_node_is_left_out() -> None:
    assert draw({"a": ["elsewhere"]}).lines == ()


def test_nothing_is_an_empty_picture() -> None:
    assert draw({}).nodes == ()


@given(graphs)
def test_no_two_nodes_overlap_and_all_are_in_the_picture(needs: Needs) -> None:
    drawing = draw(needs)
    boxes = sorted((node.x, node.y) for node in drawing.nodes)
    assert len(boxes) == len(needs)
    for (x, y), (other_x, other_y) in itertools.pairwise(boxes):
        assert x != other_x or other_y - y >= NODE_HEIGHT
    for x, y in boxes:
        assert 0 <= x <= drawing.width - NODE_WIDTH
        assert 0 <= y <= drawing.height - NODE_HEIGHT


@given(graphs)
def test_every_need_has_a_line(needs: Needs) -> None:
    lines = [(line.start, line.end) for line in draw(needs).lines]
    assert sorted(lines) == sorted((need, name) for name in needs for need in needs[name])


def test_parts_without_a_line_between_them_do_not_share_rows() -> None:
    at = places(draw({"a": [], "b": ["a"], "x": [], "y": ["x"]}))
    assert {at["a"][1], at["b"][1]}.isdisjoint({at["x"][1], at["y"][1]})


def test_nodes_without_lines_fill_rows_at_the_end() -> None:
    at = places(draw({"s": [], "a": [], "b": ["a"], **{f"t{n}": [] for n in range(5)}}))
    rows = sorted({y for name, (_, y) in at.items() if name[0] in "st"})
    assert len(rows) == 2
    assert rows[0] > at["a"][1]
