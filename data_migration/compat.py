"""Everything that differs between the supported Django versions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_DUMMY = "django.core.mail.backends.dummy.EmailBackend"


@contextmanager
def no_mail() -> Iterator[None]:
    """While it lasts, mail from the configured mailers goes nowhere.

    Django 6.1 brings ``MAILERS``; before, and where it is not defined, ``EMAIL_BACKEND`` rules.
    """
    # Brings all of django.test along, for which each command and worker would wait.
    from django.test.utils import override_settings  # noqa: PLC0415

    mailers = getattr(settings, "MAILERS", None)
    override: Any = (
        override_settings(EMAIL_BACKEND=_DUMMY)
        if mailers is None
        else override_settings(MAILERS={alias: {"BACKEND": _DUMMY} for alias in mailers})
    )
    _quietly(override.enable)
    try:
        yield
    finally:
        _quietly(override.disable)


def _quietly(switch: Callable[[], object]) -> None:
    # Django 6.1 deprecates EMAIL_BACKEND, but as long as a project uses it, so must we.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        switch()


def task_framework() -> Any:
    """``django.tasks``, which came with Django 6.0, or its backport; None without either."""
    for name in ("django.tasks", "django_tasks"):
        with suppress(ImportError):
            return import_module(name)
    return None


def django_task(function: Callable[..., Any]) -> Any:
    """The function as a task of the default backend. Raises what that has against it."""
    return task_framework().task(function)


def django_task_or(function: Callable[..., Any]) -> Any:
    """The function as a task, or as it is where tasks are not set up."""
    return function if task_framework() is None or _fault(function) else django_task(function)


def no_task_backend(function: Callable[..., Any]) -> str:
    """Why the default backend of ``TASKS`` cannot carry the function out elsewhere, else empty."""
    framework = task_framework()
    if framework is None:
        return f"Before Django 6.0 tasks need django-tasks: pip install django-tasks. {_ADVICE}"
    if fault := _fault(function):
        return f"The default backend of TASKS cannot be used: {fault}. {_ADVICE}"
    backend = type(framework.task_backends["default"])
    if any(each.__name__ in _WITHOUT_WORKERS for each in backend.__mro__):
        return (
            f"The default backend of TASKS is {backend.__name__}, which has no workers. {_ADVICE}"
        )
    return ""


_WITHOUT_WORKERS = ("ImmediateBackend", "DummyBackend")
_ADVICE = "Set TASKS to a backend that has workers, such as that of django-tasks-db."


def _fault(function: Callable[..., Any]) -> str:
    """What the default backend has against the function as a task."""
    framework = task_framework()
    kinds = (ImproperlyConfigured, import_module(f"{framework.__name__}.exceptions").TaskException)
    try:
        django_task(function)
    except kinds as error:
        return str(error).rstrip(".")
    return ""
