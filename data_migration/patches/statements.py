"""The lines of a ``patches.txt`` that are Python statements: ``execute:shop.tasks.clean_up()``."""

from __future__ import annotations

import ast
import builtins
import io
import symtable
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from django.conf import settings

from ..utils.wording import words
from .faulty import Faulty
from .modules import attribute_of, import_root
from .patch import Patch

#: What a statement can use beside the names that are imported for it.
GIVEN: Final = frozenset({"apps", "settings", "ctx"})

# Since Python 3.12 the parts of an f-string are tokens, too.
_OPENS = {getattr(tokenize, f"{kind}STRING_START", None) for kind in "FT"} - {None}
_CLOSES = {getattr(tokenize, f"{kind}STRING_END", None) for kind in "FT"} - {None}
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def split(source: str) -> tuple[str, str]:
    """The statement, with single blanks between its parts, and the comment behind it.

    A ``#`` in a string begins no comment. What is no Python stays as it is.
    """
    parts: list[str] = []
    end = 0
    for token, start, stop in _pieces(source):
        if token == tokenize.COMMENT:
            return "".join(parts), source[start + 1 : stop]
        parts.append(" " if parts and start > end else "")
        parts.append(source[start:stop])
        end = stop
    return ("".join(parts), "") if parts else (source, "")


def begins_twice(source: str) -> bool:
    """Whether a second ``execute:`` stands in the code of a statement."""
    depth = 0
    previous = ""
    for token, start, stop in _pieces(source):
        text = source[start:stop]
        if token == tokenize.OP:
            depth += (text in "([{") - (text in ")]}")
            if text == ":" and previous == "execute" and not depth:
                return True
        if text == "lambda":
            depth += 1  # what follows is a parameter; its own colon is as good as none
        if token != tokenize.COMMENT:
            previous = text
    return False


def _pieces(source: str) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each token; an f-string is one. None for what is no Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
    depth, begin = 0, 0
    for token in tokens:
        if token.type in _OPENS:
            begin = begin if depth else token.start[1]
            depth += 1
        elif token.type in _CLOSES:
            depth -= 1
            if not depth:
                yield tokenize.STRING, begin, token.end[1]
        elif not depth and token.type not in _LAYOUT:
            yield token.type, token.start[1], token.end[1]


def statement_patch(
    text: str, *, written: str, file: Path, line: int, column: int, **attributes: Any
) -> type[Patch]:
    """The patch that executes a statement; ``attributes`` are those of :class:`Patch`.

    ``text`` says which statement it is. ``written`` is what stands in the line of the file, from
    the column on: a traceback shows it there. Raises :exc:`Faulty` for what is no Python, and for
    a name that is certain to mean nothing.
    """
    try:
        tree = ast.parse(written)
        free = _free_names(written)
        compile(tree, str(file), "exec", dont_inherit=True)
    except SyntaxError as error:
        where = column + (error.offset or 1) - 1
        raise Faulty("E088", problem=error.msg, column=where) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Faulty("E088", problem=words(error), column=column) from None
    chains = [chain for chain in _chains(tree) if chain[0] in free]
    imported(chains)
    _move(tree, line, column)
    code = compile(tree, str(file), "exec", dont_inherit=True)

    def execute(self: Patch) -> None:
        given = {"apps": self.ctx.apps, "settings": settings, "ctx": self.ctx}
        exec(code, {"__name__": "patches.txt", **imported(chains), **given})

    names = {"execute": execute, "statement": text, "__doc__": text, "__module__": __name__}
    return type("Execute", (Patch,), {**names, **attributes})


def imported(chains: list[list[str]]) -> dict[str, Any]:
    """What the first name of each chain means, when all of its modules are imported.

    Raises :exc:`Faulty` for a module, or a name in a module, that is not there.
    """
    found: dict[str, Any] = {}
    for chain in chains:
        module = found[chain[0]] = import_root(chain[0], known=GIVEN)
        for name in chain[1:]:
            module = attribute_of(module, name)
            if not isinstance(module, ModuleType):
                break  # what objects have is known when the statement runs
    return found


def _free_names(source: str) -> set[str]:
    """Names that the statement uses and neither binds nor finds in Python."""
    top = symtable.symtable(source, "patches.txt", "exec")
    bound = {each.get_name() for each in top.get_symbols() if each.is_assigned()}
    bound |= {each.get_name() for each in top.get_symbols() if each.is_imported()}
    used: set[str] = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            each.get_name()
            for each in table.get_symbols()
            if each.is_referenced() and (table is top or each.is_global())
        }
    return used - bound - vars(builtins).keys() - GIVEN


def _chains(tree: ast.Module) -> list[list[str]]:
    """``[["shop", "tasks", "clean_up"]]`` for ``shop.tasks.clean_up()``, the longest of each."""
    found: list[list[str]] = []
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):  # the whole of a chain comes before its parts
        names: list[str] = []
        part: ast.AST = node
        while isinstance(part, ast.Attribute):
            inner.add(part.value)
            if isinstance(part.ctx, ast.Load):
                names.append(part.attr)
            part = part.value
        if isinstance(part, ast.Name) and node not in inner:
            found.append([part.id, *reversed(names)])
    return found


def _move(tree: ast.Module, line: int, column: int) -> None:
    """To where the statement stands in its file, for tracebacks."""
    ast.increment_lineno(tree, line - 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt):
            node.col_offset += column - 1
            node.end_col_offset = (node.end_col_offset or 0) + column - 1
