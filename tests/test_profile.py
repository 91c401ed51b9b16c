"""PARJAR_PROFILE: every rule of FAPI 2.0 that a site or its provider can break.

What breaks a rule in the configuration is a fault at start. What the provider breaks is a refusal,
before the browser leaves if the metadata shows it. ``docs/fapi`` has the list of the clauses.
"""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from flask_parjar.config import read_settings
from flask_parjar.config.profiles import RULES
from flask_parjar.errors import ConfigError
from flask_parjar.testing import DevProvider
from tests.support.jwt import read_jwt
from tests.support.pages import code_of
from tests.support.site import Visitor, make_site

SECURITY, MESSAGE_SIGNING = "fapi2-security", "fapi2-message-signing"
PROFILES = (SECURITY, MESSAGE_SIGNING)


def private(key: Any, **more: str) -> dict[str, Any]:
    return {**key.as_dict(private=True), **more}


RSA = RSAKey.generate_key(2048)
P256, P384 = ECKey.generate_key("P-256"), ECKey.generate_key("P-384")

VALID: dict[str, Any] = {
    "PARJAR_ISSUER": "https://op.example",
    "PARJAR_CLIENT_ID": "site",
    "PARJAR_SIGNING_KEY": private(P256),
    "PARJAR_DPOP": True,
}


def faults(profile: str, **config: Any) -> tuple[str, ...]:
    try:
        read_settings({**VALID, "PARJAR_PROFILE": profile, **config}, secret_key="of the tests")
    except ConfigError as exc:
        return tuple(exc.faults)
    return ()


#: What breaks one rule alone: section, the key, and what is written.
BREAKS: list[tuple[str, str, dict[str, Any]]] = [
    ("5.2.1", "INSECURE_HTTP", {"PARJAR_INSECURE_HTTP": True}),
    ("5.3.2.1 (13)", "CLOCK_SKEW", {"PARJAR_CLOCK_SKEW": 9}),
    ("5.3.2.1 (13)", "CLOCK_SKEW", {"PARJAR_CLOCK_SKEW": 61}),
    ("5.3.2.2 (8)", "REDIRECT_URI", {"PARJAR_REDIRECT_URI": "http://site.example/callback"}),
    ("5.3.3.1 (1)", "DPOP", {"PARJAR_DPOP": False}),
    ("5.3.3.1 (2)", "CLIENT_AUTH", {"PARJAR_CLIENT_AUTH": "none"}),
    ("5.3.3.1 (2)", "CLIENT_SECRET", {"PARJAR_CLIENT_SECRET": "s" * 40}),
    ("5.3.3.1 (5)", "ASSERTION_AUDIENCE", {"PARJAR_ASSERTION_AUDIENCE": "endpoint"}),
    ("5.3.3.1 (5)", "ASSERTION_AUDIENCE", {"PARJAR_ASSERTION_AUDIENCE": "https://other.example"}),
    ("5.3.3.1 (5)", "CLIENT_ASSERTION", {"PARJAR_CLIENT_ASSERTION": lambda: "an assertion"}),
    ("5.3.3.2 (2)", "REQUEST", {"PARJAR_REQUEST": "signed"}),
    ("5.3.3.2 (2)", "REQUEST", {"PARJAR_REQUEST": "plain"}),
    ("RFC 9126 section 3", "REQUEST_BESIDE", {"PARJAR_REQUEST_BESIDE": "scope"}),
    ("5.4.1 (1)", "SIGNING_KEY", {"PARJAR_SIGNING_KEY": private(P384)}),
    ("5.4.1 (1)", "SIGNING_KEY", {"PARJAR_SIGNING_KEY": private(RSA, alg="RS256")}),
    ("5.4.1 (1)", "ASSERTION_KEY", {"PARJAR_ASSERTION_KEY": private(P384)}),
    (
        "5.4.1 (1)",
        "SIGNING_ALG",
        {"PARJAR_SIGNING_KEY": private(RSA), "PARJAR_SIGNING_ALG": "RS256"},
    ),
    ("5.4.1 (1)", "ID_TOKEN_ALGS", {"PARJAR_ID_TOKEN_ALGS": "ES256 RS256"}),
]
OF_MESSAGE_SIGNING: list[tuple[str, str, dict[str, Any]]] = [
    ("Message Signing 5.3.2 (1)", "REQUEST", {"PARJAR_REQUEST": "pushed"}),
    (
        "Message Signing 5.3.2 (2)",
        "REQUEST_AUDIENCE",
        {"PARJAR_REQUEST_AUDIENCE": "authorization_endpoint"},
    ),
    *(
        ("Message Signing 5.4.2 (1)", "RESPONSE_MODE", {"PARJAR_RESPONSE_MODE": mode})
        for mode in ("query.jwt", "form_post.jwt")
    ),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "section, key, config", BREAKS, ids=[f"{n}-{row[1]}" for n, row in enumerate(BREAKS)]
)
def test_what_breaks_a_rule_is_a_fault_at_start(
    profile: str, section: str, key: str, config: dict[str, Any]
) -> None:
    (fault,) = faults(profile, **config)
    assert fault.startswith(f"PARJAR_{key} of provider 'default' ")
    assert f"{profile} (section {section})" in fault


