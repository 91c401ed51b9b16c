"""``python -m example_app`` as a child process: its start, what it prints, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.support.ports import find_free_port

ROOT = Path(__file__).parent.parent.parent
SECONDS_TO_START = 30


class ExampleProcess:
    """The example, running; a context manager that ends it as Ctrl-C does.

    :param environment: ``FLASK_…`` variables; no other one of that kind reaches the process.
    """

    def __init__(
        self, *options: str, environment: Mapping[str, str] | None = None, port: int | None = None
    ) -> None:
        port = port or find_free_port()
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("FLASK_")}
        command = [sys.executable, "-m", "example_app", "--port", str(port), *options]
        self._command = command
        self._environment = {**inherited, **(environment or {}), "PYTHONUNBUFFERED": "1"}
        self._start()
        for _ in range(2):
            if "Address already in use" in self.output:
                # It chose a port that was free, and another test took it before it listened.
                self.stop()
                self._start()
        self.url = self._find_url()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._lines: list[str] = []
        self._printed_url = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._printed_url.wait(SECONDS_TO_START)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if re.search(r"Open +http", line):
                self._printed_url.set()
        self._printed_url.set()  # it ended, with or without an address

    def _find_url(self) -> str:
        found = re.search(r"Open +(http://\S+)", self.output)
        if found is None:
            self.stop()
            raise RuntimeError(f"the example did not start:\n{self.output}")
        return found[1]

    @property
    def output(self) -> str:
        """What it printed so far, on both streams."""
        return "".join(self._lines)

    @property
    def provider_url(self) -> str:
        """Where the embedded provider is."""
        found = re.search(r"DEVELOPMENT ONLY.*(http://\S+)", self.output)
        assert found is not None, self.output
        return found[1]

    def stop(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._reader.join(timeout=5)
            if self._process.stdout is not None:
                self._process.stdout.close()

    def __enter__(self) -> ExampleProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
