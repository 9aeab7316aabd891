"""The system packages that the tests use, on Debian and its children."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.support.servers import SERVERS
from tests.support.urls import SERVICES

#: What Chromium may be called.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: ODBC drivers, and what pip needs to build mysqlclient.
LIBRARIES = (
    "unixodbc",
    "odbc-postgresql",
    "odbc-mariadb",
    "libsqliteodbc",
    "libmariadb-dev",
    "pkg-config",
    "gcc",
    "libc6-dev",
)


def missing_packages() -> list[str]:
    """Those that are not installed; on other systems than Debian what we cannot find.

    A server that the environment names needs no package, nor does a browser that is there already.
    """
    servers = [kind for kind in SERVERS if not os.environ.get(SERVICES[kind.engine])]
    if not shutil.which("dpkg-query"):
        return [program for server in servers for program in server.missing()]
    browser = [] if any(map(shutil.which, BROWSERS)) else ["chromium"]
    packages = [*(server.package for server in servers), *browser, *LIBRARIES]
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages]
    listing = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in installed]


def install() -> int:
    """Install what is missing; an exit code. Says what to do where we may not or cannot."""
    missing = missing_packages()
    if not missing:
        return 0
    if not shutil.which("apt-get"):
        return _refuse(f"missing: {', '.join(missing)}. Install them with your package manager.")
    if os.geteuid() != 0:
        command = f"sudo apt-get install {' '.join(missing)}"
        return _refuse(f"only root may install system packages. Run: {command}")
    print(f"Installing system packages: {', '.join(missing)}", flush=True)
    return _apt_get("update") or _apt_get("install", "--no-install-recommends", *missing)


def _apt_get(*arguments: str) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", "-y", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:  # quiet while all is well, complete when it is not
        sys.stderr.write(done.stdout.decode(errors="replace"))
    return done.returncode


def _refuse(why: str) -> int:
    print(f"tests.services: {why}", file=sys.stderr)
    return 1
