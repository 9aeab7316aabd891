"""Where the nodes of a dependency graph stand and how the lines between them run. Pure.

Columns from left to right: a node stands right of everything it needs. Within a column the nodes
are put near what they are connected with, so that few lines cross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: How often the columns are sorted again; more changes nothing in graphs of a hundred nodes.
_SWEEPS = 8

NODE_WIDTH, NODE_HEIGHT = 176, 30
COLUMN_GAP, ROW_GAP = 56, 12
MARGIN = 10


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its place in pixels, from its upper left corner."""

    name: str
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + NODE_HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line from a node to one that needs it; ``path`` is the ``d`` of an SVG path."""

    start: str
    end: str
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]


#: What stands in a column: a node, or the place where a line (start, end) passes through.
_Place = str | tuple[str, str]
#: (column, place) -> places in a column beside it.
_Joined = dict[tuple[int, _Place], list[_Place]]
#: Nodes by name, passing lines by (column, line) -> their middle in pixels.
_Middles = dict[str | tuple[int, _Place], float]


def draw(needs: Mapping[str, Sequence[str]]) -> Drawing:
    """Lay out a graph without loops; ``needs`` has every node with those that it waits for.

    Parts that have nothing to do with each other stand one below the other, and nodes without any
    line in rows at the end. The nodes come in the order of ``needs``. A need that is no node is
    left out.
    """
    parts = _parts(needs)
    nodes: dict[str, Node] = {}
    lines: list[Line] = []
    y = MARGIN
    for part in parts:
        if len(part) > 1:
            y = _draw_part({name: needs[name] for name in part}, y, nodes, lines) + 2 * ROW_GAP
    _draw_singles([part[0] for part in parts if len(part) == 1], y, nodes)
    return Drawing(
        width=max((node.x for node in nodes.values()), default=0) + NODE_WIDTH + MARGIN,
        height=max((node.y for node in nodes.values()), default=0) + NODE_HEIGHT + MARGIN,
        nodes=tuple(nodes[name] for name in needs),
        lines=tuple(lines),
    )


def _parts(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The nodes that lines connect, each part in the order of ``needs``, the largest first."""
    part_of = {name: [name] for name in needs}
    for name in needs:
        for need in needs[name]:
            if need in needs and part_of[need] is not part_of[name]:
                joined = part_of[need] + part_of[name]
                part_of.update(dict.fromkeys(joined, joined))
    order = {name: position for position, name in enumerate(needs)}
    parts = {id(part): sorted(part, key=order.__getitem__) for part in part_of.values()}
    return sorted(parts.values(), key=lambda part: (-len(part), order[part[0]]))


