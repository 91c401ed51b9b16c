"""Clients that must not pass for who they say they are: one row for each check."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests
from flask import Flask, jsonify

from flask_parjar.testing import ClientMetadata, DevProvider, WSGIAdapter
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import (
    ASSERTION_TYPE,
    EC,
    GONE,
    NOW,
    SECRET,
    HandMadeClient,
    sign,
)

ID = "hand made/client:1"


def rejected(answer: requests.Response, reason: str) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert answer.json()["error"] == "invalid_client"
    assert reason in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "another"}, "iss is 'another'"),
        ({"iss": GONE}, "iss is None"),
        ({"sub": "another"}, "no client is registered as 'another'"),
        ({"sub": GONE}, "no client is registered as None"),
        ({"sub": [ID]}, "no client is registered as"),
        ({"aud": "https://other.example"}, "aud is 'https://other.example'"),
        ({"aud": ["https://op.example"]}, "aud is ['https://op.example']"),
        ({"aud": "https://op.example/"}, "aud is"),
        ({"aud": GONE}, "aud is None"),
        ({"exp": GONE}, "exp is None"),
        ({"exp": str(NOW + 60)}, "expected a number"),
        ({"exp": NOW}, "exp is 0 s from now"),
        ({"exp": NOW + 301}, "exp is 301 s from now, at most 300"),
        ({"iat": NOW + 11}, "iat is in the future"),
        ({"iat": "today"}, "iat is 'today'"),
        ({"nbf": NOW + 11}, "nbf is in the future"),
        ({"jti": GONE}, "jti is None"),
        ({"jti": ""}, "jti is ''"),
        ({"jti": "j" * 257}, "of up to 256 characters"),
        ({"jti": 7}, "jti is 7"),
        ({"header": {"typ": "oauth-authz-req+jwt"}}, "typ is 'oauth-authz-req+jwt'"),
        ({"header": {"kid": "unknown"}}, "kid 'unknown' is not known"),
        ({"header": {"kid": GONE}}, "no kid in the header"),
        ({"header": {"jwk": {}}}, "must not carry jwk"),
    ],
)
def test_assertion(client: HandMadeClient, changes: dict[str, Any], reason: str) -> None:
    rejected(client.push(client_assertion=client.assertion(**changes)), reason)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"client_assertion_type": "urn:x"}, "client_assertion_type must be"),
        ({"client_assertion_type": GONE}, "client_assertion_type must be"),
        ({"client_assertion": "x"}, "three parts"),
        ({"client_assertion": GONE}, "three parts"),
        ({"client_id": "another"}, "client_id in the form is not that of the assertion"),
        (
            {"client_assertion": GONE, "client_assertion_type": GONE},
            "authenticated by none, registered for private_key_jwt",
        ),
        (
            {
                "client_assertion": GONE,
                "client_assertion_type": GONE,
                "client_secret": SECRET,
            },
            "authenticated by client_secret_post, registered for private_key_jwt",
        ),
    ],
)
def test_form(client: HandMadeClient, form: dict[str, Any], reason: str) -> None:
    rejected(client.push(**form), reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://op.example/token"},
        {"aud": "https://op.example/par"},
        {"iat": GONE},
        {"iat": NOW + 10, "nbf": NOW + 10},
        {"exp": NOW + 300},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "client-authentication+jwt"}},
    ],
)
def test_what_is_allowed(client: HandMadeClient, changes: dict[str, Any]) -> None:
    assert client.push(client_assertion=client.assertion(**changes)).status_code == 201


def test_the_audience_of_another_endpoint(client: HandMadeClient) -> None:
    assertion = client.assertion(aud="https://op.example/par")
    rejected(client.redeem("any", client_assertion=assertion), "aud is")


def test_the_one_audience_that_is_demanded(client: HandMadeClient, provider: DevProvider) -> None:
    provider.demands.assertion_audience = "urn:op"
    assert client.push(client_assertion=client.assertion(aud="urn:op")).status_code == 201
    rejected(client.push(), "expected one of urn:op")


def test_the_one_typ_that_is_demanded(client: HandMadeClient, provider: DevProvider) -> None:
    typ = provider.demands.assertion_typ = "client-authentication+jwt"
    assert client.push(client_assertion=client.assertion(header={"typ": typ})).status_code == 201
    for other, found in (({}, "None"), ({"typ": "JWT"}, "'JWT'")):
        rejected(client.push(client_assertion=client.assertion(header=other)), f"typ is {found}")


def test_claims_that_are_demanded(client: HandMadeClient, provider: DevProvider) -> None:
    provider.demands.assertion_claims = ("organisation",)
    assert client.push(client_assertion=client.assertion(organisation="1")).status_code == 201
    rejected(client.push(), "organisation is missing")


@pytest.mark.parametrize(
    ("demanded", "accepted"),
    [
        ("issuer", ["https://op.example"]),
        ("endpoint", ["https://op.example/par"]),
        ("token_endpoint", ["https://op.example/token"]),
        ("issuer token_endpoint", ["https://op.example", "https://op.example/token"]),
    ],
)
def test_audiences_by_their_names(
    client: HandMadeClient, provider: DevProvider, demanded: str, accepted: list[str]
) -> None:
    provider.demands.assertion_audience = demanded
    for audience in ("https://op.example", "https://op.example/par", "https://op.example/token"):
        answer = client.push(client_assertion=client.assertion(aud=audience))
        assert answer.status_code == (201 if audience in accepted else 401)


def test_how_long_an_assertion_may_be_valid(client: HandMadeClient, provider: DevProvider) -> None:
    provider.demands.assertion_seconds = 60
    assert client.push(client_assertion=client.assertion(exp=NOW + 60)).status_code == 201
    rejected(client.push(client_assertion=client.assertion(exp=NOW + 61)), "60 s after iat")
    rejected(client.push(client_assertion=client.assertion(iat=GONE)), "iat is None")
    provider.demands.assertion_seconds_left = 50
    earlier = client.assertion(iat=NOW - 10, exp=NOW + 50)
    assert client.push(client_assertion=earlier).status_code == 201
    rejected(client.push(client_assertion=client.assertion(exp=NOW + 51)), "at most 50")


def test_how_long_the_text_of_an_assertion_may_be(
    client: HandMadeClient, provider: DevProvider
) -> None:
    text = client.assertion()
    provider.demands.assertion_length = len(text)
    assert client.push(client_assertion=text).status_code == 201
    rejected(client.push(client_assertion=client.assertion(more="x" * 3)), "longer than")


def test_a_header_that_is_demanded(client: HandMadeClient, provider: DevProvider) -> None:
    provider.demands.headers = ("User-Agent",)
    assert client.push().status_code == 201
    assert client.push(headers={"User-Agent": ""}).json()["error"] == "invalid_request"


@pytest.mark.parametrize("published", [False, True])
def test_a_key_that_is_named_by_its_certificate(provider: DevProvider, published: bool) -> None:
    jwk = {**EC.as_dict(private=False), "x5t#S256": "thumb"}
    site = Flask("site")
    site.add_url_rule("/jwks.json", "jwks", lambda: jsonify({"keys": [jwk]}))
    provider.http.mount("https://site.example/", WSGIAdapter(site))
    keys: dict[str, Any] = {"jwks": {"keys": [jwk]}}
    if published:
        keys = {"jwks": None, "jwks_uri": "https://site.example/jwks.json"}
    client = HandMadeClient(provider, **keys)
    named = client.assertion(header={"kid": GONE, "x5t#S256": "thumb"})
    rejected(client.push(client_assertion=named), "no kid in the header")
    provider.demands.key_headers = ("x5t#S256",)
    for header, accepted in (
        ({"kid": GONE, "x5t#S256": "thumb"}, True),
        ({"x5t#S256": "thumb"}, True),
        ({"kid": GONE, "x5t#S256": "other"}, False),
        ({"kid": GONE}, False),
    ):
        answer = client.push(client_assertion=client.assertion(header=header))
        assert (answer.json().get("error") != "invalid_client") is accepted


def test_an_assertion_is_accepted_once(client: HandMadeClient, clock: Clock) -> None:
    assertion = client.assertion()
    assert client.push(client_assertion=assertion).status_code == 201
    rejected(client.push(client_assertion=assertion), "this jti was used before")
    rejected(client.redeem("any", client_assertion=assertion), "this jti was used before")


def test_an_assertion_of_another_key(client: HandMadeClient, provider: DevProvider) -> None:
    other = HandMadeClient(provider, client_id="other", alg="ES384")
    header = {"alg": "ES384", "kid": "site-ec-384"}
    forged = sign(header, {"iss": ID, "sub": ID}, other.key)
    rejected(client.push(client_assertion=forged), "kid 'site-ec-384' is not known")


def test_a_shared_secret_does_not_stand_in_for_a_key(provider: DevProvider) -> None:
    HandMadeClient(provider)
    other = HandMadeClient(provider, client_id="other", method="client_secret_jwt")
    forged = other.assertion(iss=ID, sub=ID)
    answer = other.push(client_id=ID, client_assertion=forged)
    rejected(answer, "alg 'HS256' is not one of")


def test_a_key_does_not_stand_in_for_a_shared_secret(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="client_secret_jwt")
    client.method = "private_key_jwt"
    rejected(client.push(), "alg 'ES256' is not one of HS256, HS384, HS512")


def test_an_hmac_wants_a_secret_as_long_as_the_hash(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="client_secret_jwt")
    provider.register(
        ClientMetadata(
            client_id=ID,
            redirect_uris=["https://site.example/callback"],
            jwks={"keys": [client.key.as_dict(private=False)]},
            client_secret="x" * 40,
            token_endpoint_auth_method="client_secret_jwt",
        )
    )
    long_hash = client.assertion(header={"alg": "HS384"})
    rejected(client.push(client_assertion=long_hash), "alg 'HS384' is not one of HS256")
    rejected(client.push(), "the signature does not fit")


def basic(text: str | bytes) -> dict[str, Any]:
    raw = text if isinstance(text, bytes) else text.encode()
    return {"headers": {"Authorization": f"Basic {base64.b64encode(raw).decode()}"}}


GOOD_ID, GOOD_SECRET = quote_plus(ID), quote_plus(SECRET)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (basic(f"{GOOD_ID}:wrong"), "the secret is wrong"),
        (basic(f"{GOOD_ID}:"), "the secret is wrong"),
        (
            {**basic(f"unknown:{GOOD_SECRET}"), "client_id": GONE},
            "no client is registered as 'unknown'",
        ),
        (basic(f"{ID}:{SECRET}"), "must be form-encoded"),
        (basic(f"{GOOD_ID}:{SECRET}"), "must be form-encoded"),
        (basic(f"hand made:{GOOD_SECRET}"), "must be form-encoded"),
        (basic(GOOD_ID), "not Basic with an id and a secret"),
        (basic(b"\xff:\xff"), "not base64 of ASCII"),
        ({"headers": {"Authorization": "Basic !"}}, "not base64 of ASCII"),
        ({"headers": {"Authorization": "Bearer eDp5"}}, "not Basic with an id"),
        ({"client_id": "another"}, "client_id in the form is not that of the Authorization"),
    ],
)
def test_basic(provider: DevProvider, changes: dict[str, Any], reason: str) -> None:
    rejected(HandMadeClient(provider, method="client_secret_basic").push(**changes), reason)


def test_basic_needs_no_client_id_in_the_form_but_par_does(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="client_secret_basic")
    assert client.redeem(client.code(), client_id=GONE).status_code == 200
    assert client.push(client_id=GONE).json()["error_description"] == "client_id is missing"


def test_post_with_a_wrong_secret(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="client_secret_post")
    rejected(client.push(client_secret="wrong"), "the secret is wrong")
    rejected(client.push(client_secret=GONE), "registered for client_secret_post")


def test_a_public_client_that_is_not_known(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="none")
    rejected(client.push(client_id="unknown"), "no client is registered as 'unknown'")


@pytest.mark.parametrize(
    ("method", "more", "both"),
    [
        (
            "client_secret_basic",
            {"client_secret": SECRET},
            "client_secret_basic and client_secret_post",
        ),
        (
            "client_secret_post",
            {"client_assertion_type": ASSERTION_TYPE},
            "client_secret_post and a client assertion",
        ),
        (
            "private_key_jwt",
            {"headers": {"Authorization": "Basic eDp5"}},
            "client_secret_basic and a client assertion",
        ),
    ],
)
def test_two_methods_at_once(
    provider: DevProvider, method: str, more: dict[str, Any], both: str
) -> None:
    answer = HandMadeClient(provider, method=method).push(**more)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": f"authenticated twice: {both}",
    }


@pytest.mark.parametrize(
    ("registered", "used"),
    [
        ("client_secret_basic", "client_secret_post"),
        ("client_secret_post", "client_secret_basic"),
        ("private_key_jwt", "none"),
        ("none", "private_key_jwt"),
        ("client_secret_basic", "client_secret_jwt"),
    ],
)
def test_another_method_than_the_registered_one(
    provider: DevProvider, registered: str, used: str
) -> None:
    client = HandMadeClient(provider, method=registered)
    client.method = used
    rejected(client.push(), f"registered for {registered}")
