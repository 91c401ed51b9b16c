"""A whole login at oidc-provider with one combination of settings, and what the provider received.

The provider holds each client to its registration: the algorithms, the client authentication, the
request level, bound tokens and the encryption of request objects.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from flask.testing import FlaskClient

from flask_parjar import ParJar
from flask_parjar.protocol.request_level import REQUEST_LEVELS
from tests.interop import oidc_client
from tests.interop.client_site import (
    KEYS,
    SECRET,
    SITE,
    SentSignals,
    account,
    asks_for_a_login,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.combinations import Combination
from tests.interop.encrypted_site import ALGORITHMS, encryption, published_keys
from tests.interop.provider_process import Call, ProviderProcess, StartProvider, proof_of
from tests.interop.scripted_browser import ScriptedBrowser
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.jwt import read_jwt

PUSH = "pushed_authorization_request"
AUTHENTICATED = (PUSH, "token", "revocation")
WITH_PROOF = (*AUTHENTICATED, "userinfo")
#: An API that asks the provider about tokens (RFC 7662).
API = {"client_id": "api", "client_secret": SECRET}


def start(
    start_provider: StartProvider, combinations: list[Combination]
) -> dict[bool, ProviderProcess]:
    """Start the provider for these sites, once with nonces and once without.

    Where it can want nonces, it gives one to every client. So there are two processes.
    """
    return {
        nonces: start_provider(
            clients=_registrations([each for each in combinations if each.nonces is nonces]),
            features=_features(nonces=nonces),
        )
        for nonces in (False, True)
    }


def _features(*, nonces: bool) -> dict[str, Any]:
    """Return the features of a provider that demands nothing but what a client registered."""
    return {
        "pushedAuthorizationRequests": {"requirePushedAuthorizationRequests": False},
        "requestObjects": {"requireSignedRequestObject": False},
        "encryption": {"enabled": True},
        "jwtUserinfo": {"enabled": True},
        "introspection": {"enabled": True},
        "dPoP": {"enabled": True, "requireNonce": nonces},
    }


def _registrations(combinations: list[Combination]) -> list[dict[str, Any]]:
    """Return the registration of each site, and that of the API."""
    api = oidc_client.client_metadata("api", "ES256", "client_secret_post")
    return [api, *map(_registration, combinations)]


def _registration(combination: Combination) -> dict[str, Any]:
    level = REQUEST_LEVELS[combination.level]
    keys = [KEYS[combination.alg].as_dict(private=False)]
    registered: dict[str, Any] = {
        "grant_types": ["authorization_code", "refresh_token"],
        "dpop_bound_access_tokens": combination.dpop,
        "require_pushed_authorization_requests": level.pushed,
        "require_signed_request_object": level.signed,
    }
    if combination.encrypted:
        alg, enc = combination.encryption, ALGORITHMS[combination.encryption]
        keys += _encryption_keys(alg)
        registered["userinfo_signed_response_alg"] = combination.alg
        what = ["id_token_encrypted_response", "userinfo_encrypted_response"]
        what += ["request_object_encryption"] if level.signed else []
        registered |= {f"{name}_alg": alg for name in what} | {f"{name}_enc": enc for name in what}
    return oidc_client.client_metadata(
        combination.client_id,
        combination.alg,
        combination.client_auth,
        jwks={"keys": keys},
        **registered,
    )


@functools.cache
def _encryption_keys(alg: str) -> list[dict[str, Any]]:
    signing = {"PARJAR_SIGNING_KEY": KEYS["ES256"].as_dict(private=True)}
    published = published_keys(signing | encryption(alg))
    return [key for key in published if key["use"] == "enc"]


def _site(provider: ProviderProcess, combination: Combination) -> FlaskClient:
    """Return a site that keeps tokens; ``/renew`` renews them, ``/call`` calls an API."""
    level = REQUEST_LEVELS[combination.level]
    more: dict[str, Any] = {
        "PARJAR_CLIENT_ID": combination.client_id,
        "PARJAR_REQUEST": combination.level,
        "PARJAR_DPOP": combination.dpop,
        "PARJAR_USERINFO": True,
        "PARJAR_SCOPES": "openid profile offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
    }
    if not level.signed and combination.client_auth != "private_key_jwt":  # it signs nothing
        more |= {"PARJAR_SIGNING_KEY": None, "PARJAR_SIGNING_ALG": None}
    if combination.encrypted:
        more |= encryption(combination.encryption, userinfo=True, requests=level.signed)
    site = new_site(
        oidc_client.settings(provider, combination.alg, combination.client_auth, **more)
    )

    @site.application.get("/renew")
    def renew() -> str:
        return ParJar().access_token(fresh=True)

    @site.application.get("/call")
    def call() -> str:
        answer = ParJar().api(provider.issuer).get("me")
        answer.raise_for_status()
        return answer.text

    return site


@dataclass(frozen=True, kw_only=True)
class WholeLogin:
    """What was seen of a login, from its beginning to the logout.

    :param location: the URL that the browser was sent to.
    :param calls: what reached the provider, in order of arrival.
    :param signals: what the site sent.
    :param token: what the provider says of the access token that was live before the logout.
    """

    combination: Combination
    location: str
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


def walk(
    provider: ProviderProcess, browser: ScriptedBrowser, combination: Combination
) -> WholeLogin:
    """Log in, renew the tokens, call an API, log out here and at the provider."""
    provider.forget_calls()
    site = _site(provider, combination)
    with signals_of(site) as signals:
        location = log_in(site, browser)
    shown = account(site)
    assert (shown["subject"], shown["name"]) == ("ada", "Ada")
    access_token = _text(site, "/renew")
    assert _text(site, "/call")
    token = _introspect(provider, access_token)
    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert _introspect(provider, access_token) == {"active": False}
    assert browser.sign_out(away).startswith(f"{SITE}/?state=")
    assert asks_for_a_login(site)
    return WholeLogin(
        combination=combination,
        location=location,
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
    told: dict[str, Any] = requests.post(url, data=form, timeout=10).json()
    return told


def verify(seen: WholeLogin) -> None:
    """Check what the provider received against the combination."""
    _verify_request(seen)
    _verify_client_auth(seen)
    _verify_binding(seen)
    _verify_encryption(seen)
    _verify_end(seen)


def _parameters(seen: WholeLogin) -> dict[str, str]:
    """Return what the provider received as the authorization request: pushed, or in the URL."""
    pushes = [dict(call.form) for call in seen.answered if call.endpoint == PUSH]
    carried = dict(parse_qsl(urlsplit(seen.location).query))
    assert len(pushes) == REQUEST_LEVELS[seen.combination.level].pushed
    if not pushes:
        return carried
    assert carried.keys() == {"client_id", "request_uri"}
    return pushes[0]


def _verify_request(seen: WholeLogin) -> None:
    """The level of the request, its signature and its encryption."""
    combination, parameters = seen.combination, _parameters(seen)
    signed = REQUEST_LEVELS[combination.level].signed
    assert ("request" in parameters, "redirect_uri" in parameters) == (signed, not signed)
    (started,) = seen.signals["login_started"]
    if not signed:
        assert started["request_object"] is None
        return
    inner = started["request_object"]["header"]
    assert (inner["alg"], inner["kid"]) == (combination.alg, KEYS[combination.alg].kid)
    header = _header(parameters["request"])
    if combination.encrypted:
        found = (header["alg"], header.get("enc"), header.get("cty"))
        assert found == (*_registered(combination), "JWT")
    else:
        assert header == inner


def _verify_client_auth(seen: WholeLogin) -> None:
    """Each request of the client is authenticated with its method and with no other."""
    combination = seen.combination
    calls = seen.to(*AUTHENTICATED)
    expected = {
        "private_key_jwt": (None, {"client_assertion"}),
        "client_secret_basic": ("basic", set()),
        "client_secret_post": (None, {"client_secret"}),
        "none": (None, set()),
    }[combination.client_auth]
    for call in calls:
        fields = dict(call.form)
        assert (call.authorization, fields.keys() & {"client_assertion", "client_secret"}) == (
            expected
        )
        # (RFC 6749 section 4.1.3: not beside an Authorization header, but at PAR.)
        named = call.authorization is None or call.endpoint == PUSH
        assert fields.get("client_id") == (combination.client_id if named else None)
    if combination.client_auth == "private_key_jwt":
        read = [read_jwt(call.field("client_assertion")) for call in calls]
        keys = {(header["alg"], header["kid"]) for header, _ in read}
        assert keys == {(combination.alg, KEYS[combination.alg].kid)}
        assert {claims["iss"] for _, claims in read} == {combination.client_id}
        assert len({claims["jti"] for _, claims in read}) == len(calls)


def _verify_binding(seen: WholeLogin) -> None:
    """All proofs are of the one key that the tokens are bound to; or there is no proof."""
    combination, calls = seen.combination, seen.to(*WITH_PROOF)
    used = {call.authorization for call in seen.to("userinfo")}
    refused = [call.endpoint for call in calls if call not in seen.answered]
    if not combination.dpop:
        assert not any("dpop" in call.headers for call in calls)
        assert (used, refused, seen.token["token_type"]) == ({"bearer"}, [], "Bearer")
        assert "cnf" not in seen.token and "dpop_jkt" not in _parameters(seen)
        return
    assert (used, seen.token["token_type"]) == ({"dpop"}, "DPoP")
    jkt = seen.token["cnf"]["jkt"]
    assert {proof_of(call)[0] for call in calls} == {jkt}
    assert _claims(seen)["dpop_jkt"] == jkt
    assert len({proof_of(call)[1]["jti"] for call in calls}) == len(calls)
    # One at the authorization server and one at userinfo; then the nonces are known.
    first = calls[0].endpoint
    assert refused == ([first, "userinfo"] if combination.nonces else [])
    with_nonce = {"nonce" in proof_of(call)[1] for call in seen.answered}
    assert with_nonce == {combination.nonces}


def _claims(seen: WholeLogin) -> dict[str, Any]:
    """Return the parameters of the request; the signal has them where they are encrypted."""
    parameters: dict[str, Any] = _parameters(seen)
    if "request" not in parameters:
        return parameters
    if seen.combination.encrypted:
        shown: dict[str, Any] = seen.signals["login_started"][0]["request_object"]["claims"]
        return shown
    return read_jwt(parameters["request"])[1]


def _verify_encryption(seen: WholeLogin) -> None:
    """The ID tokens and userinfo, as the provider sent them."""
    combination = seen.combination
    assert seen.signals["logged_in"][0]["id_token"]["header"]["alg"] == combination.alg
    first, renewed = seen.token_answers
    userinfo = [call.answer for call in seen.answered if call.endpoint == "userinfo"]
    assert len(userinfo) == 2  # at the login, and the call of the API
    if not combination.encrypted:
        assert {_header(each["id_token"])["alg"] for each in (first, renewed)} == {combination.alg}
        assert {json.loads(each)["sub"] for each in userinfo} == {"ada"}
        return
    for text in (first["id_token"], renewed["id_token"], *userinfo):
        assert text.count(".") == 4
        header = _header(text)
        assert (header["alg"], header["enc"]) == _registered(combination)


def _verify_end(seen: WholeLogin) -> None:
    """The newest tokens are revoked, and the provider gets the signed ID token as a hint."""
    combination = seen.combination
    first, renewed = seen.token_answers
    (renewal,) = [call for call in seen.answered if ("grant_type", "refresh_token") in call.form]
    assert renewal.field("refresh_token") == first["refresh_token"]
    revoked = [call for call in seen.answered if call.endpoint == "revocation"]
    tokens = [(call.field("token_type_hint"), call.field("token")) for call in revoked]
    assert tokens == [(kind, renewed[kind]) for kind in ("refresh_token", "access_token")]
    asked = dict(seen.to("end_session")[0].query)
    header, claims = read_jwt(asked["id_token_hint"])
    assert (header["alg"], claims["sub"]) == (combination.alg, "ada")
    assert asked["client_id"] == combination.client_id


def _registered(combination: Combination) -> tuple[str, str]:
    return combination.encryption, ALGORITHMS[combination.encryption]


def _header(text: str) -> dict[str, Any]:
    """Return the protected header of a JWS or a JWE."""
    return read_jwt(f"{text.split('.')[0]}.e30.")[0]
