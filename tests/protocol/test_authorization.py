from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given

from flask_parjar.errors import LoginError, ProviderUnavailable
from flask_parjar.protocol.agreement import RequestSigning
from flask_parjar.protocol.authorization import (
    MAX_UNPUSHED_URL,
    RESERVED_PARAMETERS,
    AuthorizationRedirect,
    AuthorizationRequest,
    LoginOptions,
    PushedRequest,
    RequestObject,
    asked_resources,
    configured_details_types,
    configured_resources,
)
from flask_parjar.protocol.binding import BEARER, Bearer, TokenBinding
from flask_parjar.protocol.client_auth import SecretInBody
from flask_parjar.protocol.encoding import b64decode
from flask_parjar.protocol.jwe import (
    Decryption,
    Encryption,
    RequestEncryption,
    parse_decryption_keys,
    parse_encryption_key,
)
from flask_parjar.protocol.jws import verify_token
from flask_parjar.protocol.outbound import Parameters
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    JWK_FOR,
    NOW,
    key_set,
    make_agreement,
    make_transaction,
    public,
    signing_key,
)
from tests.support.errors import invalid, refused
from tests.support.untrusted import bounded, documents

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


def build(
    options: LoginOptions | None = None, *, binding: TokenBinding = BEARER, **fields: Any
) -> AuthorizationRequest:
    return AuthorizationRequest.build(
        make_agreement(**fields), TRANSACTION, options or LoginOptions(), binding=binding
    )


class BoundToKey(Bearer):
    """A binding that says so in the authorization request (as RFC 9449 section 10)."""

    def parameters(self) -> dict[str, str]:
        return {"dpop_jkt": "thumbprint"}


def test_parameters_of_every_request() -> None:
    request = build()
    assert request == AuthorizationRequest(client_id=CLIENT_ID, parameters=ALWAYS)
    assert request.parameters["code_challenge"] != TRANSACTION.code_verifier


@pytest.mark.parametrize(
    "uri", ["http://client.example.org/cb", "ftp://client.example.org/cb", "client.example.org/cb"]
)
def test_a_profile_wants_a_redirect_uri_that_others_cannot_read(uri: str) -> None:
    """FAPI 2.0 Security Profile section 5.3.2.2 (8)."""
    transaction = make_transaction(redirect_uri=uri)
    for required in (False, True):
        agreement = make_agreement(https_redirect_uri=required)
        if not required:
            AuthorizationRequest.build(agreement, transaction, LoginOptions(), binding=BEARER)
            continue
        with refused(LoginError, "redirect_uri_insecure", uri):
            AuthorizationRequest.build(agreement, transaction, LoginOptions(), binding=BEARER)


@pytest.mark.parametrize("uri", ["https://client.example.org/cb", "http://127.0.0.1:5000/cb"])
def test_an_https_redirect_uri_or_one_on_this_machine(uri: str) -> None:
    agreement = make_agreement(https_redirect_uri=True)
    transaction = make_transaction(redirect_uri=uri)
    request = AuthorizationRequest.build(agreement, transaction, LoginOptions(), binding=BEARER)
    assert request.parameters["redirect_uri"] == uri


def test_no_secret_is_in_it() -> None:
    secret = SecretInBody(client_id=CLIENT_ID, client_secret="hunter2")
    request = build(client_auth=secret)
    secrets = (TRANSACTION.code_verifier, TRANSACTION.seed, TRANSACTION.secret, "hunter2")
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


