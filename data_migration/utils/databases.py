"""What the target database can do, where its limits are, and what its errors mean.

The rest of the package asks for what it needs (:attr:`Database.takes_copy`), not for names of
vendors. What has to be written differently for each of them is a table by ``vendor`` in the module
that writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP
from functools import cached_property
from typing import Any, ClassVar

from django.db import DataError, Error, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, QuerySet


class TooLong(DataError):
    """A statement of more bytes than the server takes; it was not sent."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"the row makes a statement of {length:,} bytes, and the server of the new database"
            f" takes less than max_allowed_packet = {limit:,}. Raise that on the server, or"
            " shorten the value"
        )


class Database:
    """A database behind one of Django's connections. This class is one of any other vendor.

    Cheap to make: what has to be asked of the server is asked when it is needed first.
    """

    #: Whether rows may go by COPY.
    takes_copy: ClassVar[bool] = False
    #: Whether a connection that writes keeps all others from writing.
    has_one_writer: ClassVar[bool] = False
    #: Whether a foreign key that leads nowhere is refused with its row, not at the commit.
    checks_keys_at_once: ClassVar[bool] = False
    #: Whether ``check_constraints`` checks the rows of the transaction, not whole tables.
    checks_keys_when_told: ClassVar[bool] = False
    #: Whether ``bulk_update`` cuts a text that is too long where it should refuse it.
    cuts_in_bulk_updates: ClassVar[bool] = False
    #: Whether blanks beyond the length of a text column are cut, where all else is refused.
    cuts_blanks: ClassVar[bool] = False
    #: Whether a floating-point column keeps what is no number, and the infinite ones.
    keeps_nan: ClassVar[bool] = True
    keeps_infinity: ClassVar[bool] = True
    #: How a decimal of too many places is rounded: servers do that themselves.
    decimal_rounding: ClassVar[str] = ROUND_HALF_UP
    #: Whether decimals are kept as floating-point numbers.
    keeps_decimals_as_floats: ClassVar[bool] = False
    #: What to append to a SELECT so that others may read the rows but not write them; empty where
    #: there is no such lock.
    share_lock: ClassVar[str] = ""
    #: The statement after which a transaction waits no longer than a second for a lock.
    short_wait: ClassVar[str] = ""
    #: Bytes of the longest statement; None where nothing has to be split because of them.
    longest_statement: int | None = None

    #: Codes of errors that any row would meet: here SQLSTATEs for a missing table or column and a
    #: missing privilege.
    _faults: ClassVar[frozenset[Any]] = frozenset({"42P01", "42703", "42501"})
    #: Codes that tell of two transactions which waited for each other.
    _deadlocks: ClassVar[frozenset[Any]] = frozenset({"40001", "40P01"})

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    @property
    def vendor(self) -> str:
        return self.connection.vendor

    @property
    def name(self) -> str:
        """What people call it, such as ``PostgreSQL``."""
        return self.connection.display_name

    @property
    def returns_new_keys(self) -> bool:
        """Whether an INSERT of many rows tells the keys that they got."""
        return self.connection.features.can_return_rows_from_bulk_insert

    @property
    def locks_without_waiting(self) -> bool:
        """Whether a SELECT FOR UPDATE may fail at once instead of waiting."""
        return self.connection.features.has_select_for_update_nowait

    @property
    def locks_all_but_the_key(self) -> bool:
        """Whether a row may be locked so that others may still refer to it."""
        return self.connection.features.has_select_for_no_key_update

    @property
    def may_read_old_rows(self) -> bool:
        """Whether a query without locks may read rows as they were when the transaction began.

        Where a row that was changed since cannot be locked then (PostgreSQL), that is no harm.
        """
        return False

    def locking(
        self, rows: QuerySet[Any], *, to_delete: bool = False, of: Sequence[str] = ()
    ) -> QuerySet[Any]:
        """``rows`` as they are to be read for a change: nobody else's can come before it.

        They stay locked until the transaction ends, which this needs. The lock is the one that
        the change itself would take, only earlier. Where the database has none (SQLite), whoever
        would write first is refused, or we are. The order is that of the keys, so that two who
        lock the same rows do not wait for each other.

        ``of`` names the relations whose rows are locked, ``self`` those of the model. Without it
        nothing is selected along: that is not changed, and may be on the side of a join that
        PostgreSQL does not lock.
        """
        no_key = self.locks_all_but_the_key and not to_delete
        rows = rows.order_by("pk") if of else rows.select_related(None).order_by("pk")
        return rows.select_for_update(no_key=no_key, of=of)

    def values_in_query(self, at_most: int) -> int:
        """How many values one query takes, ``at_most`` where the database would take more."""
        return min(self.connection.features.max_query_params or at_most, at_most)

    def range_of(self, field: Field[Any, Any]) -> tuple[int | None, int | None]:
        """The lowest and the highest number that a column of ``field`` takes."""
        return self.connection.ops.integer_field_range(field.get_internal_type())

    def dangling_keys(self) -> set[tuple[Any, ...]]:
        """Foreign keys that lead nowhere and that only a commit would count, the table first."""
        return set()

    def deferred_constraints(self, tables: Collection[str]) -> list[str]:
        """What the tables have that is checked at the commit, but for foreign keys; quoted."""
        return []

    def without_transactions(self, tables: Collection[str]) -> dict[str, str]:
        """The tables whose rows stay when a transaction is rolled back: why, and what to do."""
        return {}

    def is_at_fault(self, error: BaseException) -> bool:
        """Whether ``error`` would have met any row: server gone, disk full, table missing."""
        if not isinstance(error, Error):
            return False
        connection = self.connection
        if connection.connection is None or connection.needs_rollback:
            return True  # the savepoint could not be rolled back: the transaction is lost
        if getattr(connection.connection, "closed", False):
            return True  # psycopg's errors say so without a SQLSTATE
        return self._is_fault(error.__cause__ or error)

    def is_locked(self, error: Exception) -> bool:
        """Whether others kept the only writer from beginning: a moment later it may."""
        return False

    def refuse_too_long(self, statement: str, params: Any = ()) -> None:
        """Raise :exc:`TooLong` for a statement on which the server would close the connection."""

    def is_deadlock(self, error: BaseException | None) -> bool:
        """Whether two transactions waited for each other, and this one has to begin again."""
        while error is not None:
            if (
                isinstance(error, OperationalError)
                and self._code(error.__cause__ or error) in self._deadlocks
            ):
                return True
            error = error.__cause__ or error.__context__
        return False

    def _is_fault(self, cause: BaseException) -> bool:
        state = self._code(cause)
        return state in self._faults or state[:2] in _FAULT_CLASSES

    def _code(self, cause: BaseException) -> Any:
        """How the driver names what went wrong: by its SQLSTATE, in most."""
        return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""


