"""A Redis of this run's own, where there is one: to see what a store costs."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.benchmark.contract import Competitor
from tests.benchmark.ours import make_app

_SECONDS_TO_START = 10


@contextmanager
def redis_url() -> Iterator[str | None]:
    """The address of an empty Redis; None where this machine has none."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None or importlib.util.find_spec("redis") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="parjar-benchmark-") as folder:
        socket = Path(folder) / "redis.sock"
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            too_late = time.monotonic() + _SECONDS_TO_START
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > too_late:
                    raise RuntimeError("Redis did not start")
                time.sleep(0.02)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()


def with_stores(redis: str | None) -> list[Competitor]:
    """Ours with each kind of store that keeps the tokens."""
    addresses = {"cookie": "cookie", "memory": "memory", "redis": redis}
    return [
        Competitor(name=f"PARJAR_STORE={name}", make_app=partial(make_app, store=address))
        for name, address in addresses.items()
        if address is not None
    ]
