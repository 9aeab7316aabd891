"""Commands run two at a time, each with its output in one piece, and a summary at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.paths import ROOT

AT_A_TIME = 2
MINUTES = 15  # a job that takes longer hangs
RULE = "-" * 79
PYTEST_VERDICT = re.compile(r"=+ .* in [\d.]+s.* =+$")


@dataclass(frozen=True)
class Job:
    """A command with a name; ``variables`` are added to its environment."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How a job ended; ``closing`` is the last line it wrote."""

    name: str
    state: str
    seconds: float = 0.0
    closing: str = ""


class Pool:
    """Runs jobs side by side and leaves no process behind, however it ends."""

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """The results in the order of ``jobs``; each output is printed when its job ends."""
        with ThreadPoolExecutor(AT_A_TIME) as executor:
            futures = [executor.submit(self._run, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise
        return [future.result() for future in futures]

    def _run(self, job: Job) -> Result:
        started = time.monotonic()
        child = self._spawn(job)
        try:
            output = child.communicate(timeout=MINUTES * 60)[0]
        except subprocess.TimeoutExpired:
            _kill(child, signal.SIGKILL)
            output = child.communicate()[0] + f"\nstopped after {MINUTES} minutes"
        seconds = time.monotonic() - started
        state = "ok" if child.returncode == 0 else "FAILED"
        self._show(job, state, output)
        return Result(job.name, state, seconds, _closing_line(output))

    def _spawn(self, job: Job) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            child = subprocess.Popen(
                job.command,
                cwd=ROOT,
                env={**os.environ, **job.variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # so that a job's own children end with it
            )
            self._children.add(child)
        return child

    def _show(self, job: Job, state: str, output: str) -> None:
        with self._lock:
            print(f"{RULE}\n{job.name}: {state}\n{RULE}\n{output.rstrip()}\n", flush=True)

    def _stop(self) -> None:
        with self._lock:
            self._closed = True
            for child in self._children:
                _kill(child, signal.SIGTERM)


def summarize(results: Sequence[Result], seconds: float) -> int:
    """Print one line for each job; the exit code of them all."""
    width = max((len(result.name) for result in results), default=0)
    print(f"{RULE}\nSummary\n{RULE}")
    for result in results:
        print(f"{result.state:7}  {result.name:{width}}  {result.seconds:4.0f}s  {result.closing}")
    failed = [result.name for result in results if result.state == "FAILED"]
    verdict = f"{len(failed)} FAILED: {', '.join(failed)}" if failed else "All passed"
    print(f"{RULE}\n{verdict} ({len(results)} jobs, {seconds:.0f} seconds)", flush=True)
    return 1 if failed else 0


def _closing_line(output: str) -> str:
    """The last line; of a pytest run its verdict, also when something was written after it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    verdicts = [line for line in lines if PYTEST_VERDICT.match(line)]
    return (verdicts or lines or [""])[-1]


def _kill(child: subprocess.Popen[str], number: int) -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
