"""``PageFeed``: the rows of a remote system, page by page. It knows no connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Self

from ..exceptions import DataMigrationError, SourceError, SpecError
from ..outcomes import NullMarks
from ..rows.keys import identify
from ..utils.chunks import chunks
from ..utils.wording import printable_cause, words
from .marks import in_order, lowered
from .pages import Page
from .rows import Rows

#: What a stored mark begins with that is a page's cursor: it is handed back as it came.
CURSOR = "cursor"


class PageFeed:
    """The pages that ``pages`` yields, given a mark (None for all) and a size; a
    :class:`~.feed.Feed`.

    ``flatten`` makes rows with these ``columns``, among them the ``key``, of documents as they
    came; ``one`` is the document with a key, None where there is none. ``changed`` is the name in
    a document (dotted for a property of an object) of what grows with every change, ``lag`` how
    far below its highest value the next pass begins. ``meanwhile`` is called before each page.
    """

    marks_after = True
    duplicate_columns: Sequence[str] = ()

    def __init__(
        self,
        label: str,
        *,
        columns: Sequence[str],
        key: str,
        pages: Callable[[Any, int], Iterator[Page]],
        one: Callable[[Any], Mapping[str, Any] | None] | None,
        flatten: Callable[[Sequence[Mapping[str, Any]]], Rows],
        changed: str | None = None,
        lag: timedelta | int | None = None,
        meanwhile: Callable[[], object] = bool,
        since: Any = None,
        keys: Sequence[Any] | None = None,
    ) -> None:
        self.columns = columns
        self.reads_keys = one is not None
        self.may_go_on = self.began_empty = False
        self.deleted: dict[str, Any] = {}
        self._label, self._key, self._meanwhile = label, key, meanwhile
        self._pages, self._one, self._flatten = pages, one, flatten
        self._changed, self._lag = changed, lag
        self._path = tuple(changed.split(".")) if changed else ()
        self._since, self._keys = since, keys
        self._cursor: Any = None
        #: The highest value of ``changed``, and what of it is compared.
        self._highest: tuple[Any, tuple[str, Any]] | None = None

    @property
    def reached(self) -> Any:
        if self._cursor is not None:
            return CURSOR, self._cursor
        return self._highest[0] if self._highest else None

    def open(self) -> None:
        """The first page is fetched by :meth:`rows`."""

    def look(self) -> None: ...

    def rows(self, size: int, limit: int | None = None) -> Iterator[Rows]:
        """The rows of each page; pages without rows are not among them."""
        if self._keys is not None:
            yield from self._named(self._keys, size)
            return
        left, number, before = limit, 0, None
        for number, page in enumerate(self._fetched(size), start=1):
            rows = self._flatten(page.rows)
            keys = rows.values((self._key,))
            if page.rows and before == (keys, page.cursor):
                raise SourceError(
                    f"{self._label}: page {number:,} of the remote system is the one before it"
                    " once more, so there would be no end. Look how the connector asks for the"
                    " next page."
                )
            before = keys, page.cursor
            self.began_empty |= number == 1 and not page.rows
            self._note(page, keys, number)
            if left is not None:
                rows = rows.between(0, left)
                left -= len(rows)
            if len(rows):
                yield rows
            if left == 0:
                return
        self.began_empty |= not number

    def _fetched(self, size: int) -> Iterator[Page]:
        self._meanwhile()
        try:
            for page in self._pages(self._since, size):
                yield page
                self._meanwhile()
        except DataMigrationError:
            raise
        except Exception as error:
            raise self._stopped("reading the pages", error) from printable_cause(error)

    def _named(self, keys: Sequence[Any], size: int) -> Iterator[Rows]:
        """The rows with these keys, each asked for by itself."""
        assert self._one is not None
        for chunk in chunks(keys, size):
            documents = []
            for key in chunk:
                self._meanwhile()
                try:
                    document = self._one(key)
                except DataMigrationError:
                    raise
                except Exception as error:
                    raise self._stopped(f"reading {key!r}", error) from printable_cause(error)
                if document is not None:
                    documents.append(document)
            if documents:
                yield self._flatten(documents)

    def _note(self, page: Page, keys: Sequence[Any], number: int) -> None:
        """What the page tells beside its rows: marks, and rows that are gone."""
        if self.deleted:
            for key in keys:  # it came again
                self.deleted.pop(_hash_of(key), None)
        for key in page.deleted:
            if name := _hash_of(key):
                self.deleted[name] = key
        if page.cursor is not None:
            self._cursor = page.cursor
        for document in page.rows if self._path else ():
            if (mark := _within(document, self._path)) is None:
                continue
            compared = self._in_order(mark)
            if self._highest is None or compared[1] > self._highest[1][1]:
                self._highest = mark, compared
            elif page.is_sorted and compared[1] < self._highest[1][1]:
                raise SourceError(
                    f"{self._label}: page {number:,} of the remote system says that it is sorted"
                    f" by {self._changed!r}, and {mark} comes after {self._highest[0]}. Take"
                    " is_sorted from the pages of the connector, or have them sorted."
                )
        # Not at the cursor of a page, which may stand for the whole answer.
        self.may_go_on = page.is_sorted and self._cursor is None and not self.deleted

    def _in_order(self, mark: Any) -> tuple[str, Any]:
        try:
            compared = in_order(mark)
        except SourceError as error:
            raise SourceError(
                f"{self._label}: {self._changed!r} cannot be a mark: {error}. Name another one in"
                " changed, or none."
            ) from None
        if self._highest is not None and compared[0] != self._highest[1][0]:
            raise SourceError(
                f"{self._label}: {self._changed!r} has values of several forms, {mark}"
                f" ({compared[0]}) and {self._highest[0]} ({self._highest[1][0]}), which have no"
                " order. Name another one in changed, or none."
            )
        return compared

    def count(self) -> int | None:
        return None

    def count_by(self, hook: Callable[[Any, Any], int | None]) -> int | None:
        return None

    def count_without(self, column: str) -> int | None:
        return None

    def highest(self, column: str) -> Any:
        return None

    def since(self, column: str, lowest: Any, nulls: NullMarks) -> Self:
        """What changed since ``lowest``, a mark as ``reached`` had it, less the lag.

        Raises :exc:`SpecError` where the lag cannot be subtracted from it.
        """
        if isinstance(lowest, tuple) and lowest[:1] == (CURSOR,):
            return self._narrowed(since=lowest[1])
        return self._narrowed(since=self._lowered(lowest))

    def with_keys(self, columns: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Self:
        return self._narrowed(keys=[key for (key,) in keys] if self.reads_keys else None)

    def _narrowed(self, *, since: Any = None, keys: Sequence[Any] | None = None) -> Self:
        return type(self)(
            self._label,
            columns=self.columns,
            key=self._key,
            pages=self._pages,
            one=self._one,
            flatten=self._flatten,
            changed=self._changed,
            lag=self._lag,
            meanwhile=self._meanwhile,
            since=since,
            keys=keys,
        )

    def _lowered(self, mark: Any) -> Any:
        lag: Any = self._lag
        try:
            kind, number = in_order(mark)
            if kind == "digits":
                return f"{max(0, int(number - self._units(int(number), lag))):0{len(mark)}}"
            if kind == "number":
                lag = self._units(mark, lag)
            return lowered(mark, lag)
        except (SourceError, SpecError):
            raise SpecError(
                f"{self._label}: changed_lag = {self._lag!r} cannot be subtracted from the mark"
                f" {mark!r} of {self._changed!r}. Set changed_lag = None, or a number for a"
                " sequence of numbers."
            ) from None

    def _units(self, mark: Any, lag: Any) -> Any:
        """A span of time in the unit in which a number counts since 1970."""
        if not isinstance(lag, timedelta):
            return lag or 0
        for digits, per_second in _UNITS:
            if 10 ** (digits - 1) <= mark < 10**digits:
                return lag // timedelta(microseconds=1) * Decimal(per_second) / 1_000_000
        raise SpecError("a sequence")

    def is_apart(self, target: Any) -> bool:
        return False

    def close(self) -> None: ...

    def _stopped(self, what: str, error: Exception) -> SourceError:
        return SourceError(
            f"{self._label}: {what} failed with {type(error).__name__}: {words(error)}. A"
            " connector raises Transient, Refused or another of data_migration.sync for what it"
            " knows; run the same command again when it is mended."
        )


#: Digits of a number of seconds, milliseconds, microseconds and nanoseconds between 2001 and
#: 2286, and how many of them are a second.
_UNITS = ((10, 1), (13, 1_000), (16, 1_000_000), (19, 1_000_000_000))


def _hash_of(key: Any) -> str:
    """Empty for what cannot identify a row; the row itself will say so."""
    try:
        return identify(key)[0]
    except TypeError:
        return ""


def _within(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document
