"""How a ``patches.txt`` is read: every line becomes a patch or a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_migration.patches.patches_txt import Line, read

PATH = "shop.patches.v12_0.fill"


def lines(content: bytes | str) -> list[Line]:
    """The lines of a file without faults."""
    found = read(content)
    assert found.faults == ()
    return list(found.lines)


def faults(content: bytes | str) -> list[tuple[int, str]]:
    return [(number, each.number) for number, each in read(content).faults]


def texts(content: bytes | str) -> list[tuple[str, str]]:
    return [(each.text, each.comment) for each in lines(content)]


def test_sections_say_the_phase() -> None:
    content = "[post_model_sync]\na.b\n[pre_model_sync]\na.c\n"
    assert [(each.number, each.text, each.phase) for each in lines(content)] == [
        (2, "a.b", "after"),
        (4, "a.c", "before"),
    ]


def test_without_sections_everything_runs_after_migrate() -> None:
    assert [(each.section, each.phase) for each in lines("a.b\nexecute:f()")] == [
        (None, "after"),
        (None, "after"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_of_every_system_and_a_byte_order_mark(end: str, mark: bytes) -> None:
    content = mark + end.join(["[pre_model_sync]", "a.b", "", "a.c"]).encode()
    assert [(each.number, each.text) for each in lines(content)] == [(2, "a.b"), (4, "a.c")]


def test_a_text_may_begin_with_a_byte_order_mark() -> None:
    assert texts("\ufeffa.b") == [("a.b", "")]


def test_blank_lines_and_comments_are_left_out_however_far_they_are_indented() -> None:
    assert texts("# one\n\t# two\n  \n\t\n; three\na.b") == [("a.b", "")]


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        (PATH, ""),
        (f"{PATH} ", ""),
        (f"{PATH}\t", ""),
        (f"{PATH} #2020-01-31", "2020-01-31"),
        (f"{PATH}#2", "2"),
        (f"{PATH}  #  the   second\ttry ", "the second try"),
        (f"{PATH} #2 #3", "2 #3"),
        (f"{PATH} #", ""),
    ],
)
def test_a_comment_at_the_end_is_the_revision_with_single_blanks(line: str, comment: str) -> None:
    assert texts(line) == [(PATH, comment)]


@pytest.mark.parametrize(
    ("line", "text", "comment"),
    [
        ("execute:f() #1", "f()", "1"),
        ("execute:f()", "f()", ""),
        ("execute: f( 1,   2 )  #  x  y ", "f( 1, 2 )", "x y"),
        ("execute:f('#1')", "f('#1')", ""),
        ("execute:f('#1') # it's", "f('#1')", "it's"),
        ("execute:f('a  b')   #1", "f('a  b')", "1"),
        ('execute:f("""a # b""") #2', 'f("""a # b""")', "2"),
        ("execute:f(f'{x  }  #1')  # y", "f(f'{x  }  #1')", "y"),
        ("execute:f(f'{g(f\"{x  }\")}  #')  # y", "f(f'{g(f\"{x  }\")}  #')", "y"),
        ("execute:import a; a.b(); #2014-06-10", "import a; a.b();", "2014-06-10"),
        ("execute:f()\t# x", "f()", "x"),
    ],
)
def test_a_hash_in_a_string_of_a_statement_is_no_comment(
    line: str, text: str, comment: str
) -> None:
    assert texts(line) == [(text, comment)]


def test_a_statement_knows_where_it_stands() -> None:
    (line,) = lines("execute:  f(  1 ) #2")
    assert (line.written, line.column) == ("f(  1 ) #2", 11)


def test_a_line_that_is_repeated_is_read_once() -> None:
    found = read("a.b #1\na.c\na.b  #  1\nexecute:f( )\nexecute: f(   )")
    assert [each.number for each in found.lines] == [1, 2, 4]
    assert [(number, each.number, each.details) for number, each in found.faults] == [
        (3, "W082", {"first": 1}),
        (5, "W082", {"first": 4}),
    ]