@pytest.mark.parametrize("section, key, config", OF_MESSAGE_SIGNING, ids=lambda value: str(value))
def test_what_message_signing_demands_beside(
    section: str, key: str, config: dict[str, Any]
) -> None:
    (fault,) = faults(MESSAGE_SIGNING, **config)
    assert fault.startswith(f"PARJAR_{key} of provider 'default' ")
    assert f"(section {section})" in fault
    assert faults(SECURITY, **config) == ()


def test_metadata_by_hand_breaks_a_rule(provider: DevProvider) -> None:
    document = {**provider.metadata, "issuer": VALID["PARJAR_ISSUER"]}
    (fault,) = faults(SECURITY, PARJAR_METADATA=document)
    assert fault.startswith("PARJAR_METADATA ") and "(section 5.3.3.1 (9))" in fault


def test_every_rule_has_its_row() -> None:
    shown = {(section, key) for section, key, _ in (*BREAKS, *OF_MESSAGE_SIGNING)}
    by_themselves = {("5.3.3.1 (9)", "METADATA")}
    rules = {(rule.section, rule.key) for rule in RULES[MESSAGE_SIGNING]}
    assert rules == shown | by_themselves


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("key", [P256, RSA], ids=["P-256", "RSA"])
def test_what_holds_the_profile_is_no_fault(profile: str, key: Any) -> None:
    assert faults(profile, PARJAR_SIGNING_KEY=private(key)) == ()
    assert faults(profile, PARJAR_REDIRECT_URI="http://127.0.0.1:5000/callback") == ()
    assert faults(profile, PARJAR_ASSERTION_AUDIENCE="https://op.example") == ()


def test_a_name_that_is_no_profile() -> None:
    (fault,) = faults("fapi2")
    assert fault.startswith("PARJAR_PROFILE is 'fapi2'") and MESSAGE_SIGNING in fault


# Logins.


def fapi_site(provider: DevProvider, profile: str = MESSAGE_SIGNING, **config: Any) -> Visitor:
    provider.metadata["id_token_signing_alg_values_supported"] = ["ES256", "PS256"]
    given = {"PARJAR_DPOP": True, "PARJAR_PROFILE": profile, "PARJAR_USERINFO": True, **config}
    return Visitor(make_site(provider, **given), provider)


@pytest.mark.parametrize(
    "profile, level",
    [(SECURITY, "pushed"), (SECURITY, "pushed+signed"), (MESSAGE_SIGNING, "pushed+signed")],
)
@pytest.mark.parametrize("nonces", [False, True])
def test_a_login_that_holds_the_profile(
    provider: DevProvider, profile: str, level: str, nonces: bool
) -> None:
    provider.allow_requests(level)
    provider.dpop_nonces = nonces
    visitor = fapi_site(provider, profile, PARJAR_REQUEST=level)
    assert visitor.log_in().location == "/"
    assert visitor.get("/me").get_json()["sub"]
    token = next(call for call in provider.calls if call.endpoint == "token")
    assert read_jwt(token.form["client_assertion"])[0]["alg"] == "ES256"


