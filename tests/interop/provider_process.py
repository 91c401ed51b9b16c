"""oidc-provider as a child process: whether it can run here, its start, its record, its end.

What the provider demands and answers is in ``oidc_provider.mjs``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import import_key

from tests.support.child_process import SECONDS_TO_START, ChildProcess
from tests.support.jwt import read_jwt

HERE = Path(__file__).parent
OLDEST_NODE = 20


def missing_oidc_provider() -> str | None:
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


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that reached an endpoint of the provider, or a logout token that it sent.

    ``query`` and ``form`` are pairs in order of arrival, duplicates included; ``authorization`` is
    the scheme of that header in lower case; ``certificate`` is the thumbprint of that of the TLS
    connection; ``error`` is the provider's reason where it refused; ``answer`` is the text of the
    response.
    """

    endpoint: str
    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    authorization: str | None
    headers: dict[str, str]
    certificate: str | None
    status: int | None
    error: dict[str, str | None] | None
    answer: str

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Call:
        """Read one entry of ``/__calls``."""
        pairs = {name: [(key, value) for key, value in record[name]] for name in ("query", "form")}
        return cls(**{**record, **pairs})

    def field(self, name: str) -> str:
        """Return the value of a form field that came exactly once."""
        (value,) = [value for key, value in self.form if key == name]
        return value


def proof_of(call: Call) -> tuple[str, dict[str, Any]]:
    """Return the thumbprint of the key of a DPoP proof, and its claims (RFC 9449 section 4.2)."""
    header, claims = read_jwt(call.headers["dpop"])
    return str(import_key(header["jwk"]).thumbprint()), claims


class ProviderProcess(ChildProcess):
    """A running oidc-provider; a context manager that ends it.

    :param clients: client metadata in the names of RFC 7591.
    :param features: laid over the features of ``oidc_provider.mjs``.
    :param https: PEM texts, ``{"cert": …, "key": …}``.
    :param mtls: as ``oidc_provider.mjs`` has it.
    :param ca_bundle: what a client must trust to reach it by https.
    """

    def __init__(
        self,
        *,
        clients: Sequence[Mapping[str, Any]],
        features: Mapping[str, Any] | None = None,
        https: Mapping[str, str] | None = None,
        mtls: Mapping[str, Any] | None = None,
        ca_bundle: Path | None = None,
    ) -> None:
        self.ca_bundle = ca_bundle
        super().__init__(
            ["node", str(HERE / "oidc_provider.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.session.verify = str(ca_bundle) if ca_bundle else True
        configuration = {
            "clients": list(clients),
            "features": dict(features or {}),
            "https": dict(https) if https else None,
            "mtls": dict(mtls) if mtls else None,
        }
        self.issuer: str = self._configure(configuration)["issuer"]

    def _configure(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        too_late = threading.Timer(SECONDS_TO_START, self.process.kill)
        too_late.start()
        try:
            self.process.stdin.write(json.dumps(configuration) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            too_late.cancel()
        if not line:
            self.fail_to_start()
        ready: dict[str, Any] = json.loads(line)
        return ready

    @property
    def metadata(self) -> dict[str, Any]:
        """The provider's discovery document; this request is recorded like any other."""
        document: dict[str, Any] = self._answer("GET", "/.well-known/openid-configuration")
        return document

    def calls(self, endpoint: str | None = None) -> list[Call]:
        """Return what the provider received since :meth:`forget_calls`, in order of arrival.

        :param endpoint: ``discovery``, ``jwks``, ``pushed_authorization_request``,
            ``authorization``, ``token``, ``introspection``, ``revocation``, ``userinfo`` or
            ``end_session``; without it all of them. Of a ``backchannel_logout``, which the
            provider sends, it is the path, and whether the client accepted it.
        """
        calls = [Call.parse(record) for record in self._answer("GET", "/__calls")]
        return [call for call in calls if endpoint in (None, call.endpoint)]

    def refreshes(self) -> list[Call]:
        """Return the token requests with a refresh token."""
        calls = self.calls("token")
        return [call for call in calls if ("grant_type", "refresh_token") in call.form]

    def forget_calls(self) -> None:
        """Empty the record."""
        self._answer("DELETE", "/__calls")

    def set_access_token_lifetime(self, **wanted: int) -> None:
        """Set the lifetime of access tokens from now on: ``seconds``, or ``until`` a time."""
        self._answer("PUT", "/__access_tokens", wanted)

    def _answer(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        response = self.session.request(method, self.issuer + path, json=document, timeout=10)
        response.raise_for_status()
        return response.json()

    def ask_to_end(self) -> None:
        """Close its input: then it goes."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


StartProvider = Callable[..., ProviderProcess]