@pytest.mark.parametrize(
    ("option", "param", "configured", "asked"),
    [
        (None, None, None, ()),
        (None, None, "urn:c", ("urn:c",)),
        (None, None, ["urn:c", "urn:d"], ("urn:c", "urn:d")),
        (None, "urn:p", "urn:c", ("urn:p",)),
        ("urn:o", "urn:p", "urn:c", ("urn:o",)),
        (("urn:o", "urn:p"), None, None, ("urn:o", "urn:p")),
        ([], None, "urn:c", ()),
    ],
)
def test_the_apis_that_a_login_asks_for(
    option: Any, param: Any, configured: Any, asked: tuple[str, ...]
) -> None:
    params = {} if param is None else {"resource": param}
    options = LoginOptions(resource=option, params=params)
    configuration = {} if configured is None else {"resource": configured}
    assert asked_resources(configuration, options) == asked
    sent = build(options, authorization_params=configuration).parameters.get("resource")
    assert (list(sent) if isinstance(sent, list | tuple) else [sent] * bool(sent)) == list(asked)


@pytest.mark.parametrize(
    ("configured", "resources"),
    [(None, ()), ("urn:c", ("urn:c",)), (["urn:c", "urn:d"], ("urn:c", "urn:d")), ([], ())],
)
def test_the_apis_of_the_configuration(configured: Any, resources: tuple[str, ...]) -> None:
    params = {} if configured is None else {"resource": configured}
    assert configured_resources({"audience": "a", **params}) == resources


@pytest.mark.parametrize(
    ("configured", "types"),
    [(None, ()), ([{"type": "b"}, {"type": "a"}, {"type": "b"}], ("b", "a", "b")), ([], ())],
)
def test_the_types_of_details_of_the_configuration(configured: Any, types: tuple[str, ...]) -> None:
    params = {} if configured is None else {"authorization_details": configured}
    assert configured_details_types({"audience": "a", **params}) == types


@pytest.mark.parametrize("listed", [None, ("payment", "account"), ("account",), ()])
def test_types_of_details_that_the_provider_does_not_list(listed: tuple[str, ...] | None) -> None:
    """RFC 9396 section 10. Where nothing is listed, each type may be known."""
    transaction = make_transaction(details_types=("payment", "account"))
    agreement = make_agreement(details_types=listed)
    options = LoginOptions(authorization_details=[{"type": "payment"}, {"type": "account"}])
    if listed is None or "payment" in listed:
        request = AuthorizationRequest.build(agreement, transaction, options, binding=BEARER)
        assert request.parameters["authorization_details"] == options.authorization_details
        return
    with refused(LoginError, "authorization_details_unsupported", "payment", str([*listed])):
        AuthorizationRequest.build(agreement, transaction, options, binding=BEARER)


@pytest.mark.parametrize(
    ("fields", "configured", "other_account_prompt", "prompt"),
    [
        ({}, {}, "login", "login"),
        ({}, {}, "select_account", "select_account"),
        ({"prompt": "consent"}, {}, "select_account", "consent select_account"),
        ({"prompt": "login"}, {}, "select_account", "login"),
        ({"prompt": "select_account consent"}, {}, "login", "select_account consent"),
        ({"prompt": "none"}, {}, "login", "login"),
        ({}, {"prompt": "consent"}, "login", "consent login"),
        ({}, {"prompt": "none"}, "select_account", "select_account"),
        ({"params": {"prompt": "consent"}}, {"prompt": "login"}, "login", "consent login"),
        ({"prompt": "consent", "params": {"prompt": "login"}}, {}, "login", "consent login"),
        ({"prompt": "consent"}, {"prompt": "login"}, "login", "consent login"),
    ],
)
def test_another_account_can_be_chosen(
    fields: dict[str, Any], configured: dict[str, Any], other_account_prompt: str, prompt: str
) -> None:
    """What is asked for already is kept, except ``none``, with which no one can choose."""
    options = LoginOptions(other_account=True, **fields)
    request = build(
        options, authorization_params=configured, other_account_prompt=other_account_prompt
    )
    assert request.parameters == {**ALWAYS, "prompt": prompt}


def test_options_that_choose_and_ask_for_nothing() -> None:
    assert build(LoginOptions(provider="other", scopes=["openid", "x"])).parameters == ALWAYS
    assert build(LoginOptions(claims={})).parameters == ALWAYS


