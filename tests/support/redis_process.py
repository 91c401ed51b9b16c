"""A real Redis of this test run's own, which can be stopped, paused and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest
import redis

from tests.support.ports import find_free_port


class RedisProcess:
    """A Redis (or Valkey) that keeps nothing on disk.

    :param folder: where its socket lies.
    :param options: further options of its command line, such as ``"--maxmemory", "1mb"``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        if server is None:
            pytest.skip("no redis-server: apt-get install redis-server")
        self.port: int = find_free_port()
        self.socket: Path = folder / "redis.sock"
        self._command = [
            *(server, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    def __enter__(self) -> RedisProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with self.client() as client:
            for _ in range(200):
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    time.sleep(0.02)
        raise AssertionError("Redis does not answer")

    def stop(self) -> None:
        """End it, and with it all that it knows."""
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: it takes connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A connection past the library, to look at what lies there; close it."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)
