"""Throwaway PostgreSQL, MariaDB and Redis: loopback only, unsafe on purpose, soon gone."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.support.urls import ServerURL

#: Where nothing may be left out for want of a Python, a server or a browser.
REQUIRED = os.environ.get("CI") == "true"
USER = "tester"
DATABASE = "data_migration"
SECONDS_TO_START = 90
STARTS = 3  # a free port may be taken by someone else before our server binds it


class ServerProblem(Exception):
    """A server cannot be started; the message says which, why and what to do."""


def find_program(*names: str) -> str | None:
    """The newest PostgreSQL's, else the one on the PATH or among the system's daemons."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        packaged = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
        newest = sorted(packaged, key=lambda file: float(Path(file).parts[4]))[-1:]
        found = newest[0] if newest else shutil.which(name, path=path)
        if found:
            return found
    return None


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with its own folder; ``start`` and ``stop`` it."""

    engine: ClassVar[str]
    package: ClassVar[str]  # of Debian
    programs: ClassVar[dict[str, tuple[str, ...]]]  # what we call it -> names to look for
    accounts: ClassVar[tuple[str, ...]]  # whom root starts it as: the first that exists

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.password = secrets.token_hex(12)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @classmethod
    def missing(cls) -> list[str]:
        """The programs that this server needs and that are not on this machine."""
        return [names[0] for names in cls.programs.values() if not find_program(*names)]

    @property
    def url(self) -> ServerURL:
        return ServerURL(self.engine, USER, self.password, "127.0.0.1", self.port, DATABASE)

    def start(self) -> None:
        """Return when the server answers. Raises ``ServerProblem``, with the end of its log."""
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self._create()
        for attempt in range(1, STARTS + 1):
            self.port = free_port()
            self.process = self._spawn(self._command())
            if self._wait_until_ready():
                return self._prepare()
            self.stop()
            if attempt == STARTS:
                raise self._problem("does not start")
        return None

    def stop(self) -> None:
        """Stop the server if it runs, the hard way if it takes more than ten seconds."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT if self.engine == "postgresql" else signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _create(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _prepare(self) -> None:
        """What is left to do once the server answers."""

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + SECONDS_TO_START
        while self.process and self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.1)
        return False

    def _program(self, key: str) -> str:
        found = find_program(*self.programs[key])
        if found is None:
            raise ServerProblem(
                f"{self.programs[key][0]} is not installed, so no throwaway {self.engine} server "
                "can be started. Install it with `python -m tests.services install` (as root)."
            )
        return found

    @property
    def _account(self) -> pwd.struct_passwd:
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        return next(known[name] for name in (*self.accounts, "nobody") if name in known)

    def _spawn(self, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for the command that runs against the servers.
        options: dict[str, Any] = {"start_new_session": True, "cwd": self.folder}
        if os.geteuid() == 0:
            account = self._account
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        # The same everywhere: where temporary files go, the language of messages, the time zone.
        own = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "LC_ALL": "C", "TZ": "UTC"}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | own | environment,
                **options,
            )

    def _run(self, command: Sequence[str], **environment: str) -> None:
        if self._spawn(command, **environment).wait() != 0:
            raise self._problem(f"cannot be set up: {Path(command[0]).name} failed")

    def _secret_file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if os.geteuid() == 0:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)
        return path

    def _problem(self, what: str) -> ServerProblem:
        tail = self.log.read_text(errors="replace").replace(self.password, "***")[-3000:]
        return ServerProblem(f"The throwaway {self.engine} server {what}. Its log ends:\n{tail}")


class PostgreSQL(Server):
    engine = "postgresql"
    package = "postgresql"
    programs: ClassVar = {
        "initdb": ("initdb",),
        "postgres": ("postgres",),
        "ready": ("pg_isready",),
        "createdb": ("createdb",),
    }
    accounts = ("postgres",)

    def _create(self) -> None:
        secret = self._secret_file("password", self.password)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
        identity = [f"--pgdata={self.data}", f"--username={USER}", f"--pwfile={secret}"]
        self._run([self._program("initdb"), *identity, *options])

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def _answers(self) -> bool:
        command = [self._program("ready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _prepare(self) -> None:
        where = ["--host=127.0.0.1", f"--port={self.port}", f"--username={USER}"]
        self._run([self._program("createdb"), *where, DATABASE], PGPASSWORD=self.password)


class MariaDB(Server):
    engine = "mysql"
    package = "mariadb-server"
    programs: ClassVar = {
        "install": ("mariadb-install-db", "mysql_install_db"),
        "server": ("mariadbd",),
    }
    accounts = ("mysql",)

    def _create(self) -> None:
        # Without the test database there are no anonymous users, who would win over ours.
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        where = ["--no-defaults", f"--datadir={self.data}"]
        self._run([self._program("install"), *where, *options])

    def _command(self) -> list[str]:
        statements = (
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
            f"SET PASSWORD FOR root@localhost = PASSWORD('{self.password}');\n"
        )
        return [
            self._program("server"),
            "--no-defaults",  # first, or it is not understood
            f"--datadir={self.data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder / 's'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self._secret_file('init.sql', statements)}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--max-connections=200",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            "--loose-innodb-flush-method=nosync",
        ]

    def _answers(self) -> bool:
        # The greeting comes only after the init file has run.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False


class Redis(Server):
    engine = "redis"
    package = "redis-server"
    programs: ClassVar = {"server": ("redis-server",)}
    accounts = ("redis",)

    @property
    def url(self) -> ServerURL:
        return ServerURL(self.engine, "default", self.password, "127.0.0.1", self.port, "0")

    def _create(self) -> None:
        """Nothing: it begins empty."""

    def _command(self) -> list[str]:
        settings = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.folder}",
            f"requirepass {self.password}",
            'save ""',  # nothing is written to disk
            "appendonly no",
            "daemonize no",
        ]
        # From a file, since a command line can be read by everybody.
        lines = "\n".join(settings) + "\n"
        return [self._program("server"), str(self._secret_file("redis.conf", lines))]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"AUTH {self.password}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False


SERVERS: tuple[type[Server], ...] = (PostgreSQL, MariaDB, Redis)
