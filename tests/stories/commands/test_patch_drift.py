"""What becomes of a patch that ran when somebody renames, moves or edits it: as documented."""

from __future__ import annotations

import json
import linecache
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.apps.shop.models import Tag
from tests.support.specs import App, NewApp

from .patches import run, show

pytestmark = pytest.mark.django_db

MARK = """
from data_migration.patches import Patch
from tests.apps.shop.models import Tag

class {name}(Patch):
    {said}split = False
    watches = ["words.txt"]

    def execute(self):
        Tag.objects.create(name="{text}")
"""
FUNCTION = """
from data_migration.patches import patch
from tests.apps.shop.models import Tag

{decorator}
def {name}(ctx):
    Tag.objects.create(name="mark")
"""
FRAPPES = {
    "patches/v12_0/mark.py": "from tests.apps.shop.models import Tag\n\n\n"
    "def execute():\n    Tag.objects.create(name='mark')\n"
}
LINE = "APP.patches.v12_0.mark"


def mark(name: str = "Mark", said: str = "", text: str = "mark") -> str:
    return MARK.format(name=name, said=said and f"{said}\n    ", text=text)


def function(decorator: str = "@patch", name: str = "mark") -> str:
    return FUNCTION.format(decorator=decorator, name=name)


def fixture(name: str) -> str:
    return json.dumps([{"model": "shop.tag", "pk": 900, "fields": {"name": name}}])


WATCHED = {"words.txt": "old"}
PLAIN = {**WATCHED, "patches.py": mark()}
LOADED = "from data_migration.patches import LoadFixture\n\nmark = LoadFixture('tags.json')\n"


@dataclass(frozen=True)
class Change:
    """``states`` by label after it; ``runs`` is whether the next run has something to do.

    ``elsewhere`` are the files of another app, ``another``.
    """

    after: Mapping[str, str]
    states: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=lambda: PLAIN)
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        return "pending" in self.states.values()


DONE = {"words.mark": "done"}
CHANGED = {"words.mark": "changed_since"}
PENDING = {"words.mark": "pending"}
CHANGES = {
    "nothing": Change(PLAIN, DONE),
    "a comment": Change(
        {**WATCHED, "patches.py": mark().replace("watches", "# of these\n\n    watches")}, DONE
    ),
    "its code": Change({**WATCHED, "patches.py": mark(text="other")}, CHANGED),
    "its code, with rerun": Change(
        {**WATCHED, "patches.py": mark(said='on_change = "rerun"', text="other")}, PENDING
    ),
    "a watched file": Change({**PLAIN, "words.txt": "new"}, CHANGED),
    "a watched file, with rerun": Change(
        {**WATCHED, "patches.py": mark(said='on_change = "rerun"'), "words.txt": "new"},
        PENDING,
        before={**WATCHED, "patches.py": mark(said='on_change = "rerun"')},
    ),
    "its revision": Change({**WATCHED, "patches.py": mark(said="revision = 2")}, PENDING),
    "renamed": Change({**WATCHED, "patches.py": mark("Label")}, {"words.label": "pending"}),
    "renamed, its name said": Change(
        {**WATCHED, "patches.py": mark("Label", 'name = "mark"')},
        DONE,
    ),
    "renamed, with replaces": Change(
        {
            **WATCHED,
            "patches.py": mark("Label", 'replaces = ["mark"]'),
        },
        {"words.label": "done"},
    ),
    "renamed and edited, with replaces": Change(
        {**WATCHED, "patches.py": mark("Label", 'replaces = ["mark"]', "other")},
        {"words.label": "changed_since"},
    ),
    "renamed function, with replaces": Change(
        {"patches.py": function('@patch(replaces=["mark"])', "label")},
        {"words.label": "done"},
        before={"patches.py": function()},
    ),
    "renamed function with others, with replaces": Change(
        {"patches.py": function('@patch(replaces=["mark"], critical=True)', "label")},
        {"words.label": "done"},
        before={"patches.py": function("@patch(critical=True)")},
    ),
    "moved in its app": Change({**WATCHED, "patches/later.py": mark()}, DONE),
    "moved to another app": Change(
        {},
        {"another.mark": "done"},
        before={"patches.py": function()},
        elsewhere={"patches.py": function('@patch(replaces=["words.mark"])')},
    ),
    "gone": Change({}, {}),
    "a fixture": Change(
        {"patches.py": LOADED, "fixtures/tags.json": fixture("new")},
        PENDING,
        before={"patches.py": LOADED, "fixtures/tags.json": fixture("old")},
    ),
    "the comment of its line": Change(
        {**FRAPPES, "patches.txt": f"{LINE} # again\n"},
        {"words.v12_0.mark": "pending"},
        before={**FRAPPES, "patches.txt": f"{LINE}\n"},
    ),
    "the section of its line": Change(
        {**FRAPPES, "patches.txt": f"[pre_model_sync]\n\n{LINE}\n"},
        {"words.v12_0.mark": "done"},
        before={**FRAPPES, "patches.txt": f"{LINE}\n"},
    ),
    "the code of its module": Change(
        {
            **{name: text.replace("'mark'", "'other'") for name, text in FRAPPES.items()},
            "patches.txt": f"{LINE}\n",
        },
        {"words.v12_0.mark": "changed_since"},
        before={**FRAPPES, "patches.txt": f"{LINE}\n"},
    ),
}


def rewrite(app: App, files: Mapping[str, str]) -> None:
    """The app's patches are these files from now on, as after a pull and a restart."""
    for name in ("patches.py", "patches.txt", "words.txt"):
        (app.folder / name).unlink(missing_ok=True)
    shutil.rmtree(app.folder / "patches", ignore_errors=True)
    for folder in app.folder.rglob("__pycache__"):
        shutil.rmtree(folder)
    for module in [each for each in sys.modules if each.startswith(f"{app.name}.patches")]:
        del sys.modules[module]
    for name, text in files.items():
        path = app.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("APP", app.name))
        for folder in path.relative_to(app.folder).parents:
            (app.folder / folder / "__init__.py").touch()
    linecache.checkcache()


def states() -> dict[str, str]:
    document = json.loads(show("--format", "json").out)
    found = {each["patch"]: each["state"] for each in document["patches"]}
    return {label: state for label, state in found.items() if label[:5] in ("words", "anoth")}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changed_of_a_patch_that_ran(new_app: NewApp, change: Change) -> None:
    app = new_app("words", files=change.before)
    other = new_app("another")
    assert run("--commit").code == 0
    assert run("--check").code == 0
    Tag.objects.all().delete()

    rewrite(app, change.after)
    rewrite(other, change.elsewhere)

    assert states() == change.states
    is_drift = bool(set(change.states.values()) & {"pending", "changed_since"})
    assert run("--check").code == int(is_drift)
    assert run("--commit").code == 0
    assert Tag.objects.exists() == change.runs
    assert run("--check").code == int("changed_since" in change.states.values())
