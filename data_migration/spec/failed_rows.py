"""What the default hook writes of a row that failed: two lines, whatever the row holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..exceptions import RowFailure
from ..utils.masking import masked_error, masked_row
from ..utils.quoting import one_line, shortened, shown, with_short
from ..utils.redaction import redact, without_configured
from ..utils.wording import hook_of

#: The most of each value: there may be many columns.
_VALUE = 60


def told(name: str, error: Exception, row: Mapping[str, Any], sensitive: Collection[str]) -> str:
    """Why the row of the migration called ``name`` failed, and the row, without secrets."""
    said = redact(masked_error(error, row, sensitive))
    cause = one_line(with_short(said, getattr(error, "value", None)))
    if not isinstance(error, RowFailure):
        cause = f"{hook_of(error)}{type(error).__name__}{': ' if cause else ''}{cause}"
    values = masked_row(row, sensitive).items()
    listed = ", ".join(f"{column} = {_value(value)}" for column, value in values)
    return f"{name}: {cause}\n  row: {shortened(listed)}\n"


def _value(value: Any) -> str:
    # Before it is cut: a part of a secret would not be known for one.
    return shown(without_configured(value) if isinstance(value, str) else value, _VALUE)
