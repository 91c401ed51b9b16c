"""Keycloak as a child process: its preparation, its start, its admin API, its end.

The first start of Keycloak takes a minute or more: it builds itself, makes its database and imports
the realm. So this is done once, into a cache folder outside the checkout. Each run copies that
folder and starts from the ready database, which takes about 20 seconds of processor time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.interop.java import cache_folder, missing_java, run_step
from tests.interop.keycloak_tls import TlsFiles
from tests.support.child_process import ChildProcess

VERSION = "26.7.3"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
DOWNLOAD = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

#: The realm of `docs/providers`: what a reader imports by hand is what the tests run on.
REALM_FILE = Path(__file__).parents[2] / "docs" / "keycloak-realm.json"
REALM = "parjar"

ADMIN = {"username": "admin", "password": "of these tests alone"}

# Options of `kc.sh build`: `start --optimized` refuses to start with others.
# Client certificates are asked for on https alone, and need not be presented.
BUILD = ("--db=dev-file", "--health-enabled=true", "--https-client-auth=request")
# Less to compile and one thread that collects: a third of the processor time of a start falls away.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UseG1GC"

#: What Keycloak records for the tests. By itself it leaves out what happens most often.
RECORDED = (
    *("PUSHED_AUTHORIZATION_REQUEST_ERROR", "LOGIN", "LOGIN_ERROR", "CODE_TO_TOKEN"),
    *("USER_INFO_REQUEST", "REFRESH_TOKEN", "REFRESH_TOKEN_ERROR", "REVOKE_GRANT"),
)

SECONDS_TO_START = 180


def missing_keycloak() -> str | None:
    """What this machine lacks to run Keycloak, with the command that brings it; or None."""
    return missing_java(prepared=_cache_folder().exists())


def _cache_folder() -> Path:
    """Where the prepared Keycloak lies: another version or another realm is another folder."""
    key = hashlib.sha256(REALM_FILE.read_bytes() + "".join(BUILD).encode()).hexdigest()[:16]
    return cache_folder() / f"keycloak-{VERSION}-{key}"


def _find_quiet_port() -> int:
    """Return a free port that no connection to elsewhere is given while Keycloak starts.

    Linux takes the ports of these from 32768 on.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _environment() -> dict[str, str]:
    """The environment of `kc.sh`, which takes each variable ``KC_…`` for an option."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KC_")}
    admin = {
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN["username"],
        "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN["password"],
    }
    return kept | admin | {"JAVA_OPTS_APPEND": JAVA_OPTIONS}


def _run(command: Sequence[str | Path]) -> None:
    run_step(command, env=_environment())


def prepared_keycloak() -> Path:
    """Return the folder of a Keycloak that has the realm in its database; make it if need be."""
    import fcntl  # not on Windows, where these tests do not run

    folder = _cache_folder()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Another process of this test run may need it too: the second one waits for the first.
        with open(folder.parent / "preparing", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _prepare(folder)
    return folder


def _prepare(folder: Path) -> None:
    """Download Keycloak, build it, and let it import the realm at its first start."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        download = [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}", "-Dtransitive=false"]
        _run(["mvn", "--batch-mode", "--quiet", DOWNLOAD, *download])
        archive = Path(scratch) / f"keycloak-quarkus-dist-{VERSION}.tar.gz"
        _run(["tar", "--extract", "--file", archive, "--directory", scratch])
        made = Path(scratch) / f"keycloak-{VERSION}"
        _run([made / "bin" / "kc.sh", "build", *BUILD])
        imported = made / "data" / "import"
        imported.mkdir(parents=True)
        shutil.copy(REALM_FILE, imported / f"{REALM}-realm.json")
        with KeycloakProcess(made, "--import-realm") as first:
            first.realm()  # the import has worked
        made.rename(folder)


@contextlib.contextmanager
def running_keycloak() -> Iterator[KeycloakProcess]:
    """Start a Keycloak from a copy of the prepared folder; end it and remove the copy."""
    with tempfile.TemporaryDirectory(prefix="keycloak-") as scratch:
        copy = Path(scratch) / "keycloak"
        shutil.copytree(prepared_keycloak(), copy, symlinks=True)
        with KeycloakProcess(copy, tls=TlsFiles(Path(scratch) / "tls")) as process:
            process.change_realm(enabledEventTypes=RECORDED)
            yield process


