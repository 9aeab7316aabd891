"""The dependency graph as a picture: what the template turns into SVG, without any style."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .layout import NODE_HEIGHT, NODE_WIDTH, Line, draw
from .standing import Standing

_LETTERS = 20


@dataclass(frozen=True, slots=True)
class Box:
    """A migration as a box; ``x`` and ``y`` are its upper left corner."""

    standing: Standing
    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Line, ...]
    box_width: int = NODE_WIDTH
    box_height: int = NODE_HEIGHT


def picture_of(standings: Sequence[Standing]) -> Picture:
    """The picture of these migrations and of what they need among themselves."""
    by_label = {standing.label: standing for standing in standings}
    drawing = draw({label: standing.needs for label, standing in by_label.items()})
    names = Counter(standing.short_name for standing in standings)
    boxes = tuple(
        Box(
            standing := by_label[node.name],
            node.x,
            node.y,
            _fitted(_name(standing, is_shared=names[standing.short_name] > 1)),
        )
        for node in drawing.nodes
    )
    return Picture(drawing.width, drawing.height, boxes, drawing.lines)


def _name(standing: Standing, *, is_shared: bool) -> str:
    return f"{standing.app_label}.{standing.short_name}" if is_shared else standing.short_name


def _fitted(text: str) -> str:
    """The text in the width of a box; the whole one is in the box's title."""
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