def test_response_mode_is_that_of_the_agreement() -> None:
    request = build(response_mode="form_post")
    assert request.parameters == {**ALWAYS, "response_mode": "form_post"}


def test_the_binding_adds_its_own_parameters() -> None:
    request = build(LoginOptions(params={"dpop_jkt": "free"}), binding=BoundToKey())
    assert request.parameters == {**ALWAYS, "dpop_jkt": "thumbprint"}


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
    with invalid(name):
        LoginOptions(params={"organization": "o1", name: "x"})


def test_all_that_is_reserved() -> None:
    assert frozenset(RESERVED) == RESERVED_PARAMETERS
    with invalid("exp, scope"):
        LoginOptions(params={"scope": "x", "exp": 5})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resource", "orders"),
        ("resource", ["https://rs.example", 7]),
        ("authorization_details", [{"amount": 7}]),
        ("prompt", ["login"]),
        ("prompt", 7),
    ],
)
def test_params_are_checked_as_the_options_of_their_names(name: str, value: Any) -> None:
    with invalid(name):
        LoginOptions(params={"organization": "o1", name: value})


@pytest.mark.parametrize("options", [{"scopes": "openid email"}, {"acr_values": "phr"}])
def test_a_string_is_no_list_of_strings(options: dict[str, Any]) -> None:
    with invalid(*options):
        LoginOptions(**options)


NAN, INFINITY = float("nan"), float("inf")
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("prompt", "sometimes"),
        ("prompt", ""),
        ("prompt", "none login"),
        ("prompt", ["login"]),
        *(("max_age", each) for each in ("300", -5, True, 1.5, NAN, 10**15)),
        ("scopes", ["email", "profile"]),
        ("scopes", []),
        ("scopes", "openid email"),
        ("acr_values", "phr"),
        ("acr_values", ["phr", None]),
        ("acr_values", ["phr phrh"]),
        ("acr_values", ["\ud800"]),
        ("acr_values", None),
        ("login_hint", "\ud800"),
        ("essential_acr", 1),
        ("claims", {"userinfo": {"age": {"value": NAN}}}),
        ("authorization_details", [{"type": "payment", "amount": INFINITY}]),
        ("authorization_details", [{"type": ""}]),
        ("authorization_details", {"type": "payment"}),
        ("resource", "https://rs.example/or ders"),
        ("params", {"limit": NAN}),
        ("params", {"circle": CIRCLE}),
        ("params", None),
        ("acr_values", [1]),
        ("acr_values", [""]),
        ("acr_values", 7),
        ("scopes", [1]),
        ("scopes", [""]),
        ("scopes", ["openid email"]),
        ("scopes", 7),
        ("login_hint", ["ada"]),
        ("ui_locales", 7),
        ("provider", 7),
        ("authorization_details", "payment"),
        ("authorization_details", ["payment"]),
        ("authorization_details", [{"amount": 7}]),
        ("assertion_claims", 7),
        ("assertion_claims", {"aud": "x"}),
        ("assertion_claims", {"a": {1}}),
        ("resource", 7),
        ("resource", [7]),
        ("resource", "orders"),
        ("resource", "https://rs.example/#orders"),
        ("params", ["organization"]),
        ("params", {7: "acme"}),
        ("params", {"organization": object()}),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, value: Any) -> None:
    """Where it is written, and not by the provider, nor with a page that fails."""
    with pytest.raises(ValueError) as caught:
        LoginOptions(**{option: value})
    assert option in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("essential_acr", "yes"), ("claims", ["email"]), ("claims", {"userinfo": object()})],
)
def test_claims_that_make_no_sense_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError):
        LoginOptions(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("prompt", each) for each in ("none", "login", "consent", "select_account", "create")),
        ("prompt", "login consent"),
        ("max_age", 0),
        ("login_hint", ""),
        ("scopes", ["openid"]),
        ("authorization_details", [{"type": "payment", "amount": "7.00"}]),
        ("acr_values", ("urn:mace:incommon:iap:silver", "phr")),
        ("scopes", ("openid", "https://api.example/orders.read")),
        ("resource", ("https://a.example/v1", "urn:example:orders")),
        ("assertion_claims", {"tenant": "t1", "roles": ["a", None]}),
        ("params", {"organization": "o1", "flags": [1, None, {"a": 0.5}]}),
    ],
)
def test_a_valid_option_is_accepted(option: str, value: Any) -> None:
    assert getattr(LoginOptions(**{option: value}), option) == value


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
    given = copy.deepcopy(claims)
    acr = {"essential": True, "values": ["phrh", "phr"]}
    assert build(options).parameters == {**ALWAYS, "claims": {"id_token": {**asked, "acr": acr}}}
    assert claims == given  # what the caller gave is not changed


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


