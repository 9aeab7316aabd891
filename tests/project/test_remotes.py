"""The remote systems of the tests: they start, answer as they are known to, and always end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.remotes import Kinto, RemoteProblem, Roundup, missing, serving
from tests.support.waiting import wait_until


def test_kinto_keeps_rows_by_the_keys_of_its_clients(kinto: Kinto) -> None:
    kinto.collection("items")
    stored = kinto.put("items", "one", name="bolt")
    kinto.patch("items", "one", size=3)
    kinto.put_all("items", {f"n{number}": {"name": "nut"} for number in range(30)})
    kinto.delete("items", "n0")
    rows = kinto.rows("items")
    assert (rows["one"]["name"], rows["one"]["size"], len(rows)) == ("bolt", 3, 30)
    assert rows["one"]["last_modified"] > stored["last_modified"]


def test_kinto_answers_412_to_what_has_an_old_version(kinto: Kinto) -> None:
    kinto.collection("items")
    old = kinto.put("items", "one", name="bolt")["last_modified"]
    kinto.patch("items", "one", name="nut")
    path, version = "/collections/items/records/one", {"If-Match": f'"{old}"'}
    with pytest.raises(AssertionError, match="412"):
        kinto.call("PATCH", path, {"data": {}}, **version)


def test_kinto_can_have_a_clock_that_is_ahead(tmp_path: Path, kinto: Kinto) -> None:
    with serving("kinto", "10800", tmp_path) as address:
        ahead = Kinto(address)
        versions = []
        for remote in (kinto, ahead):
            remote.collection("items")
            versions.append(remote.put("items", "one", name="bolt")["last_modified"])
    assert 10_800_000 <= versions[1] - versions[0] < 11_400_000


def test_roundup_numbers_its_rows_and_takes_what_is_retired_out_of_its_lists(
    roundup: Roundup,
) -> None:
    group = roundup.create("group", name="tools")
    keys = [roundup.create("issue", title=title, group=group) for title in ("a", "b", "c")]
    roundup.change("issue", keys[0], title="A")
    roundup.retire("issue", keys[1])
    assert {key: row["title"] for key, row in roundup.rows("issue").items()} == {
        "1": "A",
        "3": "c",
    }
    assert roundup.call("GET", "/issue/2").status == 200


def test_roundup_answers_412_to_a_change_without_a_version(roundup: Roundup) -> None:
    roundup.create("issue", title="a")
    with pytest.raises(AssertionError, match="412"):
        roundup.call("PUT", "/issue/1", {"title": "b"})


def test_roundup_answers_429_to_what_comes_too_often(
    fresh_roundup: Callable[..., Roundup],
) -> None:
    tracker = fresh_roundup(calls_per_minute=2)
    with pytest.raises(AssertionError, match="429"):
        [tracker.rows("issue") for _ in range(4)]


def test_what_a_remote_that_does_not_start_said_is_told(tmp_path: Path) -> None:
    with pytest.raises(RemoteProblem, match="nonsense"):
        serving("kinto", "nonsense", tmp_path).__enter__()


@pytest.mark.skipif(bool(missing()), reason="Kinto is not installed")
def test_a_remote_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.support.remotes import serving\n"
        f"with serving('kinto', '0', Path({str(tmp_path)!r})) as address:\n"
        "    print(address, flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    address = holder.stdout.readline().strip()
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()

    def is_gone() -> bool:
        try:
            Kinto(address)
        except OSError:
            return True
        return False

    wait_until(is_gone)
