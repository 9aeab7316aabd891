"""The digest of a patch: did its code, or a file that it watches, change since it ran?"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from hashlib import blake2b

from .definition import Definition
from .patch import Patch
from .ready_made import WithFile


def digest_of(definition: Definition) -> str:
    """32 hexadecimal digits for the patch's source and the files in ``watches``.

    Comments, blank lines and blanks at the end of a line do not count, nor does what a patch is
    called or was called, so that it can be renamed. What its code calls elsewhere is not seen. Of
    what has no source, since it was made at run time, only its name counts.
    """
    hashed = blake2b(_source_of(definition.patch).encode(errors="replace"), digest_size=16)
    for file in definition.patch.watches:
        path = definition.folder / file
        # Whether it is there and how long it is, so that no two files can be taken for one.
        content = path.read_bytes() if path.is_file() else None
        hashed.update(f"\0{file}\0{'' if content is None else len(content)}\0".encode())
        hashed.update(content or b"")
    return hashed.hexdigest()


def _source_of(patch: type[Patch]) -> str:
    """What counts: of a statement itself, of a module of Frappe's kind the whole file."""
    said = vars(patch)
    if "statement" in said:
        return str(said["statement"])
    if issubclass(patch, WithFile):
        return patch.__name__  # its file is watched
    coded = said.get("module") or said.get("function")
    if isinstance(coded, staticmethod):
        coded = inspect.unwrap(coded.__func__)
    try:
        source = without_comments(inspect.getsource(coded or patch))
        return source if "module" in said else _without_names(source)
    except (OSError, TypeError):
        return f"{patch.__module__}.{patch.__qualname__}"


def without_comments(source: str) -> str:
    """The source less comments, blank lines and blanks at the end of a line."""
    lines = textwrap.dedent(source).splitlines()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline))
    except (tokenize.TokenError, SyntaxError):
        tokens = []
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


#: What a patch is called, and was.
_NAMES = ("name", "replaces")


def _without_names(source: str) -> str:
    """The source of a class or of a function less what it is called and was called.

    Decorators come first, of ``@patch`` only what is given to it.
    """
    try:
        (code,) = ast.parse(source).body
    except (SyntaxError, ValueError):
        return source
    if not isinstance(code, (ast.ClassDef, ast.FunctionDef)):
        return source
    lines = source.splitlines()
    head = code.lineno - 1
    lines[head] = re.sub(r"\b(class|def)\s+\w+", r"\1", lines[head], count=1)
    if isinstance(code, ast.ClassDef):
        for each in filter(_is_a_name, code.body):
            last = each.end_lineno or each.lineno
            lines[each.lineno - 1 : last] = [""] * (last - each.lineno + 1)
    decorators = [text for each in code.decorator_list for text in _given(each, source)]
    return "\n".join(filter(None, [*decorators, *lines[head:]]))


def _is_a_name(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _NAMES
    return False


def _given(decorator: ast.expr, source: str) -> Iterator[str]:
    match decorator:
        case ast.Name(id="patch") | ast.Attribute(attr="patch"):
            pass
        case ast.Call(func=ast.Name(id="patch") | ast.Attribute(attr="patch"), keywords=given):
            for each in given:
                if each.arg not in _NAMES:
                    yield ast.get_source_segment(source, each) or ""
        case _:
            yield ast.get_source_segment(source, decorator) or ""
