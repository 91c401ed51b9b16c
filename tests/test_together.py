"""Logins with bound tokens, encryption and the small settings at the same time."""

from __future__ import annotations

from typing import Any

from flask import Flask
from joserfc.jwk import ECKey

from flask_parjar import LoginOptions, ParJar
from flask_parjar.protocol.encoding import b64decode, parse_json_object
from flask_parjar.testing import Call, DevProvider
from tests.support.after_login import age, token_site, token_views
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.jwt import read_jwt
from tests.support.site import Visitor

PUSH = "pushed_authorization_request"
EVERYTHING = {
    "PARJAR_DPOP": True,
    "PARJAR_ENCRYPTION_KEY": ECKey.generate_key("P-256", {"kid": "enc"}).as_dict(private=True),
    "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256CBC-HS512",
    "PARJAR_USERINFO": True,
    "PARJAR_USERINFO_ENCRYPTION": "ECDH-ES A256GCM",
    "PARJAR_REQUEST_ENCRYPTION_ALG": "RSA-OAEP-256",
    "PARJAR_REQUEST_BESIDE": "scope",
    "PARJAR_REQUEST_AUDIENCE": "authorization_endpoint",
    "PARJAR_ASSERTION_AUDIENCE": "token_endpoint",
    "PARJAR_ASSERTION_TYP": "client-authentication+jwt",
    "PARJAR_ASSERTION_CLAIMS": {"org": "0"},
    "PARJAR_HTTP_HEADERS": {"X-FAPI-Interaction-ID": "93bac548"},
    "PARJAR_AUTHORIZATION_PARAMS": {"resource": ["https://api.example/a", "https://api.example/b"]},
}


def login_for_an_organisation(app: Flask, parjar: ParJar) -> None:
    token_views(app, parjar)
    app.get("/for/<org>")(lambda org: parjar.login(LoginOptions(assertion_claims={"org": org})))


def demanding(provider: DevProvider) -> Visitor:
    """A visitor of a site whose provider demands what the site sends."""
    provider.dpop_nonces = True
    provider.demands.request_audience = provider.metadata["authorization_endpoint"]
    provider.demands.request_beside = ("scope",)
    provider.demands.assertion_audience = provider.metadata["token_endpoint"]
    provider.demands.assertion_typ = "client-authentication+jwt"
    provider.demands.assertion_claims = ("org",)
    app = token_site(provider, "memory", prepare=login_for_an_organisation, **EVERYTHING)
    return Visitor(app, provider)


def calls_to(provider: DevProvider, *endpoints: str) -> list[Call]:
    return [call for call in provider.calls if call.endpoint in endpoints]


def claims_of_proof(call: Call) -> dict[str, Any]:
    return read_jwt(call.headers["DPoP"])[1]


def test_from_the_login_to_the_logout_with_everything(provider: DevProvider) -> None:
    visitor = demanding(provider)
    assert visitor.log_in("/for/1").location == "/"
    assert visitor.get("/me").json["name"] == "Ada Lovelace"
    age(visitor, left=-1)
    assert visitor.get("/token", headers=SCRIPT).status_code == 200
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    calls = calls_to(provider, PUSH, "token", "revocation")
    # The first push had no nonce.
    assert [call.endpoint for call in calls] == [PUSH] * 2 + ["token"] * 2 + ["revocation"] * 2
    assertions = [read_jwt(call.form["client_assertion"])[1] for call in calls]
    assert {each["org"] for each in assertions} == {"1"}
    assert len({each["jti"] for each in assertions}) == len(calls)
    assert len({claims_of_proof(call)["jti"] for call in calls}) == len(calls)
    assert {call.headers["X-FAPI-Interaction-ID"] for call in calls} == {"93bac548"}


def test_a_push_that_is_sent_again_is_made_anew(provider: DevProvider) -> None:
    demanding(provider).get("/for/1")
    first, second = calls_to(provider, PUSH)
    for call in (first, second):
        header = parse_json_object(b64decode(call.form["request"].split(".")[0]))
        assert (header["alg"], header["cty"]) == ("RSA-OAEP-256", "JWT")
        assert call.form["scope"].split()[0] == "openid"
    assert first.form["request"] != second.form["request"]
    assert "nonce" not in claims_of_proof(first) and "nonce" in claims_of_proof(second)
