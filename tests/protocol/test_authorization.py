from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.authorization import (
    RESERVED_PARAMETERS,
    AuthorizationRequest,
    BrowserRequest,
    LoginOptions,
    PushedRequest,
    RequestObject,
)
from flask_parjar.protocol.encoding import b64decode
from flask_parjar.protocol.jws import verify_token
from tests.protocol.examples import (
    CLIENT_ID,
    ISSUER,
    JWK_FOR,
    NOW,
    invalid,
    key_set,
    make_client,
    make_transaction,
    refused,
    signing_key,
)
from tests.protocol.strangers import bounded, documents

CLIENT = make_client()
TRANSACTION = make_transaction()
ALWAYS = {
    "client_id": CLIENT_ID,
    "response_type": "code",
    "redirect_uri": "https://client.example.org/cb",
    "scope": "openid profile",
    "state": "af0ifjsldkj",
    "nonce": TRANSACTION.nonce,
    "code_challenge": TRANSACTION.code_challenge,
    "code_challenge_method": "S256",
}


def build(options: LoginOptions | None = None, **fields: Any) -> AuthorizationRequest:
    return AuthorizationRequest.build(make_client(**fields), TRANSACTION, options or LoginOptions())


def test_what_is_always_asked() -> None:
    request = build()
    assert request == AuthorizationRequest(client_id=CLIENT_ID, issuer=ISSUER, parameters=ALWAYS)
    assert request.parameters["code_challenge"] != TRANSACTION.code_verifier


def test_no_secret_is_in_it() -> None:
    request = build(client_secret="hunter2")
    secrets = (TRANSACTION.code_verifier, TRANSACTION.seed, "hunter2")
    assert not any(secret in str(request.parameters) for secret in secrets)


@pytest.mark.parametrize(
    ("option", "value", "parameter"),
    [
        ("login_hint", "ada@example.com", "ada@example.com"),
        ("prompt", "login", "login"),
        ("max_age", 0, 0),
        ("max_age", 300, 300),
        ("acr_values", ["phrh", "phr"], "phrh phr"),
        ("acr_values", ("phr",), "phr"),
        ("ui_locales", "de fr", "de fr"),
        ("claims", {"userinfo": {"email": None}}, {"userinfo": {"email": None}}),
        ("authorization_details", [{"type": "t"}], [{"type": "t"}]),
        ("resource", "https://rs.example", "https://rs.example"),
        ("resource", ["https://a.example", "https://b.example"], None),
    ],
)
def test_an_option_is_a_parameter_of_its_name(option: str, value: Any, parameter: Any) -> None:
    request = build(LoginOptions(**{option: value}))
    assert request.parameters == {**ALWAYS, option: value if parameter is None else parameter}


def test_options_that_choose_and_ask_for_nothing() -> None:
    assert build(LoginOptions(provider="other", scopes=["x"])).parameters == ALWAYS
    assert build(LoginOptions(essential_acr=True)).parameters == ALWAYS


def test_response_mode_is_the_clients() -> None:
    request = build(response_mode="form_post")
    assert request.parameters == {**ALWAYS, "response_mode": "form_post"}


def test_free_parameters_give_way() -> None:
    options = LoginOptions(params={"organization": "o1", "prompt": "none"}, prompt="login")
    request = build(
        options,
        authorization_params={"organization": "o0", "audience": "a", "scope": "x", "state": "x"},
    )
    assert request.parameters == {
        **ALWAYS,
        "organization": "o1",
        "audience": "a",
        "prompt": "login",
    }


RESERVED = [
    *("client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge"),
    *(
        "code_challenge_method",
        "response_mode",
        "max_age",
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
    ),
    *("client_secret", "client_assertion", "client_assertion_type"),
    *("request", "request_uri", "sub"),
]


@pytest.mark.parametrize("name", RESERVED)
def test_params_may_not_set_what_the_library_sets(name: str) -> None:
    with invalid(f"params may not set {name}: the library does"):
        LoginOptions(params={"organization": "o1", name: "x"})


def test_all_that_is_reserved() -> None:
    assert frozenset(RESERVED) == RESERVED_PARAMETERS
    with invalid("params may not set exp, scope: the library does"):
        LoginOptions(params={"scope": "x", "exp": 5})


@pytest.mark.parametrize("options", [{"scopes": "openid email"}, {"acr_values": "phr"}])
def test_a_string_is_no_list_of_strings(options: dict[str, Any]) -> None:
    with invalid("scopes and acr_values are lists of strings"):
        LoginOptions(**options)


