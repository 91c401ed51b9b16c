"""Our site under gunicorn: how many logins a second and core, and how long one waits.

The provider, the visitors and the workers share the machine, so logins a second say less than
logins for each second that a worker's processor was at work: that is the figure to plan with.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from flask import Flask

from tests.benchmark.contract import Registration
from tests.benchmark.ours import make_app
from tests.benchmark.stub_process import ROOT

_REGISTRATION = "PARJAR_BENCHMARK_REGISTRATION"
_SECONDS_TO_START = 30


class Shape(NamedTuple):
    """How many gunicorn workers, each with how many threads."""

    workers: int
    threads: int


SHAPES = (Shape(1, 1), Shape(2, 1), Shape(1, 8), Shape(2, 8), Shape(1, 32))


class Throughput(NamedTuple):
    """What came of one shape; milliseconds for the half and the slowest hundredth."""

    shape: Shape
    visitors: int
    per_second: float
    per_core: float
    p50: float
    p99: float


def missing_gunicorn() -> str:
    """Why nothing can be measured here; empty where it can."""
    if importlib.util.find_spec("gunicorn") is None:
        return "gunicorn is not installed: the scale is not measured"
    return "" if os.path.exists("/proc/self/stat") else "no /proc: the scale is not measured"


def application() -> Flask:
    """What gunicorn serves."""
    return make_app(Registration(**json.loads(os.environ[_REGISTRATION])))


@contextmanager
def _serving(registration: Registration, shape: Shape) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory(prefix="parjar-benchmark-") as folder:
        address = str(Path(folder) / "socket")
        command = [
            *(sys.executable, "-m", "gunicorn", "--bind", f"unix:{address}"),
            *("--workers", str(shape.workers), "--threads", str(shape.threads)),
            *("--log-level", "warning", "--backlog", "512", "--graceful-timeout", "2"),
            *("--worker-class", "gthread" if shape.threads > 1 else "sync", "--keep-alive", "30"),
            "tests.benchmark.scale:application()",
        ]
        environment = os.environ | {_REGISTRATION: json.dumps(asdict(registration))}
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        try:
            too_late = time.monotonic() + _SECONDS_TO_START
            while not os.path.exists(address):
                if process.poll() is not None or time.monotonic() > too_late:
                    raise RuntimeError("gunicorn did not start")
                time.sleep(0.05)
            yield address, process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _send_visitors(address: str, visitors: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmark.load", address, str(visitors), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _processor_seconds(parent: int) -> float:
    """What the workers of a gunicorn have used of processors so far."""
    spent = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[1]) == parent:
            spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def measure_scale(registration: Registration, shape: Shape, *, seconds: float) -> Throughput:
    """Send a crowd to our site: two visitors for each thread, so that no thread is idle."""
    visitors = 2 * shape.workers * shape.threads
    with _serving(registration, shape) as (address, parent):
        _send_visitors(address, visitors, min(1.0, seconds))
        before = _processor_seconds(parent)
        result = _send_visitors(address, visitors, seconds)
        spent = _processor_seconds(parent) - before
    return Throughput(
        shape=shape,
        visitors=visitors,
        per_second=result["logins"] / result["seconds"],
        per_core=result["logins"] / spent,
        p50=result["p50"],
        p99=result["p99"],
    )
