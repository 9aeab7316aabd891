"""The old shop's dates: text in local time, in two formats, with zeros for "never"."""

from __future__ import annotations

from datetime import date, datetime

from django.utils.timezone import make_aware

# The shop changed its software in 2012, and with it the format.
FORMATS = ("%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S")


def parse_moment(text: str | None) -> datetime | None:
    """Return the moment in the current time zone, or ``None`` for "" and 00.00.0000.

    Raises :exc:`ValueError` for a text that is no date.
    """
    text = (text or "").strip()
    if not text or text.startswith("00.00.0000"):
        return None
    for layout in FORMATS:
        try:
            return make_aware(datetime.strptime(text, layout))
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a date like 31.12.2009 14:05")


def parse_day(text: str | None) -> date | None:
    """Return the day of a text like ``31.12.1969``, or ``None`` for "" and 00.00.0000.

    Raises :exc:`ValueError` for a text that is no date.
    """
    text = (text or "").strip()
    if not text or text == "00.00.0000":
        return None
    return datetime.strptime(text, "%d.%m.%Y").date()