ESSENTIAL = LoginOptions(acr_values=["phrh", "phr"], essential_acr=True)
ESSENTIAL_ACR = {"essential": True, "values": ["phrh", "phr"]}


@pytest.mark.parametrize("place", ["configuration", "params"])
def test_an_essential_acr_leaves_the_claims_that_every_login_asks_for(place: str) -> None:
    """One claim takes the place of one claim; no other is lost, whatever it hangs below."""
    claims = {
        "userinfo": {"https://id.example/fiscal_number": None},
        "id_token": {"email": {"essential": True}, "acr": {"value": "pwd"}},
        "verified": {"trust_framework": None},
    }
    given, options = copy.deepcopy(claims), ESSENTIAL
    configured: dict[str, Any] = {"claims": claims, "acr_values": "pwd"}
    if place == "params":
        options, configured = dataclasses.replace(ESSENTIAL, params=configured), {}
    assert build(options, authorization_params=configured).parameters == {
        **ALWAYS,
        "claims": {**claims, "id_token": {"email": {"essential": True}, "acr": ESSENTIAL_ACR}},
    }
    assert claims == given


def test_claims_of_one_login_lie_over_those_of_every_login() -> None:
    options = LoginOptions(
        params={"claims": {"id_token": {"b": {"value": "params"}, "c": None}, "extra": [1]}},
        claims={"id_token": {"c": {"value": "login"}}, "userinfo": None},
    )
    configured = {
        "id_token": {"a": None, "b": None},
        "userinfo": {"name": None},
        "extra": {"x": 1},
    }
    assert build(options, authorization_params={"claims": configured}).parameters["claims"] == {
        "id_token": {"a": None, "b": {"value": "params"}, "c": {"value": "login"}},
        "userinfo": {"name": None},
        "extra": [1],
    }


def test_an_essential_acr_where_the_provider_reads_no_claims() -> None:
    request = build(ESSENTIAL, claims_parameter=False)
    assert request.parameters == {**ALWAYS, "acr_values": "phrh phr"}
    configured = {"claims": {"userinfo": {"name": None}}, "acr_values": "pwd"}
    request = build(ESSENTIAL, claims_parameter=False, authorization_params=configured)
    assert request.parameters == {
        **ALWAYS,
        "claims": {"userinfo": {"name": None}},
        "acr_values": "phrh phr",
    }


@pytest.mark.parametrize("claims_parameter", [True, False])
def test_an_acr_is_never_asked_for_in_two_ways(claims_parameter: bool) -> None:
    """Where the app lists values by ``claims``, every wish goes there (Core 5.5.1.1)."""
    configured = {"claims": {"id_token": {"acr": {"essential": True, "value": "pwd"}}}}
    how = {"claims_parameter": claims_parameter, "authorization_params": configured}
    request = build(ESSENTIAL, **how)
    assert request.parameters == {**ALWAYS, "claims": {"id_token": {"acr": ESSENTIAL_ACR}}}
    wish = build(LoginOptions(acr_values=["phr", "pwd"]), **how)
    acr = {"essential": True, "values": ["phr", "pwd"]}
    assert wish.parameters == {**ALWAYS, "claims": {"id_token": {"acr": acr}}}


