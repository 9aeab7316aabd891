"""Every fault of a patch or a ``patches.txt``: its id, its place, and what it says."""

from __future__ import annotations

import sys
from inspect import get_annotations
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from data_migration.checks import TAG
from data_migration.exceptions import SpecError
from data_migration.patches import Patch
from data_migration.patches.attributes import check_attributes, check_schema_names
from data_migration.patches.definition import Definition
from data_migration.patches.discovery import discover
from data_migration.patches.schema import Schema
from tests.apps.shop.models import Tag
from tests.support.specs import NewApp
from tests.unit.patches.finding import checked

ATTRIBUTES = st.sampled_from(sorted(get_annotations(Patch)))
OURS = "from data_migration.patches import *\nfrom tests.apps.shop.models import Tag\n"
FRAPPES = "def execute():\n    pass\n"


def execute(self: Patch) -> None:
    pass


def queryset(self: Patch) -> Any:
    return Tag.objects.all()


def process(self: Patch, item: Any) -> None:
    pass


def found(folder: Path = Path(), **attributes: Any) -> list[tuple[str, str]]:
    """What is wrong with a patch that has these attributes beside what every one needs."""
    if not attributes.keys() & {"queryset", "process", "process_batch", "execute"}:
        attributes["execute"] = execute
    patch = type("Fill", (Patch,), {"__module__": "shop.patches", **attributes})
    name = attributes.get("name") or "fill"
    definition = Definition(
        app_label="shop",
        name=name,
        revision="1",
        title="",
        patch=patch,
        folder=folder,
        place="shop/patches.py, line 1",
    )
    messages = list(check_attributes(definition))
    assert {message.obj for message in messages} <= {f"shop.{name}"}
    assert all(message.hint for message in messages)
    return [(str(each.id).removeprefix("data_migration."), each.msg) for each in messages]


def only(number: str, messages: list[tuple[str, str]]) -> str:
    assert [each[0] for each in messages] == [number]
    return messages[0][1]


def txt(new_app: NewApp, text: str, **modules: str) -> list[tuple[str, str, str]]:
    """What is wrong with an app that has this patches.txt and these modules of patches."""
    files = {f"patches/{name}.py": content for name, content in modules.items()}
    return checked(new_app("shops", files={**files, "patches.txt": text}))


def lines_told(found: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(number, about) for number, about, _ in found]


# ---------------------------------------------------------------- where they stand


def test_e080_a_module_that_cannot_be_imported(new_app: NewApp) -> None:
    app = new_app("shops", files={"patches/one.py": f"{OURS}\n1 / 0\n", "patches/two.py": OURS})
    ((number, about, sentence),) = checked(app)
    assert (number, about) == ("E080", "shops.patches.one")
    assert sentence == (
        "shops.patches.one cannot be imported: ZeroDivisionError: division by zero"
        " (patches/one.py, line 4)."
    )


def test_e080_a_module_of_a_line_that_imports_what_is_not_there(new_app: NewApp) -> None:
    ((number, about, sentence),) = txt(new_app, "APP.patches.one", one="import nowhere\n")
    assert (number, about) == ("E080", "patches.txt, line 1")
    assert "No module named 'nowhere' (patches/one.py, line 1)" in sentence


def test_e080_a_module_that_cannot_make_the_name(new_app: NewApp) -> None:
    lazy = "def __getattr__(name):\n    raise ImportError('no ' + name)\n"
    ((number, about, sentence),) = txt(new_app, "APP.patches.one.fill\n", one=lazy)
    assert (number, about) == ("E080", "patches.txt, line 1")
    assert sentence.startswith("fill cannot be imported: ImportError: no fill")


def test_e081_an_unknown_section(new_app: NewApp) -> None:
    assert txt(new_app, "# x\n[post_model_synk]\nexecute:int()\n") == [
        (
            "E081",
            "patches.txt, line 2",
            "There is no section [post_model_synk]. Did you mean 'post_model_sync'?",
        )
    ]


def test_e082_a_repeated_section(new_app: NewApp) -> None:
    text = "[pre_model_sync]\n[post_model_sync]\n[pre_model_sync]\n"
    assert txt(new_app, text) == [
        (
            "E082",
            "patches.txt, line 3",
            "The section [pre_model_sync] stands here again, first in line 1.",
        )
    ]


