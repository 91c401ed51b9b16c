"""Pushes that must be refused, and by what: one row for each check of JAR and PAR."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from joserfc.jwk import ECKey, OctKey

from flask_parjar.testing.jws import MAX_LENGTH
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import GONE, KEYS, NOW, HandMadeClient, b64, bent, sign

OBJECT = "invalid_request_object"
ANOTHER_KEY = ECKey.generate_key("P-256", {"kid": "site-ec"})


def refused(answer: requests.Response, error: str, reason: str) -> None:
    """The refusal is the standard's form, says why, and is kept in no cache."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["error"] == error
    assert reason in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typ": "JWT"}, "typ is 'JWT', expected 'oauth-authz-req+jwt'"),
        ({"typ": GONE}, "typ is None"),
        ({"kid": GONE}, "no kid in the header"),
        ({"kid": "unknown"}, "kid 'unknown' is not known"),
        ({"kid": ["site-ec"]}, "kid is not a string"),
        ({"crit": ["exp"]}, "must not carry crit"),
        ({"b64": True}, "must not carry b64"),
        ({"jku": "https://site.example/jwks.json"}, "must not carry jku"),
        ({"jwk": ANOTHER_KEY.as_dict(private=False)}, "must not carry jwk"),
        ({"x5u": "https://site.example/certificate"}, "must not carry x5u"),
        ({"x5c": []}, "must not carry x5c"),
    ],
)
def test_header(client: HandMadeClient, changes: dict[str, Any], reason: str) -> None:
    request = sign(client.header(**changes), client.claims(), client.key)
    refused(client.push(request), OBJECT, reason)


@pytest.mark.parametrize(
    ("alg", "key", "reason"),
    [
        ("none", None, "alg 'none' is not one of"),
        ("HS256", OctKey.generate_key(256), "alg 'HS256' is not one of"),
        ("ES256K", None, "alg 'ES256K' is not one of"),
        (["ES256"], None, "is not one of"),
        (None, None, "alg None is not one of"),
        ("ES384", KEYS["ES384"], "does not go with ES384"),
        ("RS256", KEYS["RS256"], "does not go with RS256"),
        ("ES256", ANOTHER_KEY, "the signature does not fit"),
    ],
)
def test_algorithm_and_key(client: HandMadeClient, alg: Any, key: Any, reason: str) -> None:
    header = {**client.header(), "alg": alg}
    if key is None:
        request = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(client.claims()).encode())}."
    else:
        request = sign(header, client.claims(), key)
    refused(client.push(request), OBJECT, reason)


