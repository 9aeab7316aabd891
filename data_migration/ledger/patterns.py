"""What the messages of one cause have in common."""

from __future__ import annotations

import re

_LONGEST = 255

#: What the pattern of a failure begins with that only follows from another one.
FOLLOWS = "its target has failed"
#: The same where ``--limit`` left the target unread.
UNREAD = "its target was left unread"

#: Text in quotes, unless it is a name in the database, and numbers that stand by themselves. The
#: line of a hook stays: it tells one fault from another.
_NAMED = "".join(f"(?<!{word} )" for word in ("constraint", "key", "column", "table", "field"))
_PARTICULAR = re.compile(
    rf"{_NAMED}(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?<!line )(?<![\w.])-?\d[\d.,:]*(?<![.,:])(?!\w)"
)
_GAP = "…"


def pattern_of(cause: str, value: str = "") -> str:
    """The cause without what is particular to one row: its value, quoted text, numbers.

    ``value`` is the value as the message shows it. At most 255 characters.
    """
    if len(value) > 2 and value != "NULL":
        for form in (value, value.strip("'\"")):
            cause = cause.replace(form, _GAP)
    text = _PARTICULAR.sub(_GAP, cause)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}{_GAP}"
