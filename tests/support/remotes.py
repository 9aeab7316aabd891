"""Remote systems that nobody here wrote, as processes of their own: Kinto and Roundup.

``python -m tests.support.remotes kinto SECONDS`` (whose clock is ahead by so many; or
``roundup FOLDER``, with its trackers) serves one on a free port of the loopback interface, says on
its first line where, and ends when its stdin is closed: by the test run, or because that is gone,
whatever ended it. The fixtures are in tests/conftest.py.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from tests.support.paths import ROOT

SECONDS_TO_START = 60
USER, PASSWORD = "tester", "a secret of the remote"
#: Of a tracker: what pages of a test are about. Dates, numbers, yes or no, a link, text.
SCHEMA = """
Class(db, "group", name=String())
Class(db, "issue", title=String(), code=String(), note=String(), priority=Number(), due=Date(),
      done=Boolean(), group=Link("group"))
"""


class RemoteProblem(Exception):
    """A remote system cannot be started; the message has what it said."""


def missing() -> list[str]:
    """The packages of ``.[test]`` that are needed here and not installed."""
    return [name for name in ("kinto", "roundup", "waitress") if find_spec(name) is None]


# ---------------------------------------------------------------- a process


@contextmanager
def serving(kind: str, argument: str, folder: Path) -> Iterator[str]:
    """Serve a remote system, its log in ``folder``; yields its address.

    Raises :exc:`RemoteProblem`.
    """
    log = folder / f"{kind}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.remotes", kind, argument],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which still need it to tidy up
            # What it warns of is not ours.
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    assert process.stdout is not None
    assert process.stdin is not None
    late = threading.Timer(SECONDS_TO_START, process.kill)
    late.start()
    try:
        address = process.stdout.readline().strip()
        late.cancel()
        if not address:
            said = log.read_text(errors="replace")[-3000:]
            raise RemoteProblem(f"{kind} does not start. Its log ends:\n{said}")
        yield address
    finally:
        late.cancel()
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _serve(application: Callable[[str], Any]) -> None:
    from waitress.server import create_server

    served: list[Any] = []  # what is served knows the address, which the server chooses
    server = create_server(
        lambda environ, start: served[0](environ, start), host="127.0.0.1", port=0, threads=4
    )
    address = f"http://127.0.0.1:{server.effective_port}"
    served.append(application(address))

    def end() -> None:
        sys.stdin.read()
        os._exit(0)  # without waiting for answers that nobody reads any more

    threading.Thread(target=end, daemon=True).start()
    print(address, flush=True)
    server.run()


# ---------------------------------------------------------------- Kinto


def _kinto(ahead: str) -> Callable[[str], Any]:
    clock, seconds = time.time, float(ahead)
    time.time = lambda: clock() + seconds
    return _new_kinto


def _new_kinto(address: str) -> Any:
    import kinto

    memory = {
        f"kinto.{what}_backend": f"kinto.core.{what}.memory"
        for what in ("storage", "cache", "permission")
    }
    return kinto.main(
        {},
        **memory,
        **{
            "kinto.http_host": urlsplit(address).netloc,
            "kinto.userid_hmac_secret": secrets.token_hex(16),
            "multiauth.policies": "basicauth",
            "kinto.bucket_create_principals": "system.Authenticated",
        },
    )


class Kinto:
    """A new bucket of a Kinto, as another user of it would use it.

    ``account`` is its entry for ``DATA_MIGRATION_CONNECTORS``, without connector and options.
    """

    def __init__(self, address: str) -> None:
        self.bucket = f"b{secrets.token_hex(6)}"
        self.host = f"{address}/v1/buckets/{self.bucket}"
        self.account = {"HOST": self.host, "USER": USER, "PASSWORD": PASSWORD}
        self.call("PUT", "")

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return call(method, self.host + path, body, {"Authorization": _basic(), **headers})

    def collection(self, name: str) -> None:
        """Make a place for rows of one kind."""
        self.call("PUT", f"/collections/{name}")

    def put(self, collection: str, key: str, **data: Any) -> dict[str, Any]:
        """Write a whole row, new or not; the row as it is stored."""
        return dict(self.call("PUT", self._path(collection, key), {"data": data}).data["data"])

    def patch(self, collection: str, key: str, **data: Any) -> dict[str, Any]:
        """Change some values of a row."""
        return dict(self.call("PATCH", self._path(collection, key), {"data": data}).data["data"])

    def put_all(self, collection: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write many rows, in few requests."""
        requests = [
            {
                "method": "PUT",
                "path": f"/v1/buckets/{self.bucket}{self._path(collection, key)}",
                "body": {"data": data},
            }
            for key, data in rows.items()
        ]
        batch = self.host.partition("/buckets/")[0] + "/batch"
        for start in range(0, len(requests), 25):
            body = {"requests": requests[start : start + 25]}
            call("POST", batch, body, {"Authorization": _basic()})

    def delete(self, collection: str, key: str) -> None:
        self.call("DELETE", self._path(collection, key))

    def rows(self, collection: str) -> dict[str, dict[str, Any]]:
        """What is stored, by key."""
        answer = self.call("GET", f"/collections/{collection}/records?_sort=last_modified")
        return {row["id"]: row for row in answer.data["data"]}

    @staticmethod
    def _path(collection: str, key: str) -> str:
        return f"/collections/{collection}/records/{quote(key, safe='')}"


