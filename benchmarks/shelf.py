"""A remote system to measure with: a dictionary behind HTTP, in a process of its own.

It does as little as a server can, and the client as little as a client can, so that what a sync
adds to the bare calls is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from data_migration.sync import Connector, Page, Written

#: The environment variable with ``host:port``.
VARIABLE = "BENCHMARK_SHELF"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    rows: dict[int, dict[str, Any]] = {}

    def do_GET(self) -> None:
        after, size = map(int, self.path[1:].split("/"))
        # Keys are 1, 2, 3 ... and nothing is ever deleted.
        page = [self.rows[key] for key in range(after + 1, min(after + size, len(self.rows)) + 1)]
        self._answer(page)

    def do_POST(self) -> None:
        keys = []
        for row in self._sent():
            key = len(self.rows) + 1
            self.rows[key] = {**row, "id": key}
            keys.append(key)
        self._answer(keys)

    def do_PATCH(self) -> None:
        sent = self._sent()
        for key, changes in sent:
            self.rows[key].update(changes)
        self._answer(len(sent))

    def do_DELETE(self) -> None:
        self.rows.clear()
        self._answer(0)

    def _sent(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class OneByOne(Connector):
    """The shelf, a call for each row that is written."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self._connection = HTTPConnection(config["HOST"])

    def ping(self) -> str:
        self.call("GET", "/0/1")
        return "a shelf"

    def call(self, method: str, path: str = "/", data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        self._connection.request(method, path, body)
        return json.loads(self._connection.getresponse().read())

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        last = 0
        while rows := self.call("GET", f"/{last}/{size}"):
            yield Page(rows)
            last = rows[-1]["id"]

    def find(self, objectname: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        raise AssertionError("nothing is in doubt here")

    def insert(
        self, objectname: str, values: Mapping[str, Any], *, idempotency_key: str
    ) -> Written:
        return Written(self.call("POST", data=[values])[0])

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        self.call("PATCH", data=[(key, changes)])
        return Written(key)

    def close(self) -> None:
        self._connection.close()


class Shelf(OneByOne):
    """The same, a call for each page of rows."""

    def insert_many(
        self, objectname: str, rows: Sequence[tuple[Mapping[str, Any], str]]
    ) -> Sequence[Written | Exception]:
        return [Written(key) for key in self.call("POST", data=[values for values, _ in rows])]

    def update_many(
        self, objectname: str, rows: Sequence[tuple[Any, Mapping[str, Any], str | None]]
    ) -> Sequence[Written | Exception]:
        self.call("PATCH", data=[(key, changes) for key, changes, _ in rows])
        return [Written(key) for key, _, _ in rows]


@contextmanager
def serving() -> Iterator[str]:
    """Serve an empty shelf in a process of its own; yields ``host:port``."""
    command = [sys.executable, "-m", "benchmarks.shelf"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.terminate()


def connect() -> Shelf:
    return Shelf({"HOST": os.environ[VARIABLE]})


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
