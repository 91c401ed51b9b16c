"""The stub provider as a child process, and what a browser would do there."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import certifi
import trustme

from tests.benchmark.contract import encryption_key, public_pem
from tests.benchmark.stub import REQUEST_URI

ROOT = Path(__file__).resolve().parents[2]


class Departure(NamedTuple):
    """Where a browser is sent, and how its way back is found.

    :param nonce: None where the request was pushed: then the stub knows it, and the state.
    """

    issuer: str
    plain_port: int
    handle: str
    nonce: str | None
    state: str | None

    @classmethod
    def parse(cls, location: str) -> Departure:
        """Read the URL of a redirect to the authorization endpoint."""
        endpoint, _, encoded = location.partition("?")
        issuer, _, plain_port = endpoint.partition("/authorize/")
        query = dict(parse_qsl(encoded))
        handle = query.get("request_uri", "").removeprefix(REQUEST_URI)
        return cls(issuer, int(plain_port), handle, query.get("nonce"), query.get("state"))

    def way_back(self, nonce: str, state: str, fault: str = "good") -> str:
        """The query of the callback.

        :param fault: ``good``, or one of `stub.FAULTS`.
        """
        return urlencode({"code": f"{fault}.{nonce}", "state": state, "iss": self.issuer})


_connections = threading.local()


def sign_in(location: str, fault: str = "good") -> str:
    """What the provider's authorization endpoint sends back with the browser: a query.

    :param location: the URL that the browser was sent to.
    :param fault: ``good``, or one of `stub.FAULTS`.
    """
    away = Departure.parse(location)
    if away.nonce is not None and away.state is not None:
        return away.way_back(away.nonce, away.state, fault)
    address = f"127.0.0.1:{away.plain_port}"
    connection = getattr(_connections, address, None)
    if connection is None:
        connection = http.client.HTTPConnection(address, timeout=10)
        setattr(_connections, address, connection)
    connection.request("GET", f"/pushed/{away.handle}")
    nonce, state = json.loads(connection.getresponse().read())
    return away.way_back(nonce, state, fault)


class StubProcess:
    """A running stub; a context manager that ends it.

    The bundle holds the certificates that a site trusts by default, and the stub's own: a small
    bundle would make those look cheap who load it for each connection.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="parjar-benchmark-")
        folder = Path(self._folder.name)
        authority = trustme.CA()
        certificate = folder / "stub.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        bundle = folder / "bundle.pem"
        bundle.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
        self.ca_bundle = str(bundle)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmark.stub"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        configuration = {
            "certificate": str(certificate),
            "encryption_key": public_pem(encryption_key()),
        }
        self._process.stdin.write(json.dumps(configuration) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("the stub provider did not start")
        self._origins: dict[str, str] = json.loads(line)

    def issuer(self, listener: str, alg: str) -> str:
        """The issuer that answers in one way and signs with one algorithm."""
        return f"{self._origins[listener]}/{alg}"

    def counts(self) -> dict[str, int]:
        """How often each of its doors was used so far."""
        connection = http.client.HTTPConnection(urlsplit(self._origins["http"]).netloc, timeout=10)
        try:
            connection.request("GET", "/counts")
            counts: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return counts

    def stop(self) -> None:
        """End the process: it goes when its input does."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> StubProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
