"""People who look at the pages, and runs for them to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from data_migration.launch.jobs import execute
from data_migration.models import Run
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.testing import migrate

STATUS = "/admin/data_migration/migrationstate/"
RUNS = "/admin/data_migration/run/"
PATCHES = "/admin/data_migration/patchrecord/"
MESSAGES = "/admin/data_migration/rowerror/"


class Login(Protocol):
    """``login("view_run", "start_run")`` is a browser of a member of staff who may do that."""

    def __call__(self, *permissions: str, is_staff: bool = True) -> Client: ...


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def _background(settings: Any) -> None:
    """Runs may be started; in a test's transaction, which is never committed, none is."""
    settings.DATA_MIGRATION_BACKGROUND = "process"


@pytest.fixture
def login(db: None) -> Login:
    def log_in(*permissions: str, is_staff: bool = True) -> Client:
        name = "-".join(permissions) or "nobody"
        user = User.objects.create_user(name, is_staff=is_staff)
        for permission in permissions:
            user.user_permissions.add(
                Permission.objects.get(
                    content_type__app_label="data_migration", codename=permission
                )
            )
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def viewer(login: Login) -> Client:
    return login("view_run")


@pytest.fixture
def starter(login: Login) -> Client:
    return login("view_run", "start_run")


@pytest.fixture
def undoer(login: Login) -> Client:
    return login("view_run", "rollback_run")


@pytest.fixture
def imported(library: Library) -> Run:
    """A committed run of the library in which three books failed."""
    library.spoil_books()
    migrate("library", "--commit", "--on-error", "continue")
    return Run.objects.get()


@pytest.fixture
def work() -> Callable[[], Run]:
    """Executes the run that waits, as a worker does; returns it."""

    def execute_next() -> Run:
        run = Run.objects.get(status="queued")
        execute(run.pk, "default")
        run.refresh_from_db()
        return run

    return execute_next
