"""Seven ways in which lists come in pages: where the next page is, by the one that came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

#: Names of parameters and their values.
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a path, or a whole address, and parameters."""

    path: str
    parameters: Parameters = field(default_factory=dict)

    def with_parameters(self, **parameters: Any) -> Asked:
        return replace(self, parameters={**self.parameters, **parameters})


class Answered(Protocol):
    """An answer, as far as paging looks at it."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def data(self) -> Any: ...


class Paging(Protocol):
    """One way of paging. Values, made once for all lists."""

    def first(self, asked: Asked) -> Asked:
        """What is asked for the first page."""

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        """What is asked for the page behind one of ``rows`` rows; None behind the last."""


def dig(data: Any, path: str) -> Any:
    """What stands at a dotted path of JSON; all of it for an empty one, None where there is none.

    A name with a dot in it is found as it is, too.
    """
    if not path:
        return data
    if isinstance(data, Mapping) and path in data:
        return data[path]
    for name in path.split("."):
        if isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            data = data[int(name)]
        elif isinstance(data, Mapping):
            data = data.get(name)
        else:
            return None
    return data


_LINK = re.compile(r'<([^>]*)>\s*((?:;\s*[\w*]+\s*=\s*(?:"[^"]*"|[^;,\s]+)\s*)*)')
_NEXT = re.compile(r';\s*rel\s*=\s*"?[^"]*\bnext\b', re.I)


class _AsItIs:
    def first(self, asked: Asked) -> Asked:
        return asked


@dataclass(frozen=True, slots=True)
class LinkHeader(_AsItIs):
    """The header ``Link: <https://...>; rel="next"`` has the address of the next page."""

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        for address, parts in _LINK.findall(answer.headers.get("link", "")):
            if _NEXT.search(parts):
                return Asked(address)
        return None


@dataclass(frozen=True, slots=True)
class NextUrl(_AsItIs):
    """The answer has the address of the next page, at a dotted ``path`` such as ``links.next``."""

    path: str

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        address = dig(answer.data, self.path)
        return Asked(str(address)) if address else None


@dataclass(frozen=True, slots=True)
class HeaderToken(_AsItIs):
    """A header has the address of the next page, such as ``Next-Page``."""

    header: str

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        address = answer.headers.get(self.header.lower())
        return Asked(address) if address else None


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages have numbers, in a ``parameter``. One that is not full is the last.

    ``pages`` is the dotted path of how many there are, where the answer says so.
    """

    parameter: str
    begin: int = 1
    pages: str = ""

    def first(self, asked: Asked) -> Asked:
        return asked.with_parameters(**{self.parameter: self.begin})

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        number = int(asked.parameters[self.parameter])
        last = dig(answer.data, self.pages) if self.pages else None
        if rows == 0 or (rows < size if last is None else number >= int(last) - 1 + self.begin):
            return None
        return asked.with_parameters(**{self.parameter: number + 1})


@dataclass(frozen=True, slots=True)
class Offset:
    """So many rows are passed over. A page that is not full is the last.

    ``total`` is the dotted path of how many rows there are, where the answer says so.
    """

    parameter: str
    limit: str = ""
    total: str = ""

    def first(self, asked: Asked) -> Asked:
        return asked.with_parameters(**{self.parameter: 0})

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        passed = int(asked.parameters[self.parameter]) + rows
        total = dig(answer.data, self.total) if self.total else None
        if rows == 0 or (rows < size if total is None else passed >= int(total)):
            return None
        return asked.with_parameters(**{self.parameter: passed})


@dataclass(frozen=True, slots=True)
class Token(_AsItIs):
    """The answer has a token for the next page, at a dotted path, that goes into a ``parameter``.

    Where ``more`` is the dotted path of whether there is one, the token alone does not say so.
    """

    parameter: str
    at: str
    more: str = ""

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        token = dig(answer.data, self.at)
        if token in (None, "") or (self.more and not dig(answer.data, self.more)):
            return None
        return asked.with_parameters(**{self.parameter: token})


@dataclass(frozen=True, slots=True)
class Single(_AsItIs):
    """All rows come at once."""

    def following(self, asked: Asked, answer: Answered, rows: int, size: int) -> Asked | None:
        return None