@pytest.mark.parametrize(
    ("request_object", "reason"),
    [
        ("x", "three parts, this has 1"),
        ("a.b.c.d.e.f", "three parts, this has 6"),
        ("!.e30.", "not base64url"),
        ("e30=.e30.", "not base64url"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}.e30.", "not base64url"),
        ("e3.e30.", "not base64url in its canonical form"),
        ("e.e30.", "not base64url"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
        (f"{b64(b'[]')}.e30.", "not a JSON object"),
        (f"{b64(b'nonsense')}.e30.", "not JSON"),
        (f"{b64(bytes([0xFF]))}.e30.", "not JSON"),
        (f"e30.{b64(b'{`exp`:NaN}'.replace(b'`', bytes([34])))}.", "NaN is not JSON"),
        (f"e30.{b64(b'{`a`:1,`a`:2}'.replace(b'`', bytes([34])))}.", "a member appears twice"),
        (f"e30.{b64(b'[' * 20_000)}.", "not JSON"),
    ],
)
def test_text(client: HandMadeClient, request_object: str, reason: str) -> None:
    refused(client.push(request_object), OBJECT, reason)


def test_a_bent_signature(client: HandMadeClient) -> None:
    head, _, signature = client.request().rpartition(".")
    other = "A" if signature[0] != "A" else "B"
    refused(client.push(f"{head}.{other}{signature[1:]}"), OBJECT, "the signature does not fit")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "another-client"}, "iss is 'another-client', expected 'hand made/client:1'"),
        ({"iss": GONE}, "iss is None"),
        ({"client_id": "another-client"}, "client_id is 'another-client'"),
        ({"client_id": GONE}, "client_id is None"),
        ({"aud": GONE}, "aud is None"),
        ({"aud": "https://op.example/"}, "expected the issuer as a string: 'https://op.example'"),
        ({"aud": "https://op.example/par"}, "aud is 'https://op.example/par'"),
        ({"aud": ["https://op.example"]}, "aud is ['https://op.example']"),
        ({"request": "x"}, "request must not be inside"),
        ({"request_uri": "urn:x"}, "request_uri must not be inside"),
        ({"sub": "hand made/client:1"}, "sub must not be inside"),
        ({"client_secret": "x"}, "client_secret must not be inside"),
        ({"client_assertion": "x"}, "client_assertion must not be inside"),
        ({"exp": GONE}, "exp is None, expected a number"),
        ({"exp": str(NOW + 60)}, "expected a number"),
        ({"exp": True}, "exp is True, expected a number"),
        ({"exp": 10**400}, "exp is not a time"),
        ({"exp": -1}, "exp is not a time"),
        ({"exp": NOW}, "exp was 0 s ago"),
        ({"exp": NOW + 3601, "nbf": NOW}, "more than 3600 s after"),
        ({"exp": NOW + 3596, "nbf": NOW - 5}, "more than 3600 s after"),
        ({"exp": NOW + 3605, "nbf": NOW + 10}, "more than 3600 s after"),
        ({"nbf": GONE}, "nbf is None"),
        ({"nbf": NOW + 11}, "nbf is 11 s in the future"),
        ({"nbf": NOW - 3601}, "nbf was more than 3600 s ago"),
        ({"iat": GONE}, "iat is None"),
        ({"iat": NOW + 11}, "iat is 11 s in the future"),
        ({"jti": GONE}, "jti is None"),
        ({"jti": 7}, "jti is 7"),
        ({"jti": ""}, "jti is ''"),
        ({"jti": "j" * 257}, "of up to 256 characters"),
        ({"state": 7}, "state is not a string"),
        ({"scope": ["openid"]}, "scope is not a string"),
        ({"max_age": "60"}, "max_age is '60', expected a number"),
        ({"max_age": True}, "max_age is True"),
        ({"max_age": -1}, "max_age is -1"),
        ({"max_age": None}, "max_age is None"),
        ({"claims": '{"id_token":{}}'}, "claims is not a JSON object"),
        ({"claims": {"id_token": ["acr"]}}, "id_token in claims is not a JSON object"),
        ({"claims": {"id_token": {"acr": {"values": "mfa"}}}}, "values of acr in claims"),
        ({"claims": {"id_token": {"acr": {"value": 1}}}}, "values of acr in claims"),
    ],
)
def test_claims(client: HandMadeClient, changes: dict[str, Any], reason: str) -> None:
    refused(client.push(client.request(**changes)), OBJECT, reason)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "'token', expected 'code'"),
        ({"response_type": GONE}, "unsupported_response_type", "expected 'code'"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request", "is not one of"),
        ({"redirect_uri": GONE}, "invalid_request", "is not one of"),
        ({"response_mode": "fragment"}, "invalid_request", "'fragment' is not supported"),
        ({"prompt": "none login"}, "invalid_request", "prompt 'none login'"),
        ({"prompt": "create"}, "invalid_request", "prompt 'create'"),
        ({"scope": "profile"}, "invalid_scope", "has no openid"),
        ({"scope": GONE}, "invalid_scope", "has no openid"),
        ({"scope": "openid admin"}, "invalid_scope", "not registered for this client: admin"),
        ({"code_challenge": GONE}, "invalid_request", "43 characters"),
        ({"code_challenge": "short"}, "invalid_request", "43 characters"),
        ({"code_challenge_method": "plain"}, "invalid_request", "must be S256"),
        ({"code_challenge_method": GONE}, "invalid_request", "must be S256"),
    ],
)
def test_parameters(
    client: HandMadeClient, changes: dict[str, Any], error: str, reason: str
) -> None:
    refused(client.push(client.request(**changes)), error, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + 0.5},
        {"exp": NOW + 3595},
        {"iat": NOW + 10, "nbf": NOW + 10},
        {"nbf": NOW - 3500, "exp": NOW + 100},
        {"jti": "j" * 256},
        {"aud": "https://op.example"},
        {"state": GONE, "nonce": GONE},
        {"scope": "openid phone address offline_access reports:read"},
        {"max_age": 0, "acr_values": "mfa pwd", "ui_locales": "de", "login_hint": "ada"},
        {"claims": {"id_token": {"acr": None, "phone_number": None}, "userinfo": None}},
        {"an_extension": {"is": "unknown"}},
        {"prompt": "login consent"},
        {"response_mode": "form_post"},
    ],
)
def test_what_is_allowed(client: HandMadeClient, changes: dict[str, Any]) -> None:
    assert client.push(client.request(**changes)).status_code == 201


