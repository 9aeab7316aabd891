"""Does what a page of the documentation tells its reader to do, and compares what comes out.

A ``code-block`` with a caption is a file; one of ``console`` holds commands after ``$`` and their
output. ``python -m tests.project.docs.replay docs/tutorial.rst`` writes the output anew into the
page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.remotes import serving

APPENDED = " (at its end)"
#: What a reader does once for the machine; the tests have an environment already.
NOT_REPLAYED = ("python -m venv", "python -m pip", "source ", "git clone", "kinto start")
#: Where the reader's Kinto is; here one is at another address.
KINTO = "http://127.0.0.1:8888"
#: Variables of the test run that are none of the reader.
OWN = ("DJANGO", "PYTHON")
VARYING = (
    (re.compile(r"\d+\.\d+s\b"), "0.0s"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "2026-01-31 14:05"),
    (re.compile(r"(?<=  )\d\d:\d\d(?=  )"), "14:05"),
    (re.compile(r"(?m)[ \t]+"), " "),
)


@dataclass(frozen=True)
class Block:
    """A code block: its language, its caption, its lines, and where they begin in the page."""

    language: str
    caption: str
    lines: list[str]
    start: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip("\n") + "\n"


@dataclass
class Command:
    """A command line and the output that the page promises."""

    line: str
    output: list[str] = field(default_factory=list)


def blocks(page: Path) -> Iterator[Block]:
    """Every ``code-block`` of the page, in order."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        if match := re.match(r"\.\. code-block:: (\S+)$", line):
            options, start = _options(lines, number + 1)
            end = start
            while end < len(lines) and (not lines[end] or lines[end].startswith("   ")):
                end += 1
            while not lines[end - 1]:
                end -= 1
            body = [text[3:] for text in lines[start:end]]
            yield Block(match[1], options.get("caption", ""), body, start)


def _options(lines: list[str], number: int) -> tuple[dict[str, str], int]:
    options = {}
    while match := re.match(r"   :([\w-]+): ?(.*)$", lines[number]):
        options[match[1]] = match[2]
        number += 1
    while not lines[number]:
        number += 1
    return options, number


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a backslash at the end of a line continues it."""
    found: list[Command] = []
    continued = False
    for line in block.lines:
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif continued:
            found[-1].line += f"\n{line}"
        else:
            found[-1].output.append(line)
        continued = line.endswith("\\") and (line.startswith("$ ") or continued)
    return found


class Reader:
    """Somebody who follows a page in an empty folder, with a Kinto at ``kinto``."""

    def __init__(self, folder: Path, kinto: str = KINTO) -> None:
        self.folder = folder
        self.kinto = kinto
        self._place = folder
        self._exit_code = 0

    def save(self, block: Block) -> None:
        """Write the block's file, or add to it where the caption says so."""
        path = self._place / block.caption.removesuffix(APPENDED)
        before = f"{path.read_text()}\n" if block.caption.endswith(APPENDED) else ""
        path.write_text(before + block.text.replace(KINTO, self.kinto))

    def run(self, line: str) -> str:
        """Run the line where the last one left off; return its output as a terminal shows it."""
        if line.startswith(NOT_REPLAYED):
            return ""
        place = self.folder / ".place"
        script = f'(exit {self._exit_code})\n{line}\ncode=$?\npwd > "{place}"\nexit $code'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._place,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._exit_code = done.returncode
        self._place = Path(place.read_text().strip())
        return done.stdout.rstrip("\n").replace(self.kinto, KINTO)


def _environment() -> dict[str, str]:
    """That of the tests, less what is theirs; the reader is called ada."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {
        "PATH": programs,
        "LOGNAME": "ada",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def same(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def refresh(page: Path) -> None:
    """Follow the page and write the real output of every command into it."""
    lines = page.read_text().splitlines()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kinto = KINTO
        if any(KINTO in line for line in lines):
            kinto = stack.enter_context(serving("kinto", "0", folder))
        reader = Reader(folder, kinto)
        replaced: list[tuple[Block, list[str]]] = []
        for block in blocks(page):
            if block.language == "console":
                replaced.append((block, list(_transcript(reader, block))))
            elif block.caption:
                reader.save(block)
    for block, transcript in reversed(replaced):
        indented = [f"   {line}".rstrip() for line in transcript]
        lines[block.start : block.start + len(block.lines)] = indented
    page.write_text("\n".join(lines) + "\n")


def _transcript(reader: Reader, block: Block) -> Iterator[str]:
    for command in commands(block):
        first, *others = command.line.split("\n")
        yield f"$ {first}"
        yield from others
        if output := reader.run(command.line):
            yield from output.splitlines()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name))
