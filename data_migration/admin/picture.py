"""The dependency graph as a picture: what the template turns into SVG, without any style."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .layout import NODE_HEIGHT, NODE_WIDTH, Line, draw
from .status_lines import StatusLine

_LETTERS = 20


@dataclass(frozen=True, slots=True)
class Box:
    """A migration as a box; ``x`` and ``y`` are its upper left corner."""

    line: StatusLine
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


def picture_of(status_lines: Sequence[StatusLine]) -> Picture:
    """The picture of these migrations and of what they need among themselves."""
    by_label = {line.label: line for line in status_lines}
    drawing = draw({label: line.needs for label, line in by_label.items()})
    names = Counter(line.short_name for line in status_lines)
    boxes = []
    for node in drawing.nodes:
        line = by_label[node.name]
        text = line.short_name
        if names[text] > 1:
            text = f"{line.app_label}.{text}"
        if len(text) > _LETTERS:  # the whole one is in the box's title
            text = f"{text[: _LETTERS - 1]}…"
        boxes.append(Box(line, node.x, node.y, text))
    return Picture(drawing.width, drawing.height, tuple(boxes), drawing.lines)
