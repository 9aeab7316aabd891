"""A ``patches.txt`` as people keep it: lines that come, change, are repeated and go."""

from __future__ import annotations

import pytest

from data_migration.models import PatchRecord
from data_migration.outcomes import Mode, PatchState
from data_migration.patches.discovery import discover
from data_migration.patches.options import PatchOptions
from data_migration.patches.records import standings
from data_migration.patches.runner import run_patches
from tests.apps.shop.models import Tag
from tests.support.specs import App, NewApp

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = {
    f"patches/{name}.py": "from tests.apps.shop.models import Tag\n"
    f"def execute():\n    Tag.objects.create(name='{name}')\n"
    for name in ("a", "b")
}


def ran(app: App, *lines: str) -> list[str]:
    """What runs when the list has these lines, in order."""
    txt = "".join(f"{line}\n" for line in lines).replace("APP", f"{app.name}.patches")
    (app.folder / "patches.txt").write_text(txt)
    Tag.objects.all().delete()
    done = run_patches(discover(), PatchOptions(mode=Mode.COMMIT))
    assert done.error is None
    assert {each.state for each in standings(discover(), database="default")} == {PatchState.DONE}
    return list(Tag.objects.order_by("pk").values_list("name", flat=True))


def test_a_line_runs_once_and_again_with_another_comment(new_app: NewApp) -> None:
    app = new_app("lists", files=NAMES)
    assert ran(app, "APP.a") == ["a"]
    assert ran(app, "APP.a", "APP.b") == ["b"]
    assert ran(app, "APP.a #1", "APP.b") == ["a"]
    assert ran(app, "  # a comment", "APP.a  #  1 ", "", "APP.b") == []
    assert ran(app, "APP.b", "APP.a #2") == ["a"]
    assert ran(app, "APP.b") == []
    assert ran(app, "APP.b", "APP.a #2") == []


def test_a_repeated_line_runs_where_it_stands_whichever_ran_before(new_app: NewApp) -> None:
    app = new_app("lists", files=NAMES)
    assert ran(app, "APP.a") == ["a"]
    assert ran(app, "APP.a", "APP.b", "APP.a #2") == ["b", "a"]
    assert ran(app, "APP.a", "APP.b", "APP.a #2", "APP.a #3") == ["a"]
    assert ran(app, "APP.b", "APP.a #3") == []


def test_where_nothing_ran_before_a_repeated_line_runs_twice(new_app: NewApp) -> None:
    app = new_app("lists", files=NAMES)
    assert ran(app, "APP.a", "APP.b", "APP.a #2") == ["a", "b", "a"]
    assert ran(app, "APP.a", "APP.b", "APP.a #2") == []
    assert ran(app, "APP.b", "APP.a #2") == []


def test_a_statement_is_known_by_its_words(new_app: NewApp) -> None:
    app = new_app("lists", files=NAMES)
    line = "execute:tests.apps.shop.models.Tag.objects.create(name='x # y')"
    assert ran(app, line) == ["x # y"]
    assert ran(app, line.replace(":", ":  ") + "  ") == []
    assert ran(app, f"{line} # again") == ["x # y"]
    assert ran(app, f"{line} #  again") == []
    assert ran(app, line.replace("y", "z")) == ["x # z"]


def test_an_app_as_frappe_has_them_runs_unchanged_and_once(frappe_shaped: App) -> None:
    for name in ("old one", "gone", "", " blue ", "# of none"):
        Tag.objects.create(name=name)
    rehearsed = run_patches(discover(), PatchOptions())
    assert rehearsed.error is None
    assert Tag.objects.filter(name="gone").exists()
    assert not PatchRecord.objects.exists()
    done = run_patches(discover(), PatchOptions(mode=Mode.COMMIT))
    assert done.error is None
    assert set(done.states.values()) == {PatchState.DONE}
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["added", "blue", "none", "sale"]
    assert run_patches(discover(), PatchOptions(mode=Mode.COMMIT)).run is None


@pytest.mark.parametrize(
    ("line", "place"),
    [("APP.broken", "patches/broken.py, line 2"), ("execute:int('x')", "patches.txt, line 2")],
)
def test_what_fails_is_told_with_its_line(new_app: NewApp, line: str, place: str) -> None:
    broken = "def helper():\n    int('x')\n\ndef execute():\n    helper()\n"
    txt = f"# x\n{line.replace('APP', 'APP.patches')}\n"
    app = new_app("lists", files={"patches/broken.py": broken, "patches.txt": txt})
    done = run_patches(discover(), PatchOptions(mode=Mode.COMMIT))
    (problem,) = done.problems()
    label = next(iter(done.states))
    assert problem.startswith(f"{label}, {app.folder}/{place}: ValueError: invalid literal")
    assert PatchRecord.objects.get().reason == problem