@pytest.mark.parametrize(
    ("claims", "asked"),
    [
        (None, {}),
        ({}, {}),
        ({"id_token": {}}, {}),
        ({"id_token": None}, {}),
        ({"id_token": {"email": None, "acr": {"value": "x"}}}, {"email": None}),
    ],
)
def test_an_essential_acr(claims: Any, asked: dict[str, Any]) -> None:
    """OpenID Connect Core 5.5.1.1."""
    options = LoginOptions(acr_values=("phrh", "phr"), essential_acr=True, claims=claims)
    acr = {"essential": True, "values": ["phrh", "phr"]}
    assert build(options).parameters["claims"] == {"id_token": {**asked, "acr": acr}}
    assert claims is None or "acr" not in claims  # what the caller gave is not changed


def test_an_essential_acr_leaves_the_other_claims() -> None:
    claims = {"userinfo": {"email": {"essential": True}}, "id_token": {"sub": {"value": "1"}}}
    options = LoginOptions(acr_values=["phr"], essential_acr=True, claims=claims)
    assert build(options).parameters["claims"] == {
        "userinfo": {"email": {"essential": True}},
        "id_token": {"sub": {"value": "1"}, "acr": {"essential": True, "values": ["phr"]}},
    }
    assert claims["id_token"] == {"sub": {"value": "1"}}


def test_an_acr_that_is_not_essential_is_no_claim() -> None:
    assert "claims" not in build(LoginOptions(acr_values=["phr"])).parameters


def test_a_form_holds_text() -> None:
    options = LoginOptions(
        max_age=300,
        claims={"id_token": {"email": None}},
        authorization_details=[{"type": "é"}],
        params={"flag": True},
    )
    assert build(options).as_form() == {
        **ALWAYS,
        "max_age": "300",
        "claims": '{"id_token": {"email": null}}',
        "authorization_details": '[{"type": "\\u00e9"}]',
        "flag": "true",
    }


def test_what_stands_beside_an_unpushed_request_object() -> None:
    assert build().beside_request_object() == {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "scope": "openid profile",
    }


# The request object.


def sign(alg: str = "ES256", options: LoginOptions | None = None) -> RequestObject:
    return RequestObject.sign(build(options), key=signing_key(alg), alg=alg, now=NOW)


@pytest.mark.parametrize("alg", ["PS256", "RS256", "ES256", "ES512", "EdDSA", "Ed25519"])
def test_a_request_object(alg: str) -> None:
    options = LoginOptions(
        max_age=300,
        claims={"id_token": {"email": None}},
        authorization_details=[{"type": "t"}],
        resource=["https://a.example", "https://b.example"],
    )
    signed = sign(alg, options)
    key = signing_key(alg)
    proved = verify_token(
        signed.jwt,
        keys=key_set({**JWK_FOR[alg], "kid": key.kid}),
        expected_algs=(alg,),
        expected_typs=("oauth-authz-req+jwt",),
    )
    assert proved.header == {"alg": alg, "typ": "oauth-authz-req+jwt", "kid": key.kid}
    assert proved.header == signed.header
    assert proved.claims == {
        "iss": CLIENT_ID,
        "aud": ISSUER,
        "iat": NOW,
        "nbf": NOW - 10,
        "exp": NOW + 60,
        "jti": signed.claims["jti"],
        **ALWAYS,
        "max_age": 300,
        "claims": {"id_token": {"email": None}},
        "authorization_details": [{"type": "t"}],
        "resource": ["https://a.example", "https://b.example"],
    }
    assert proved.claims == signed.claims
    assert (signed.alg, signed.kid) == (alg, key.kid)


def test_the_audience_is_the_issuer_with_its_trailing_slash() -> None:
    request = build(issuer="https://tenant.auth.example/")
    signed = RequestObject.sign(request, key=signing_key("ES256"), alg="ES256", now=NOW)
    assert signed.claims["aud"] == "https://tenant.auth.example/"


def test_nothing_forbidden_is_inside() -> None:
    """RFC 9101 section 4."""
    assert not {"request", "request_uri", "sub", "client_secret"}.intersection(sign().claims)


def test_each_has_an_identifier_of_its_own() -> None:
    identifiers = {sign().claims["jti"] for _ in range(20)}
    assert len(identifiers) == 20
    assert all(len(b64decode(identifier)) == 24 for identifier in identifiers)
    assert all(len(identifier) <= 64 for identifier in identifiers)


def test_nothing_of_it_is_printed() -> None:
    signed = sign()
    printed = repr(signed)
    assert signed.jwt not in printed
    assert TRANSACTION.nonce not in printed
    assert "alg='ES256'" in printed


