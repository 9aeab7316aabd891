"""Each backend: when it can be used, and that it hands over. Their workers: ``test_workers``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from django.conf import ENVIRONMENT_VARIABLE

from data_migration.compat import task_framework
from data_migration.launch.backends import BACKENDS, Celery, DjangoTasks, Process
from data_migration.ledger import queue_run
from data_migration.models import Run
from data_migration.outcomes import Mode, RunKind
from tests.support.waiting import PATIENCE, wait_until
from tests.target.ledger.running import committing


def framework() -> Any:
    module = task_framework()
    return module or pytest.skip("neither Django 6.0 nor django-tasks is installed")


Configure = Callable[..., None]


@pytest.fixture
def configure(settings: Any) -> Iterator[Configure]:
    """``configure("{}.backends.x.X", QUEUES=[...])`` sets TASKS; ``{}`` is the framework."""
    handler = framework().task_backends

    def forget() -> None:
        # The backport reads the setting once.
        handler._settings = None
        vars(handler).pop("settings", None)
        handler._connections = type(handler)()._connections

    def configured(path: str, **more: Any) -> None:
        forget()
        settings.TASKS = {"default": {"BACKEND": path.format(framework().__name__), **more}}

    yield configured
    forget()


def test_each_is_known_by_its_value_of_the_setting() -> None:
    assert {name: type(backend) for name, backend in BACKENDS.items()} == {
        "django": DjangoTasks,
        "celery": Celery,
        "process": Process,
    }
    assert all(backend.name == name for name, backend in BACKENDS.items())


# ------------------------------------------------------------------ django.tasks


@pytest.mark.parametrize("name", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
def test_a_backend_of_tasks_without_workers_is_named(configure: Configure, name: str) -> None:
    configure(f"{{}}.backends.{name}")
    kind = name.partition(".")[2]
    assert f"TASKS is {kind}, which has no workers. Set TASKS to" in DjangoTasks().unavailable()


def test_a_backend_that_cannot_be_imported_is_named(configure: Configure) -> None:
    configure("nowhere.Backend")
    assert "Could not find backend 'nowhere.Backend'" in DjangoTasks().unavailable()


def test_a_backend_that_does_not_take_our_queue_is_named(configure: Configure) -> None:
    configure("{}.backends.dummy.DummyBackend", QUEUES=["mail"])
    why_not = DjangoTasks().unavailable()
    assert why_not.startswith("The default backend of TASKS cannot be used: ")
    assert "'default'" in why_not


def test_a_backend_with_workers_is_available(configure: Configure) -> None:
    configure("tests.unit.launch.test_backends.Other")
    assert DjangoTasks().unavailable() == ""


def test_the_task_and_its_arguments_reach_the_backend(configure: Configure) -> None:
    configure("tests.unit.launch.test_backends.Other")
    handed.clear()

    DjangoTasks().enqueue("execute_run", 7, "default")

    assert handed == [("data_migration.tasks.execute_run", (7, "default"))]


handed: list[Any] = []


def __getattr__(name: str) -> Any:
    """The class of a backend with workers; it exists where there are tasks."""
    if name != "Other":
        raise AttributeError(name)
    base = import_module(f"{framework().__name__}.backends.base").BaseTaskBackend

    class Other(base):  # type: ignore[misc, valid-type]
        supports_async_task = True

        def enqueue(self, task: Any, args: Any, kwargs: Any) -> None:
            self.validate_task(task)
            handed.append((task.module_path, tuple(args)))

    return Other


def test_without_any_tasks_the_package_to_install_is_named() -> None:
    program = (
        "import sys; sys.modules['django_tasks'] = sys.modules['django.tasks'] = None\n"
        "import django; django.setup()\n"
        "from data_migration import background\n"
        "from data_migration.launch import tasks\n"
        "from data_migration.launch.backends import DjangoTasks\n"
        "print(DjangoTasks().unavailable(), tasks.execute_run.__name__)"
    )
    said = _python(program)
    assert said.startswith("Before Django 6.0 tasks need django-tasks: pip install django-tasks.")
    assert said.endswith("execute_run\n")


def test_the_tasks_can_be_imported_without_celery() -> None:
    program = (
        "import sys; sys.modules['celery'] = None\n"
        "import django; django.setup()\n"
        "from data_migration import background\n"
        "from data_migration.launch import tasks\n"
        "from data_migration.launch.backends import Celery\n"
        "print(Celery().unavailable(), list(tasks.FUNCTIONS))"
    )
    said = _python(program)
    assert said == (
        "Celery is not installed: pip install celery. ['execute_run', 'execute_range']\n"
    )


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------ Celery


@pytest.fixture
def celery_app() -> Iterator[Any]:
    """A Celery app that is the project's until the test ends."""
    celery = pytest.importorskip("celery")
    state = pytest.importorskip("celery._state")
    former = state._tls.current_app
    app = celery.Celery("shop", set_as_current=True, changes={"broker_url": None})
    yield app
    app.close()
    state._tls.current_app = former


def test_celery_without_a_broker_is_not_available(celery_app: Any) -> None:
    assert "Celery has no broker. Set CELERY_BROKER_URL" in Celery().unavailable()


@pytest.mark.parametrize(
    "conf", [{"broker_url": "memory://"}, {"broker_url": "redis://x", "task_always_eager": True}]
)
def test_celery_without_workers_is_not_available(celery_app: Any, conf: dict[str, Any]) -> None:
    celery_app.conf.update(conf)
    assert "Celery has no workers here" in Celery().unavailable()


def test_celery_with_a_broker_is_available(celery_app: Any) -> None:
    celery_app.conf.broker_url = "redis://127.0.0.1:1/0"
    assert Celery().unavailable() == ""


def test_a_broker_that_is_not_there_is_told_at_once(celery_app: Any) -> None:
    from kombu.exceptions import OperationalError

    celery_app.conf.broker_url = "redis://127.0.0.1:1/0"
    with pytest.raises(OperationalError, match="refused"):
        Celery().enqueue("execute_run", 7, "default")


# ------------------------------------------------------------------ a process


def test_a_process_needs_to_know_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Process().unavailable() == ""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert "needs DJANGO_SETTINGS_MODULE in the environment" in Process().unavailable()


def test_where_python_is_embedded_the_interpreter_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/sbin/apache2")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert f"there is none in {tmp_path}" in Process().unavailable()

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").touch()
    assert Process().unavailable() == ""


def test_a_process_executes_runs_and_nothing_else() -> None:
    with pytest.raises(ValueError, match="executes a run, not the task 'execute_range'"):
        Process().enqueue("execute_range", 7, "default")


@committing
def test_a_process_that_ends_before_it_began_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, target_environment: dict[str, str]
) -> None:
    for name, value in target_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "no_such_settings")
    run = queue_run(kind=RunKind.IMPORT, mode=Mode.COMMIT, options={}, database="default")

    Process().enqueue("execute_run", run.pk, "default")

    wait_until(lambda: Run.objects.get(pk=run.pk).status != "queued")
    run.refresh_from_db()
    assert run.status == "failed"
    assert run.error == (
        "Its process ended with exit code 1 before it began. Its last words:"
        " ModuleNotFoundError: No module named 'no_such_settings'"
    )
