"""A push whose process is killed at any point: one row over there and one link for each object."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_migration.ledger import Link, LinkBook
from data_migration.ledger.statements import RowInsert
from data_migration.sync import Connector, Mapping, Written
from tests.apps.exchange.models import Item
from tests.apps.library.testing import make_project

from .pushing import linked, on_its_way, push

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

OBJECTS = 5


class Server(ThreadingHTTPServer):
    """Keeps rows; with ``knows_keys`` a row is created once for each idempotency key."""

    rows: list[dict[str, Any]]
    keys: dict[str, int]
    knows_keys: bool


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        own = self.server
        if self.path == "/find":
            found = [row for row in own.rows if asked.items() <= row.items()]
            return self._answer(found[0] if found else None)
        key = self.headers["Idempotency-Key"]
        number = own.keys.get(key) if own.knows_keys else None
        if number is None:
            own.rows.append({"id": len(own.rows) + 1, **asked})
            number = own.keys[key] = len(own.rows)
        if victim := self.headers["Kill-Me"]:
            os.kill(int(victim), signal.SIGKILL)
            return None
        return self._answer(own.rows[number - 1])

    def _answer(self, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Api(Connector):
    """Speaks to the server; ``die`` is told before and after each call."""

    def __init__(self, config: Dict[str, Any]) -> None:
        super().__init__({**config, "OPTIONS": {"find_delay": 0}})
        self.calls = 0

    def insert(self, objectname: str, values: Any, *, idempotency_key: str) -> Written:
        self.calls += 1
        die(f"before call {self.calls}")
        headers = {"Idempotency-Key": idempotency_key}
        if f"in call {self.calls}" == AT:
            headers["Kill-Me"] = str(os.getpid())
        row = self._post("/", values, headers)
        die(f"after call {self.calls}")
        return Written(row["id"], row, "1")

    def _post(self, path: str, values: Any, headers: Dict[str, str]) -> Any:
        data = json.dumps(values).encode()
        request = urllib.request.Request(self.config["HOST"] + path, data, dict(headers))
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())


class Remembering(Api):
    def remembers(self, objectname: str) -> float:
        return 3600


class Finding(Api):
    def find(self, objectname: str, values: Any) -> Any:
        return self._post("/find", values, {})


WAYS = {"Remembering": Remembering, "Finding": Finding}
#: Where this process is to die.
AT = os.environ.get("DIE_AT", "")


def die(point: str) -> None:
    if point == AT:
        os.kill(os.getpid(), signal.SIGKILL)


class Things(Mapping):
    objectname = "thing"
    model = Item
    page_size = 3
    fields = {"name": "item_name"}


POINTS = [
    "INSERT outgoing",  # the plan is not committed
    "before call 1",
    "before call 2",
    "in call 2",  # the server has committed, and no answer comes
    "after call 2",
    "in call 3",
    "links",  # between answer and link
    "INSERT remotestate",  # in the last transaction
    "DELETE outgoing",
    "UPDATE runstep",
    "in call 4",  # in the second batch
    "UPDATE run",  # all is done but the end of the run
]


def main(host: str, way: str) -> None:
    """What the process does that is killed."""
    seen: list[str] = []

    def watch(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        verb, _, rest = str(sql).partition(" ")
        table = rest.replace("`", '"').partition("data_migration_")[2].partition('"')[0]
        is_late = verb not in ("DELETE", "UPDATE") or "links" in seen
        if is_late and not (table == "run" and not _is_over(params)):
            die(f"{verb} {table}")
        return execute(sql, params, many, context)

    add = LinkBook.add

    def add_links(self: LinkBook, links: Sequence[Link], *more: Any) -> None:
        seen.append("links")
        die("links")
        add(self, links, *more)

    made, insert = RowInsert.__init__, RowInsert.__call__
    names: dict[int, str] = {}

    def remember(self: RowInsert, connection: Any, model: Any, *more: Any, **named: Any) -> None:
        made(self, connection, model, *more, **named)
        names[id(self)] = str(model._meta.model_name)

    def insert_rows(self: RowInsert, migration: int, rows: Any, *more: Any) -> None:
        if rows:
            die(f"INSERT {names[id(self)]}")
        insert(self, migration, rows, *more)

    # PostgreSQL takes rows by COPY, of which nobody is told.
    LinkBook.add = add_links  # type: ignore[method-assign]
    RowInsert.__init__ = remember  # type: ignore[method-assign]
    RowInsert.__call__ = insert_rows  # type: ignore[method-assign]
    with connection.execute_wrapper(watch) if AT[:1].isupper() else nullcontext():
        push(Things, connector=WAYS[way]({"HOST": host}))


def _is_over(params: Any) -> bool:
    return any(value in ("done", "partial") for value in params or ())


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(way: str) -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.rows, made.keys, made.knows_keys = [], {}, way == "Remembering"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def test_whatever_kills_a_push_the_next_one_ends_with_one_row_for_each_object(
    way: str, server: Server, tmp_path: Path, target_environment: dict[str, str]
) -> None:
    host = f"http://127.0.0.1:{server.server_address[1]}"
    project = make_project(tmp_path, target_environment, spec="")
    code = f"from tests.target.sync.test_push_killed import main; main({host!r}, {way!r})"
    for point in POINTS:
        Item.objects.all().delete()
        Item.objects.bulk_create(Item(item_name=f"{point} {n}") for n in range(OBJECTS))

        project.environment["DIE_AT"] = point  # type: ignore[index]
        done = project.run("shell", "-c", code)
        assert done.code == -signal.SIGKILL, (point, done)

        again = push(Things, connector=WAYS[way]({"HOST": host}))
        names = sorted(n for row in server.rows if (n := row["name"]).startswith(f"{point} "))
        assert names == [f"{point} {n}" for n in range(OBJECTS)], point
        mine = {str(pk) for pk in Item.objects.values_list("pk", flat=True)}
        links = {pk: key for pk, key in linked("Things").items() if pk in mine}
        rows = {str(row["id"]): row["name"] for row in server.rows}
        assert {pk: rows[key] for pk, key in links.items()} == {
            str(item.pk): item.item_name for item in Item.objects.all()
        }, point
        assert (on_its_way(), again.error, again.step.failed) == ([], None, 0), (point, again.said)
        assert push(Things, connector=WAYS[way]({"HOST": host})).counts == {"unchanged": OBJECTS}
