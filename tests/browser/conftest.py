"""A browser, a live server, and workers that are processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from data_migration.models import Run
from tests.support.absence import absent
from tests.support.legacy import sqlite
from tests.support.specs import NewApp
from tests.support.system import BROWSERS
from tests.support.waiting import PATIENCE

#: Where to put a picture of each page; none are taken without it.
SCREENSHOTS = os.environ.get("DATA_MIGRATION_TEST_SCREENSHOTS")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
#: Slow enough to be watched: a batch is 50 rows, and every row of the members takes a moment.
SPEC = """\
import os, time
from data_migration import BaseMigration, is_a
from tests.apps.library.models import Author, Book, Genre, Member

class AuthorMigration(BaseMigration):
    query = "SELECT id, name FROM authors ORDER BY id"
    model = Author

class BookMigration(BaseMigration):
    query = "SELECT id, title, pages, author_id AS author FROM books ORDER BY id"
    model = Book
    column_description = {"author": is_a(Author, search_attr="id", fk=True)}

class MemberMigration(BaseMigration):
    query = "SELECT id, email FROM members ORDER BY id"
    model = Member
    depends_on = [Book]

    def hook_before_save(self, instance, row):
        time.sleep(float(os.environ.get("PAUSE", "0.01")))
        while os.path.exists(os.environ["HOLD"] + str(row["id"])):
            time.sleep(0.01)
"""
#: As slow: a batch is 50 objects. One of the names is as long as names are let be.
PATCHES = """\
import os, time
from data_migration.patches import Patch, patch
from tests.apps.library.models import Author, Member

class MoveMembers(Patch):
    \"""Move the addresses of members to the new domain.\"""
    batch_size = 50
    writes = [Member]

    def queryset(self):
        return Member.objects.all()

    def process(self, item):
        time.sleep(float(os.environ.get("PAUSE", "0.01")))
        while os.path.exists(os.environ["HOLD"] + str(item.pk)):
            time.sleep(0.01)
        name, at, domain = item.email.partition("@")
        if not at:
            raise ValueError("This is no address: <b>%s</b>" % item.email)
        item.email = f"{name}@example.com"

@patch(depends_on=["slow.move_members"])
def count_members(ctx):
    \"""Count the members, and say how many they are.\"""
    ctx.log(f"<em>{Member.objects.count()}</em> members.")

@patch(name="write_down_the_names_of_all_authors_in_capitals_as_the_old_catalogue_had_it")
def capitals(ctx):
    pass
"""
MEMBERS = 600

Worker = subprocess.Popen[bytes]
#: Takes variables of the worker's environment.
StartWorker = Callable[..., Worker]


@dataclass
class Desk:
    """What one person has in front of them: a page, and what its console said."""

    page: Any
    url: str
    app: str
    legacy: Path
    said: list[str] = field(default_factory=list)

    def log_in(self) -> None:
        User.objects.create_superuser("ada", password="ada")
        self.page.goto(f"{self.url}/admin/login/")
        self.page.fill("#id_username", "ada")
        self.page.fill("#id_password", "ada")
        self.page.click("[type=submit]")

    def open(self, place: str, query: str = "") -> None:
        answer = self.page.goto(f"{self.url}/admin/data_migration/{place}/{query}")
        assert answer.headers["content-security-policy"] == "default-src 'self'"

    def press(self, action: str, *, limit: int | None = None) -> None:
        """Press a button of the status page for the app, and confirm it."""
        self.open("migrationstate")
        self.page.check(f'input[name="label"][value="{self.app}"]')
        self.page.click("summary:has-text('Options')")
        self.page.select_option("#id_on_error", "continue")
        self.page.fill("#id_limit", str(limit or ""))
        self.page.click(f'button[value="{action}"]')
        self.picture(f"confirm-{action}")
        self.page.click(".submit-row button")

    def wait_for(self, state: str) -> None:
        """Until the run on the page has ended in this state; the page reloads itself."""
        self.page.wait_for_selector(f".dm-summary-box .dm-is-{state}")

    def hold(self, member: int) -> None:
        """Let a run wait at this member until it is released, however long the browser takes."""
        self._gate(member).touch()

    def release(self, member: int) -> None:
        self._gate(member).unlink()

    def _gate(self, member: int) -> Path:
        return Path(f"{os.environ['HOLD']}{member}")

    def mend(self, statement: str) -> None:
        with closing(sqlite(self.legacy)) as legacy, legacy:
            legacy.execute(statement)

    def picture(self, name: str) -> None:
        """The page in light and in dark, where pictures are wanted."""
        for scheme in ("dark", "light") if SCREENSHOTS else ():
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(
                path=f"{SCREENSHOTS}/{name}-{scheme}.png", full_page=True, animations="disabled"
            )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        absent("there is no Chromium on the PATH")
    # Playwright has an event loop in this thread, in which Django suspects asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=path, args=list(_ARGUMENTS))


