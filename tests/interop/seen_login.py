"""A login at oidc-provider from its beginning to the logout, and what was seen of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask.testing import FlaskClient

from flask_parjar import ParJar
from tests.interop import oidc_client
from tests.interop.client_site import (
    SECRET,
    SITE,
    SentSignals,
    account,
    asks_for_a_login,
    begin,
    come_back,
    new_site,
    signals_of,
)
from tests.interop.provider_process import Call, ProviderProcess
from tests.interop.scripted_browser import ScriptedBrowser
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.jwt import read_jwt

PUSH = "pushed_authorization_request"
AUTHENTICATED = (PUSH, "token", "revocation")
WITH_PROOF = (*AUTHENTICATED, "userinfo")
#: An API that asks the provider about tokens (RFC 7662).
API = {"client_id": "api", "client_secret": SECRET}

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class SeenLogin(Generic[Settings]):
    """What was seen of a login, from its beginning to the logout.

    :param combination: the settings of the site.
    :param location: the URL that the browser was sent to.
    :param callback: the URL at which the provider sent it back.
    :param calls: what reached the provider, in order of arrival.
    :param signals: what the site sent.
    :param token: what the provider says of the access token that was live before the logout.
    """

    combination: Settings
    location: str
    callback: str
    calls: list[Call]
    signals: SentSignals
    token: dict[str, Any]

    def to(self, *endpoints: str) -> list[Call]:
        """Return the calls to some endpoints, in order."""
        return [call for call in self.calls if call.endpoint in endpoints]

    @property
    def answered(self) -> list[Call]:
        """The calls of the site that the provider did not refuse."""
        return [call for call in self.to(*WITH_PROOF) if call.error is None]

    @property
    def token_answers(self) -> list[dict[str, Any]]:
        """What the token endpoint gave: at the login, and when the tokens were renewed."""
        return [json.loads(call.answer) for call in self.answered if call.endpoint == "token"]


def api_metadata() -> dict[str, Any]:
    """Return the registration of the API."""
    return oidc_client.client_metadata("api", "ES256", "client_secret_post")


def site_with_tokens(config: Mapping[str, Any], *, api: str) -> FlaskClient:
    """Return a site that keeps tokens; ``/renew`` renews them, ``/call`` calls an API.

    :param api: where the API is; it is the userinfo endpoint of oidc-provider.
    """
    site = new_site(config)

    @site.application.get("/renew")
    def renew() -> str:
        return ParJar().access_token(fresh=True)

    @site.application.get("/call")
    def call() -> str:
        answer = ParJar().api(api).get("me")
        answer.raise_for_status()
        return answer.text

    return site


def live_through(
    site: FlaskClient,
    provider: ProviderProcess,
    browser: ScriptedBrowser,
    *,
    combination: Settings,
) -> SeenLogin[Settings]:
    """Log in, renew the tokens, call an API, log out here and at the provider."""
    provider.forget_calls()
    with signals_of(site) as signals:
        location = begin(site)
        callback = browser.sign_in(location)
        arrival = come_back(site, callback)
    assert (arrival.status_code, arrival.headers.get("Location")) == (302, "/account"), arrival.text
    shown = account(site)
    assert (shown["subject"], shown["name"]) == ("ada", "Ada")
    access_token = _text(site, "/renew")
    assert _text(site, "/call")
    token = _introspect(provider, access_token)
    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert _introspect(provider, access_token) == {"active": False}
    assert browser.sign_out(away).startswith(f"{SITE}/?state=")
    assert asks_for_a_login(site)
    return SeenLogin(
        combination=combination,
        location=location,
        callback=callback,
        calls=provider.calls(),
        signals=signals,
        token=token,
    )


def _text(site: FlaskClient, path: str) -> str:
    answer = site.get(path, headers=NAVIGATION)
    assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
    return answer.text


def _introspect(provider: ProviderProcess, access_token: str) -> dict[str, Any]:
    url, form = f"{provider.issuer}/token/introspection", {**API, "token": access_token}
    told: dict[str, Any] = provider.session.post(url, data=form, timeout=10).json()
    return told


def verify_end(seen: SeenLogin[Any], *, alg: str, client_id: str) -> None:
    """Check that the newest tokens were revoked, and that the signed ID token came as a hint."""
    first, renewed = seen.token_answers
    (renewal,) = [call for call in seen.answered if ("grant_type", "refresh_token") in call.form]
    assert renewal.field("refresh_token") == first["refresh_token"]
    revoked = [call for call in seen.answered if call.endpoint == "revocation"]
    tokens = [(call.field("token_type_hint"), call.field("token")) for call in revoked]
    assert tokens == [(kind, renewed[kind]) for kind in ("refresh_token", "access_token")]
    asked = dict(seen.to("end_session")[0].query)
    header, claims = read_jwt(asked["id_token_hint"])
    assert (header["alg"], claims["sub"]) == (alg, "ada")
    assert asked["client_id"] == client_id
