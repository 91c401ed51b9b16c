"""A program that runs beside a test: its start, what it writes, its end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any, NoReturn, TypeVar

import requests

Self = TypeVar("Self", bound="ChildProcess")

SECONDS_TO_START = 30
SECONDS_TO_END = 5


class ChildProcess:
    """A running program; a context manager that ends it.

    :param command: what to run. What it writes goes to `log`, unless `options` say otherwise.
    :param options: further ones of :class:`subprocess.Popen`.
    """

    #: How long it may take to end when it is told to.
    seconds_to_end: float = SECONDS_TO_END

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self.name = command[0]
        self.session = requests.Session()
        self.session.trust_env = False
        self._log: IO[bytes] = tempfile.TemporaryFile()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": self._log, "stderr": self._log}
        self.process: subprocess.Popen[Any] = subprocess.Popen(command, **{**pipes, **options})

    def wait_until_it_answers(self, url: str) -> None:
        """Wait until an HTTP request is answered, however it is.

        :raises RuntimeError: it ended, or took too long; it is ended then.
        """
        too_late = time.monotonic() + SECONDS_TO_START
        while self.process.poll() is None and time.monotonic() < too_late:
            try:
                self.session.get(url, timeout=5)
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.02)
            else:
                return
        self.fail_to_start()

    def fail_to_start(self) -> NoReturn:
        """End it, and say what it wrote."""
        self._end()
        log = self.log
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{log}")

    @property
    def log(self) -> str:
        """What it wrote so far."""
        file = self._log.fileno()  # (to read() would move the place at which the program writes)
        return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", errors="replace")

    def ask_to_end(self) -> None:
        """Tell it to go."""
        self.process.terminate()

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()

    def stop(self) -> None:
        """End it, kindly first, and forget what it wrote."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        self.session.close()
        self.ask_to_end()
        try:
            self.process.wait(timeout=self.seconds_to_end)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