#: What a provider's metadata can have against the profile, and what the login ends with.
OF_PROVIDERS: list[tuple[str, dict[str, Any], str]] = [
    ("5.3.3.2 (2)", {"pushed_authorization_request_endpoint": None}, "par_unsupported"),
    ("5.3.3.2 (3)", {"code_challenge_methods_supported": ["plain"]}, "pkce_unsupported"),
    ("5.3.3.1 (11)", {"issuer": "https://other.example"}, "metadata_issuer"),
    (
        "5.3.3.1 (2)",
        {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
        "client_auth_unsupported",
    ),
    (
        "5.4.1 (1)",
        {"token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES384"]},
        "client_auth_unsupported",
    ),
    (
        "5.4.1 (1)",
        {"request_object_signing_alg_values_supported": ["RS256", "ES384"]},
        "signing_alg_unsupported",
    ),
    (
        "5.4.1 (1)",
        {"id_token_signing_alg_values_supported": ["RS256", "ES384"]},
        "id_token_alg_unsupported",
    ),
    ("5.4.1 (1)", {"dpop_signing_alg_values_supported": ["RS256"]}, "dpop_alg_unsupported"),
    ("5.2.1", {"token_endpoint": "http://op.example/token"}, "metadata"),
]


@pytest.mark.parametrize(
    "section, metadata, code",
    OF_PROVIDERS,
    ids=[f"{n}-{row[2]}" for n, row in enumerate(OF_PROVIDERS)],
)
def test_metadata_that_breaks_a_rule(
    provider: DevProvider, section: str, metadata: dict[str, Any], code: str
) -> None:
    visitor = fapi_site(provider, PARJAR_SIGNING_KEY=private(RSA))
    for name, value in metadata.items():
        provider.metadata[name] = value
        if value is None:
            del provider.metadata[name]
    answer = visitor.get("/login")
    assert code_of(answer) == code
    assert {call.endpoint for call in provider.calls} == {"discovery"}


def test_a_response_without_iss_is_refused_though_none_was_announced(
    provider: DevProvider,
) -> None:
    """FAPI 2.0 Security Profile 5.3.3.2 (5)."""
    del provider.metadata["authorization_response_iss_parameter_supported"]
    visitor = fapi_site(provider)
    with provider.fault("response_iss_missing"):
        answer = visitor.log_in()
    assert code_of(answer) == "issuer_missing"
    assert "token" not in [call.endpoint for call in provider.calls]


def test_a_bearer_token_is_refused(provider: DevProvider) -> None:
    """FAPI 2.0 Security Profile 5.3.3.1 (1)."""
    visitor = fapi_site(provider)
    with provider.fault("token_dpop_bearer"):
        answer = visitor.log_in()
    assert answer.status_code == 502
    assert visitor.get("/me").status_code == 302


def test_an_id_token_that_is_signed_with_rs256_is_refused(provider: DevProvider) -> None:
    """FAPI 2.0 Security Profile 5.4.1 (1)."""
    visitor = fapi_site(provider)
    away = visitor.leave()
    provider.metadata["id_token_signing_alg_values_supported"] = ["RS256"]
    answer = visitor.get(visitor.come_back(away))
    assert code_of(answer) == "token_algorithm"
    assert visitor.get("/me").status_code == 302


@pytest.mark.parametrize("base_url", ["http://site.example", "https://site.example"])
def test_a_redirect_uri_over_http_is_refused(provider: DevProvider, base_url: str) -> None:
    """FAPI 2.0 Security Profile 5.3.2.2 (8): the response must not travel in clear."""
    visitor = fapi_site(provider)
    answer = visitor.client.get("/login", base_url=base_url)
    if base_url.startswith("https"):
        assert code_of(answer) != "redirect_uri_insecure"
    else:
        assert code_of(answer) == "redirect_uri_insecure"
        assert "pushed_authorization_request" not in [call.endpoint for call in provider.calls]


def test_the_browser_carries_two_parameters(provider: DevProvider) -> None:
    """FAPI 2.0 Security Profile 5.3.3.2 (6)."""
    away = fapi_site(provider).leave()
    assert [pair.split("=")[0] for pair in away.split("?")[1].split("&")] == [
        "client_id",
        "request_uri",
    ]


def test_request_objects_hold_message_signing(provider: DevProvider) -> None:
    """FAPI 2.0 Message Signing 5.3.2: ``aud``, ``nbf``, ``exp`` and ``typ``."""
    fapi_site(provider, PARJAR_REQUEST_LIFETIME=3600).leave()
    push = next(call for call in provider.calls if call.endpoint.startswith("pushed"))
    header, claims = read_jwt(push.form["request"])
    assert claims["aud"] == provider.issuer
    assert 0 < claims["exp"] - claims["nbf"] <= 3600
    assert header["typ"] == "oauth-authz-req+jwt"
