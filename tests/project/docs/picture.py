"""Draws docs/images/demo.svg: commands of the demo project, really run, as a terminal shows them.

``python -m tests.project.docs.picture`` draws it anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from testapp.legacy import build
from tests.support.paths import ROOT

PICTURE = ROOT / "docs" / "images" / "demo.svg"
COMMANDS = (
    "migrate_legacy --plan",
    "migrate_legacy --commit --on-error continue 2> rows-that-failed.txt",
    "show_legacy --messages --all",
)
CHARACTER, LINE, MARGIN = 7.2, 17, 18


def transcript() -> list[str]:
    """The lines of a terminal in which the commands are run on a new demo."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder, "legacy.sqlite3"))
        _shell("migrate --verbosity 0", folder)
        lines: list[str] = []
        for command in COMMANDS:
            lines += [f"$ python manage.py {command}", *_shell(command, folder).splitlines(), ""]
        return lines[:-1]


def _shell(command: str, folder: str) -> str:
    files = {"DEMO_DATABASE": f"{folder}/demo.sqlite3", "DEMO_LEGACY": f"{folder}/legacy.sqlite3"}
    line = f'"{sys.executable}" "{ROOT / "manage.py"}" {command}'
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=kept | files,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def draw(lines: list[str]) -> str:
    """The lines as an SVG picture of a dark terminal, legible on any page."""
    width = max(map(len, lines)) * CHARACTER + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN
    texts = [_text(line, number) for number, line in enumerate(lines, 1) if line]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}"'
            f' width="{width:.0f}" height="{height}" role="img">',
            "<title>The demo in a terminal</title>",
            f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#1c2128"/>',
            "<g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\""
            ' font-size="12" fill="#d3dae3">',
            *texts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _text(line: str, number: int) -> str:
    colour = ' fill="#7ee2a8"' if line.startswith("$ ") else ""
    # The length keeps columns straight whatever font the reader has.
    return (
        f'<text x="{MARGIN}" y="{MARGIN + number * LINE - 5}" xml:space="preserve"'
        f' textLength="{len(line) * CHARACTER:.1f}"{colour}>{escape(line)}</text>'
    )


def drawn() -> list[str]:
    """The lines of text in the picture as it is."""
    found = re.findall(r"<text [^>]*>([^<]*)</text>", PICTURE.read_text())
    return [line.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&") for line in found]


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(transcript()))
