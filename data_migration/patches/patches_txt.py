"""Read a ``patches.txt`` as Frappe has them. Pure: what stands in a file to lines and faults.

One patch a line: a dotted path, or ``execute:`` and a Python statement. A comment at the end of
the line is its revision; lines that begin with ``#`` or ``;`` are comments. Two sections,
``[pre_model_sync]`` and ``[post_model_sync]``, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..utils.wording import guess
from .faulty import Faulty
from .options import AFTER, BEFORE
from .statements import begins_twice, split

PRE, POST = "pre_model_sync", "post_model_sync"
EXECUTE: Final = "execute:"

_ENDS = re.compile(r"\r\n|\r|\n")
_HEADING = re.compile(r"\[(?P<name>[^\[\]]*)\]\s*(?:#.*)?")
#: Whatever a module may be called: importlib is not as strict as the statement ``import``.
_PATH = re.compile(r"(?P<path>[\w-]+(?:\.[\w-]+)*)\s*(?:#(?P<comment>.*))?")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One patch. ``text`` is a dotted path, or a statement with single blanks between its parts.

    ``written`` is how that stands in the file, from ``column`` on, which counts from 1.
    ``comment`` has single blanks.
    """

    number: int
    section: str | None
    text: str
    comment: str
    is_statement: bool
    written: str
    column: int

    @property
    def phase(self) -> str:
        """Without sections everything runs after ``migrate``."""
        return BEFORE if self.section == PRE else AFTER


@dataclass(frozen=True, slots=True)
class PatchesTxt:
    """Every line that is neither blank nor a comment nor a known heading is in one of the two:
    ``faults`` are what is wrong, each behind the number of its line.
    """

    lines: tuple[Line, ...]
    faults: tuple[tuple[int, Faulty], ...]


def read(content: bytes | str) -> PatchesTxt:
    """Read the whole file; a line that is wrong does not hide others."""
    lines: list[Line] = []
    faults: list[tuple[int, Faulty]] = []
    written = list(_written(content))
    sections: dict[str, int] = {}
    section: str | None = None
    has_sections = any(_HEADING.fullmatch(text) for text in written if text is not None)
    first: dict[tuple[bool, str, str], int] = {}
    for number, text in enumerate(written, start=1):
        try:
            if text is None:
                raise _not_utf8()
            if not text.strip() or text.lstrip()[0] in "#;":
                continue
            if text[0].isspace():
                raise Faulty("E084")
            if heading := _HEADING.fullmatch(text):
                section = _known(heading["name"], number, sections)
                continue
            if has_sections and not sections and section is None:
                raise Faulty("E083")
            line = _line(number, section, text)
            key = (line.is_statement, line.text, line.comment)
            if key in first:
                raise Faulty("W082", first=first[key])
            first[key] = number
            lines.append(line)
        except Faulty as faulty:
            faults.append((number, faulty))
    return PatchesTxt(tuple(lines), tuple(faults))


def _written(content: bytes | str) -> Iterator[str | None]:
    """The lines without their ends; None for one that is no text."""
    if isinstance(content, str):
        yield from _ENDS.split(content.removeprefix("\ufeff"))
        return
    if content.startswith(_UTF_16):
        yield None
        return
    for line in re.split(rb"\r\n|\r|\n", content.removeprefix(b"\xef\xbb\xbf")):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            yield None


def _not_utf8() -> Faulty:
    return Faulty(
        "E085",
        problem="The line cannot be read: it is not encoded in UTF-8.",
        remedy="Save the file as UTF-8.",
    )


def _known(name: str, number: int, sections: dict[str, int]) -> str:
    """The section; noted under its first line. Raises :exc:`Faulty`."""
    if name not in (PRE, POST):
        sections.setdefault(name, number)
        raise Faulty("E081", name=name, suggestion=guess(name, [PRE, POST]))
    if sections.setdefault(name, number) != number:
        raise Faulty("E082", name=name, first=sections[name])
    return name


def _line(number: int, section: str | None, text: str) -> Line:
    """Raises :exc:`Faulty`."""
    written = text.removeprefix(EXECUTE).strip()
    statement, comment = "", ""
    if is_statement := text.startswith(EXECUTE):
        if begins_twice(written):
            raise Faulty("E086")
        statement, comment = split(written)
        if not statement:
            raise Faulty("E087")
    else:
        path = _PATH.fullmatch(text.rstrip())
        if path is None:
            raise _unreadable(text)
        statement, comment = path["path"], path["comment"] or ""
        written = statement
    return Line(
        number=number,
        section=section,
        text=statement,
        comment=" ".join(comment.split()),
        is_statement=is_statement,
        written=written,
        column=text.index(written, len(EXECUTE) if is_statement else 0) + 1,
    )


def _unreadable(text: str) -> Faulty:
    """Of a line that is neither a path nor a statement."""
    code = text.partition("#")[0].rstrip()
    if EXECUTE in code:
        return Faulty("E086")
    if code.startswith("finally:"):
        return Faulty(
            "E085",
            problem="The word finally: of former versions of Frappe is not known here.",
            remedy=f"Remove it, and make the line the last one of [{POST}].",
        )
    if len(words := code.split()) > 1 and _PATH.fullmatch(words[0]):
        return Faulty(
            "E085",
            problem=f"Behind the dotted path {words[0]} stands something else.",
            remedy="Put a # before it if it is to be the revision, or a second patch into a line"
            " of its own.",
        )
    return Faulty(
        "E085",
        problem=f"{_short(code)} is neither a dotted path nor a statement.",
        remedy="Write a path such as shop.patches.fill_slugs, or execute: and a Python statement.",
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
