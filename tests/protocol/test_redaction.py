from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.redaction import (
    cut_short,
    redact_claims,
    redact_message,
    redact_proof,
)
from tests.support.untrusted import bounded, json_values

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UifQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB"
CUT_JWT = "eyJhbGci… (68 characters)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "… (0 characters)"),
        ("x", "… (1 characters)"),
        ("x" * 31, "… (31 characters)"),
        ("abcdefghi" + "x" * 23, "abcdefgh… (32 characters)"),
        (JWT, CUT_JWT),
    ],
)
def test_cut_short(value: str, shown: str) -> None:
    assert cut_short(value) == shown


SHOWN = [
    *("client_id", "client_assertion_type", "grant_type", "response_type", "response_mode"),
    *("redirect_uri", "scope", "token_type", "expires_in", "error", "error_description", "iss"),
    *("aud", "sub", "iat", "nbf", "exp", "auth_time", "azp", "acr", "amr", "prompt", "max_age"),
    *("code_challenge_method", "acr_values", "ui_locales", "resource", "issuer"),
    *("kid", "kty", "crv", "alg", "use"),
]


@pytest.mark.parametrize("name", SHOWN)
def test_a_value_that_is_no_secret_is_shown(name: str) -> None:
    assert redact_message({name: JWT}) == {name: JWT}
    assert redact_message({"in": [{name: JWT}]}) == {"in": [{name: JWT}]}


@pytest.mark.parametrize(
    "name",
    [
        *("code", "state", "nonce", "code_verifier", "code_challenge", "request", "request_uri"),
        *("client_assertion", "client_secret", "access_token", "refresh_token", "id_token"),
        *("token", "logout_token", "assertion", "session_state", "jti", "anything", "Scope"),
    ],
)
def test_whatever_else_is_a_string_is_cut(name: str) -> None:
    assert redact_message({name: JWT, "scope": "openid"}) == {name: CUT_JWT, "scope": "openid"}
    assert redact_message({name: "hunter2"}) == {name: "… (7 characters)"}


def test_a_value_that_is_no_text_stays() -> None:
    plain = {"a": 5, "b": True, "c": None, "d": 1.5, "e": [], "f": {}}
    assert redact_message(plain) == plain


def test_within_lists_and_objects_what_is_long_is_cut() -> None:
    message = {
        "tokens": {"access_token": JWT, "kind": "short", "more": [JWT, 5]},
        "response_modes_supported": ["query", "x" * 31, "x" * 32],
        "keys": [{"kid": JWT, "x": JWT, "kty": "EC", "alg": "ES256"}],
        "pair": (JWT, "b"),
        "aud": [JWT, "b"],
    }
    assert redact_message(message) == {
        "tokens": {"access_token": CUT_JWT, "kind": "short", "more": [CUT_JWT, 5]},
        "response_modes_supported": ["query", "x" * 31, "xxxxxxxx… (32 characters)"],
        "keys": [{"kid": JWT, "x": CUT_JWT, "kty": "EC", "alg": "ES256"}],
        "pair": [CUT_JWT, "b"],
        "aud": [JWT, "b"],  # a member that is shown is shown in a list, too
    }
    assert message["tokens"]["access_token"] == JWT  # type: ignore[index]


@bounded
@given(json_values)
def test_no_secret_survives_wherever_it_stands(value: Any) -> None:
    secret = "secret-" * 6

    def plant(node: Any) -> Any:
        if isinstance(node, dict):
            return {f"_{name}": plant(item) for name, item in node.items()} | {"_": secret}
        if isinstance(node, list):
            return [*map(plant, node), secret]
        return secret

    assert secret not in json.dumps(redact_message({"x": plant(value)}))


BOUND = [
    *("state", "nonce", "code_challenge", "jti", "at_hash", "ath", "c_hash", "s_hash", "sid"),
    *("id_token_hint", "login_hint_token"),
]


@pytest.mark.parametrize("name", BOUND)
def test_claims_that_bind_a_token_to_one_login_are_cut(name: str) -> None:
    assert redact_claims({name: JWT, "iss": JWT}) == {name: CUT_JWT, "iss": JWT}
    assert redact_claims({name: 12345}) == {name: "… (5 characters)"}


def test_other_claims_are_shown() -> None:
    claims = {"email": JWT, "groups": [JWT], "exp": 5, "claims": {"id_token": {"acr": None}}}
    assert redact_claims(claims) == claims


def test_a_proof_is_shown_without_its_signature() -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": JWT}}
    claims = {"htm": "POST", "htu": "https://op.example/token", "iat": 5, "jti": JWT, "ath": JWT}
    proof = ".".join([*(b64encode(json.dumps(part).encode()) for part in (header, claims)), "abc"])
    assert redact_proof(proof) == {
        "header": {**header, "jwk": {"kty": "EC", "crv": "P-256", "x": CUT_JWT}},
        "claims": {**claims, "jti": CUT_JWT, "ath": CUT_JWT},
    }