def test_the_header_may_be_written_in_its_own_way(client: HandMadeClient) -> None:
    request = sign({**client.header(), "cty": "json", "x": 1}, client.claims(), client.key)
    assert client.push(request).status_code == 201


def test_a_request_object_is_accepted_once(client: HandMadeClient, clock: Clock) -> None:
    request = client.request(jti="only-once")
    assert client.push(request).status_code == 201
    refused(client.push(request), OBJECT, "this jti was used before")
    refused(client.push(client.request(jti="only-once")), OBJECT, "this jti was used before")
    other = HandMadeClient(client.provider, client_id="other", now=clock)
    assert other.push(other.request(jti="only-once")).status_code == 201
    clock.now += 61
    assert client.push(client.request(jti="only-once")).status_code == 201


def test_a_refused_request_object_does_not_use_its_jti_up(client: HandMadeClient) -> None:
    refused(client.push(client.request(jti="again", scope="x")), "invalid_scope", "openid")
    assert client.push(client.request(jti="again")).status_code == 201


def test_a_clock_that_is_further_ahead_can_be_allowed(client: HandMadeClient) -> None:
    client.provider.clock_skew = client.provider.clock_skew + 20
    assert client.push(client.request(nbf=NOW + 30, iat=NOW + 30)).status_code == 201


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"request": GONE}, "request is missing: requests must be signed here"),
        ({"client_id": GONE}, "client_id is missing"),
        ({"state": "x"}, "beside the request object: state"),
        ({"scope": "openid", "nonce": "n"}, "beside the request object: nonce, scope"),
        ({"request_uri": "urn:x"}, "beside the request object: request_uri"),
        ({"headers": {"Content-Type": "application/json"}}, "Content-Type must be"),
    ],
)
def test_form(client: HandMadeClient, form: dict[str, Any], reason: str) -> None:
    refused(client.push(**form), "invalid_request", reason)


def raw_push(client: HandMadeClient, body: str, url: str = "") -> requests.Response:
    return client.http.post(
        client.endpoint("pushed_authorization_request_endpoint") + url,
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def test_a_parameter_twice(client: HandMadeClient) -> None:
    refused(raw_push(client, "client_id=a&client_id=a"), "invalid_request", "than once: client_id")


def test_a_parameter_in_the_url(client: HandMadeClient) -> None:
    refused(raw_push(client, "client_id=a", "?request=x"), "invalid_request", "not in the URL")


def test_a_push_is_a_post(client: HandMadeClient) -> None:
    answer = client.http.get(client.endpoint("pushed_authorization_request_endpoint"))
    assert answer.status_code == 405


def test_a_push_that_is_too_large(client: HandMadeClient) -> None:
    assert raw_push(client, "request=" + "x" * 300_000).status_code == 413


def test_a_description_has_only_the_characters_that_the_standard_allows(
    client: HandMadeClient,
) -> None:
    answer = client.push(client.request(iss='\u20ac"\\\n' * 500))
    description = answer.json()["error_description"]
    assert description.isascii()
    assert len(description) == 400
    assert not {'"', "\\", "\n"} & {*description}


def unsigned(client: HandMadeClient, changes: Mapping[str, Any]) -> str:
    header = bent(client.header(), changes)
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(client.claims()).encode())}."


def test_none_is_refused_even_where_the_metadata_offers_it(client: HandMadeClient) -> None:
    client.provider.metadata["request_object_signing_alg_values_supported"] = ["none", "HS256"]
    refused(client.push(unsigned(client, {"alg": "none"})), OBJECT, "alg 'none' is not one of")


def test_without_a_list_requests_have_the_algorithms_of_client_assertions(
    client: HandMadeClient,
) -> None:
    """Providers for FAPI often have no list for requests, and accept no RS256."""
    other = HandMadeClient(client.provider, method="client_secret_post", now=client.now)
    metadata = client.provider.metadata
    del metadata["request_object_signing_alg_values_supported"]
    metadata["token_endpoint_auth_signing_alg_values_supported"] = ["PS256", "ES256"]
    assert other.push().status_code == 201
    metadata["token_endpoint_auth_signing_alg_values_supported"] = ["PS256", "HS256"]
    refused(other.push(), OBJECT, "alg 'ES256' is not one of")