# ---------------------------------------------------------------- Roundup


def _roundup(folder: str) -> Callable[[str], Any]:
    from roundup.cgi.wsgi_handler import RequestDispatcher

    trackers: dict[str, RequestDispatcher] = {}
    opening = threading.Lock()

    def serve(environ: dict[str, Any], start: Any) -> Any:
        """Of ``/name/rest/data``, the tracker in ``FOLDER/name``."""
        name, _, path = environ["PATH_INFO"].removeprefix("/").partition("/")
        with opening:
            if name not in trackers:
                flags = {"cache_tracker": True}
                trackers[name] = RequestDispatcher(f"{folder}/{name}", feature_flags=flags)
        return trackers[name]({**environ, "PATH_INFO": f"/{path}"}, start)

    return lambda address: serve


def roundup_template(folder: Path) -> Path:
    """A tracker with nothing in it, made by Roundup's own command in ``folder``."""
    home = folder / "template"
    options = "tracker_web=http://127.0.0.1/,mail_domain=example.org,mail_host=localhost"
    admin = [sys.executable, "-m", "roundup.scripts.roundup_admin", "-i", str(home)]
    _run(*admin, "install", "minimal", "sqlite", options)
    with (home / "schema.py").open("a") as schema:
        schema.write(SCHEMA)
    _run(*admin, "initialise", PASSWORD)
    return home


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    if done.returncode or "Error:" in done.stdout:
        raise RemoteProblem(f"roundup-admin fails:\n{done.stdout[-3000:]}")


class Roundup:
    """A new tracker of a Roundup, as another user of it would use it.

    ``account`` is its entry for ``DATA_MIGRATION_CONNECTORS``, without connector and options. With
    ``calls_per_minute`` it answers 429 to what comes too often.
    """

    def __init__(self, address: str, template: Path, calls_per_minute: int = 0) -> None:
        name = f"t{secrets.token_hex(6)}"
        home = template.parent / name
        shutil.copytree(template, home)
        config = (home / "config.ini").read_text()
        for before, after in (
            ("web = http://127.0.0.1/\n", f"web = {address}/{name}/\n"),
            ("api_calls_per_interval = 0\n", f"api_calls_per_interval = {calls_per_minute}\n"),
            ("api_interval_in_sec = 3600\n", "api_interval_in_sec = 60\n"),
        ):
            assert before in config, before
            config = config.replace(before, after)
        (home / "config.ini").write_text(config)
        self.host = f"{address}/{name}/rest/data"
        self.account = {"HOST": self.host, "USER": "admin", "PASSWORD": PASSWORD}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.host))
        own = {"Authorization": _basic("admin"), "Origin": origin, "X-Requested-With": "rest"}
        return call(method, self.host + path, body, {**own, **headers})

    def create(self, kind: str, **values: Any) -> str:
        """A new row of this kind; its id."""
        return str(self.call("POST", f"/{kind}", values).data["data"]["id"])

    def change(self, kind: str, key: str, **values: Any) -> None:
        etag = self.call("GET", f"/{kind}/{key}").headers["etag"]
        self.call("PUT", f"/{kind}/{key}", values, **{"If-Match": etag})

    def retire(self, kind: str, key: str) -> None:
        """What Roundup calls deleting: the row leaves the lists, and can still be asked for."""
        etag = self.call("GET", f"/{kind}/{key}").headers["etag"]
        self.call("DELETE", f"/{kind}/{key}", **{"If-Match": etag})

    def rows(
        self, kind: str, fields: Sequence[str] = ("title", "code", "note", "priority", "done")
    ) -> dict[str, dict[str, Any]]:
        """What is in the lists, by id."""
        data = self.call("GET", f"/{kind}?@verbose=0&@fields={','.join(fields)}").data["data"]
        return {row["id"]: row for row in data["collection"]}


# ---------------------------------------------------------------- calls


class Answer:
    """Of a remote system: its status, its headers by name in lower case, and what JSON it has."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.data: Any = json.loads(body) if body else None


def call(method: str, url: str, body: Any = None, headers: Mapping[str, str] = {}) -> Answer:
    """One request. Raises :exc:`AssertionError` for an answer that is an error."""
    content = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    try:
        with urlopen(Request(url, content, sent, method=method), timeout=30) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except HTTPError as error:
        with error:
            said = error.read()[:500].decode(errors="replace")
        raise AssertionError(f"{method} {url}: {error.code} {said}") from None


def _basic(user: str = USER) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"


def main(arguments: Sequence[str]) -> None:
    """The command line: see the head of this file."""
    kind, argument = arguments
    _serve({"kinto": _kinto, "roundup": _roundup}[kind](argument))


if __name__ == "__main__":
    main(sys.argv[1:])
