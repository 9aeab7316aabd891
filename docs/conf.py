"""How Sphinx builds this documentation. Needs no network."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = "django-migrate-legacy"
author = "the django-migrate-legacy authors"
project_copyright = "2026, the django-migrate-legacy authors"
_source = (ROOT / "data_migration" / "__init__.py").read_text()
release = re.findall(r'^__version__ = "(.+)"$', _source, re.MULTILINE)[0]

extensions: list[str] = []
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False
highlight_language = "python"

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
