"""The site that is a client in these tests, its keys, and somebody's visit to it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.test import TestResponse

from flask_parjar import ParJar, current_user, login_required, scopes_required, signals

RSA = RSAKey.generate_key(2048, {"kid": "site-rsa"})
EC = ECKey.generate_key("P-256", {"kid": "site-ec"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "site-okp"})
KEYS: dict[str, Key] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": OKP, "Ed25519": OKP}

SECRET = "url-safe_and-longer-than-thirty-two-bytes"

SITE = "http://localhost"
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
FROM_THE_PROVIDER = NAVIGATION | {"Sec-Fetch-Site": "cross-site"}
FROM_THE_SITE = NAVIGATION | {"Sec-Fetch-Site": "same-origin", "Origin": SITE}


#: What a site's signals told, by the name of the signal.
Heard = dict[str, list[dict[str, Any]]]


class Browser(Protocol):
    """Somebody's browser at a provider."""

    def sign_in(self, url: str, *, login: str = ...) -> str:
        """Open an authorization URL, sign in, return the callback URL."""


def new_site(config: Mapping[str, Any]) -> FlaskClient:
    """Return a browser's view of a site as its author would write it."""
    app = Flask("site")
    app.config.update(SECRET_KEY="of the tests alone", **config)
    parjar = ParJar(app)

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/account")
    @login_required
    def account() -> dict[str, Any]:
        return {
            "subject": current_user.subject,
            "issuer": current_user.issuer,
            "provider": current_user.provider,
            "name": current_user.name,
            "email": current_user.email,
        }

    @app.get("/reports")
    @scopes_required("reports:read")
    def reports() -> str:
        return "the reports"

    @app.get("/prove-it")
    def prove_it() -> ResponseReturnValue:
        return parjar.login(max_age=60, next="/account")

    @app.get("/token")
    @login_required
    def token() -> str:
        return parjar.access_token()

    return app.test_client()


def begin(site: FlaskClient, login_url: str = "/login") -> str:
    """Press *Log in* and return the URL that the browser is sent to."""
    answer = site.get(f"{login_url}?next=/account", headers=NAVIGATION)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def come_back(site: FlaskClient, callback: str) -> TestResponse:
    """Open the callback URL, where the provider sends the browser with the code."""
    assert callback.startswith(SITE)
    return site.get(callback.removeprefix(SITE), headers=FROM_THE_PROVIDER)


def log_in(site: FlaskClient, browser: Browser, login_url: str = "/login") -> str:
    """Log in as Ada, arrive at the account page; return the URL that began it at the provider."""
    location = begin(site, login_url)
    arrival = come_back(site, browser.sign_in(location, login="ada"))
    assert (arrival.status_code, arrival.headers.get("Location")) == (302, "/account"), arrival.text
    return location


def account(site: FlaskClient) -> dict[str, Any]:
    """Open the account page and return what it knows of the person."""
    answer = site.get("/account", headers=NAVIGATION)
    assert answer.status_code == 200, answer.headers.get("Location")
    shown: dict[str, Any] = answer.get_json()
    return shown


def knows_nobody(site: FlaskClient) -> bool:
    """Whether the account page asks for a login."""
    answer = site.get("/account", headers=NAVIGATION)
    return answer.status_code == 302 and "/login" in answer.headers["Location"]


def part(token: str, index: int) -> dict[str, Any]:
    """Decode one part of a compact JWS; that its signature holds is what the provider proved."""
    text = token.split(".")[index]
    decoded: dict[str, Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


@contextmanager
def told(site: FlaskClient) -> Iterator[Heard]:
    """Gather what the package's signals tell of a site, by the name of the signal."""
    heard: Heard = {}
    with ExitStack() as listening:
        for name in ("provider_called", "login_started", "logged_in", "login_failed"):
            heard[name] = []

            def hear(_: object, *, _into: list[dict[str, Any]] = heard[name], **told: Any) -> None:
                _into.append(told)

            signal = getattr(signals, name)
            listening.enter_context(signal.connected_to(hear, site.application))
        yield heard


def endpoints(heard: Heard) -> list[tuple[str, int]]:
    """Return which endpoints were called, and with what status each answered."""
    return [(call["endpoint"], call["status"]) for call in heard["provider_called"]]
