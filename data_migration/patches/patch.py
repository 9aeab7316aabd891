"""What people write: a patch is a class with a queryset or an ``execute()``, or a function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, overload

from django.apps.registry import Apps
from django.db.models import Model, QuerySet

from ..exceptions import SpecError
from ..options import silent

Function = TypeVar("Function", bound=Callable[..., Any])

#: A schema migration: app label, and its name or the beginning of it, such as ``"0007"``.
SchemaName = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where a patch runs: what a function gets, and ``self.ctx`` of a class.

    ``apps`` are Django's installed apps, or, where the schema is behind the code, the models as
    the schema migrations that are applied have them. ``database`` is the alias of the database to
    write to. What is given to ``log()`` is kept with the record of the patch, and shown.
    """

    apps: Apps
    database: str
    is_rehearsal: bool = False
    log: Callable[[object], None] = field(default=silent, repr=False)

    def model(self, label: str) -> type[Model]:
        """The model with the label ``app_label.Model``, of :attr:`apps`.

        Raises :exc:`LookupError` where there is none.
        """
        return self.apps.get_model(label)


class Patch:
    """A change of data that runs once for each environment.

    Either define :meth:`queryset` and :meth:`process` (or :meth:`process_batch`): objects in
    batches, each committed with how far the patch has come. Or define :meth:`execute`: the whole
    patch in one transaction. The docstring is shown wherever the patch is.
    """

    #: The patch's name in its app; without one that of the class, such as ``fill_slugs`` for
    #: ``FillSlugs``. The label ``app_label.name`` and :attr:`revision` say what has run.
    name: ClassVar[str] = ""
    #: Another revision runs it again.
    revision: ClassVar[int] = 1
    #: Names that it had before, of its app, or labels: what ran under these has run.
    replaces: ClassVar[Sequence[str]] = ()
    #: The schema migrations from which on it can run.
    needs: ClassVar[Sequence[SchemaName]] = ()
    #: The schema migrations before which it has to run.
    before: ClassVar[Sequence[SchemaName]] = ()
    #: Labels of patches that run first.
    depends_on: ClassVar[Sequence[str]] = ()
    #: ``"before"`` or ``"after"`` Django's ``migrate``; None follows from :attr:`needs` and
    #: :attr:`before`, and is after without either.
    phase: ClassVar[str | None] = None
    #: None: a transaction for each batch, or for the whole patch where it has no queryset. True:
    #: one for the whole patch. False: none of ours, for ``execute()`` alone.
    atomic: ClassVar[bool | None] = None
    #: Objects that are processed and committed together.
    batch_size: ClassVar[int] = 500
    #: Whether ``--workers`` may share its objects out by ranges of their keys.
    split: ClassVar[bool] = True
    #: Whether the run ends when it fails, ``--skip-failing`` or not.
    critical: ClassVar[bool] = False
    #: Models of which it keeps what it changes, so that it can be rolled back.
    writes: ClassVar[Sequence[type[Model] | str]] = ()
    #: What happens when its code, or a file in :attr:`watches`, changed since it ran:
    #: ``"report"`` shows it, ``"rerun"`` runs it again.
    on_change: ClassVar[str] = "report"
    #: Files that belong to its code, relative to the folder of the app.
    watches: ClassVar[Sequence[str]] = ()
    #: Whether it runs with every ``migrate``.
    always: ClassVar[bool] = False
    #: ``"skip"``: where its app is installed for the first time and has no objects, it is recorded
    #: as not needed. ``"run"``: it runs there, too.
    on_fresh_install: ClassVar[str] = "skip"

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def queryset(self) -> QuerySet[Any]:
        """The objects that are to be processed, in no order of yours: they come by their keys."""
        raise NotImplementedError

    def process(self, item: Any) -> None:
        """Change one object of :meth:`queryset`; the columns that changed are written in bulk.

        Without ``save()``, so there are no signals, and fields with ``auto_now`` stay. An error
        fails this object.
        """
        raise NotImplementedError

    def process_batch(self, queryset: QuerySet[Any]) -> None:
        """Change the objects of one batch by statements of your own, in place of :meth:`process`.

        Where that fails it is undone and called for each half, until the object is found that
        fails by itself; so what is outside of the database may be done again.
        """
        raise NotImplementedError

    def execute(self) -> None:
        """Do all of it, in place of :meth:`queryset`."""
        raise NotImplementedError

    def is_needed(self) -> bool:
        """False where there is nothing to do: the patch is recorded as not needed."""
        return True

    def throttle(self) -> float:
        """Seconds to wait before the next batch, while others need the database; 0 to go on."""
        return 0

    @classmethod
    def defines(cls, method: str) -> bool:
        """Whether the class has a method of its own, not the one of :class:`Patch`."""
        return getattr(cls, method) is not getattr(Patch, method)

    @classmethod
    def is_batched(cls) -> bool:
        """Whether its objects come in batches."""
        return cls.defines("queryset")

    @classmethod
    def is_whole(cls) -> bool:
        """Whether it is done as a whole or not at all, as far as it lies with us."""
        return not cls.is_batched() or cls.atomic is True


@overload
def patch(function: Function) -> Function: ...
@overload
def patch(**attributes: Any) -> Callable[[Function], Function]: ...
def patch(function: Any = None, **attributes: Any) -> Any:
    """Make a patch of a function that takes a :class:`Context`; ``attributes`` are those of
    :class:`Patch`.

    The function stays as it is, for tests to call; its class is ``function.patch``.
    """

    def decorate(function: Any) -> Any:
        is_function: bool = inspect.isfunction(function)
        if not is_function:
            name = getattr(function, "__name__", type(function).__name__)
            raise SpecError(
                f"@patch makes a patch of a function, and {name} is none. A class derives from"
                " Patch and has its attributes itself."
            )
        function.patch = class_of(function, **attributes)
        return function

    return decorate if function is None else decorate(function)


def class_of(function: Callable[..., Any], **attributes: Any) -> type[Patch]:
    """The class of a patch that is a function; it may do without the parameter for the context.

    A parameter that has a default is the function's own affair, unless it is called ``ctx``.
    """
    parameters = inspect.signature(function).parameters.values()
    takes_context = any(
        each.name == "ctx" or (each.default is each.empty and each.kind in _POSITIONAL)
        for each in parameters
    )

    def execute(self: Patch) -> None:
        function(self.ctx) if takes_context else function()

    return type(
        function.__name__,
        (Patch,),
        {
            "execute": execute,
            "function": staticmethod(function),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "name": function.__name__,
            **attributes,
        },
    )


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def snake_case(name: str) -> str:
    """``fill_slugs`` for ``FillSlugs``; ``load_csv`` for ``LoadCSV``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
