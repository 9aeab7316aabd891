"""Everything this package raises.

::

    DataMigrationError
    ├── SpecError                    a spec or setting is wrong: exit code 2
    │   ├── SpecImportError          a data_migration_spec module cannot be imported
    │   ├── DependencyCycle          migrations wait for each other
    │   ├── UnknownDependency        depends_on names what no migration fills
    │   └── UnknownLabel             a label on the command line matches nothing
    ├── SourceError                  the legacy database cannot be reached or read: exit code 1
    │   ├── MissingDriver            the Python driver is not installed
    │   └── RemoteError              what a connector says of a call
    │       ├── Transient            try again later
    │       ├── AuthFailed           the account is not let in: ends the step at once
    │       ├── Refused              this row is not taken
    │       ├── Gone                 there is no such row any more
    │       ├── Conflict             the row was changed there since it was read
    │       └── Uncertain            sent, and no answer came
    ├── TargetError                  the new database cannot keep what is promised: exit code 1
    ├── LedgerError                  the ledger cannot be used: exit code 1
    │   └── RunRefused               another run is at work on the same database
    ├── PatchRefused                 a patch that is named cannot run as things are: exit code 1
    ├── StepFailed                   one migration failed as a whole: exit code 1
    │   └── TooManyErrors            more rows failed than --max-errors allows
    ├── Interrupted                  Ctrl-C or SIGTERM asked the run to stop
    │   └── LockLost                 another run took this one to be dead and took over
    └── RowFailure                   one row failed; names column and value
        ├── RowSkipped               it is to be left out
        ├── ConversionError          (ValueError) the field cannot take the value
        ├── UnknownColumn            (TypeError) the model has no such field
        └── MissingTarget            (ObjectDoesNotExist) a relation finds nothing

Row failures also derive from the exception that django-data-migration 0.2.1 let through in
the same place, so an older ``hook_error_creating_instance`` that asks ``isinstance`` still works.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist


class DataMigrationError(Exception):
    """Base of everything this package raises."""


class SpecError(DataMigrationError, ImproperlyConfigured):
    """A spec or a setting is wrong; the message says where and what to do."""


class SpecImportError(SpecError):
    """A ``data_migration_spec`` module exists and cannot be imported."""


class DependencyCycle(SpecError):
    """Migrations wait for each other; the message spells the loop out."""


class UnknownDependency(SpecError):
    """``depends_on`` names something that no migration fills."""


class UnknownLabel(SpecError):
    """A label given by the user matches no app and no migration."""


class SourceError(DataMigrationError):
    """The legacy database cannot be reached or read. Never holds a password."""


class MissingDriver(SourceError):
    """The driver of a source is not installed; the message has the ``pip install`` line."""


class RemoteError(SourceError):
    """A remote system did not do what it was asked for. Never holds a password or a token."""


class Transient(RemoteError):
    """The call did nothing and may be made again, ``retry_after`` seconds later where that is
    known.
    """

    def __init__(self, cause: str = "", *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(cause or "the remote system cannot be reached for now")


class AuthFailed(RemoteError):
    """The remote system does not let this account in: no other row would fare better."""


class Refused(RemoteError):
    """The remote system does not take this row; ``cause`` says why in its words.

    ``field`` is the remote name that is to blame, where that is known.
    """

    def __init__(self, cause: str, *, field: str = "") -> None:
        self.field = field
        super().__init__(cause)


class Gone(RemoteError):
    """The remote system has no such row any more."""


class Conflict(RemoteError):
    """The row was changed over there since the version that the call named."""


class Uncertain(RemoteError):
    """The call was sent and no answer came, so nobody knows whether it was carried out."""


class TargetError(DataMigrationError):
    """The target database cannot keep what is promised; nothing was written."""


class LedgerError(DataMigrationError):
    """The ledger's tables are missing or cannot be used."""


class RunRefused(LedgerError):
    """Another run is at work on the same database; the message says whose, and what to do."""


class PatchRefused(DataMigrationError):
    """A patch that is named waits for something, or comes too late; the message says for what."""


class StepFailed(DataMigrationError):
    """A migration failed; of it only the batches that were committed are kept."""


class TooManyErrors(StepFailed):
    """More rows failed than ``--max-errors`` allows."""


class Interrupted(DataMigrationError):
    """The run was asked to stop and stopped after a batch."""


class LockLost(Interrupted):
    """Another run took this one to be dead and took over; the batch going on is not kept."""


class RowFailure(DataMigrationError):
    """One row cannot become an object.

    ``column`` is the query's column (or the model field where no column feeds it), ``value`` the
    value as it came, ``cause`` one sentence.
    """

    def __init__(self, cause: str, *, column: str = "", value: Any = None) -> None:
        self.cause = cause
        self.column = column
        self.value = value
        super().__init__(cause)

    def __str__(self) -> str:
        if not self.column:
            return self.cause
        return f"column {self.column!r}, value {self.value!r}: {self.cause}"


class RowSkipped(RowFailure):
    """The row is left out on purpose: it counts as skipped, and no message tells of it."""


class ConversionError(RowFailure, ValueError):
    """The target field cannot take the value."""


class UnknownColumn(RowFailure, TypeError):
    """The row has a column that the model does not know."""


class MissingTarget(RowFailure, ObjectDoesNotExist):
    """A relation's value finds no object, or more than one.

    ``pattern`` says what it has in common with others that are mended together with it.
    """

    def __init__(
        self, cause: str, *, column: str = "", value: Any = None, pattern: str = ""
    ) -> None:
        self.pattern = pattern
        super().__init__(cause, column=column, value=value)
