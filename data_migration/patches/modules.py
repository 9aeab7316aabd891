"""What a dotted path names: a module with ``execute()``, a function, a patch, a module of them."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType, ModuleType
from typing import Any, Final

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from ..utils.wording import guess, import_error_text
from .faulty import Faulty
from .patch import Patch, class_of, snake_case

#: The function of a Frappe module.
EXECUTE: Final = "execute"


@dataclass(frozen=True, slots=True)
class Named:
    """A patch and what it is called: by itself if it ``is_ours``, else by the whole path."""

    name: str
    patch: type[Patch]
    is_ours: bool = True


def at_path(path: str) -> list[Named]:
    """The patches that a dotted path names, in order.

    What is no patch of ours, a module with ``execute()`` or a function, becomes one. Raises
    :exc:`Faulty`.
    """
    names = path.split(".")
    value = import_root(names[0])
    for name in names[1:]:
        value = attribute_of(value, name)
    if isinstance(value, ModuleType):
        return _of_module(value, path)
    if patch := as_patch(value):
        return [Named(name_of(patch, names[-1]), patch)]
    if _is_function(value):
        require_callable(path, value)
        return [Named(path, class_of(value), is_ours=False)]
    kind = "a class" if inspect.isclass(value) else f"of the type {type(value).__name__}"
    raise Faulty(
        "E090",
        problem=f"{path} is {kind}, which cannot be run.",
        remedy="Name a module with execute(), a function without parameters, or a Patch.",
    )


def name_of(patch: type[Patch], variable: str) -> str:
    """Its own name, or that of the variable that holds it."""
    own: Any = patch.name
    return own if own and isinstance(own, str) else snake_case(variable)


def patches_of(module: ModuleType) -> dict[str, type[Patch]]:
    """The patches that a module defines, by its variables, in the order of definition.

    None that it imports, and none that only others inherit from: a class whose name begins with an
    underscore, or one that does nothing itself and has subclasses.
    """
    found: dict[str, type[Patch]] = {}
    for variable, value in vars(module).items():
        patch = as_patch(value)
        if patch is None or patch.__module__ != module.__name__ or patch in found.values():
            continue
        if not variable.startswith("_") and not is_base(patch):
            found[variable] = patch
    return found


def as_patch(value: Any) -> type[Patch] | None:
    """The patch that a value of a module is: a class, or a function with ``@patch``."""
    patch: Any = getattr(value, "patch", None) if _is_function(value) else value
    is_class = issubclass(type(patch), type)
    return patch if is_class and issubclass(patch, Patch) and patch is not Patch else None


def _is_function(value: Any) -> bool:
    """Unlike isinstance(), this does not ask a lazy object, which may ask the database."""
    return type(value) is FunctionType


def is_base(patch: type[Patch]) -> bool:
    """Whether it does nothing itself and others inherit from it."""
    does = any(patch.defines(method) for method in ("queryset", "execute"))
    return not does and bool(patch.__subclasses__())


def has_execute(module: ModuleType) -> bool:
    """Whether it is a module as Frappe runs them."""
    execute = getattr(module, EXECUTE, None)
    return _is_function(execute) and as_patch(execute) is None


def import_root(name: str, known: Iterable[str] = ()) -> ModuleType:
    """The module with which a dotted path begins; ``known`` are names that could be meant.

    Raises :exc:`Faulty`.
    """
    try:
        is_there = find_spec(name) is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        meant = _path_meant_by(name)
        suggestion = f" Did you mean {meant!r}?" if meant else guess(name, known)
        raise Faulty("E089", what=f"module {name!r}", suggestion=suggestion)
    return import_part(name)


def _path_meant_by(name: str) -> str:
    """The path to the app with that label, or to the model of that name; empty without one."""
    for app in apps.get_app_configs():
        if app.label == name:
            return app.name
    models = [model for model in apps.get_models() if model.__name__ == name]
    return f"{models[0].__module__}.{name}" if len(models) == 1 else ""


def attribute_of(value: Any, name: str) -> Any:
    """A submodule, or else whatever has that name in ``value``. Raises :exc:`Faulty`."""
    is_package = isinstance(value, ModuleType) and "__path__" in vars(value)
    if is_package and module_has_submodule(value, name):
        return import_part(f"{value.__name__}.{name}")
    try:
        return getattr(value, name)
    except AttributeError:
        pass
    except Exception as error:  # of a module that makes its names when they are asked for
        raise Faulty("E080", problem=import_error_text(name, error, name)) from None
    known = {each for each in dir(value) if not each.startswith("_")}
    owner = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if is_package:
        known |= {each.name for each in pkgutil.iter_modules(value.__path__)}
    what = f"{name!r} in {owner or type(value).__name__}"
    raise Faulty("E089", what=what, suggestion=guess(name, known))


def import_part(name: str) -> ModuleType:
    """The module of that name, which is there. Raises :exc:`Faulty` with the line to mend."""
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        spec = find_spec(name)
        within = spec.origin if spec is not None and spec.origin else name
        raise Faulty("E080", problem=import_error_text(name, error, within)) from None


def _of_module(module: ModuleType, path: str) -> list[Named]:
    patches = patches_of(module)
    if not has_execute(module):
        if patches:
            return [Named(name_of(patch, name), patch) for name, patch in patches.items()]
        raise Faulty(
            "E090",
            problem=f"The module {path} has no execute() and no patch."
            f"{guess(EXECUTE, _functions_of(module))}",
            remedy="Define execute() in it, or a class that derives from Patch.",
        )
    if patches:
        raise Faulty(
            "E090",
            problem=f"The module {path} has execute() and patches: {', '.join(patches)}.",
            remedy=f"Name what is to be run, such as {path}.{next(iter(patches))}; each in a line"
            " of its own.",
        )
    function = getattr(module, EXECUTE)
    require_callable(f"{path}.{EXECUTE}", function)
    doc = function.__doc__ or module.__doc__
    named = {"__doc__": doc, "__module__": module.__name__, "module": module}
    return [Named(path, class_of(function, **named), is_ours=False)]


def _functions_of(module: ModuleType) -> Collection[str]:
    return [name for name, value in vars(module).items() if _is_function(value)]


def require_callable(path: str, function: Any) -> None:
    """Raise :exc:`Faulty` for a function that cannot be called as patches are."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        problem = f"{path}() is asynchronous, so it would never be waited for."
        raise Faulty("E090", problem=problem, remedy="Define it with def.")
    if inspect.isgeneratorfunction(function):
        problem = f"{path}() is a generator, so calling it would do nothing."
        raise Faulty("E090", problem=problem, remedy="Take the yield out of it.")
    required = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) > 1 or any(each.kind is each.KEYWORD_ONLY for each in required):
        listed = ", ".join(each.name for each in required)
        raise Faulty(
            "E090",
            problem=f"{path}() needs the parameters {listed}.",
            remedy="Let it take none, or one that receives the context.",
        )