def test_e083_a_line_above_the_first_section(new_app: NewApp) -> None:
    found = txt(new_app, "execute:int()\n[pre_model_sync]\nexecute:str()\n")
    assert lines_told(found) == [("E083", "patches.txt, line 1")]


def test_e084_an_indented_line(new_app: NewApp) -> None:
    assert lines_told(txt(new_app, "execute:int()\r\n\texecute:str()\r\n")) == [
        ("E084", "patches.txt, line 2")
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a.b c", "Behind the dotted path a.b stands something else."),
        ("a.b()", "'a.b()' is neither a dotted path nor a statement."),
        ("x" * 80 + "()", f"'{'x' * 57}...' is neither a dotted path nor a statement."),
        ("finally:a.b", "The word finally: of former versions of Frappe is not known here."),
    ],
)
def test_e085_a_line_that_cannot_be_read(new_app: NewApp, line: str, sentence: str) -> None:
    assert txt(new_app, line) == [("E085", "patches.txt, line 1", sentence)]


def test_e085_a_line_in_another_encoding(new_app: NewApp) -> None:
    content = "execute:int()\nexecute:str('ä')".encode("latin-1")
    assert checked(new_app("shops", files={"patches.txt": content})) == [
        (
            "E085",
            "patches.txt, line 2",
            "The line cannot be read: it is not encoded in UTF-8.",
        )
    ]


def test_e086_two_statements_in_one_line(new_app: NewApp) -> None:
    assert lines_told(txt(new_app, "execute:int() execute:str()")) == [
        ("E086", "patches.txt, line 1")
    ]


def test_e087_nothing_behind_execute(new_app: NewApp) -> None:
    assert lines_told(txt(new_app, "execute: # later")) == [("E087", "patches.txt, line 1")]


def test_e088_a_statement_that_is_no_python(new_app: NewApp) -> None:
    ((number, about, sentence),) = txt(new_app, "\nexecute: int( # x")
    assert (number, about) == ("E088", "patches.txt, line 2")
    assert sentence == "The statement cannot be compiled: '(' was never closed (column 13)."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("APP.patches.on", "There is no 'on' in shops.patches. Did you mean 'one'?"),
        ("APP.patches.one.exeucte", "There is no 'exeucte' in shops.patches.one."),
        ("nowhere.one", "There is no module 'nowhere'."),
        ("execute:nowhere.one()", "There is no module 'nowhere'."),
        ("execute:setings.DEBUG", "There is no module 'setings'. Did you mean 'settings'?"),
    ],
)
def test_e089_a_name_that_is_not_there(new_app: NewApp, line: str, sentence: str) -> None:
    ((number, about, said), *rest) = txt(new_app, line, one="def execute(): pass\n")
    assert (number, about) == ("E089", "patches.txt, line 1")
    assert said.startswith(sentence)
    assert [each[0] for each in rest] == ["W080"]


@pytest.mark.parametrize(
    ("module", "name", "sentence"),
    [
        ("", "", "The module shops.patches.one has no execute() and no patch."),
        (
            "def exeucte(): pass",
            "",
            "The module shops.patches.one has no execute() and no patch. Did you mean 'exeucte'?",
        ),
        ("x = 1", ".x", "shops.patches.one.x is of the type int, which cannot be run."),
        ("class X: pass", ".X", "shops.patches.one.X is a class, which cannot be run."),
        (
            "def execute(a, b): pass",
            "",
            "shops.patches.one.execute() needs the parameters a, b.",
        ),
        ("def f(*, a): pass", ".f", "shops.patches.one.f() needs the parameters a."),
        (
            "async def execute(): pass",
            "",
            "shops.patches.one.execute() is asynchronous, so it would never be waited for.",
        ),
        (
            "def execute(): yield",
            "",
            "shops.patches.one.execute() is a generator, so calling it would do nothing.",
        ),
        (
            f"{OURS}def execute(): pass\n@patch\ndef fill(): pass\n",
            "",
            "The module shops.patches.one has execute() and patches: fill.",
        ),
    ],
)
def test_e090_nothing_to_run(new_app: NewApp, module: str, name: str, sentence: str) -> None:
    found = txt(new_app, f"APP.patches.one{name}", one=module)
    assert found[0] == ("E090", "patches.txt, line 1", sentence)


