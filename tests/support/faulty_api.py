"""A small API over HTTP that misbehaves when it is told to: a real server, in a thread.

::

    with faulty_api() as api:
        api.put(1, name="Anvil")
        api.next("429", retry_after="5")     # the next answer, then all is well again
        httpx.get(f"{api.address}/items").json()
        assert api.asked == ["GET /items"]

``/items`` has pages of ``size`` rows in each of the seven ways; ``POST`` knows ``Idempotency-Key``
again, ``PATCH`` and ``DELETE`` take ``If-Match``. What it is told to do next, see :class:`Fault`.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

#: What comes in place of an answer, or before it.
FAULTS = (
    *("reset before", "reset after", "reset in the body", "slow", "html", "nan", "twice", "bomb"),
    *("error in 200", "elsewhere", "redirect elsewhere", "expired", "same page", "no body"),
)


class Api:
    """The rows by key, what was asked for, and what goes wrong next."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[tuple[str, dict[str, str]] | None] = []
        self.known: dict[str, str] = {}
        self.tokens: list[str] = []
        self.remembers = True
        self.address = ""
        self.elsewhere = "http://elsewhere.invalid"
        self.lock = threading.RLock()
        self._changes = 0

    def next(self, *faults: str | None, **details: str) -> None:
        """What the next answers are: a fault, a status in digits, or None for a good one."""
        self.faults += [None if fault is None else (fault, details) for fault in faults]

    def put(self, key: Any, **values: Any) -> dict[str, Any]:
        """Create or change a row."""
        with self.lock:
            self._changes += 1
            former = self.rows.get(str(key), {})
            self.rows[str(key)] = {**former, **values, "id": str(key), "changed": self._changes}
            return self.rows[str(key)]

    def etag(self, key: str) -> str:
        return f'"{self.rows[key]["changed"]}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        api = self.server.api
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        with api.lock:
            api.asked.append(f"{self.command} {self.path}")
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            fault, details = (api.faults.pop(0) if api.faults else None) or ("", {})
        if fault == "reset before":
            self._reset()
            return
        if fault.isdecimal():
            self._answer(int(fault), {"message": "as it was told"}, **details)
            return
        if fault == "html":
            self._send(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})
            return
        if fault == "expired":
            self._answer(401, {"message": "the token has expired"})
            return
        if fault == "redirect elsewhere":
            self._answer(302, {}, location=f"{api.elsewhere}/items")
            return
        if fault == "slow":
            time.sleep(float(details.get("seconds", "1")))
        with api.lock:
            status, data, headers = self._done(body, fault)
        if fault == "reset after":
            self._reset()
        elif fault == "reset in the body":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'[{"id":')
            self.wfile.flush()
            self._reset()
        elif fault == "error in 200":
            self._answer(200, {"error": {"message": "quota of the day"}})
        elif fault == "nan":
            self._send(200, b'[{"id": "1", "price": NaN}]')
        elif fault == "twice":
            self._send(200, b'[{"id": "1", "id": "2"}]')
        elif fault == "no body":
            self._send(204, b"")
        elif fault == "bomb":
            packed = gzip.compress(b"[" + b" " * 5_000_000 + b"]")
            self._send(200, packed, {"Content-Encoding": "gzip"})
        else:
            self._answer(status, data, **headers)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle

    def _done(self, body: bytes, fault: str) -> tuple[int, Any, dict[str, str]]:
        api, url = self.server.api, urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts == ["token"]:
            asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if asked.get("client_secret") != "hunter2":
                return 401, {"message": "no such client"}, {}
            api.tokens.append(f"token{len(api.tokens)}")
            return 200, {"access_token": api.tokens[-1], "expires_in": 3600}, {}
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if len(parts) == 1 and self.command == "GET":
            return self._list(query, fault)
        if self.command == "POST":
            return self._create(json.loads(body))
        key = parts[1]
        if key not in api.rows:
            return 404, {"message": "no such row"}, {}
        expected = self.headers.get("If-Match")
        if expected is not None and expected != api.etag(key):
            return 412, {"message": "it has changed"}, {}
        if self.command == "DELETE":
            del api.rows[key]
            return 204, None, {}
        if self.command in ("PATCH", "PUT"):
            api.put(key, **json.loads(body))
        return 200, api.rows[key], {"ETag": api.etag(key)}

    def _create(self, values: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        api, known = self.server.api, self.headers.get("Idempotency-Key", "")
        if api.remembers and known in api.known:
            key = api.known[known]
            return 200, api.rows[key], {"ETag": api.etag(key)}
        key = str(1 + max(map(int, api.rows), default=0))
        api.put(key, **values)
        if known:
            api.known[known] = key
        return 201, api.rows[key], {"ETag": api.etag(key)}

    def _list(self, query: dict[str, str], fault: str) -> tuple[int, Any, dict[str, str]]:
        api = self.server.api
        plain = {"size", "way", "page", "offset", "cursor", "since", "fields"}
        rows = sorted(api.rows.values(), key=lambda row: int(row["changed"]))
        rows = [row for row in rows if row["changed"] >= int(query.get("since", 0))]
        for name, value in query.items():
            if name not in plain:
                rows = [row for row in rows if str(row.get(name)) == value]
        size = int(query.get("size", 100))
        start = int(query.get("offset", 0)) or int(query.get("cursor", 0))
        start = start or (int(query.get("page", 1)) - 1) * size
        page = rows[start : start + size]
        is_last = start + size >= len(rows)
        if fault == "same page":
            start, is_last = start - size, False
        query["cursor"] = str(start + size)
        link = f"/items?{urlencode(query)}"
        if fault == "elsewhere":
            link, is_last = f"{api.elsewhere}{link}", False
        headers: dict[str, str] = {"Last-Modified-Seq": str(api._changes)}
        match query.get("way", ""):
            case "link":
                headers |= {} if is_last else {"Link": f'<{api.address}{link}>; rel="next"'}
                if fault == "elsewhere":
                    headers["Link"] = f'<{link}>; rel="next"'
                return 200, page, headers
            case "header":
                return 200, page, headers | ({} if is_last else {"Next-Page": link})
            case "url":
                return 200, {"data": page, "links": {"next": None if is_last else link}}, headers
            case "token":
                return 200, {"data": page, "next": None if is_last else start + size}, headers
        return 200, page, headers

    def _answer(self, status: int, data: Any, **headers: str) -> None:
        body = b"" if data is None else json.dumps(data).encode()
        self._send(status, body, {name.replace("_", "-"): v for name, v in headers.items()})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: Api

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def faulty_api() -> Iterator[Api]:
    """The server, on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api = Api()
    server.api.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