def test_an_acr_of_one_login_stands_before_the_values_that_every_login_asks_for() -> None:
    claims = {"id_token": {"acr": {"values": ["pwd", "otp"]}}}
    request = build(
        LoginOptions(acr_values=["otp", "phr"]), authorization_params={"claims": claims}
    )
    acr = {"values": ["otp", "phr", "pwd"]}
    assert request.parameters == {**ALWAYS, "claims": {"id_token": {"acr": acr}}}


def test_an_acr_without_values_stands_beside_acr_values() -> None:
    claims = {"id_token": {"acr": {"essential": True}}}
    request = build(LoginOptions(acr_values=["phr"], claims=claims))
    assert request.parameters == {**ALWAYS, "acr_values": "phr", "claims": claims}


@pytest.mark.parametrize("listed", [(), ("pwd", "phr"), ("phrh",)])
def test_a_level_that_the_provider_may_reach(listed: tuple[str, ...]) -> None:
    transaction = make_transaction(acr_values=("phrh", "phr"))
    agreement = make_agreement(acr_values=listed)
    request = AuthorizationRequest.build(agreement, transaction, ESSENTIAL, binding=BEARER)
    assert request.parameters["claims"] == {"id_token": {"acr": ESSENTIAL_ACR}}


def test_a_level_that_the_provider_does_not_list() -> None:
    transaction = make_transaction(acr_values=("phrh", "phr"))
    agreement = make_agreement(acr_values=("pwd", "PHR"))
    with refused(LoginError, "acr_unsupported", "phrh", "pwd"):
        AuthorizationRequest.build(agreement, transaction, ESSENTIAL, binding=BEARER)
    wish = LoginOptions(acr_values=["phr"])  # which is not essential
    request = AuthorizationRequest.build(agreement, TRANSACTION, wish, binding=BEARER)
    assert request.parameters["acr_values"] == "phr"


def test_essential_says_which() -> None:
    with invalid("essential_acr", "acr_values"):
        LoginOptions(essential_acr=True)
    with invalid("essential_acr", "acr_values"):
        LoginOptions(essential_acr=True, params={"acr_values": "phr"})


@pytest.mark.parametrize("place", ["claims", "params"])
def test_claims_of_another_shape_are_refused(place: str) -> None:
    wrong: Any = {"id_token": {"acr": {"values": "phr"}}}
    with invalid("claims", "acr"):
        LoginOptions(**({"claims": wrong} if place == "claims" else {"params": {"claims": wrong}}))
    with invalid("claims", "id_token"):
        LoginOptions(params={"claims": None})


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["https://a.example", "https://b.example"], ["https://a.example", "https://b.example"]),
        (("https://a.example",), ["https://a.example"]),
        ([1, True, "x"], ["1", "true", "x"]),
        ([{"type": "t"}, "x"], '[{"type": "t"}, "x"]'),
        ([["a"]], '[["a"]]'),
        ([], "[]"),
    ],
)
def test_a_list_in_a_form_is_repeated_unless_it_is_a_json_value(
    value: object, text: str | list[str]
) -> None:
    assert build(LoginOptions(params={"extra": value})).as_form()["extra"] == text


def test_parameters_beside_an_unpushed_request_object() -> None:
    assert build().beside_request_object() == {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "scope": "openid profile",
    }


# The request object.


def signing(alg: str) -> RequestSigning:
    return RequestSigning(
        key=signing_key(alg), alg=alg, announced=True, audience=ISSUER, lifetime=600
    )


