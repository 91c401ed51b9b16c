"""oidc-provider as a child process: whether it can run here, its start, its record, its end.

What the provider demands and answers is in ``oidc_provider.mjs``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import requests

HERE = Path(__file__).parent
OLDEST_NODE = 20
SECONDS_TO_START = 30


def missing_piece() -> str | None:
    """What this machine lacks to run oidc-provider, with the command that brings it; or nothing."""
    node = shutil.which("node")
    if node is None:
        return f"no `node` on the PATH: install Node.js {OLDEST_NODE} or later"
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {version} is too old: install {OLDEST_NODE} or later"
    command = "npm ci --prefix tests/interop"
    installed = HERE / "node_modules" / "oidc-provider" / "package.json"
    if not installed.exists():
        return f"oidc-provider is not installed: run `{command}`"
    locked = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    wanted = locked["packages"]["node_modules/oidc-provider"]["version"]
    found = json.loads(installed.read_text(encoding="utf-8"))["version"]
    if found != wanted:
        return f"oidc-provider {found} is installed and {wanted} is wanted: run `{command}`"
    return None


def is_required() -> bool:
    """Whether a missing provider is a failure here and not a reason to skip."""
    asked = (os.environ.get("CI", ""), os.environ.get("PARJAR_REQUIRE_INTEROP", ""))
    return any(value.lower() not in ("", "0", "false") for value in asked)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that reached an endpoint of the provider.

    ``query`` and ``form`` are pairs in order of arrival, duplicates included; ``authorization`` is
    the scheme of that header in lower case; ``error`` is the provider's reason where it refused.
    """

    endpoint: str
    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    authorization: str | None
    headers: dict[str, str]
    status: int | None
    error: dict[str, str | None] | None

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Call:
        """Read one entry of ``/__calls``."""
        pairs = {name: [(key, value) for key, value in record[name]] for name in ("query", "form")}
        return cls(**{**record, **pairs})

    def field(self, name: str) -> str:
        """Return the value of a form field that came exactly once."""
        (value,) = [value for key, value in self.form if key == name]
        return value


class ProviderProcess:
    """A running oidc-provider; a context manager that ends it.

    :param clients: client metadata in the names of RFC 7591.
    :param features: laid over the features of ``oidc_provider.mjs``.
    :param https: PEM texts, ``{"cert": …, "key": …}``.
    :param ca_bundle: what a client must trust to reach it by https.
    """

    def __init__(
        self,
        *,
        clients: Sequence[Mapping[str, Any]],
        features: Mapping[str, Any] | None = None,
        https: Mapping[str, str] | None = None,
        ca_bundle: Path | None = None,
    ) -> None:
        self.ca_bundle = ca_bundle
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            ["node", str(HERE / "oidc_provider.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca_bundle) if ca_bundle else True
        configuration = {
            "clients": list(clients),
            "features": dict(features or {}),
            "https": dict(https) if https else None,
        }
        try:
            self.issuer: str = self._start(configuration)["issuer"]
        except BaseException:
            self.stop()
            raise

    def _start(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        too_late = threading.Timer(SECONDS_TO_START, self._process.kill)
        too_late.start()
        try:
            self._process.stdin.write(json.dumps(configuration) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            too_late.cancel()
        if not line:
            self._process.wait(timeout=5)
            raise RuntimeError(f"oidc-provider did not start:\n{self.log}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    @property
    def log(self) -> str:
        """What the process wrote to its standard error."""
        self._log.seek(0)
        return self._log.read()

    @property
    def metadata(self) -> dict[str, Any]:
        """The provider's discovery document; the look at it is recorded like any other."""
        document: dict[str, Any] = self._answer("GET", "/.well-known/openid-configuration")
        return document

    def calls(self, endpoint: str | None = None) -> list[Call]:
        """Return what the provider received since :meth:`forget_calls`, in order of arrival.

        :param endpoint: ``discovery``, ``jwks``, ``pushed_authorization_request``,
            ``authorization``, ``token``, ``userinfo`` or ``end_session``; without it all of them.
        """
        calls = [Call.parse(record) for record in self._answer("GET", "/__calls")]
        return [call for call in calls if endpoint in (None, call.endpoint)]

    def forget_calls(self) -> None:
        """Empty the record."""
        self._answer("DELETE", "/__calls")

    def _answer(self, method: str, path: str) -> Any:
        response = self._session.request(method, self.issuer + path, timeout=10)
        response.raise_for_status()
        return response.json()

    def stop(self) -> None:
        """End the process: it goes when its input does."""
        self._session.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> ProviderProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


StartProvider = Callable[..., ProviderProcess]