class KeycloakProcess(ChildProcess):
    """A running Keycloak; a context manager that ends it.

    :param folder: a Keycloak that was built. Its database belongs to this process alone.
    :param options: further ones of ``kc.sh start``.
    :param tls: the certificates for an https port, beside the one for http.
    """

    seconds_to_end = 30

    def __init__(self, folder: Path, *options: str, tls: TlsFiles | None = None) -> None:
        # It cannot be asked to take free ports and to say which.
        port, management, https = (_find_quiet_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{port}"
        self.https_issuer = f"https://127.0.0.1:{https}/realms/{REALM}"
        self.tls = tls
        self._token = ("", 0.0)
        super().__init__(
            [
                str(folder / "bin" / "kc.sh"),
                "start",
                "--optimized",
                "--cache=local",  # without it ports are opened to the network
                "--http-enabled=true",
                "--http-host=127.0.0.1",
                f"--http-port={port}",
                f"--http-management-port={management}",
                "--hostname-strict=false",
                *([] if tls is None else tls.options(https)),
                *options,
            ],
            env=_environment(),
            start_new_session=True,
        )
        self._wait_until_it_is_ready(f"http://127.0.0.1:{management}/health/ready")

    def _wait_until_it_is_ready(self, url: str) -> None:
        too_late = time.monotonic() + SECONDS_TO_START
        while self.process.poll() is None and time.monotonic() < too_late:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if self.session.get(url, timeout=5).status_code == 200:
                    return
            time.sleep(0.5)  # each answer that is no yes is a line of its log
        self.fail_to_start()

    def kill(self) -> None:
        """End the script and the Java that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def issuer(self) -> str:
        """The issuer of the realm."""
        return f"{self.url}/realms/{REALM}"

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document of the realm."""
        answer = self.session.get(f"{self.issuer}/.well-known/openid-configuration", timeout=30)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def realm(self) -> dict[str, Any]:
        """Return the realm as the admin API shows it."""
        document: dict[str, Any] = self.admin("GET", "")
        return document

    def admin(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, **query: str
    ) -> Any:
        """Call the admin API of the realm.

        :raises RuntimeError: it answered with another status than 2xx.
        """
        answer = self.session.request(
            method,
            f"{self.url}/admin/realms/{REALM}{path}",
            params=query,
            json=document,
            headers={"Authorization": f"Bearer {self._admin_token()}"},
            timeout=30,
        )
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}\n{self.log}")
        return answer.json() if answer.content else None

    def _admin_token(self) -> str:
        """Return a token of the administrator; Keycloak's live for a minute."""
        token, until = self._token
        if time.monotonic() < until:
            return token
        answer = self.session.post(
            f"{self.url}/realms/master/protocol/openid-connect/token",
            data={"grant_type": "password", "client_id": "admin-cli", **ADMIN},
            timeout=30,
        )
        answer.raise_for_status()
        self._token = (answer.json()["access_token"], time.monotonic() + 30)
        return self._token[0]

    def add_client(self, representation: Mapping[str, Any]) -> None:
        """Register a client, in the names of Keycloak's own representation.

        It takes the place of one with this ``clientId``: where tests run in several processes, the
        fixtures of a module can come twice.
        """
        for found in self.admin("GET", "/clients", clientId=representation["clientId"]):
            self.admin("DELETE", f"/clients/{found['id']}")
        self.admin("POST", "/clients", representation)

    def change_client(self, client_id: str, attributes: Mapping[str, str]) -> None:
        """Set attributes of a client."""
        (found,) = self.admin("GET", "/clients", clientId=client_id)
        changed = {**found, "attributes": {**found["attributes"], **attributes}}
        self.admin("PUT", f"/clients/{found['id']}", changed)

    def change_realm(self, **settings: Any) -> None:
        """Change settings of the realm. Those that are not sent would get their defaults."""
        self.admin("PUT", "", {**self.realm(), **settings})

    @contextlib.contextmanager
    def realm_with(self, **settings: Any) -> Iterator[None]:
        """Change settings of the realm during a ``with`` block."""
        before = self.realm()
        self.change_realm(**settings)
        try:
            yield
        finally:
            self.admin("PUT", "", before)

    @contextlib.contextmanager
    def request_uris_that_live_for(self, seconds: int) -> Iterator[None]:
        """Change the lifetime of new ``request_uri`` values during a ``with`` block."""
        attributes = {**self.realm()["attributes"], "parRequestUriLifespan": str(seconds)}
        with self.realm_with(attributes=attributes):
            yield

    def user_id(self, username: str) -> str:
        """Return the identifier of a person, which is the ``sub`` of the tokens."""
        (found,) = self.admin("GET", "/users", username=username, exact="true")
        identifier: str = found["id"]
        return identifier

    def sessions(self, username: str) -> list[dict[str, Any]]:
        """Return the sessions that a person has at the provider."""
        found: list[dict[str, Any]] = self.admin("GET", f"/users/{self.user_id(username)}/sessions")
        return found

    def end_session(self, session_id: str) -> None:
        """End one session, as an administrator does: back-channel logout follows."""
        self.admin("DELETE", f"/sessions/{session_id}")

    def end_sessions(self, username: str) -> None:
        """End all sessions of a person, in the same way."""
        self.admin("POST", f"/users/{self.user_id(username)}/logout")

    def events(self, client_id: str, kind: str) -> list[dict[str, Any]]:
        """Return what Keycloak recorded of a client and of one kind, the newest first."""
        found: list[dict[str, Any]] = self.admin(
            "GET", "/events", client=client_id, type=kind, max="100"
        )
        return found


def load_realm() -> dict[str, Any]:
    """Return the realm file as it is imported."""
    document: dict[str, Any] = json.loads(REALM_FILE.read_text(encoding="utf-8"))
    return document