def test_the_same_patch_with_another_comment_is_no_duplicate() -> None:
    assert texts("a.b\na.b #1\na.b #2") == [("a.b", ""), ("a.b", "1"), ("a.b", "2")]


def test_a_path_and_a_statement_of_the_same_words_are_two() -> None:
    assert len(lines("a.b\nexecute:a.b")) == 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[pre_model_synk]\na.b", [(1, "E081")]),
        ("[Pre_Model_Sync]", [(1, "E081")]),
        ("[]", [(1, "E081")]),
        ("[pre_model_sync]\n[post_model_sync]\n[pre_model_sync] # again", [(3, "E082")]),
        ("a.b\n# x\na.c\n[pre_model_sync]\na.d", [(1, "E083"), (3, "E083")]),
        (" a.b", [(1, "E084")]),
        ("\ta.b", [(1, "E084")]),
        ("a.b\n  execute:f()", [(2, "E084")]),
        (" [pre_model_sync]", [(1, "E084")]),
        ("[pre_model_sync] a.b", [(1, "E085")]),
        ("a.b a.c", [(1, "E085")]),
        ("a.b 2020-01-31", [(1, "E085")]),
        ("a..b", [(1, "E085")]),
        ("a.b()", [(1, "E085")]),
        ("finally:a.b", [(1, "E085")]),
        ("Execute:f()", [(1, "E085")]),
        ("execute:f() execute:g()", [(1, "E086")]),
        ("execute:f()execute:g()", [(1, "E086")]),
        ("execute:f(); execute: g()", [(1, "E086")]),
        ("execute:execute:f()", [(1, "E086")]),
        ("a.b execute:f()", [(1, "E086")]),
        ("execute:", [(1, "E087")]),
        ("execute:   ", [(1, "E087")]),
        ("execute: # later", [(1, "E087")]),
        (b"a.b\n\xff\na.c", [(2, "E085")]),
        ("a.b".encode("utf-16"), [(1, "E085")]),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    content: bytes | str, found: list[tuple[int, str]]
) -> None:
    assert faults(content) == found


@pytest.mark.parametrize(
    "line",
    [
        "execute:f('execute:g()')",
        "execute:f() # execute:g()",
        "execute:f(lambda execute: execute)",
        "execute:g = lambda execute: execute",
        "execute:f({execute: 1})",
        "execute:f(x[execute:])",
    ],
)
def test_the_word_execute_elsewhere_begins_no_second_patch(line: str) -> None:
    assert len(lines(line)) == 1


def test_a_misspelt_section_has_a_suggestion() -> None:
    ((_, fault),) = read("[pre_model_synk]").faults
    assert fault.details["suggestion"] == " Did you mean 'pre_model_sync'?"


def test_a_fault_hides_no_other_line() -> None:
    found = read("a.b\n a.c\na.d e\nexecute:\na.f")
    assert [each.text for each in found.lines] == ["a.b", "a.f"]
    assert [number for number, _ in found.faults] == [2, 3, 4]


WORDS = ["execute:", "execute", "pre_model_sync", "a.b", "a", "\r\n", '"""', "f'"]
PIECES = st.sampled_from([*WORDS, *":#;[]{}()'\"\\ \t\n\r\ufeff\x00\x0c"])


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_whatever_is_written_each_line_becomes_one_patch_or_one_fault(text: str) -> None:
    found = read(text)
    numbers = [each.number for each in found.lines] + [number for number, _ in found.faults]
    assert len(numbers) == len(set(numbers))
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(plain, start=1):
        is_nothing = not line.strip() or line.lstrip()[0] in "#;"
        if is_nothing:
            assert number not in numbers
        elif not line.startswith(("[pre_model_sync]", "[post_model_sync]")):
            assert number in numbers
    assert (
        read(text.encode(errors="replace")).lines
        == read(text.encode(errors="replace").decode()).lines
    )


@given(st.binary())
def test_no_bytes_break_the_reader(content: bytes) -> None:
    read(content)
