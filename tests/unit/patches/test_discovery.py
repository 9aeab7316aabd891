"""Which patches are found, what they are called, and in which order they run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import WARNING

from data_migration.exceptions import SpecError, UnknownLabel
from data_migration.patches import Context
from data_migration.patches.digest import digest_of
from data_migration.patches.discovery import discover, find
from tests.support.specs import App, NewApp
from tests.unit.patches.finding import faults_of, labels_of, patches_of

ONE = """
from data_migration.patches import Patch, patch

@patch
def second(ctx):
    "Comes second in the alphabet and first in the file."
    ctx.log("done")

class FirstOne(Patch):
    '''Do it.

    And more.
    '''
    def execute(self):
        self.ctx.log("done")
"""
FRAPPES = "def execute():\n    pass\n"


def run(app: App, label: str) -> list[str]:
    """What a patch that is done as a whole logs."""
    said: list[str] = []
    ctx = Context(apps=apps, database="default", log=said.append)
    discover()[label].patch(ctx).execute()
    return said


# ---------------------------------------------------------------- modules


def test_patches_of_a_module_come_in_the_order_of_definition(new_app: NewApp) -> None:
    app = new_app("shops", patches=ONE)
    found = patches_of(app)
    assert [each.label for each in found] == ["shops.second", "shops.first_one"]
    assert [each.title for each in found] == [
        "Comes second in the alphabet and first in the file.",
        "Do it.",
    ]
    assert [each.place for each in found] == [
        f"{app.folder / 'patches.py'}, line 4",
        f"{app.folder / 'patches.py'}, line 9",
    ]
    assert {each.revision for each in found} == {"1"}
    assert {each.phase for each in found} == {None}
    assert {each.folder for each in found} == {app.folder}
    assert run(app, "shops.second") == run(app, "shops.first_one") == ["done"]


def test_modules_of_a_package_come_by_name_numbers_as_numbers(new_app: NewApp) -> None:
    names = ("v10/b.py", "v9/b.py", "v9/a.py", "later.py", "2_x.py", "10_x.py")
    files = {
        f"patches/{name}": "from data_migration.patches import patch\n"
        f"@patch(name='{name[:-3].replace('/', '_')}')\ndef fill(ctx): pass\n"
        for name in names
    }
    found = labels_of(new_app("shops", files=files))
    assert found == [f"shops.{name}" for name in ("2_x", "10_x", "later", "v9_a", "v9_b", "v10_b")]


def test_an_app_without_patches_is_fine(new_app: NewApp) -> None:
    assert labels_of(new_app("plain")) == []


def test_a_package_that_is_not_ours_is_not_even_imported(new_app: NewApp) -> None:
    app = new_app("theirs", patches="raise RuntimeError('imported')\n")
    assert labels_of(app) == []


def test_base_classes_and_what_is_imported_are_no_patches(new_app: NewApp) -> None:
    base = "from data_migration.patches import Patch\n"
    text = base + (
        "from .helpers import Helper\n"
        "class Base(Patch):\n    pass\n"
        "class _Hidden(Patch):\n    def execute(self): pass\n"
        "class One(Base):\n    def execute(self): pass\n"
        "class Two(Helper):\n    pass\n"
        "Same = One\n"
    )
    helpers = base + "class Helper(Patch):\n    def execute(self): pass\n"
    app = new_app("shops", patches=text, helpers=helpers)
    assert labels_of(app) == ["shops.one", "shops.two"]


def test_a_lazy_object_is_not_asked_what_it_is(new_app: NewApp) -> None:
    text = ONE + (
        "from django.utils.functional import SimpleLazyObject\n"
        "lazy = SimpleLazyObject(lambda: 1 / 0)\nexecute = lazy\n"
    )
    assert len(labels_of(new_app("shops", patches=text))) == 2


def test_tests_in_the_package_are_left_alone(new_app: NewApp) -> None:
    files = {"patches/one.py": ONE, "patches/tests/test_one.py": "raise RuntimeError"}
    assert len(labels_of(new_app("shops", files=files))) == 2


def test_a_patch_of_a_variable_is_called_like_it(new_app: NewApp) -> None:
    text = "from data_migration.patches import *\ncountries = LoadFixture('countries.json')\n"
    files = {"patches.py": text, "fixtures/countries.json": "[]"}
    (found,) = patches_of(new_app("shops", files=files))
    assert (found.label, found.title) == ("shops.countries", "Load countries.json.")


def test_a_function_gets_the_context_where_it_asks_for_it(new_app: NewApp) -> None:
    text = (
        "from data_migration.patches import patch\n"
        "log = []\n"
        "@patch\ndef none(): log.append(())\n"
        "@patch\ndef one(context): log.append(context.database)\n"
        "@patch\ndef given(ctx=None): log.append(ctx.database)\n"
        "@patch\ndef other(force=False): log.append(force)\n"
    )
    app = new_app("shops", patches=text)
    for each in patches_of(app):
        each.patch(Context(apps=apps, database="default")).execute()
        module: Any = __import__(f"{app.name}.patches").patches
    assert module.log == [(), "default", "default", False]


# ---------------------------------------------------------------- patches.txt


def test_an_app_as_frappe_has_them_is_read_unchanged(frappe_shaped: App) -> None:
    found = patches_of(frappe_shaped)
    assert find().faults == ()
    assert [(each.name, each.revision, each.phase, each.title) for each in found] == [
        ("v12_0.drop_old_tags", "1", "before", "Tags that nobody wants."),
        (
            "execute_63aedaf2",
            "2019-01-31",
            "before",
            'apps.get_model("shop", "Tag").objects.filter(name="gone").delete()',
        ),
        ("v12_0.name_tags@1", "1", "after", "Give a name to tags without one."),
        ("v12_0.add_tag", "2020-06-27", "after", ""),
        ("v13_0.trim_tags", "1", "after", ""),
        (
            "execute_aa045b84",
            "second try",
            "after",
            'tests.apps.shop.models.Tag.objects.filter(name="# of none").delete()',
        ),
        (
            "execute_68e38a48",
            "1",
            "after",
            'from tests.apps.shop.models import Tag; Tag.objects.get_or_create(name="sale")',
        ),
        ("v12_0.name_tags", "1 1", "after", "Give a name to tags without one."),
    ]
    assert found[0].place == f"{frappe_shaped.folder / 'patches.txt'}, line 3"


def test_a_line_names_a_module_a_function_a_patch_or_a_module_of_ours(new_app: NewApp) -> None:
    files = {
        "patches/v1/plain.py": FRAPPES,
        "patches/v1/functions.py": "def clean():\n    'Clean up.'\n",
        "patches/ours.py": ONE,
        "patches/more.py": ONE.replace("FirstOne", "Third").replace("second", "fourth"),
        "tasks.py": FRAPPES,
        "patches.txt": "APP.patches.v1.plain\nAPP.patches.v1.functions.clean\n"
        "APP.patches.ours.FirstOne\nAPP.patches.ours.second\nAPP.patches.more\nAPP.tasks\n",
    }
    app = new_app("shops", files=files)
    assert [each.name.replace(app.name, "APP") for each in patches_of(app)] == [
        "v1.plain",
        "v1.functions.clean",
        "first_one",
        "second",
        "fourth",
        "third",
        "APP.tasks",
    ]


def test_a_comment_is_the_revision_and_is_added_to_that_of_a_patch_of_ours(
    new_app: NewApp,
) -> None:
    txt = (
        "APP.patches.v1.plain #2020\nAPP.patches.v1.one #1\nAPP.patches.ours # try  2\n"
        f"APP.patches.v1.long #{'x' * 200}\nexecute:int() #1 1\n"
    )
    ours = "from data_migration.patches import patch\n@patch(revision=3)\ndef fill(): pass\n"
    files = {f"patches/v1/{name}.py": FRAPPES for name in ("plain", "one", "long")}
    app = new_app("shops", files={**files, "patches/ours.py": ours, "patches.txt": txt})
    revisions = [each.revision for each in patches_of(app)]
    assert revisions[:3] == ["2020", "1 1", "3 try 2"]
    assert len(revisions[3]) == 100
    assert revisions[4] == "1 1 1"


def test_the_section_says_the_phase_where_a_patch_does_not(new_app: NewApp) -> None:
    ours = (
        "from data_migration.patches import patch\n"
        "@patch\ndef one(): pass\n@patch(phase='after')\ndef two(): pass\n"
    )
    txt = "[pre_model_sync]\nAPP.patches\n"
    app = new_app("shops", files={"patches.py": ours, "patches.txt": txt})
    assert [each.phase for each in patches_of(app)] == ["before", "after"]
    assert faults_of(app) == [
        (
            "W087",
            "patches.txt, line 2",
            "phase is 'after', and the section says 'before': phase counts.",
        )
    ]


#: The digest of "x y".
XY = "2b6fd743"


def test_a_line_that_is_written_again_runs_again_in_its_place(new_app: NewApp) -> None:
    """Each is known by one name, whichever lines are there when it runs."""

    def read(lines: str) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        (app.folder / "patches.txt").write_text(lines.replace("APP", app.name))
        found = patches_of(app)
        return [(each.name, each.revision, each.replaces, each.depends_on) for each in found]

    app = new_app("shops", files={"patches/a.py": FRAPPES, "patches/b.py": FRAPPES})
    assert read("APP.patches.a\n") == [("a", "1", (), ())]
    assert read("APP.patches.a\nAPP.patches.b\nAPP.patches.a #x y\n") == [
        ("a@1", "1", ("shops.a",), ()),
        ("b", "1", (), ()),
        ("a", "x y", (), ("shops.a@1",)),
    ]
    assert read("APP.patches.a\nAPP.patches.a #x y\nAPP.patches.a #3\n") == [
        ("a@1", "1", ("shops.a",), ()),
        (f"a@x_y-{XY}", "x y", ("shops.a",), ("shops.a@1",)),
        ("a", "3", (), (f"shops.a@x_y-{XY}",)),
    ]
    assert read("APP.patches.a #x y\n") == [("a", "x y", (), ())]
    long = read(f"APP.patches.a #{'for patch:shop.x/shop.Item ' * 9}\nAPP.patches.a\n")
    assert re.fullmatch(r"a@for_patch_shop.x_sho-[0-9a-f]{8}", long[0][0])


def test_what_is_listed_is_all(new_app: NewApp) -> None:
    files = {
        "patches/one.py": ONE,
        "patches/two.py": ONE,
        "patches/three.py": FRAPPES,
        "patches.txt": "APP.patches.one.FirstOne\n",
    }
    app = new_app("shops", files=files)
    assert labels_of(app) == ["shops.first_one"]
    assert [(number, about) for number, about, _ in faults_of(app)] == [
        ("W081", "shops.patches.one.second"),
        ("W081", "shops.patches.two"),
        ("W080", "shops"),
    ]


def test_a_line_with_a_fault_is_no_patch_and_others_are(new_app: NewApp) -> None:
    app = new_app("shops", files={"patches.txt": "nowhere.at.all\nexecute:int()\n"})
    assert [each.revision for each in find().patches] == ["1"]
    with pytest.raises(SpecError) as caught:
        discover()
    assert str(caught.value) == (
        "The patches have faults, nothing was run:\n"
        f"  {app.folder / 'patches.txt'}, line 1: (data_migration.E089) There is no module"
        " 'nowhere'.\n"
        "\tHINT: Write the whole path, as for an import: shop.patches.fill_slugs."
    )


def test_a_silenced_fault_stops_nothing(new_app: NewApp, settings: Any) -> None:
    settings.SILENCED_SYSTEM_CHECKS = ["data_migration.E089"]
    new_app("shops", files={"patches.txt": "nowhere.at.all\nexecute:int()\n"})
    assert len(discover()) == 1


# ---------------------------------------------------------------- order, names


def test_apps_come_as_they_are_installed_and_dependencies_first(new_app: NewApp) -> None:
    text = "from data_migration.patches import patch\n"
    zoo = new_app(
        "zoo",
        patches=text
        + "@patch(depends_on=['ark.two'])\ndef one(): pass\n@patch\ndef two(): pass\n"
        + "@patch(depends_on=['one'])\ndef three(): pass\n",
    )
    ark = new_app("ark", patches=text + "@patch\ndef one(): pass\n@patch\ndef two(): pass\n")
    assert labels_of(zoo, ark) == ["zoo.two", "ark.one", "ark.two", "zoo.one", "zoo.three"]


def test_names_without_an_app_are_of_its_own(new_app: NewApp) -> None:
    text = "from data_migration.patches import patch\n"
    app = new_app(
        "shops",
        patches=text + "@patch(replaces=['old', 'former.name'])\ndef one(): pass\n",
    )
    assert patches_of(app)[0].replaces == ("shops.old", "former.name")


def test_select_takes_apps_and_labels(new_app: NewApp) -> None:
    app, other = new_app("shops", patches=ONE), new_app("other", patches=ONE)
    found = discover()
    assert [each.label for each in found.select(["shops", "other.second"])] == [
        "shops.second",
        "shops.first_one",
        "other.second",
    ]
    assert len(found.select()) == len(found) == 4
    assert "shops.second" in found
    assert "shops.third" not in found
    assert found["other.second"].app_label == other.label != app.label
    with pytest.raises(
        UnknownLabel, match=r"No app or patch is called 'shops.secnd'. Did you mean"
    ):
        found.select(["shops.secnd"])


# ---------------------------------------------------------------- digests


def digest(app: App, text: str, **files: str) -> str:
    import sys

    sys.modules.pop(f"{app.name}.patches", None)
    (app.folder / "patches.py").write_text(text)
    (found,) = patches_of(app)
    return digest_of(found)


CLASS = """
from data_migration.patches import Patch

