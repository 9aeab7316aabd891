"""Calls of a remote system: not too many, again where they may be, and not for ever."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, cast

from ..exceptions import MissingDriver, SpecError, Transient, Uncertain
from ..sources.base import DISTRIBUTION

T = TypeVar("T")

#: Seconds in the words of RATE.
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"(\d+)\s*/\s*(second|minute|hour|day)")

#: How often a call is made again, and how many seconds are waited at most, in all.
RETRIES, MAX_WAIT = 5, 300.0
#: The first wait of a call that is made again, in seconds.
_FIRST_WAIT = 0.5
#: How often it is looked whether there is room for another call, in seconds.
_LOOK_AGAIN = 0.05


class Caller:
    """Makes the calls of one connector, as RATE, RETRIES and MAX_WAIT of its account say.

    ``calls`` counts them, ``retries`` those of them that were made again. ``sleep`` takes seconds.
    Raises :exc:`SpecError` for values that make no sense.
    """

    def __init__(
        self, config: Mapping[str, Any], *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._most = _number(config, "RETRIES", RETRIES)
        self._longest = _number(config, "MAX_WAIT", MAX_WAIT)
        self._rate = config.get("RATE")
        self._sleep = sleep
        self.calls = 0
        self.retries = 0
        if self._rate is not None:
            _rate_of(self._rate)

    def __call__(self, call: Callable[[], T], *, may_repeat: bool = True) -> T:
        """What ``call()`` returns. :exc:`Transient` errors are waited for and tried again.

        With ``may_repeat`` calls without an answer are as well: those that read, and those that
        the remote system knows again. A wait beyond MAX_WAIT is not begun: the error is raised,
        with ``retry_after``.
        """
        retrying = tenacity().Retrying(
            retry=tenacity().retry_if_exception_type(
                (Transient, Uncertain) if may_repeat else Transient
            ),
            wait=self._wait,
            stop=tenacity().stop_any(
                tenacity().stop_after_attempt(self._most + 1),
                tenacity().stop_before_delay(self._longest),
            ),
            sleep=self._wait_out,
            reraise=True,
        )
        return cast(T, retrying(self._once, call))

    def _once(self, call: Callable[[], T]) -> T:
        while self._limiter is not None and not self._limiter.try_acquire("call", blocking=False):
            self._sleep(_LOOK_AGAIN)
        self.calls += 1
        return call()

    def _wait(self, state: Any) -> float:
        """What the remote system asks for; else twice as long each time, and a bit at random."""
        after = getattr(state.outcome.exception(), "retry_after", None)
        if after is not None:
            return max(0.0, float(after))
        growing = tenacity().wait_exponential(multiplier=_FIRST_WAIT)
        return float(growing(state) + tenacity().wait_random(0, _FIRST_WAIT)(state))

    def _wait_out(self, seconds: float) -> None:
        self.retries += 1
        self._sleep(seconds)

    @cached_property
    def _limiter(self) -> Any:
        if self._rate is None:
            return None
        pyrate = optional("pyrate_limiter", "RATE of a connector")
        number, seconds = _rate_of(self._rate)
        return pyrate.Limiter(pyrate.Rate(number, seconds * 1000))


def optional(module: str, what: str) -> Any:
    """A module of the extra ``http``. Raises :exc:`MissingDriver` where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.replace("_", "-")
        raise MissingDriver(
            f"{what} needs {name}. Install it: pip install {DISTRIBUTION}[http]"
        ) from error


def tenacity() -> Any:
    return optional("tenacity", "A connector that makes calls again")


def _rate_of(text: Any) -> tuple[int, int]:
    """So many calls in so many seconds."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not int(match[1]):
        raise SpecError(
            f'RATE is {text!r}. Say how many calls in which time, such as "120/minute":'
            f" {', '.join(_SECONDS)}."
        )
    return int(match[1]), _SECONDS[match[2]]


def _number(config: Mapping[str, Any], name: str, default: float) -> Any:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise SpecError(f"{name} has to be a number from 0 on, not {value!r}.")
    return value