def test_e091_two_patches_of_one_name(new_app: NewApp) -> None:
    text = f"{OURS}@patch\ndef fill(): pass\n"
    app = new_app("shops", files={"patches/a.py": text, "patches/b.py": text})
    assert checked(app) == [
        (
            "E091",
            "patches/b.py, line 3",
            "The name shops.fill has been taken by the patch in patches/a.py, line 3.",
        )
    ]


def test_e091_names_that_a_database_may_take_for_one(new_app: NewApp) -> None:
    text = f"{OURS}@patch\ndef fill(): pass\n@patch\ndef Fill(): pass\n"
    assert [each[0] for each in checked(new_app("shops", patches=text))] == ["E091"]


def test_e091_a_patch_replaces_one_that_is_still_there(new_app: NewApp) -> None:
    text = f"{OURS}@patch(replaces=['old'])\ndef new(): pass\n@patch\ndef old(): pass\n"
    assert lines_told(checked(new_app("shops", patches=text))) == [("E091", "patches.py, line 3")]


def test_e092_depends_on_no_patch(new_app: NewApp) -> None:
    text = f"{OURS}@patch(depends_on=['fil'])\ndef new(): pass\n@patch\ndef fill(): pass\n"
    assert checked(new_app("shops", patches=text)) == [
        (
            "E092",
            "shops.new",
            "It depends on shops.fil, which is no patch. Did you mean 'shops.fill'?",
        )
    ]


def test_e093_patches_that_wait_for_each_other(new_app: NewApp) -> None:
    text = OURS + "".join(
        f"@patch(depends_on=['{needed}'])\ndef {name}(): pass\n"
        for name, needed in (("zero", "one"), ("one", "two"), ("two", "one"))
    )
    assert checked(new_app("shops", patches=text)) == [
        (
            "E093",
            "shops.zero",
            "These patches wait for each other: shops.one -> shops.two -> shops.one.",
        )
    ]


# ---------------------------------------------------------------- what they say


@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        ("name", [5, "a b", "a/b"]),
        ("revision", ["2", 0, True, 1.5]),
        ("replaces", ["old", [5], [""]]),
        ("needs", ["0007", ["0007"], [("shop",)], [("shop", 7)], ("shop", "0007")]),
        ("before", [[("shop", "0007", "x")]]),
        ("depends_on", ["shop.fill", [execute]]),
        ("phase", ["pre", True, []]),
        ("atomic", ["batch", 1]),
        ("critical", [None, "yes"]),
        ("always", [1]),
        ("writes", [Tag, [5], "shop.Tag"]),
        ("on_change", ["run", None]),
        ("watches", ["names.txt", [5]]),
        ("on_fresh_install", [True]),
    ],
)
def test_e094_a_value_that_an_attribute_cannot_have(attribute: str, values: list[Any]) -> None:
    for value in values:
        sentence = only("E094", found(**{attribute: value}))
        assert sentence.startswith(f"{attribute} has to be ")
        assert sentence.endswith(f"got {value!r}.")


ODD = st.sampled_from([None, True, 0, -1, 1.5, "", "x", b"x", object(), Tag, execute, {}, set()])


@given(st.dictionaries(ATTRIBUTES, st.one_of(ODD, st.lists(ODD), st.lists(st.lists(ODD)))))
def test_no_value_breaks_the_checks(attributes: dict[str, Any]) -> None:
    patch = type("Fill", (Patch,), {"execute": execute, **attributes})
    definition = Definition(
        app_label="shop", name="fill", revision="1", title="", patch=patch, folder=Path(), place=""
    )
    told = [*check_attributes(definition), *check_schema_names([definition])]
    assert {each.obj for each in told} <= {"shop.fill"}


def test_e094_a_value_that_only_matters_with_a_queryset() -> None:
    for name, value in (("batch_size", 0), ("batch_size", "500"), ("split", None)):
        assert only("E094", found(**{name: value}, queryset=queryset, process=process))


