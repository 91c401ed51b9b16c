"""oidc-provider-mock as a child process: a provider that has neither PAR nor JAR."""

from __future__ import annotations

import importlib.util
import sys

from tests.support.child_process import ChildProcess
from tests.support.ports import find_free_port


def missing_mock() -> str | None:
    """What this environment lacks to run oidc-provider-mock, with the command; or nothing."""
    if importlib.util.find_spec("oidc_provider_mock") is None:
        return "oidc-provider-mock is not installed: run `pip install --group tests`"
    return None


class MockProcess(ChildProcess):
    """A running oidc-provider-mock; a context manager that ends it."""

    def __init__(self) -> None:
        port = find_free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        super().__init__([sys.executable, "-m", "oidc_provider_mock", "--port", str(port)])
        self.wait_until_it_answers(self.issuer)