class Fill(Patch):
    watches = ["names.txt"]

    def execute(self):
        self.ctx.log("one # two")
"""


def test_a_digest_ignores_comments_and_blanks_and_nothing_else(new_app: NewApp) -> None:
    app = new_app("shops", files={"names.txt": "a"})
    before = digest(app, CLASS)
    assert before == "c22172408b609c305eab54d450900930"  # whichever Python reads it
    layout = "# new\n" + CLASS.replace('")\n', '")   # said\n\n').replace("\n", "\r\n")
    assert digest(app, layout) == before
    assert digest(app, CLASS.replace("# two", "# three")) != before
    assert digest(app, CLASS.replace("log(", "log(*")) != before


def test_a_digest_changes_with_the_files_that_are_watched(new_app: NewApp) -> None:
    app = new_app("shops", files={"names.txt": "a"})
    before = digest(app, CLASS)
    (app.folder / "names.txt").write_text("b")
    assert digest(app, CLASS) != before


def test_a_digest_is_of_the_function_the_statement_or_the_whole_module(new_app: NewApp) -> None:
    txt = "APP.patches.v1\nAPP.patches.f.clean\nexecute:int( 1) #x\n"
    files = {"patches/v1.py": FRAPPES, "patches/f.py": "def clean(): pass\n", "patches.txt": txt}
    app = new_app("shops", files=files)

    def digests() -> list[str]:
        import sys

        for name in ("v1", "f"):
            sys.modules.pop(f"{app.name}.patches.{name}", None)
        return [digest_of(each) for each in patches_of(app)]

    before = digests()
    (app.folder / "patches" / "v1.py").write_text(f"HELP = 1\n{FRAPPES}")
    (app.folder / "patches" / "f.py").write_text("HELP = 1\ndef clean(): pass\n")
    (app.folder / "patches.txt").write_text(
        txt.replace("APP", app.name).replace("int( 1)", "int(  1)")
    )
    after = digests()
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_a_digest_of_a_fixture_is_that_of_its_file(new_app: NewApp) -> None:
    text = "from data_migration.patches import *\ncountries = LoadFixture('countries.json')\n"
    app = new_app("shops", files={"fixtures/countries.json": "[]"})
    before = digest(app, text)
    assert digest(app, f"class Fixture: pass\n{text}") == before
    (app.folder / "fixtures" / "countries.json").write_text("[ ]")
    assert digest(app, text) != before


def test_every_patch_of_the_project_is_found_without_a_fault() -> None:
    assert [each for each in find().faults if each.level >= WARNING] == []
