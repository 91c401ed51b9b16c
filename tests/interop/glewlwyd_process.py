"""Glewlwyd as a child process: whether it can run here, its start, its configuration, its end.

A server with a database of its own in a temporary folder, configured over its admin API in the
order that it needs: scopes, a person, the format of clients, the plugins, the clients.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.support.child_process import ChildProcess
from tests.support.ports import find_free_port

INSTALL = "apt-get install glewlwyd"
MODULES = Path("/usr/lib/glewlwyd")
SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")

# As the schema makes the first administrator.
ADMIN = {"username": "admin", "password": "password"}
PERSON = {"username": "ada", "password": "any password", "name": "Ada", "email": "ada@example.com"}
SCOPES = ("profile", "email", "reports:read")  # and openid, which the schema has

# Properties that its clients do not have from the start, and whether each is a list. What is not in
# the format of clients is dropped in silence.
CLIENT_PROPERTIES = {
    "sign_kid": False,
    "post_logout_redirect_uris": True,
    "backchannel_logout_uri": False,
    "backchannel_logout_session_required": False,
}

#: The parameters of an OpenID Connect plugin, in Glewlwyd's own names.
PLUGIN: Mapping[str, Any] = {
    "jwks-show": True,
    "client-sign_kid-parameter": "sign_kid",
    "access-token-duration": 3600,
    "refresh-token-duration": 86400,
    "code-duration": 600,
    "auth-type-code-enabled": True,
    "auth-type-refresh-enabled": True,
    "subject-type": "public",
    "name-claim": "no",
    "name-claim-scope": ["profile"],
    "email-claim": "no",
    "email-claim-scope": ["email"],
    "scope-claim": "no",
    "pkce-allowed": True,
    "pkce-required": True,
    "oauth-as-iss-id": True,
    # signed requests (RFC 9101)
    "request-parameter-allow": True,
    "request-parameter-ietf-strict": True,
    "request-maximum-exp": 120,
    "client-jwks-parameter": "jwks",
    "client-jwks_uri-parameter": "jwks_uri",
    # pushed requests, required
    "oauth-par-allowed": True,
    "oauth-par-required": True,
    "oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:",
    "oauth-par-duration": 60,
}

#: Laid over `PLUGIN`: a provider that reads signed requests, without PAR.
WITHOUT_PAR: Mapping[str, Any] = {"oauth-par-allowed": False, "oauth-par-required": False}

#: Laid over `PLUGIN`: the times of request objects and of client assertions are checked, to the
#: second. Both must have ``nbf``.
WITH_NBF: Mapping[str, Any] = {"oauth-fapi-verify-nbf": True}

#: Laid over `PLUGIN`: refresh tokens that rotate, and revocation.
WITH_ROTATION: Mapping[str, Any] = {
    "refresh-token-one-use": "always",
    "introspection-revocation-allowed": True,
    "introspection-revocation-allow-target-client": True,
}

#: Laid over `PLUGIN`: sessions that a site can end, and logout tokens about their end.
WITH_SESSIONS: Mapping[str, Any] = {
    "session-management-allowed": True,
    "session-cookie-name": "GLEWLWYD2_OIDC_SID",
    "session-cookie-expiration": 2419200,
    "front-channel-logout-allowed": True,
    "back-channel-logout-allowed": True,
}


def missing_glewlwyd() -> str | None:
    """What this machine lacks to run Glewlwyd, with the command that brings it; or nothing."""
    if shutil.which("glewlwyd") is None:
        return f"Glewlwyd is not installed: run `{INSTALL}` (Debian)"
    for path in (MODULES / "plugin" / "libprotocol_oidc.so", SCHEMA):
        if not path.exists():
            return f"{path} is not there: run `{INSTALL}` (Debian)"
    return None


def _signing_keys() -> dict[str, Any]:
    """Make a key for each algorithm that its tokens can be signed with, of the same ``kid``."""
    rsa = RSAKey.generate_key(2048)
    pairs = {
        "RS256": rsa,
        "PS256": rsa,
        "ES256": ECKey.generate_key("P-256"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }
    return {
        "keys": [key.as_dict(private=True) | {"alg": alg, "kid": alg} for alg, key in pairs.items()]
    }


class GlewlwydProcess(ChildProcess):
    """A running Glewlwyd; a context manager that ends it.

    :param clients: clients, in the names of Glewlwyd's own format; all plugins know all of them.
    :param plugins: one provider for each, with what is laid over `PLUGIN`.
    """

    def __init__(
        self,
        *,
        clients: Sequence[Mapping[str, Any]],
        plugins: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="glewlwyd-")
        port = find_free_port()  # it cannot be asked to take a free one
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(["glewlwyd", "--config-file", str(self._write_configuration(port))])
        self.wait_until_it_answers(f"{self.url}/api/")
        try:
            self._configure(clients, plugins)
        except BaseException:
            self.stop()
            raise

    def _write_configuration(self, port: int) -> Path:
        database = Path(self._folder.name) / "glewlwyd.sqlite"
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA journal_mode=WAL")  # the file keeps it; most waits fall away
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        connection.close()
        configuration = Path(self._folder.name) / "glewlwyd.conf"
        configuration.write_text(_server_configuration(port, self.url, database), encoding="utf-8")
        return configuration

    def _configure(
        self, clients: Sequence[Mapping[str, Any]], plugins: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._admin("POST", "auth/", ADMIN)
        for name in SCOPES:
            scope = {"name": name, "display_name": name, "description": name, "scheme": {}}
            self._admin("POST", "scope/", scope | {"password_required": True})
        self._admin("POST", "user/", PERSON | {"scope": ["openid", *SCOPES], "enabled": True})
        module = self._admin("GET", "mod/client/database")
        for name, is_list in CLIENT_PROPERTIES.items():
            of_it = {"multiple": is_list, "read": True, "write": True}
            module["parameters"]["data-format"][name] = of_it
        self._admin("PUT", "mod/client/database", module)
        self._admin("PUT", "mod/client/database/reset/")
        keys = json.dumps(_signing_keys())
        for name, more in plugins.items():
            parameters = {**PLUGIN, "name": name, "iss": self.issuer(name), "jwks-private": keys}
            plugin = {"module": "oidc", "name": name, "display_name": name, "enabled": True}
            self._admin("POST", "mod/plugin/", plugin | {"parameters": {**parameters, **more}})
        for client in clients:
            self._admin("POST", "client/", client)

    def _admin(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        url = f"{self.url}/api/{path}"
        answer = self.session.request(method, url, json=document, timeout=10)
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}\n{self.log}")
        return answer.json() if answer.content else None

    def issuer(self, plugin: str) -> str:
        """Return the issuer of one of its providers."""
        return f"{self.url}/api/{plugin}"

    def metadata(self, plugin: str) -> dict[str, Any]:
        """Return the discovery document of one of its providers."""
        document: dict[str, Any] = self._admin("GET", f"{plugin}/.well-known/openid-configuration")
        return document

    def stop(self) -> None:
        """End the process and remove what it wrote."""
        super().stop()
        self._folder.cleanup()


def _server_configuration(port: int, url: str, database: Path) -> str:
    settings: dict[str, str | int] = {
        "port": port,
        "bind_address": "127.0.0.1",
        "external_url": url,  # without a slash at the end: all URLs are made by adding "/…"
        "login_url": "login.html",
        "api_prefix": "api",
        "log_mode": "console",
        "log_level": "DEBUG",
        "cookie_secure": 0,
        "session_key": "GLEWLWYD2_SESSION_ID",
        "admin_scope": "g_admin",
        "profile_scope": "g_profile",
        "user_module_path": f"{MODULES}/user",
        "client_module_path": f"{MODULES}/client",
        "user_auth_scheme_module_path": f"{MODULES}/scheme",
        "plugin_module_path": f"{MODULES}/plugin",
        "hash_algorithm": "SHA512",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join([*lines, f'database = {{ type = "sqlite3"; path = "{database}"; }};', ""])


StartGlewlwyd = Callable[..., GlewlwydProcess]
