"""Messages as CSV, sent while they are read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from ..models import RowError

HEAD = (
    *("message", "run", "migration", "kind", "open", "key", "row", "column", "value", "cause"),
)
_PAGE = 2000
#: By its first character a spreadsheet takes a text for a formula, also by a full-width one, and
#: behind blanks of any kind, which it leaves out. A tab, or the end of a line, begins a new cell.
_BLANK = "[\\s\x00-\x1f\u200b-\u200f\u2060\ufeff]"
_FORMULA = re.compile(f"[\t\r\n]|{_BLANK}*[-=+@\uff0d\uff1d\uff0b\uff20]")


class _Echo:
    """Gives back what a CSV writer writes."""

    def write(self, text: str) -> str:
        return text


def csv_lines(messages: QuerySet[RowError]) -> Iterator[str]:
    """The lines in the order of the messages, read page by page: memory does not grow."""
    writer = csv.writer(_Echo())
    yield "\ufeff"  # without it spreadsheets do not take it for UTF-8
    yield writer.writerow(HEAD)
    rows = messages.select_related("step").order_by("pk")
    page = list(rows[:_PAGE])
    while page:
        yield "".join(writer.writerow(map(harmless, _cells(message))) for message in page)
        page = list(rows.filter(pk__gt=page[-1].pk)[:_PAGE])


def _cells(message: RowError) -> tuple[Any, ...]:
    return (
        message.pk,
        message.step.run_id,
        message.step.migration,
        message.kind,
        "yes" if message.is_open else "no",
        message.key,
        message.row_number,
        message.column,
        message.value,
        message.cause,
    )


def harmless(cell: Any) -> str:
    """The cell as text that no spreadsheet takes for a formula."""
    text = str(cell)
    return f"'{text}" if _FORMULA.match(text) else text