def _draw_part(
    needs: Mapping[str, Sequence[str]], top: int, nodes: dict[str, Node], lines: list[Line]
) -> int:
    """Add a part with its upper edge at ``top``; returns its lower edge."""
    edges = [(need, name) for name in needs for need in needs[name] if need in needs]
    depth = _depths(needs)
    columns = _columns(needs, edges, depth)
    _untangle(columns, _neighbours(edges, depth))
    middles = _middles(columns, top)
    for name in needs:
        nodes[name] = Node(name, _x(depth[name]), round(middles[name]) - NODE_HEIGHT // 2)
    lines += [Line(start, end, _path(start, end, nodes, depth, middles)) for start, end in edges]
    return round(max(middles.values())) + NODE_HEIGHT // 2


def _draw_singles(names: Sequence[str], top: int, nodes: dict[str, Node]) -> None:
    widest = max((node.x for node in nodes.values()), default=0)
    in_a_row = max(4, round((widest - MARGIN) / (NODE_WIDTH + COLUMN_GAP)) + 1)
    for position, name in enumerate(names):
        row, column = divmod(position, in_a_row)
        nodes[name] = Node(name, _x(column), top + row * (NODE_HEIGHT + ROW_GAP))


def _x(depth: int) -> int:
    return MARGIN + depth * (NODE_WIDTH + COLUMN_GAP)


def _depths(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The length of the longest way to each node; without recursion, in the order of need."""
    depth: dict[str, int] = {}
    waiting = list(needs)
    while waiting:
        name = waiting[-1]
        open_ = [need for need in needs[name] if need in needs and need not in depth]
        if open_:
            waiting.extend(open_)
            continue
        waiting.pop()
        depth[name] = max((depth[n] + 1 for n in needs[name] if n in needs), default=0)
    return depth


def _columns(
    needs: Mapping[str, Sequence[str]], edges: Sequence[tuple[str, str]], depth: Mapping[str, int]
) -> list[list[_Place]]:
    columns: list[list[_Place]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in needs:
        columns[depth[name]].append(name)
    for start, end in edges:
        for passed in range(depth[start] + 1, depth[end]):
            columns[passed].append((start, end))
    return columns


def _neighbours(
    edges: Sequence[tuple[str, str]], depth: Mapping[str, int]
) -> tuple[_Joined, _Joined]:
    """What each place is joined to in the column before, and in the one after."""
    before: _Joined = {}
    after: _Joined = {}
    for start, end in edges:
        way: list[_Place] = [start, *[(start, end)] * (depth[end] - depth[start] - 1), end]
        for column, (left, right) in enumerate(pairwise(way), start=depth[start]):
            after.setdefault((column, left), []).append(right)
            before.setdefault((column + 1, right), []).append(left)
    return before, after


def _untangle(columns: list[list[_Place]], joined: tuple[_Joined, _Joined]) -> None:
    """Sort each column by the mean place of its neighbours, forth and back."""
    before, after = joined
    forth, back = range(1, len(columns)), range(len(columns) - 2, -1, -1)
    for sweep in range(_SWEEPS):
        for number in back if sweep % 2 else forth:
            beside, found = (number + 1, after) if sweep % 2 else (number - 1, before)
            columns[number] = _sorted(columns[number], columns[beside], number, found)


def _sorted(
    column: list[_Place], beside: list[_Place], number: int, joined: _Joined
) -> list[_Place]:
    ranks = {place: rank for rank, place in enumerate(beside)}
    own = {place: rank for rank, place in enumerate(column)}

    def mean(place: _Place) -> float:
        found = [ranks[each] for each in joined.get((number, place), ())]
        return sum(found) / len(found) if found else own[place]

    return sorted(column, key=mean)


def _middles(columns: list[list[_Place]], top: int) -> _Middles:
    middles: _Middles = {}
    step = NODE_HEIGHT + ROW_GAP
    thin = ROW_GAP + 4
    heights = [sum(step if isinstance(p, str) else thin for p in column) for column in columns]
    highest = max(heights, default=0)
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        y = top + (highest - height) / 2
        for place in column:
            if isinstance(place, str):
                middles[place] = y + NODE_HEIGHT / 2
                y += step
            else:
                middles[number, place] = y + thin / 2
                y += thin
    return middles


def _path(
    start: str,
    end: str,
    nodes: Mapping[str, Node],
    depth: Mapping[str, int],
    middles: _Middles,
) -> str:
    """A curve from the right side of a node, past those between, to the left side of another."""
    x, y = nodes[start].x + NODE_WIDTH, nodes[start].middle
    parts = [f"M{x} {y}"]
    for passed in range(depth[start] + 1, depth[end]):
        to = round(middles[passed, (start, end)])
        parts += [_curve(x, y, _x(passed), to), f"H{_x(passed) + NODE_WIDTH}"]
        x, y = _x(passed) + NODE_WIDTH, to
    parts.append(_curve(x, y, nodes[end].x, nodes[end].middle))
    return " ".join(parts)


def _curve(x: int, y: int, to_x: int, to_y: int) -> str:
    half = (x + to_x) // 2
    return f"C{half} {y} {half} {to_y} {to_x} {to_y}"
