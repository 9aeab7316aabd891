"""A market place over HTTP, with nothing but the standard library: the demo's remote system.

``python -m testapp.market [PORT]`` serves it until Ctrl-C. It speaks as most such services do:
JSON, pages with a link to the next one, a change number in each row, ETags that a change may name
in ``If-Match``, and ``Idempotency-Key`` for what is created. Who asks needs the token.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

#: Of a market that holds nothing but invented data.
TOKEN = "demo"
LARGEST_PAGE = 100
#: What other shops have put there before ours came: article number, title, price.
THERE_BEFORE = (
    ("M-0001", "Teapot, blue", "19.90"),
    ("M-0002", "Teapot, white", "18.50"),
    ("M-0003", "Tea strainer", "4.20"),
    ("M-0004", "Storm lantern", "34.00"),
    ("M-0005", "Wick, three metres", "2.75"),
)

Row = dict[str, Any]


class Market:
    """The articles by id. ``calls`` has a line for each request, such as ``POST /articles``."""

    def __init__(self) -> None:
        self.articles: dict[int, Row] = {}
        self.calls: list[str] = []
        self._by_idempotency_key: dict[str, int] = {}
        self._changes = 0
        self._last_id = 0
        self._busy = threading.Lock()
        for sku, title, price in THERE_BEFORE:
            handle = f"{title.lower().replace(',', '').replace(' ', '-')}-{sku.lower()}"
            self.create(
                {"sku": sku, "title": title, "price": price, "available": True, "handle": handle}
            )

    def create(self, values: Mapping[str, Any], idempotency_key: str = "") -> Row:
        """A new article; the one that was made before with this key."""
        with self._busy:
            if (known := self._by_idempotency_key.get(idempotency_key)) is not None:
                return self.articles[known]
            self._last_id += 1
            if idempotency_key:
                self._by_idempotency_key[idempotency_key] = self._last_id
            return self._store(self._last_id, values)

    def change(self, number: int, values: Mapping[str, Any], tag: str = "") -> Row | None:
        """Change some values; None where the article is another than the tag says."""
        with self._busy:
            before = self.articles[number]
            if tag and tag != etag(before):
                return None
            return self._store(number, {**before, **values})

    def number(self, sku: str) -> int:
        """The id of the article with this number of its shop's."""
        return next(row["id"] for row in self.articles.values() if row["sku"] == sku)

    def delete(self, number: int) -> None:
        with self._busy:
            del self.articles[number]

    def page(self, after: int, size: int) -> tuple[list[Row], bool]:
        """Those that changed after a change number, in that order; whether there are more."""
        with self._busy:
            rows = [row for row in self.articles.values() if row["change"] > after]
        rows.sort(key=lambda row: row["change"])
        return rows[:size], len(rows) > size

    def _store(self, number: int, values: Mapping[str, Any]) -> Row:
        self._changes += 1
        row = {**values, "id": number, "change": self._changes}
        self.articles[number] = row
        return row


def etag(row: Row) -> str:
    return f'"{row["change"]}"'


class Handler(BaseHTTPRequestHandler):
    """One request to the ``market`` of the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the head of an answer and its body are sent apart
    server: Server

    def do_GET(self) -> None:
        self._answered("GET")

    def do_POST(self) -> None:
        self._answered("POST")

    def do_PATCH(self) -> None:
        self._answered("PATCH")

    def do_DELETE(self) -> None:
        self._answered("DELETE")

    def _answered(self, method: str) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        market = self.server.market
        market.calls.append(f"{method} {url.path}")
        _, kind, *rest = url.path.split("/")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "The token is missing, or it is another."})
        if kind != "articles" or len(rest) > 1:
            return self._send(404, {"error": "There are articles here, and nothing else."})
        if not rest:
            if method == "GET":
                return self._list(parse_qs(url.query))
            made = market.create(json.loads(content), self.headers.get("Idempotency-Key", ""))
            return self._send(201, made)
        number = int(rest[0]) if rest[0].isdecimal() else 0
        if number not in market.articles:
            return self._send(404, {"error": f"There is no article {rest[0]}."})
        if method == "GET":
            return self._send(200, market.articles[number])
        if method == "DELETE":
            market.delete(number)
            return self._send(204, None)
        tag = self.headers.get("If-Match", "")
        changed = market.change(number, json.loads(content), tag)
        if changed is None:
            return self._send(412, {"error": f"Article {number} has been changed meanwhile."})
        return self._send(200, changed)

    def _list(self, query: dict[str, list[str]]) -> None:
        after = int(query.get("changed_after", ["0"])[0])
        sku = query.get("sku", [""])[0]
        size = min(int(query.get("limit", ["50"])[0]), LARGEST_PAGE)
        rows, has_more = self.server.market.page(after, LARGEST_PAGE**2 if sku else size)
        body: Row = {"articles": [row for row in rows if sku in ("", row["sku"])]}
        if has_more:
            more = urlencode({"limit": size, "changed_after": rows[-1]["change"]})
            body["next"] = f"/articles?{more}"
        self._send(200, body)

    def _send(self, status: int, body: Row | None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None and "change" in body:
            self.send_header("ETag", etag(body))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the terminal is that of the demo."""


class Server(ThreadingHTTPServer):
    """The ``market``, on a port of the loopback interface; 0 chooses a free one."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.market = Market()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    """Serve a new market until the block ends."""
    with Server(port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with Server(int(sys.argv[1]) if len(sys.argv) > 1 else 8765) as market:
        print(f"The market is at {market.address}. Ctrl-C ends it.", flush=True)
        market.serve_forever()
