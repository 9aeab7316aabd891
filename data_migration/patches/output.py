"""What a patch logs, as it is kept and shown."""

from __future__ import annotations

from collections.abc import Callable

from ..ledger.messages import encodable
from ..utils.redaction import redact


def logging_to(lines: list[str]) -> Callable[[object], None]:
    """What ``ctx.log()`` is: appends to ``lines``, without secrets, what any database can keep."""

    def log(text: object) -> None:
        lines.append(encodable(redact(str(text))))

    return log
