"""oidc-provider-mock as a child process: a provider that has neither PAR nor JAR."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO

import requests

SECONDS_TO_START = 30


def missing_mock() -> str | None:
    """What this environment lacks to run oidc-provider-mock, with the command; or nothing."""
    if importlib.util.find_spec("oidc_provider_mock") is None:
        return "oidc-provider-mock is not installed: run `pip install --group tests`"
    return None


class MockProcess:
    """A running oidc-provider-mock; a context manager that ends it."""

    def __init__(self) -> None:
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_listens(self) -> None:
        too_late = time.monotonic() + SECONDS_TO_START
        with requests.Session() as session:
            session.trust_env = False
            while self._process.poll() is None and time.monotonic() < too_late:
                try:
                    session.get(self.issuer, timeout=5)
                except requests.ConnectionError:
                    time.sleep(0.05)
                else:
                    return
        self._log.seek(0)
        raise RuntimeError(f"oidc-provider-mock did not start:\n{self._log.read()}")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> MockProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
