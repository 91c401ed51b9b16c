"""A whole login at oidc-provider with one combination of settings, and what the provider received.

The provider holds each client to its registration: the algorithms, the client authentication, the
request level, bound tokens and the encryption of request objects.
"""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask.testing import FlaskClient

from flask_parjar.protocol.request_level import REQUEST_LEVELS
from tests.interop import oidc_client
from tests.interop.client_site import KEYS
from tests.interop.combinations import Combination
from tests.interop.encrypted_site import ALGORITHMS, encryption, published_keys
from tests.interop.provider_process import ProviderProcess, StartProvider, proof_of
from tests.interop.scripted_browser import ScriptedBrowser
from tests.interop.seen_login import (
    AUTHENTICATED,
    PUSH,
    WITH_PROOF,
    SeenLogin,
    api_metadata,
    live_through,
    site_with_tokens,
    verify_end,
)
from tests.support.jwt import read_jwt


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
    return [api_metadata(), *map(_registration, combinations)]


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
    config = oidc_client.settings(provider, combination.alg, combination.client_auth, **more)
    return site_with_tokens(config, api=provider.issuer)


WholeLogin = SeenLogin[Combination]


def walk(
    provider: ProviderProcess, browser: ScriptedBrowser, combination: Combination
) -> WholeLogin:
    """Log in, renew the tokens, call an API, log out here and at the provider."""
    site = _site(provider, combination)
    return live_through(site, provider, browser, combination=combination)


def verify(seen: WholeLogin) -> None:
    """Check what the provider received against the combination."""
    _verify_request(seen)
    _verify_client_auth(seen)
    _verify_binding(seen)
    _verify_encryption(seen)
    verify_end(seen, alg=seen.combination.alg, client_id=seen.combination.client_id)


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
    assert len(userinfo) == 3  # at the login, at the renewal, and the call of the API
    if not combination.encrypted:
        assert {_header(each["id_token"])["alg"] for each in (first, renewed)} == {combination.alg}
        assert {json.loads(each)["sub"] for each in userinfo} == {"ada"}
        return
    for text in (first["id_token"], renewed["id_token"], *userinfo):
        assert text.count(".") == 4
        header = _header(text)
        assert (header["alg"], header["enc"]) == _registered(combination)


def _registered(combination: Combination) -> tuple[str, str]:
    return combination.encryption, ALGORITHMS[combination.encryption]


def _header(text: str) -> dict[str, Any]:
    """Return the protected header of a JWS or a JWE."""
    return read_jwt(f"{text.split('.')[0]}.e30.")[0]
