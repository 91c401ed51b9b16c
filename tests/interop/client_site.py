"""The site that is a client in these tests, its keys, and the steps of a login there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.test import TestResponse

from flask_parjar import (
    LoginOptions,
    ParJar,
    current_user,
    login_required,
    scopes_required,
    signals,
)
from tests.support.headers import FROM_ANOTHER_SITE, FROM_THE_SITE, NAVIGATION

RSA = RSAKey.generate_key(2048, {"kid": "site-rsa"})
EC = ECKey.generate_key("P-256", {"kid": "site-ec"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "site-okp"})
KEYS: dict[str, Key] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": OKP, "Ed25519": OKP}

SECRET = "url-safe_and-longer-than-thirty-two-bytes"

SITE = "http://localhost"
#: The same with ``PREFERRED_URL_SCHEME = "https"``.
HTTPS_SITE = "https://localhost"

#: What was sent with each signal, by the name of the signal.
SentSignals = dict[str, list[dict[str, Any]]]


class Browser(Protocol):
    """A person's browser at a provider."""

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

    @app.get("/prove-it", defaults={"max_age": 60})
    @app.get("/prove-it/<int:max_age>")
    def prove_it(max_age: int) -> ResponseReturnValue:
        return parjar.login(LoginOptions(max_age=max_age), next="/account")

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
    own = f"{site.application.config['PREFERRED_URL_SCHEME']}://localhost"
    assert callback.startswith(f"{own}/")
    return site.get(callback.removeprefix(own), headers=FROM_ANOTHER_SITE)


def come_back_by_form(site: FlaskClient, callback: str) -> TestResponse:
    """Post a form that the provider's page sends, as a browser does: first without our cookie.

    :param callback: the URL of the form, with its fields as query.
    """
    fields = dict(parse_qsl(urlsplit(callback).query))
    elsewhere = site.application.test_client()
    bounce = elsewhere.post("/callback", data=fields, headers=FROM_ANOTHER_SITE)
    assert bounce.status_code == 200, bounce.headers.get("Location")
    again = {**fields, "parjar_posted_again": "1"}
    return site.post("/callback", data=again, headers=FROM_THE_SITE)


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


def asks_for_a_login(site: FlaskClient) -> bool:
    """Whether the account page redirects to the login."""
    answer = site.get("/account", headers=NAVIGATION)
    return answer.status_code == 302 and "/login" in answer.headers["Location"]


@contextmanager
def signals_of(site: FlaskClient) -> Iterator[SentSignals]:
    """Collect the package's signals of a site."""
    sent: SentSignals = {}
    with ExitStack() as connections:
        for name in ("provider_called", "login_started", "logged_in", "login_failed"):
            sent[name] = []

            def receive(
                _: object, *, _into: list[dict[str, Any]] = sent[name], **data: Any
            ) -> None:
                _into.append(data)

            signal = getattr(signals, name)
            connections.enter_context(signal.connected_to(receive, site.application))
        yield sent


def endpoints(sent: SentSignals) -> list[tuple[str, int]]:
    """Return which endpoints were called, and with what status each answered."""
    return [(call["endpoint"], call["status"]) for call in sent["provider_called"]]
