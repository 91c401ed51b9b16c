"""PARJAR_PROFILE: every rule of FAPI 2.0 that a site or its provider can break.

What breaks a rule in the configuration is a fault at start. What the provider breaks is a refusal,
before the browser leaves if the metadata shows it. ``docs/fapi`` has the list of the clauses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from flask_parjar.config import read_settings
from flask_parjar.config.profiles import RULES
from flask_parjar.errors import ConfigError
from flask_parjar.testing import ClientMetadata, DevProvider
from tests.support.after_login import age, token_views
from tests.support.certificates import PairFiles, make_pair
from tests.support.jwt import read_jwt
from tests.support.pages import code_of
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, query

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
    ("5.3.3.2 (3)", "PKCE", {"PARJAR_PKCE": False}),
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
@pytest.mark.parametrize(
    "auth", ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
)
@pytest.mark.parametrize("bound", ["PARJAR_DPOP", "PARJAR_BOUND_TOKENS"])
def test_each_way_to_authenticate_and_to_bind_holds_the_profile(
    tmp_path: Path, profile: str, auth: str, bound: str
) -> None:
    files = PairFiles(tmp_path, make_pair())
    config = {**files.config, "PARJAR_CLIENT_AUTH": auth, "PARJAR_DPOP": False}
    assert faults(profile, **{**config, bound: True}) == ()
    (fault,) = faults(profile, **config)
    assert "(section 5.3.3.1 (1))" in fault


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


ALIASES = "https://mtls.op.example"
BY_CERTIFICATE: dict[str, dict[str, Any]] = {
    "bound": {"PARJAR_BOUND_TOKENS": True},
    "tls_client_auth": {"PARJAR_CLIENT_AUTH": "tls_client_auth", "PARJAR_BOUND_TOKENS": True},
    "self_signed": {
        "PARJAR_CLIENT_AUTH": "self_signed_tls_client_auth",
        "PARJAR_BOUND_TOKENS": True,
    },
    "beside DPoP": {"PARJAR_CLIENT_AUTH": "tls_client_auth", "PARJAR_DPOP": True},
}


def certificate_site(provider: DevProvider, files: PairFiles, profile: str, way: str) -> Visitor:
    given = {
        "PARJAR_DPOP": False,
        "PARJAR_STORE": "memory",
        "PARJAR_SCOPES": f"{SCOPES} offline_access",
        "prepare": token_views,
    }
    return fapi_site(provider, profile, **{**given, **files.config, **BY_CERTIFICATE[way]})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("way", BY_CERTIFICATE)
@pytest.mark.parametrize("aliases", [None, ALIASES])
def test_a_login_by_certificate_holds_the_profile(
    tmp_path: Path, profile: str, way: str, aliases: str | None
) -> None:
    """FAPI 2.0 Security Profile 5.3.3.1 (1), (2) and (7), with the renewal after the login."""
    provider = DevProvider(ISSUER, mtls=aliases)
    files = PairFiles(tmp_path, make_pair())
    visitor = certificate_site(provider, files, profile, way)
    assert visitor.log_in().location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    called = [call for call in provider.calls if call.endpoint in BACK_CHANNEL]
    assert [call.endpoint for call in called] == [*BACK_CHANNEL, "token", "userinfo"]
    assert {call.certificate for call in called} == {files.pair.thumbprint}
    by_key = [call.endpoint for call in called if "client_assertion" in call.form]
    assert by_key == (["pushed_authorization_request", "token", "token"] if way == "bound" else [])


BACK_CHANNEL = ("pushed_authorization_request", "token", "userinfo")


@pytest.mark.parametrize(
    "way, metadata, code",
    [
        (
            "bound",
            {"tls_client_certificate_bound_access_tokens": False},
            "bound_tokens_unsupported",
        ),
        (
            "self_signed",
            {"token_endpoint_auth_methods_supported": ["tls_client_auth", "private_key_jwt"]},
            "client_auth_unsupported",
        ),
        (
            "tls_client_auth",
            {"mtls_endpoint_aliases": {"token_endpoint": "http://mtls.op.example/token"}},
            "mtls_alias_unusable",
        ),
    ],
)
def test_metadata_that_does_not_fit_the_certificate(
    tmp_path: Path, way: str, metadata: dict[str, Any], code: str
) -> None:
    """FAPI 2.0 Security Profile 5.3.3.1 (1), (2) and (7)."""
    provider = DevProvider(ISSUER)
    files = PairFiles(tmp_path, make_pair())
    visitor = certificate_site(provider, files, SECURITY, way)
    provider.metadata.update(metadata)
    assert code_of(visitor.get("/login")) == code
    assert {call.endpoint for call in provider.calls} == {"discovery"}


def test_a_token_that_is_bound_by_dpop_is_none_of_a_certificate(tmp_path: Path) -> None:
    """FAPI 2.0 Security Profile 5.3.3.1 (1): bound in the way that was configured."""
    provider = DevProvider(ISSUER)
    files = PairFiles(tmp_path, make_pair())
    visitor = certificate_site(provider, files, SECURITY, "bound")
    with provider.fault("token_dpop_unasked"):
        answer = visitor.log_in()
    assert answer.status_code == 502
    assert visitor.get("/me").status_code == 302


# Signed responses.


@pytest.mark.parametrize("way", ["DPoP", *BY_CERTIFICATE])
def test_a_login_with_signed_responses_holds_the_profile(tmp_path: Path, way: str) -> None:
    """FAPI 2.0 Message Signing 5.4.2 (1): ``response_mode`` is ``jwt``, in the signed request."""
    provider = DevProvider(ISSUER)
    files = PairFiles(tmp_path, make_pair())
    more = {} if way == "DPoP" else {**files.config, "PARJAR_DPOP": False, **BY_CERTIFICATE[way]}
    visitor = signed_response_site(provider, **more)
    back = visitor.come_back(visitor.leave())
    push = next(call for call in provider.calls if call.endpoint.startswith("pushed"))
    assert read_jwt(push.form["request"])[1]["response_mode"] == "jwt"
    assert list(query(back)) == ["response"]
    assert read_jwt(query(back)["response"][0])[0]["alg"] == "ES256"
    assert visitor.get(back).location == "/"
    assert visitor.get("/me").get_json()["sub"]


def signed_response_site(provider: DevProvider, **config: Any) -> Visitor:
    provider.metadata["authorization_signing_alg_values_supported"] = ["ES256", "PS256"]
    given = {"PARJAR_RESPONSE_MODE": "jwt", "PARJAR_ID_TOKEN_ALGS": "ES256", **config}
    return fapi_site(provider, **given)


@pytest.mark.parametrize(
    "fault, code",
    [
        ("jarm_answer_is_plain", "response_unsigned"),
        ("jarm_signature_foreign", "token_signature"),
        ("jarm_iss_foreign", "token_issuer"),
        ("jarm_aud_foreign", "token_audience"),
        ("jarm_expired", "token_expired"),
        ("jarm_alg_none", "token_algorithm"),
    ],
)
def test_a_response_that_is_not_signed_as_it_must_be(
    provider: DevProvider, fault: str, code: str
) -> None:
    """FAPI 2.0 Message Signing 5.4.2 (2): signed responses are verified."""
    visitor = signed_response_site(provider)
    with provider.fault(fault):
        assert code_of(visitor.log_in()) == code
    assert "token" not in [call.endpoint for call in provider.calls]


def test_a_response_that_is_signed_with_rs256_is_refused(provider: DevProvider) -> None:
    """FAPI 2.0 Security Profile 5.4.1 (1). A client that registers no algorithm gets RS256."""
    visitor = signed_response_site(provider)
    (client,) = provider.clients.values()
    provider.register(
        ClientMetadata(
            client_id=client.client_id,
            jwks=visitor.get("/.well-known/jwks.json").json,
            redirect_uris=[*client.redirect_uris],
            scope=" ".join(client.scopes),
        )
    )
    back = visitor.come_back(visitor.leave())
    assert read_jwt(query(back)["response"][0])[0]["alg"] == "RS256"
    assert code_of(visitor.get(back)) == "token_algorithm"
    assert "token" not in [call.endpoint for call in provider.calls]


def test_a_provider_that_signs_responses_with_rs256_alone(provider: DevProvider) -> None:
    """FAPI 2.0 Security Profile 5.4.1 (1), before the browser leaves."""
    visitor = signed_response_site(provider)
    provider.metadata["authorization_signing_alg_values_supported"] = ["RS256"]
    assert code_of(visitor.get("/login")) == "response_alg_unsupported"


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