@pytest.fixture
def desk(
    browser: Any,
    live_server: Any,
    new_app: NewApp,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    if connection.vendor != "postgresql":
        pytest.skip("the live server and its workers share a PostgreSQL")
    app = new_app("slow", SPEC, patches=PATCHES)
    legacy = _legacy(tmp_path / "legacy.sqlite3")
    sources = {"legacy": {"ENGINE": "sqlite", "NAME": str(legacy)}}
    settings.DATA_MIGRATION_SOURCES = sources
    settings.DATA_MIGRATION_BACKGROUND = "process"
    lines = (
        "from tests.settings import *",
        f"INSTALLED_APPS = [*INSTALLED_APPS, {app.name!r}]",
        f"DATA_MIGRATION_SOURCES = {sources!r}",
        "DATA_MIGRATION_BATCH_SIZE = 50",
        "DATA_MIGRATION_HEARTBEAT_INTERVAL = 0.5",
    )
    (tmp_path / "worker_settings.py").write_text("\n".join(lines))
    # What a worker, started by the live server, finds in its environment.
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "worker_settings")
    monkeypatch.setenv("DATA_MIGRATION_TEST_DATABASE", str(connection.settings_dict["NAME"]))
    monkeypatch.setenv("HOLD", str(tmp_path / "hold at member "))
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    desk = Desk(context.new_page(), live_server.url, app.label, legacy)
    desk.page.on("console", lambda message: desk.said.append(f"{message.type}: {message.text}"))
    desk.page.on("pageerror", lambda error: desk.said.append(f"error: {error}"))
    desk.page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    yield desk
    context.close()
    _wait_for_workers()


@pytest.fixture
def start_worker(settings: Any, desk: Desk, tmp_path: Path) -> Iterator[StartWorker]:
    """The live server hands its runs to django-tasks-db; calling it starts a worker of that."""
    pytest.importorskip("django_tasks_db")
    lines = {
        "INSTALLED_APPS": [*settings.INSTALLED_APPS, "django_tasks_db"],
        "TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
        "DATA_MIGRATION_BACKGROUND": "auto",
    }
    with (tmp_path / "worker_settings.py").open("a") as file:
        file.writelines(f"\n{name} = {value!r}" for name, value in lines.items())
    for name, value in lines.items():
        setattr(settings, name, value)
    # It registers itself in the admin, whose URLs are made already.
    for model in apps.get_app_config("django_tasks_database").get_models():
        if admin.site.is_registered(model):
            admin.site.unregister(model)
    call_command("migrate", "django_tasks_database", verbosity=0)
    workers: list[Worker] = []

    def start(**variables: str) -> Worker:
        command = [sys.executable, "-m", "django", "db_worker", "--interval", "0.1"]
        path = os.pathsep.join(path for path in sys.path if path)
        workers.append(
            subprocess.Popen(
                [*command, "--no-startup-delay", "--no-reload"],
                env={**os.environ, "PYTHONPATH": path, **variables},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()
    # Its migrations cannot be undone.
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_tasks_database_dbtaskresult")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'django_tasks_database'")


def _legacy(path: Path) -> Path:
    with closing(sqlite(path)) as legacy, legacy:
        legacy.executescript(
            "CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, pages, author_id INTEGER);"
            "CREATE TABLE members (id INTEGER PRIMARY KEY, email TEXT);"
        )
        legacy.executemany("INSERT INTO authors VALUES (?, ?)", ((n, f"A{n}") for n in (1, 2, 3)))
        books = [(n, f"Book {n}", n, 1 + n % 3) for n in range(1, 31)]
        books[3] = (4, "<script>alert(1)</script>", "many", 1)
        books[8] = (9, "Nobody's", 9, 99)
        legacy.executemany("INSERT INTO books VALUES (?, ?, ?, ?)", books)
        members = ((n, f"m{n}@example.org") for n in range(1, MEMBERS + 1))
        legacy.executemany("INSERT INTO members VALUES (?, ?)", members)
    return path


def _wait_for_workers() -> None:
    """A worker that goes on after its test would meet the tables of the next one."""
    import time

    for run in Run.objects.filter(status="running"):
        while run.is_alive:
            Run.objects.filter(pk=run.pk).update(stop_requested=True)
            time.sleep(0.1)