def test_e094_a_label_that_the_ledger_has_no_room_for() -> None:
    assert only("E094", found(name="x" * 146)) == (
        f"name has to be so short that the label has 150 characters at most, got '{'x' * 146}'."
    )
    assert found(name="x" * 145) == []


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (("queryset", "process", "execute"), "It has both queryset() and execute()."),
        (
            ("process",),
            "It has process() and no queryset(), so there is nothing to process.",
        ),
        (
            ("queryset", "process", "process_batch"),
            "It has both process() and process_batch().",
        ),
        (("queryset",), "It has queryset() and nothing that processes its objects."),
    ],
)
def test_e095_methods_that_do_not_go_together(methods: tuple[str, ...], sentence: str) -> None:
    known = {"queryset": queryset, "execute": execute}
    assert only("E095", found(**{name: known.get(name, process) for name in methods})) == sentence


def test_e095_a_patch_that_does_nothing(new_app: NewApp) -> None:
    app = new_app("shops", patches=f"{OURS}class Fill(Patch):\n    pass\n")
    assert checked(app) == [
        (
            "E095",
            "shops.fill",
            "It has neither queryset() nor execute(), so there is nothing to run.",
        )
    ]


def test_e095_atomic_false_with_a_queryset() -> None:
    sentence = only("E095", found(queryset=queryset, process=process, atomic=False))
    assert "atomic = False" in sentence
    assert found(atomic=False) == []


def test_e095_a_method_that_would_do_nothing_when_it_is_called() -> None:
    async def late(self: Patch) -> None:
        pass

    def generator(self: Patch) -> Any:
        yield

    for method in (late, generator, 5):
        assert only("E095", found(execute=method)).startswith("execute has to be a method")


def test_e095_a_method_that_cannot_be_called() -> None:
    def alone(item: Any) -> None:
        pass

    def more(self: Patch, item: Any, extra: Any) -> None:
        pass

    for method in (alone, more):
        sentence = only("E095", found(queryset=queryset, process=method))
        assert sentence == "process() cannot be called as process(self, item)."
    for name, method in (("process", staticmethod(alone)), ("execute", lambda self, x=1: None)):
        rest = {"queryset": queryset} if name == "process" else {}
        assert found(**{name: method}, **rest) == []


def test_a_method_may_be_that_of_the_class(new_app: NewApp) -> None:
    text = f"{OURS}class Fill(Patch):\n    @classmethod\n    def execute(cls): pass\n"
    assert checked(new_app("shops", patches=text)) == []


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("async def fill(ctx): pass", "is asynchronous, so it would never be waited for."),
        ("def fill(ctx): yield", "is a generator, so calling it would do nothing."),
        ("def fill(ctx, more): pass", "needs the parameters ctx, more."),
    ],
)
def test_e090_a_function_with_the_decorator_that_cannot_be_run(
    new_app: NewApp, function: str, sentence: str
) -> None:
    app = new_app("shops", patches=f"{OURS}@patch\n{function}\n")
    assert checked(app) == [("E090", "shops.fill", f"shops.fill() {sentence}")]


def test_e080_a_class_with_the_decorator(new_app: NewApp) -> None:
    app = new_app("shops", patches=f"{OURS}@patch(needs=[])\nclass Fill(Patch): pass\n")
    ((number, _, sentence),) = checked(app)
    assert number == "E080"
    assert "@patch makes a patch of a function, and Fill is none." in sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (("auth", "00011"), "auth.00011: there is none."),
        (("auth", "0001_initia"), None),
        (("auth", "0001"), None),
        (("auth", "0001_initial"), None),
        (("auth", "000"), "auth.000: several begin like that: 0001_initial, "),
        (("auht", "0001"), "auht.0001: the app 'auht' has none, or is not installed. Did you"),
        (("shop", "0001"), "shop.0001: the app 'shop' has none, or is not installed."),
    ],
)
def test_e096_a_schema_migration_that_does_not_exist(
    new_app: NewApp, name: tuple[str, str], sentence: str | None
) -> None:
    text = f"{OURS}@patch(needs=[{name!r}])\ndef fill(): pass\n"
    found = checked(new_app("shops", patches=text))
    if sentence is None:
        assert found == []
    else:
        ((number, about, said),) = found
        assert (number, about) == ("E096", "shops.fill")
        assert said.startswith(f"needs names the schema migration {sentence}")


def test_e096_is_asked_for_before_as_well(new_app: NewApp) -> None:
    text = f"{OURS}@patch(before=[('auth', '9999')])\ndef fill(): pass\n"
    ((number, _, said),) = checked(new_app("shops", patches=text))
    assert number == "E096"
    assert said.startswith("before names the schema migration auth.9999")


MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    replaces = {replaces}
"""


@pytest.mark.parametrize(
    ("name", "several"),
    [
        ("0001", ""),
        ("0001_squashed", ""),
        ("0002", ""),
        ("000", "0001_initial, 0002_more"),
    ],
)
def test_e096_a_beginning_means_no_squashed_one_beside_what_that_replaces(
    new_app: NewApp, name: str, several: str
) -> None:
    replaces = [("shops", "0001_initial"), ("shops", "0002_more")]
    files = {
        "migrations/__init__.py": "",
        "migrations/0001_initial.py": MIGRATION.format(replaces=[]),
        "migrations/0002_more.py": MIGRATION.format(replaces=[]),
        "migrations/0001_squashed_0002_more.py": MIGRATION.format(replaces=replaces),
    }
    text = f"{OURS}@patch(needs=[('shops', '{name}')])\ndef fill(): pass\n"
    said = [sentence for _, _, sentence in checked(new_app("shops", files=files, patches=text))]
    assert [each.partition("like that: ")[2] for each in said] == ([f"{several}."] * bool(several))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "def x(:",
            "others.migrations.0001_x cannot be imported: SyntaxError: invalid syntax"
            " (0001_x.py, line 1) (migrations/0001_x.py, line 1).",
        ),
        (
            "\nfrom os import nothing",
            "others.migrations.0001_x cannot be imported: ImportError: cannot import name"
            " 'nothing' from 'os' ",
        ),
        (
            "import nothing_at_all",
            "others.migrations.0001_x cannot be imported: ModuleNotFoundError: No module named"
            " 'nothing_at_all' (migrations/0001_x.py, line 1).",
        ),
        (
            "raise SystemExit('no')",
            "others.migrations.0001_x cannot be imported: SystemExit: no (migrations/0001_x.py,"
            " line 1).",
        ),
        ("Migration = 3", "others.migrations.0001_x cannot be imported: TypeError: "),
        ("", "Migration 0001_x in app others has no Migration class."),
    ],
)
def test_e080_a_schema_migration_of_any_app_that_cannot_be_read(
    new_app: NewApp, text: str, sentence: str
) -> None:
    files = {"migrations/__init__.py": "", "migrations/0001_x.py": text}
    other = new_app("others", files=files)
    app = new_app(
        "shops",
        patches=f"{OURS}@patch(needs=[('auth', '0001')])\ndef fill(): pass\n"
        "@patch(before=[('auth', '0001')])\ndef fill_early(): pass\n",
    )
    ((number, about, said),) = checked(app, other)
    assert (number, about) == ("E080", "needs and before")
    assert said.startswith(sentence)
    with pytest.raises(SpecError, match="nothing was run"):
        discover()
    with pytest.raises(SpecError) as refused:
        Schema.of("default")
    assert "Traceback" not in str(refused.value)
    assert sentence.partition(" cannot")[0].removeprefix("others") in str(refused.value)


def test_e080_a_package_of_schema_migrations_that_is_not_there(
    new_app: NewApp, settings: Any
) -> None:
    settings.MIGRATION_MODULES = {"shop": "nowhere.migrations"}
    app = new_app("shops", patches=f"{OURS}@patch(needs=[('auth', '0001')])\ndef fill(): pass\n")
    ((_, _, said),) = checked(app)
    assert said == "There is no module nowhere, and MIGRATION_MODULES names nowhere.migrations."


def test_schema_migrations_are_not_read_where_no_patch_names_one(
    new_app: NewApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_migration.patches.schema.MigrationLoader", None)
    assert checked(new_app("shops", patches=f"{OURS}@patch\ndef fill(): pass\n")) == []


def test_e097_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "names.txt").touch()
    assert found(tmp_path, watches=["names.txt"]) == []
    assert only("E097", found(tmp_path, watches=["names.txt", "nmes.txt"])) == (
        f"watches names 'nmes.txt', and there is no such file in {tmp_path}."
    )


def test_e097_a_fixture_that_is_not_there(new_app: NewApp) -> None:
    app = new_app("shops", patches=f"{OURS}countries = LoadFixture('countries.json')\n")
    ((number, about, said),) = checked(app)
    assert (number, about) == ("E097", "shops.countries")
    assert said.startswith("watches names 'fixtures/countries.json'")


def test_e098_what_is_no_model() -> None:
    assert found(writes=["shop.Tag", Tag]) == []
    assert only("E098", found(writes=["shop.Tagg"])) == (
        "writes names 'shop.Tagg', which is no model. Did you mean 'shop.Tag'?"
    )
    assert only("E098", found(writes=["Tag"])).startswith("writes names 'Tag', which is no model.")


def test_e099_a_patch_without_a_time_to_run(new_app: NewApp) -> None:
    text = OURS + "".join(
        f"@patch(needs=[('auth', '{needed}')], before=[('auth', '{last}')])\ndef {name}(): pass\n"
        for name, needed, last in (
            ("fine", "0002", "0003"),
            ("none", "0003", "0002"),
            ("same", "0003", "0003"),
        )
    )
    content_types = (
        "@patch(needs=[('auth', '0006')], before=[('contenttypes', '0002')])\ndef far(): pass\n"
    )
    assert checked(new_app("shops", patches=text + content_types)) == [
        (
            "E099",
            f"shops.{name}",
            f"needs names {needed}, which comes after {last} of before: so it could never run.",
        )
        for name, needed, last in (
            (
                "none",
                "auth.0003_alter_user_email_max_length",
                "auth.0002_alter_permission_name_max_length",
            ),
            (
                "same",
                "auth.0003_alter_user_email_max_length",
                "auth.0003_alter_user_email_max_length",
            ),
            (
                "far",
                "auth.0006_require_contenttypes_0002",
                "contenttypes.0002_remove_content_type_name",
            ),
        )
    ]


# ---------------------------------------------------------------- warnings


def test_w080_modules_with_execute_that_nothing_lists(new_app: NewApp) -> None:
    files = {"patches/v1/one.py": FRAPPES, "patches/v1/two.py": FRAPPES, "patches/v1/x.py": ""}
    assert checked(new_app("shops", files=files)) == [
        (
            "W080",
            "shops",
            "Nothing lists these modules with execute(), so they never run:"
            " shops.patches.v1.one, shops.patches.v1.two.",
        )
    ]


def test_w080_a_module_with_execute_among_patches_of_ours(new_app: NewApp) -> None:
    ours = f"{OURS}@patch\ndef fill(): pass\n@patch\ndef execute(): pass\n"
    files = {"patches/one.py": FRAPPES, "patches/ours.py": ours}
    assert lines_told(checked(new_app("shops", files=files))) == [("W080", "shops")]


def test_w081_a_patch_that_the_list_does_not_name(new_app: NewApp) -> None:
    ours = f"{OURS}@patch\ndef fill(): pass\n@patch\ndef other(): pass\n"
    found = txt(new_app, "APP.patches.ours.fill\n", ours=ours)
    assert lines_told(found) == [("W081", "shops.patches.ours.other")]


def test_w082_a_duplicate_line(new_app: NewApp) -> None:
    found = txt(new_app, "execute:int()\n\nexecute: int() \n")
    assert found == [
        (
            "W082",
            "patches.txt, line 3",
            "The line stands in line 1 already, and runs once, in that place.",
        )
    ]


def test_w083_a_line_of_two_apps(new_app: NewApp) -> None:
    one = new_app("first", files={"patches.txt": "execute:int()\n"})
    two = new_app("second", files={"patches.txt": "execute:str()\nexecute:int()\n"})
    ((number, about, said),) = checked(two)
    assert (number, about) == ("W083", "patches.txt, line 2")
    assert f"of {one.folder / 'patches.txt'}, line 1 already" in said


def test_w084_a_misspelt_attribute() -> None:
    assert only("W084", found(depend_on=["a"])) == (
        "'depend_on' is no attribute or method of a patch, so it has no effect."
        " Did you mean 'depends_on'?"
    )
    assert only("W084", found(is_neded=execute)).endswith("Did you mean 'is_needed'?")
    assert found(helper=execute, _depend_on=[]) == []


def test_w084_whatever_the_decorator_does_not_know(new_app: NewApp) -> None:
    app = new_app("shops", patches=f"{OURS}@patch(colour='red')\ndef fill(): pass\n")
    ((number, about, said),) = checked(app)
    assert (number, about) == ("W084", "shops.fill")
    assert said.startswith("'colour' is no attribute or method of a patch")


def test_w085_an_attribute_without_effect() -> None:
    for name, value in (("split", True), ("batch_size", 5)):
        assert only("W085", found(**{name: value})) == (
            f"{name} has no effect without queryset()."
        )
    batched = {"queryset": queryset, "process": process}
    assert found(split=True, batch_size=5, **batched) == []
    assert only("W085", found(split=True, atomic=True, **batched)) == (
        "split has no effect with atomic = True."
    )
    assert only("W085", found(always=True, on_change="rerun")) == (
        "on_change has no effect with always = True."
    )


STRANGER = OURS + "class Lost(Patch):\n    def execute(self): pass\n"


def test_w086_a_patch_where_none_is_looked_for(new_app: NewApp) -> None:
    text = f"{OURS}from . import helpers\n@patch\ndef fill(): pass\n"
    app = new_app("shops", patches=text, helpers=STRANGER)
    ((number, about, _),) = checked(app)
    assert (number, about) == ("W086", "shops.helpers.Lost")


def test_w086_is_silent_about_what_others_inherit_from_and_what_a_line_names(
    new_app: NewApp,
) -> None:
    files = {
        "patches/ours.py": "from ..helpers import Lost\nclass Own(Lost): pass\n",
        "helpers.py": STRANGER,
        "listed.py": STRANGER.replace("Lost", "Listed"),
        "patches.txt": "APP.patches.ours\nAPP.listed.Listed\n",
    }
    assert checked(new_app("shops", files=files)) == []


def test_w087_a_phase_that_the_section_contradicts(new_app: NewApp) -> None:
    ours = f"{OURS}@patch(phase='after')\ndef fill(): pass\n"
    found = txt(new_app, "[pre_model_sync]\nAPP.patches.ours\n", ours=ours)
    assert lines_told(found) == [("W087", "patches.txt, line 2")]


def test_w088_a_former_name_that_is_taken_for_an_app(new_app: NewApp) -> None:
    text = f"{OURS}@patch(replaces=['v12_0.fill', 'shops.v12_0.fill', 'old'])\ndef new(): pass\n"
    assert checked(new_app("shops", patches=text)) == [
        ("W088", "shops.new", "replaces names 'v12_0.fill', and no app is called 'v12_0'.")
    ]


def test_w089_what_runs_before_migrate_waits_for_what_runs_after_it(new_app: NewApp) -> None:
    text = (
        f"{OURS}@patch(phase='before', depends_on=['two'])\ndef one(): pass\n"
        "@patch(phase='after')\ndef two(): pass\n"
        "@patch(phase='after', depends_on=['one'])\ndef three(): pass\n"
    )
    assert lines_told(checked(new_app("shops", patches=text))) == [("W089", "shops.one")]


# ---------------------------------------------------------------- all of them


def test_several_faults_are_told_at_once(new_app: NewApp) -> None:
    found = txt(new_app, "nowhere.one\n a\nexecute:(\nexecute:int()\n")
    assert lines_told(found) == [
        ("E084", "patches.txt, line 2"),
        ("E089", "patches.txt, line 1"),
        ("E088", "patches.txt, line 3"),
    ]


def test_a_fault_ends_the_command_check(new_app: NewApp) -> None:
    new_app("shops", files={"patches.txt": "nowhere.one\n"})
    with pytest.raises(CommandError, match=r"patches\.txt, line 1: \(data_migration\.E089\)"):
        call_command("check", tags=[TAG])


@pytest.mark.django_db
def test_a_fault_does_not_keep_migrate_from_making_tables(
    new_app: NewApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_app("shops", files={"patches.txt": "nowhere.one\n"})
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate", "--plan"])
    err = StringIO()
    call_command("migrate", "--plan", skip_checks=False, stdout=StringIO(), stderr=err)
    assert "data_migration.E089" in err.getvalue()
    for name in ("makemigrations", "showmigrations"):
        monkeypatch.setattr(sys, "argv", ["manage.py", name])
        assert not any(message.is_serious() for message in run_checks(tags=[TAG]))
    monkeypatch.setattr(sys, "argv", ["manage.py", "runserver"])
    assert any(message.is_serious() for message in run_checks(tags=[TAG]))
