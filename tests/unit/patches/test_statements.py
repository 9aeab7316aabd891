"""Statements of a ``patches.txt``: compiled up front, their names imported, then run."""

from __future__ import annotations

import ast
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from hypothesis import given
from hypothesis import strategies as st

from data_migration.patches import Context, Patch
from data_migration.patches.faulty import Faulty
from data_migration.patches.statements import split, statement_patch
from tests.support.specs import NewApp

FILE = Path("shop/patches.txt")


def statement(written: str, line: int = 1, column: int = 9) -> type[Patch]:
    text, _ = split(written)
    return statement_patch(text, written=written, file=FILE, line=line, column=column)


def run(written: str) -> list[str]:
    """What the statement logs."""
    said: list[str] = []
    statement(written)(Context(apps=apps, database="default", log=said.append)).execute()
    return said


def faulty(written: str) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Faulty) as caught:
        statement(written)
    return caught.value.number, caught.value.details


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ctx.log(ctx.database)", "default"),
        ("ctx.log(settings.TIME_ZONE)", "Europe/Berlin"),
        ("ctx.log(apps.get_model('shop', 'Tag')._meta.label)", "shop.Tag"),
        ("ctx.log(tests.apps.shop.models.Tag._meta.label)", "shop.Tag"),
        ("ctx.log(django.utils.text.slugify('A b')) # once", "a-b"),
        ("from django.utils.text import slugify; ctx.log(slugify('A b'))", "a-b"),
        ("import json as j; ctx.log(j.dumps(1))", "1"),
        ("x = 'a'; ctx.log(x)", "a"),
        ("[ctx.log(json.dumps(each)) for each in [1]]", "1"),
        ("(lambda each: ctx.log(json.dumps(each)))(1)", "1"),
        ("ctx.log(''.join(sorted('ba')))", "ab"),
        ("ctx.log(f'{json.dumps(1)} # {2}')", "1 # 2"),
    ],
)
def test_a_statement_runs_with_the_names_that_it_mentions(written: str, said: str) -> None:
    assert run(written) == [said]


def test_a_submodule_that_nobody_imported_is_imported(new_app: NewApp) -> None:
    files = {"jobs/deep/er.py": "def clean(log):\n    log('cleaned')\n"}
    app = new_app("shops", files=files)
    assert run(f"{app.name}.jobs.deep.er.clean(ctx.log)") == ["cleaned"]


@pytest.mark.parametrize(
    ("written", "column"),
    [("f(", 10), ("f() g()", 13), ("x = = 1", 13), ("return 1", 9), ("f('", 11)],
)
def test_what_is_no_python_is_told_with_its_column(written: str, column: int) -> None:
    number, details = faulty(written)
    assert number == "E088"
    assert details["column"] == column
    assert details["problem"]


@pytest.mark.parametrize("written", ["f(\0)", "(" * 300 + ")" * 300])
def test_what_python_refuses_to_read_is_a_fault_as_well(written: str) -> None:
    assert faulty(written)[0] == "E088"


def test_a_name_that_means_nothing_is_told_before_it_runs() -> None:
    assert faulty("setings.DEBUG") == (
        "E089",
        {"what": "module 'setings'", "suggestion": " Did you mean 'settings'?"},
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Everything.objects.all()", "tests.apps.shop.models.Everything"),
        ("shop.models.Tag", "tests.apps.shop"),
    ],
)
def test_a_model_or_an_app_without_its_path_is_understood(written: str, meant: str) -> None:
    assert faulty(written)[1]["suggestion"] == f" Did you mean {meant!r}?"


def test_a_name_that_a_module_does_not_have_is_told_before_it_runs() -> None:
    assert faulty("django.utils.txt.slugify('A')") == (
        "E089",
        {"what": "'txt' in django.utils", "suggestion": " Did you mean 'text'?"},
    )
    assert faulty("tests.apps.shop.models.Tagg.objects.all()")[1] == {
        "what": "'Tagg' in tests.apps.shop.models",
        "suggestion": " Did you mean 'Tag'?",
    }


def test_what_objects_have_is_left_to_the_run() -> None:
    with pytest.raises(AttributeError):
        run("tests.apps.shop.models.Tag.nothing_like_it")


def test_a_module_that_cannot_be_imported_is_told_with_its_line(new_app: NewApp) -> None:
    app = new_app("broken", jobs="\n\n1 / 0\n")
    number, details = faulty(f"{app.name}.jobs.clean()")
    assert number == "E080"
    assert f"{app.name}.jobs cannot be imported: ZeroDivisionError" in details["problem"]
    assert "jobs.py, line 3" in details["problem"]


def test_an_error_is_told_with_the_line_of_the_file() -> None:
    patch = statement("1 / 0", line=12)
    with pytest.raises(ZeroDivisionError) as caught:
        patch(Context(apps=apps, database="default")).execute()
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno, frame.colno) == (str(FILE), 12, 8)


def test_the_statement_is_what_is_shown_of_it() -> None:
    assert statement("ctx.log(  1 ) # once").__doc__ == "ctx.log( 1 )"


WORDS = ["f", "x", "(", ")", "[", "]", ",", "=", "1", ":", ";", "#", " ", "   ", "'", '"', '"""']
PARTS = st.sampled_from([*WORDS, "f'", "{", "}", "lambda", "for", "in", "\\", "\t", ".", "+"])


@given(st.lists(PARTS).map("".join))
def test_single_blanks_leave_a_statement_what_it_is(written: str) -> None:
    text, _ = split(written.strip())
    assert split(text) == (text, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning
        try:
            meant = ast.dump(ast.parse(written.strip()))
        except (SyntaxError, ValueError):
            return
        assert ast.dump(ast.parse(text)) == meant