#: Classes of SQLSTATEs (PostgreSQL, "Error Codes"): connection, transaction rollback, resources,
#: operator intervention, system errors.
_FAULT_CLASSES = frozenset({"08", "40", "53", "57", "58"})


class PostgreSQL(Database):
    takes_copy = True
    checks_keys_when_told = True
    cuts_in_bulk_updates = True
    cuts_blanks = True
    share_lock = " FOR SHARE"
    short_wait = "SET LOCAL lock_timeout = '1s'"

    def deferred_constraints(self, tables: Collection[str]) -> list[str]:
        quote = self.connection.ops.quote_name
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT format('%%I.%%I', own.nspname, con.conname) FROM pg_constraint con"
                " JOIN pg_namespace own ON own.oid = con.connamespace"
                " WHERE con.condeferred AND con.contype <> 'f'"
                " AND con.conrelid IN (SELECT to_regclass(each) FROM unnest(%s::text[]) AS each)",
                [[quote(table) for table in tables]],
            )
            return [name for (name,) in cursor.fetchall()]


class MySQL(Database):
    """MariaDB as well."""

    checks_keys_at_once = True
    cuts_blanks = True
    keeps_nan = False
    keeps_infinity = False
    share_lock = " LOCK IN SHARE MODE"
    short_wait = "SET SESSION innodb_lock_wait_timeout = 1"

    #: Disk or table full, lock wait, deadlock, read-only, server gone, missing table or column,
    #: missing privilege.
    _faults = frozenset({1021, 1054, 1114, 1142, 1146, 1205, 1213, 1290, 2006, 2013, 2055})
    _deadlocks = frozenset({1205, 1213})

    @cached_property
    def longest_statement(self) -> int:  # type: ignore[override]
        """The server closes the connection on a longer one."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            return int(cursor.fetchone()[0])

    @property
    def may_read_old_rows(self) -> bool:
        connection: Any = self.connection
        connection.ensure_connection()  # which reads its options
        return connection.isolation_level not in ("read committed", "read uncommitted")

    def refuse_too_long(self, statement: str, params: Any = ()) -> None:
        values = list(params.values() if isinstance(params, Mapping) else params)
        texts = [each for each in values if isinstance(each, (str, bytes))]
        weight = len(statement) + sum(map(len, texts)) + _BYTES_OF_A_NUMBER * len(values)
        if weight * _BYTES_OF_A_CHARACTER < self.longest_statement:
            return
        raw = self.connection.connection
        length = len(statement.encode(raw.encoding)) + sum(len(raw.literal(v)) for v in values)
        if length + _BYTES_OF_A_PACKET > self.longest_statement:
            raise TooLong(length, self.longest_statement)

    def without_transactions(self, tables: Collection[str]) -> dict[str, str]:
        names = ", ".join(["%s"] * len(tables))
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT own.TABLE_NAME, own.ENGINE FROM information_schema.TABLES own"
                " JOIN information_schema.ENGINES known ON known.ENGINE = own.ENGINE"
                " WHERE own.TABLE_SCHEMA = DATABASE() AND known.TRANSACTIONS <> 'YES'"
                f" AND own.TABLE_NAME IN ({names}) ORDER BY own.TABLE_NAME",
                list(tables),
            )
            return {
                name: f"its engine is {engine}: ALTER TABLE {name} ENGINE=InnoDB"
                for name, engine in cursor.fetchall()
            }

    def _is_fault(self, cause: BaseException) -> bool:
        return self._code(cause) in self._faults

    def _code(self, cause: BaseException) -> Any:
        return cause.args[0] if cause.args else None


#: At most: UTF-8 takes up to four, an escape two; other values are written like numbers.
_BYTES_OF_A_CHARACTER, _BYTES_OF_A_NUMBER = 4, 40
#: What a packet has beside its statement, measured on MariaDB 10.11.
_BYTES_OF_A_PACKET = 2


class SQLite(Database):
    has_one_writer = True
    decimal_rounding = ROUND_HALF_EVEN  # by Django
    keeps_nan = False  # it writes NULL
    keeps_decimals_as_floats = True

    def without_transactions(self, tables: Collection[str]) -> dict[str, str]:
        with self.connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            (mode,) = cursor.fetchone()
        if str(mode).lower() != "off":
            return {}
        advice = "PRAGMA journal_mode is OFF: take it out of the init_command in OPTIONS"
        return dict.fromkeys(tables, advice)

    def dangling_keys(self) -> set[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            return set(cursor.execute("PRAGMA foreign_key_check").fetchall())

    def is_locked(self, error: Exception) -> bool:
        return str(self._code(error.__cause__ or error)).startswith("SQLITE_BUSY")

    def _is_fault(self, cause: BaseException) -> bool:
        is_told = any(words in str(cause) for words in _SQLITE_WORDS)
        return is_told or self._code(cause).startswith(_SQLITE_NAMES)

    def _code(self, cause: BaseException) -> Any:
        return getattr(cause, "sqlite_errorname", "")


#: SQLite's names for the same (https://www.sqlite.org/rescode.html); longer ones tell more.
_SQLITE_NAMES = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY")
_SQLITE_WORDS = ("no such table", "has no column")

_KINDS: dict[str, type[Database]] = {"postgresql": PostgreSQL, "mysql": MySQL, "sqlite": SQLite}


def database_of(alias: str) -> Database:
    """The database behind this thread's connection of that name in ``DATABASES``."""
    connection: Any = connections[alias]
    return _KINDS.get(connection.vendor, Database)(connection)
