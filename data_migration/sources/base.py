"""What the engines share: reading their settings, loading their drivers, wording their errors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..exceptions import MissingDriver, SourceError, SpecError
from ..utils.redaction import redact
from ..utils.wording import words
from .waiting import CONNECT_TIMEOUT

SETTING = "DATA_MIGRATION_SOURCES"
DISTRIBUTION = "django-migrate-legacy"
SERVER_KEYS = frozenset({"NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"})


class Engine(Protocol):
    """What each engine module offers."""

    KEYS: frozenset[str]
    REQUIRED: tuple[str, ...]

    def connect(self, source: Source) -> Any:
        """Open the connection, read-only; driver errors are left as they are."""


class Source:
    """One entry of ``DATA_MIGRATION_SOURCES``, without its empty values.

    Raises SpecError for one that is no dict.
    """

    def __init__(self, name: str, config: Any) -> None:
        self.name = name
        self.where = f"{SETTING}[{name!r}]"
        if not isinstance(config, Mapping):
            raise SpecError(f"{self.where} must be a dict, not {type(config).__name__}.")
        self.config = {key: value for key, value in config.items() if value not in (None, "")}
        self.engine = str(self.config.pop("ENGINE", ""))

    @property
    def options(self) -> dict[str, Any]:
        """A copy of OPTIONS; SpecError if they are no mapping."""
        options = self.config.get("OPTIONS", {})
        if not isinstance(options, Mapping):
            raise SpecError(f"{self.where}: OPTIONS must be a dict, not {type(options).__name__}.")
        return dict(options)

    @property
    def connect_timeout(self) -> float:
        """Seconds that OPTIONS give the server to answer, or the default."""
        chosen = self.options.get("connect_timeout", CONNECT_TIMEOUT)
        try:
            return float(chosen)
        except (TypeError, ValueError):  # the driver will say what it is
            return CONNECT_TIMEOUT

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the entry; an empty one counts as missing."""
        return self.config.get(key, default)

    def renamed(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The values that are set, under the names the driver has for them."""
        return {names[key]: self.config[key] for key in names if key in self.config}

    def check(self, engine: Engine) -> None:
        """SpecError for a missing or an unknown key."""
        for key in engine.REQUIRED:
            if key not in self.config:
                raise SpecError(f"{self.where} has no {key}. Add it: {_EXPECTED[key]}.")
        unknown = sorted(self.config.keys() - engine.KEYS, key=str)
        if unknown:
            known = ", ".join(sorted(engine.KEYS | {"ENGINE"}))
            raise SpecError(
                f"{self.where} has unknown keys: {', '.join(map(str, unknown))}. "
                f"The engine {self.engine!r} knows {known}; "
                "anything for the driver itself goes into OPTIONS."
            )
        if not str(self.get("PORT", 0)).isdecimal():
            raise SpecError(f"{self.where}: PORT must be a number, not {self.get('PORT')!r}.")

    def describe(self) -> str:
        """Database, server and user in words, as they stand in the settings."""
        words = [f"the {self.engine} database"]
        if "NAME" in self.config:
            words.append(repr(str(self.config["NAME"])))
        if "ALIAS" in self.config:
            words.append(f"of DATABASES[{self.config['ALIAS']!r}]")
        if "HOST" in self.config or "PORT" in self.config:
            port = f":{self.config['PORT']}" if "PORT" in self.config else ""
            words.append(f"at {self.config.get('HOST', 'localhost')}{port}")
        if "USER" in self.config:
            words.append(f"as user {str(self.config['USER'])!r}")
        return " ".join(words)


_EXPECTED = {
    "NAME": "the database's name, or the path of the file for sqlite",
    "ALIAS": "a name from DATABASES",
}


def import_driver(source: Source, extra: str, *modules: str) -> Any:
    """The first of the driver modules that can be imported; MissingDriver if none can."""
    problems = []
    for module in modules:
        try:
            return importlib.import_module(module)
        except ImportError as error:
            problems.append(f"{module}: {words(error)}")
    raise MissingDriver(
        f"{source.where}: the Python driver for the engine {source.engine!r} is not installed "
        f"({'; '.join(problems)}). Install it: pip install {DISTRIBUTION}[{extra}]"
    )


def prepared(connection: Any, prepare: Callable[[Any], None]) -> Any:
    """``connection`` after ``prepare(connection)``; closed if that fails."""
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def cannot_connect(source: Source, error: Exception) -> SourceError:
    """The error for a connection that could not be opened."""
    return SourceError(
        f"{source.where}: cannot connect to {redact(source.describe())}: {words(error)}. "
        f"{_ADVICE.get(source.engine, _ADVICE_SERVER)}"
    )


_ADVICE_SERVER = (
    "Check HOST, PORT, NAME, USER and PASSWORD, and that the server runs and lets this machine in."
)
_ADVICE = {
    "sqlite": "Check NAME: it must be the path of a readable SQLite 3 file.",
    "odbc": (
        "Check OPTIONS driver or dsn (`odbcinst -q -d` lists the drivers), HOST, PORT, NAME, USER "
        "and PASSWORD, and that the server runs and lets this machine in."
    ),
    "django": "Check that entry of DATABASES, and that the server runs and lets this machine in.",
}