# To the browser.


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        ("https://op.example/authorize", "https://op.example/authorize?"),
        ("https://op.example/authorize?tenant=a", "https://op.example/authorize?tenant=a&"),
        ("https://op.example?", "https://op.example?&"),
    ],
)
def test_the_url_keeps_the_endpoints_own_query(endpoint: str, start: str) -> None:
    browser = BrowserRequest(authorization_endpoint=endpoint, parameters={"a": "b c&d", "e": "é"})
    assert browser.url == start + "a=b+c%26d&e=%C3%A9"
    assert "b c&d" not in repr(browser)


# RFC 9126 section 2.2
ANSWER = {
    "request_uri": "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c",
    "expires_in": 60,
}


def parse(without: str = "", **members: Any) -> PushedRequest:
    answer = {name: value for name, value in (ANSWER | members).items() if name != without}
    return PushedRequest.parse(
        answer, client_id=CLIENT_ID, authorization_endpoint="https://server.example.com/authorize"
    )


def test_the_answer_of_rfc_9126() -> None:
    pushed = parse(extra=1)
    assert pushed == PushedRequest(
        authorization_endpoint="https://server.example.com/authorize",
        parameters={"client_id": CLIENT_ID, "request_uri": str(ANSWER["request_uri"])},
        expires_in=60,
    )
    # the URL of section 4 of the RFC
    assert pushed.url == (
        "https://server.example.com/authorize?client_id=s6BhdRkqt3"
        "&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    )
    assert str(ANSWER["request_uri"]) not in repr(pushed)


@pytest.mark.parametrize(
    "request_uri", [None, "", 5, True, [ANSWER["request_uri"]], {}, "x" * 2049]
)
def test_a_request_uri_is_a_string_of_some_length(request_uri: object) -> None:
    with refused(ProviderUnavailable, "push_answer", "request_uri is missing or not usable"):
        parse(request_uri=request_uri)


def test_a_request_uri_is_demanded_and_is_so_long_and_no_longer() -> None:
    with refused(ProviderUnavailable, "push_answer", "request_uri is missing or not usable"):
        parse(without="request_uri")
    assert parse(request_uri="x" * 2048).parameters["request_uri"] == "x" * 2048
    assert parse(request_uri="x").parameters["request_uri"] == "x"


@pytest.mark.parametrize(
    "request_uri", [" ", "urn:a b", "urn:a\n", "\turn:a", "urn:\0", "urn:\x7f", "urn:é", "\ud800"]
)
def test_a_request_uri_has_no_white_space_and_no_controls(request_uri: str) -> None:
    detail = "request_uri holds white space or controls"
    with refused(ProviderUnavailable, "push_answer", detail):
        parse(request_uri=request_uri)


@pytest.mark.parametrize(
    "request_uri",
    ["https://op.example/r?a=1&b=2#c", "javascript:alert(1)", "&client_id=evil", "!", "~", "'\"<>"],
)
def test_a_request_uri_is_opaque(request_uri: str) -> None:
    url = parse(request_uri=request_uri).url
    assert parse_qsl(urlsplit(url).query, strict_parsing=True) == [
        ("client_id", CLIENT_ID),
        ("request_uri", request_uri),
    ]
    assert urlsplit(url).netloc == "server.example.com"


@pytest.mark.parametrize("expires_in", [None, 0, -1, True, False, 60.0, 0.5, "60", [60], {}])
def test_expires_in_is_a_positive_integer(expires_in: object) -> None:
    with refused(ProviderUnavailable, "push_answer", f"expires_in={str(expires_in)!r}"):
        parse(expires_in=expires_in)


def test_expires_in_is_demanded_and_shown_cut() -> None:
    with refused(ProviderUnavailable, "push_answer", "expires_in='None'"):
        parse(without="expires_in")
    with refused(ProviderUnavailable, "push_answer", f"expires_in={'x' * 40!r}"):
        parse(expires_in="x" * 41)
    assert parse(expires_in=1).expires_in == 1


@bounded
@given(documents(ANSWER))
def test_an_answer_of_a_stranger_has_one_error(answer: dict[str, Any]) -> None:
    try:
        pushed = PushedRequest.parse(
            answer, client_id=CLIENT_ID, authorization_endpoint=f"{ISSUER}/authorize"
        )
    except ProviderUnavailable as error:
        assert error.code == "push_answer"
        return
    assert pushed.url.isascii() and pushed.url.isprintable() and " " not in pushed.url
    assert pushed.expires_in > 0
    assert json.dumps(dict(pushed.parameters))
