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
    boxes = []
    for node in drawing.nodes:
        standing = by_label[node.name]
        text = standing.short_name
        if names[text] > 1:
            text = f"{standing.app_label}.{text}"
        if len(text) > _LETTERS:  # the whole one is in the box's title
            text = f"{text[: _LETTERS - 1]}…"
        boxes.append(Box(standing, node.x, node.y, text))
    return Picture(drawing.width, drawing.height, tuple(boxes), drawing.lines)
