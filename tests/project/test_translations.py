"""The German translation is complete, compiled, and leaves the words of other apps alone."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import django

import data_migration
from data_migration import outcomes

PACKAGE = Path(data_migration.__file__).resolve().parent
FOLDER = PACKAGE / "locale" / "de" / "LC_MESSAGES"
#: Django's own pages have these words: its translation is used.
DJANGOS = {"Home", "Show all", "checksum"}


def catalog(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        texts = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in texts.items() if isinstance(key, str) and key}


def written() -> set[str]:
    """The texts without a plural in the package's modules and templates."""
    found: set[str] = set()
    call = re.compile(r'(?<![\w.])(?:_|gettext)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)')
    for path in PACKAGE.rglob("*.py"):
        for text in call.findall(path.read_text()):
            found.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)))
    tag = re.compile(r'{% translate "([^"]+)"(?: context "([^"]+)")? %}')
    for path in (PACKAGE / "templates").rglob("*.html"):
        for text, context in tag.findall(path.read_text()):
            found.add(f"{context}\x04{text}" if context else text)
    return found


def test_every_text_is_translated() -> None:
    known = catalog(FOLDER / "django.mo").keys() | DJANGOS
    assert sorted(written() - known) == []


def test_the_compiled_translation_is_that_of_the_source() -> None:
    lines = (FOLDER / "django.po").read_text()
    assert "fuzzy" not in lines
    assert not re.search(r'^msgstr(\[\d\])? ""\n(?!")', lines.split("\n\n", 1)[1], re.MULTILINE)
    compiled = catalog(FOLDER / "django.mo")
    for text in ("pending", "Data migration", "Rehearse"):
        assert f'msgid "{text}"\nmsgstr "{compiled[text]}"' in lines


def test_the_words_of_django_are_left_alone() -> None:
    ours = catalog(FOLDER / "django.mo")
    for path in Path(django.__file__).parent.rglob("locale/de/LC_MESSAGES/django.mo"):
        theirs = catalog(path)
        changed = {key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]}
        assert changed == set(), path


def test_every_state_and_mode_has_its_word() -> None:
    ours = catalog(FOLDER / "django.mo")
    modes = (outcomes.Mode, outcomes.MessageKind)
    for choices in (outcomes.RunStatus, outcomes.PatchState, *modes):
        assert {str(label) for label in choices.labels} <= ours.keys()