def sign(alg: str = "ES256", options: LoginOptions | None = None) -> RequestObject:
    return RequestObject.sign(build(options), signing(alg), now=NOW)


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
        "iat": NOW - 10,
        "nbf": NOW - 10,
        "exp": NOW + 590,
        "jti": signed.claims["jti"],
        **ALWAYS,
        "max_age": 300,
        "claims": {"id_token": {"email": None}},
        "authorization_details": [{"type": "t"}],
        "resource": ["https://a.example", "https://b.example"],
    }
    assert proved.claims == signed.claims
    assert signed.as_form() == {"client_id": CLIENT_ID, "request": signed.jwt}
    assert (signed.alg, signed.kid) == (alg, key.kid)


def test_audience_and_lifetime_are_those_of_the_agreement() -> None:
    agreed = dataclasses.replace(signing("ES256"), audience="https://tenant.example/", lifetime=75)
    claims = RequestObject.sign(build(), agreed, now=NOW).claims
    assert (claims["aud"], claims["exp"] - claims["nbf"]) == ("https://tenant.example/", 75)


def test_parameters_beside_a_pushed_request_object() -> None:
    """They are inside too. A name that the request does not have is left out."""
    names = ("scope", "max_age", "resource", "login_hint")
    agreed = dataclasses.replace(signing("ES256"), beside=names)
    options = LoginOptions(max_age=300, resource=["https://a.example", "https://b.example"])
    signed = RequestObject.sign(build(options), agreed, now=NOW)
    beside = {
        "scope": "openid profile",
        "max_age": "300",
        "resource": ["https://a.example", "https://b.example"],
    }
    assert signed.beside == beside
    assert signed.as_form() == {**beside, "client_id": CLIENT_ID, "request": signed.jwt}
    assert (signed.claims["scope"], signed.claims["max_age"]) == ("openid profile", 300)


def test_it_is_encrypted_for_the_provider() -> None:
    signed = sign()
    jwk = {**public(EC_JWK), "use": "enc", "kid": "enc-1"}
    encryption = RequestEncryption(alg="ECDH-ES", enc="A256GCM")
    encrypted = signed.encrypt(encryption, parse_encryption_key(jwk))
    assert dataclasses.replace(encrypted, jwt=signed.jwt) == signed
    (key,) = parse_decryption_keys({**EC_JWK, "kid": "enc-1"})
    agreed = Encryption(alg="ECDH-ES", encs=("A256GCM",))
    assert Decryption(encryption=agreed, keys=(key,)).decrypt(encrypted.jwt) == signed.jwt
    assert encrypted.as_form() == {"client_id": CLIENT_ID, "request": encrypted.jwt}


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


def make_redirect(endpoint: str, parameters: Parameters) -> AuthorizationRedirect:
    return AuthorizationRedirect.build(endpoint, parameters, request_object=None)


def redirect_to(pushed: PushedRequest) -> AuthorizationRedirect:
    parameters = {"client_id": CLIENT_ID, "request_uri": pushed.request_uri}
    return make_redirect("https://server.example.com/authorize", parameters)


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        ("https://op.example/authorize", "https://op.example/authorize?"),
        ("https://op.example/authorize?tenant=a", "https://op.example/authorize?tenant=a&"),
        ("https://op.example?", "https://op.example?&"),
    ],
)
def test_the_url_keeps_the_endpoints_own_query(endpoint: str, start: str) -> None:
    redirect = make_redirect(endpoint, {"a": "b c&d", "e": "é"})
    assert redirect.url == start + "a=b+c%26d&e=%C3%A9"
    assert "b c&d" not in repr(redirect)


def test_the_parts_of_a_redirect() -> None:
    endpoint, signed = f"{ISSUER}/authorize", sign()
    parameters = {"client_id": CLIENT_ID, "request_uri": "urn:x"}
    redirect = AuthorizationRedirect.build(endpoint, parameters, request_object=signed)
    assert (redirect.endpoint, redirect.parameters) == (endpoint, parameters)
    assert redirect.request_object is signed


def test_the_url_repeats_the_parameters_of_a_list() -> None:
    redirect = make_redirect(f"{ISSUER}/authorize", {"a": ["1", "2"], "b": "3"})
    assert redirect.url == f"{ISSUER}/authorize?a=1&a=2&b=3"


