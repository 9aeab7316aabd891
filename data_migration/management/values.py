"""Options that ``call_command()`` gives as values, read as the command line reads its words.

Django hands them over unread: a misspelt choice, a number in place of ``"5%"`` or a text in place
of a list would be met somewhere in the middle of a run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from os import PathLike
from typing import Any

from django.core.management.base import CommandParser

#: Those of Django's own commands, which it reads itself.
_DJANGOS = frozenset(
    ("help", "version", "settings", "pythonpath", "traceback", "no_color", "force_color")
) | {"skip_checks"}


def read_values(parser: CommandParser, options: dict[str, Any]) -> dict[str, Any]:
    """The options, each as the parser would give it.

    Raises :exc:`argparse.ArgumentTypeError` for what the command line would refuse.
    """
    read = dict(options)
    for action in parser._actions:
        name = action.dest
        if name in options and name not in _DJANGOS and options[name] != action.default:
            read[name] = _read(action, options[name])
    for group in parser._mutually_exclusive_groups:
        given = [each for each in group._group_actions if read.get(each.dest)]
        if len(given) > 1:
            raise argparse.ArgumentTypeError(
                f"{_name(given[0])} and {_name(given[1])} exclude each other: choose one."
            )
    return read


def _read(action: argparse.Action, value: Any) -> Any:
    if value is None:
        return action.default
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise argparse.ArgumentTypeError(
                f"{_name(action)} takes True or False, not {value!r}."
            )
        return value
    if isinstance(action.default, list) or action.nargs == "*":
        return [_read_one(action, each) for each in _each(action, value)]
    return _read_one(action, value)


def _each(action: argparse.Action, value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    else:
        raise argparse.ArgumentTypeError(f"{_name(action)} takes a list of texts, not {value!r}.")


def _read_one(action: argparse.Action, value: Any) -> Any:
    if not isinstance(value, (str, int, float, PathLike)):
        raise argparse.ArgumentTypeError(f"{_name(action)} takes one value, not {value!r}.")
    try:
        read = action.type(str(value)) if callable(action.type) else str(value)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{_name(action)} {error}.") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{_name(action)} cannot be {value!r}.") from error
    if action.choices is not None and read not in action.choices:
        known = ", ".join(map(str, action.choices))
        raise argparse.ArgumentTypeError(f"{_name(action)} is one of {known}, not {value!r}.")
    return read


def _name(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else action.dest
