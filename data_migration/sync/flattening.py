"""Remote rows -> rows with the names of the model's fields, a page or more at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from operator import itemgetter
from typing import Any

from ..exceptions import ConversionError, RowFailure, RowSkipped
from ..sources.rows import Rows, TupleRows
from ..utils.masking import MASK
from ..utils.wording import words
from .fields import RemoteField
from .mapping import Mapping

#: The columns that are no fields of the model: none of these can have a blank in its name. The
#: key of the row, when it was changed, and the row itself.
KEY, CHANGED, DOCUMENT = "remote key", "remote changed", "remote row"


class Flattening:
    """Makes rows of what a mapping says of the ``fields``.

    ``columns`` are their names: :data:`KEY`, the fields (a nested list under its remote name, with
    ``list_column``), :data:`CHANGED` where ``with_changed`` and :data:`DOCUMENT` where
    ``with_document``. A row that has them all is a tuple; a name that is absent from a row is
    absent from what is made of it. What a conversion or ``pre_process`` raises is the fault of its
    row. ``asked`` are the remote names that are needed.
    """

    def __init__(
        self,
        mapping: type[Mapping],
        fields: Sequence[RemoteField],
        *,
        with_changed: bool = False,
        with_document: bool = False,
    ) -> None:
        self._names = [mapping.remote_key, *(field.remote for field in fields)]
        columns = [KEY, *(field.name or list_column(field) for field in fields)]
        converts = [None, *(field.pull for field in fields)]
        if with_changed and mapping.changed:
            self._names.append(mapping.changed)
            columns.append(CHANGED)
        self._paths = [tuple(name.split(".")) for name in self._names]
        self._with_document = with_document
        self.columns = (*columns, *([DOCUMENT] if with_document else ()))
        # Of one name alone, itemgetter would give no tuple.
        self._tops = itemgetter(*(path[0] for path in self._paths), self._paths[0][0])
        self._deep = [(place, path[1:]) for place, path in enumerate(self._paths) if path[1:]]
        self._converts = [(place, each) for place, each in enumerate(converts) if each is not None]
        self.asked = tuple(dict.fromkeys(path[0] for path in self._paths))
        self._sensitive = frozenset(mapping.sensitive)
        own = mapping.pre_process is not Mapping.pre_process
        self._pre_process = mapping().pre_process if own else None

    def __call__(self, documents: Sequence[Dict[str, Any]]) -> Rows:
        faults: dict[int, Exception] = {}
        if self._pre_process is not None:
            documents = [
                self._processed(self._pre_process, place, document, faults)
                for place, document in enumerate(documents)
            ]
        try:
            columns = self._whole(documents)
        except (KeyError, TypeError):  # a name is absent, or a property of no object
            return self._loose(documents, faults)
        for place, convert in self._converts if columns else ():
            columns[place] = self._converted(place, convert, columns[place], faults)
        rows = list(zip(*columns, strict=True))
        return TupleRows(rows, self.columns, faults=_in_places(faults, len(rows)))

    def _whole(self, documents: Sequence[Dict[str, Any]]) -> list[Sequence[Any]]:
        """The values by column, where every row has all of them. Raises :exc:`KeyError`."""
        if not documents:
            return []
        found: list[Sequence[Any]] = list(zip(*map(self._tops, documents), strict=True))
        found.pop()
        for place, path in self._deep:
            found[place] = [within(value, path) for value in found[place]]
        if self._with_document:
            found.append(documents)
        return found

    def _loose(self, documents: Sequence[Any], faults: dict[int, Exception]) -> Rows:
        """Row by row, since they have not all the same names."""
        rows = []
        for place, document in enumerate(documents):
            row: dict[str, Any] = {KEY: None}
            rows.append(row)
            if self._with_document:
                row[DOCUMENT] = document
            named = zip(self.columns, self._names, self._paths, strict=False)
            for column, name, path in named:
                try:
                    row[column] = within(document, path)
                except KeyError:
                    continue
                except TypeError:
                    fault = _no_object(name, path, document)
                    if name in self._sensitive:
                        fault.value = MASK
                    faults.setdefault(place, fault)
            for number, convert in self._converts:
                column = self.columns[number]
                if column in row and place not in faults:
                    row[column] = self._one(number, place, convert, row[column], faults)
        return Rows(rows, faults=_in_places(faults, len(rows)))

    def _converted(
        self,
        place: int,
        convert: Callable[[Any], Any],
        values: Sequence[Any],
        faults: dict[int, Exception],
    ) -> Sequence[Any]:
        """A column after its conversion, which sees no NULL. A value that it refuses stays."""
        try:
            return [None if value is None else convert(value) for value in values]
        except Exception:
            return [
                self._one(place, row, convert, value, faults) for row, value in enumerate(values)
            ]

    def _one(
        self,
        place: int,
        row: int,
        convert: Callable[[Any], Any],
        value: Any,
        faults: dict[int, Exception],
    ) -> Any:
        if value is None or row in faults:
            return value
        try:
            return convert(value)
        except Exception as error:
            name = self._names[place]
            cause = f"its conversion (pull) raises {type(error).__name__}"
            if name in self._sensitive:
                faults[row] = ConversionError(cause, column=name, value=MASK)
                return value  # what it says may have the value in it
            cause = error.cause if isinstance(error, RowFailure) else f"{cause}: {words(error)}"
            failure = ConversionError(cause, column=name, value=value)
            failure.__cause__ = error
            faults[row] = failure
            return value

    def _processed(
        self,
        pre_process: Callable[[dict[str, Any]], Any],
        place: int,
        document: Any,
        faults: dict[int, Exception],
    ) -> Any:
        """What ``pre_process`` makes of the row; of one that it skips or refuses, the row."""
        try:
            made = pre_process(dict(document))
        except RowFailure as error:
            faults[place] = error
        except Exception as error:
            faults[place] = failure = RowFailure(
                f"pre_process raises {type(error).__name__}: {words(error)}"
            )
            failure.__cause__ = error
        else:
            if made is not None:
                return made
            faults[place] = RowSkipped("pre_process leaves it out")
        return document


def list_column(field: RemoteField) -> str:
    """The column of a nested list, which no field of the model can have."""
    return f"list {field.remote}"


def within(value: Any, path: Sequence[str]) -> Any:
    """What stands at the end of a path. A property of NULL is NULL.

    Raises :exc:`KeyError` where it is absent and :exc:`TypeError` where it would be one of what
    is no object.
    """
    for name in path:
        if value is None:
            return None
        if not isinstance(value, Dict):
            raise TypeError
        value = value[name]
    return value


def _no_object(name: str, path: Sequence[str], document: Any) -> RowFailure:
    if not isinstance(document, Dict):
        return RowFailure(f"the row is no object, but a {type(document).__name__}")
    value, walked = document, []
    for part in path:
        if not isinstance(value, Dict):
            break
        walked.append(part)
        value = value[part]
    return RowFailure(
        f"{'.'.join(walked)} is no object, so it has no {name!r}",
        column=name,
        value=value,
    )


def _in_places(faults: Dict[int, Exception], rows: int) -> Sequence[Exception | None]:
    return [faults.get(place) for place in range(rows)] if faults else ()