def test_the_url_of_an_unpushed_request_is_so_long_and_no_longer() -> None:
    assert MAX_UNPUSHED_URL == 8192
    rest = MAX_UNPUSHED_URL - len(f"{ISSUER}/authorize?x=")
    for length in (1, rest):
        assert len(make_redirect(f"{ISSUER}/authorize", {"x": "y" * length}).url) <= 8192
    with refused(LoginError, "request_too_long", "8193"):
        make_redirect(f"{ISSUER}/authorize", {"x": "y" * (rest + 1)})


# RFC 9126 section 2.2
ANSWER = {
    "request_uri": "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c",
    "expires_in": 60,
}


def parse(without: str = "", **members: Any) -> PushedRequest:
    answer = {name: value for name, value in (ANSWER | members).items() if name != without}
    return PushedRequest.parse(answer)


def test_the_answer_of_rfc_9126() -> None:
    pushed = parse(extra=1)
    assert pushed == PushedRequest(request_uri=str(ANSWER["request_uri"]), expires_in=60)
    # the URL of section 4 of the RFC
    assert redirect_to(pushed).url == (
        "https://server.example.com/authorize?client_id=s6BhdRkqt3"
        "&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc_11ACC5bwc014ltc14eY22c"
    )
    assert str(ANSWER["request_uri"]) not in repr(pushed)


@pytest.mark.parametrize(
    "request_uri", [None, "", 5, True, [ANSWER["request_uri"]], {}, "x" * 2049]
)
def test_a_request_uri_is_a_string_of_some_length(request_uri: object) -> None:
    with refused(ProviderUnavailable, "push_answer", "request_uri"):
        parse(request_uri=request_uri)


def test_a_request_uri_is_demanded_and_is_so_long_and_no_longer() -> None:
    with refused(ProviderUnavailable, "push_answer", "request_uri"):
        parse(without="request_uri")
    assert parse(request_uri="x" * 2048).request_uri == "x" * 2048
    assert parse(request_uri="x").request_uri == "x"


@pytest.mark.parametrize(
    "request_uri", [" ", "urn:a b", "urn:a\n", "\turn:a", "urn:\0", "urn:\x7f", "urn:é", "\ud800"]
)
def test_a_request_uri_has_no_white_space_and_no_controls(request_uri: str) -> None:
    with refused(ProviderUnavailable, "push_answer", "request_uri"):
        parse(request_uri=request_uri)


@pytest.mark.parametrize(
    "request_uri",
    ["https://op.example/r?a=1&b=2#c", "javascript:alert(1)", "&client_id=evil", "!", "~", "'\"<>"],
)
def test_a_request_uri_is_opaque(request_uri: str) -> None:
    url = redirect_to(parse(request_uri=request_uri)).url
    assert parse_qsl(urlsplit(url).query, strict_parsing=True) == [
        ("client_id", CLIENT_ID),
        ("request_uri", request_uri),
    ]
    assert urlsplit(url).netloc == "server.example.com"


@pytest.mark.parametrize("expires_in", [60, 60.0, 60.5, "60"])
def test_expires_in_is_read_as_whole_seconds(expires_in: object) -> None:
    assert parse(expires_in=expires_in).expires_in == 60


@pytest.mark.parametrize("expires_in", [None, 0, -1, True, False, 0.5, "0", "soon", [60], {}])
def test_expires_in_is_a_second_or_more(expires_in: object) -> None:
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
def test_any_answer_is_read_or_has_one_error(answer: dict[str, Any]) -> None:
    try:
        pushed = PushedRequest.parse(answer)
    except ProviderUnavailable as error:
        assert error.error_code == "push_answer"
        return
    url = redirect_to(pushed).url
    assert url.isascii() and url.isprintable() and " " not in url
    assert isinstance(pushed.expires_in, int) and pushed.expires_in > 0
    assert json.dumps(pushed.request_uri)
