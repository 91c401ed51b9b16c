"""``flask parjar register``: what a provider must know of the app."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from joserfc.jwk import ECKey, RSAKey

from flask_parjar import ParJar
from flask_parjar.testing import ClientMetadata, DevProvider
from tests.support.after_login import store_address
from tests.support.certificates import PairFiles, make_pair
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor, make_site, make_site_of_two

SITE = "https://site.test/shop"

#: The registered names (the IANA registry *OAuth Dynamic Client Registration Metadata*).
REGISTERED = set(
    """
    redirect_uris initiate_login_uri token_endpoint_auth_method grant_types response_types
    client_name scope jwks_uri jwks application_type
    id_token_signed_response_alg id_token_encrypted_response_alg
    id_token_encrypted_response_enc userinfo_encrypted_response_alg userinfo_encrypted_response_enc
    request_object_signing_alg request_object_encryption_alg request_object_encryption_enc
    token_endpoint_auth_signing_alg post_logout_redirect_uris frontchannel_logout_uri
    frontchannel_logout_session_required backchannel_logout_uri
    backchannel_logout_session_required require_signed_request_object
    require_pushed_authorization_requests dpop_bound_access_tokens tls_client_auth_subject_dn
    tls_client_certificate_bound_access_tokens
    """.split()
)


def run(app: Flask, *arguments: str) -> Result:
    result = app.test_cli_runner().invoke(args=["parjar", "register", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def json_of(result: Result) -> dict[str, Any]:
    """The JSON of an answer. Before click 8.2, what went to stderr stands before it."""
    document: dict[str, Any] = json.loads(result.output[result.output.index("{") :])
    return document


def document(app: Flask, *arguments: str) -> dict[str, Any]:
    result = run(app, "--json", *arguments)
    assert result.exit_code == 0, result.output
    metadata = json_of(result)
    assert set(metadata) <= REGISTERED
    return metadata


CONFIGURATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {},
        {
            "redirect_uris": [f"{SITE}/callback"],
            "initiate_login_uri": f"{SITE}/login",
            "post_logout_redirect_uris": [f"{SITE}/"],
            "frontchannel_logout_uri": f"{SITE}/frontchannel-logout",
            "jwks_uri": f"{SITE}/.well-known/jwks.json",
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "request_object_signing_alg": "ES256",
            "require_pushed_authorization_requests": True,
            "require_signed_request_object": True,
            "dpop_bound_access_tokens": False,
            "grant_types": ["authorization_code"],
            "scope": "openid profile email",
        },
    ),
    (
        {"PARJAR_SCOPES": "openid offline_access", "PARJAR_DPOP": True},
        {
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid offline_access",
            "dpop_bound_access_tokens": True,
        },
    ),
    (
        {"PARJAR_STORE": "cookie", "PARJAR_REQUEST": "pushed", "PARJAR_PROVIDER_LOGOUT": False},
        {
            "grant_types": ["authorization_code", "refresh_token"],
            "require_signed_request_object": False,
            "request_object_signing_alg": None,
            "post_logout_redirect_uris": None,
        },
    ),
    (
        {
            "PARJAR_REQUEST": "plain",
            "PARJAR_SIGNING_KEY": None,
            "PARJAR_CLIENT_SECRET": "s" * 40,
            "PARJAR_ID_TOKEN_ALGS": "PS256 ES256",
        },
        {
            "token_endpoint_auth_method": "client_secret_basic",
            "token_endpoint_auth_signing_alg": None,
            "jwks": None,
            "jwks_uri": None,
            "id_token_signed_response_alg": "PS256",
        },
    ),
    (
        {
            "PARJAR_REDIRECT_URI": "https://www.test/callback",
            "PARJAR_POST_LOGOUT_REDIRECT_URI": "https://www.test/bye",
        },
        {
            "redirect_uris": ["https://www.test/callback"],
            "post_logout_redirect_uris": ["https://www.test/bye"],
        },
    ),
    (
        {
            "PARJAR_ENCRYPTION_KEY": ECKey.generate_key("P-256").as_dict(private=True),
            "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256GCM",
            "PARJAR_USERINFO_ENCRYPTION": "ECDH-ES A128GCM",
            "PARJAR_REQUEST_ENCRYPTION_ALG": "RSA-OAEP-256",
        },
        {
            "id_token_encrypted_response_alg": "ECDH-ES+A256KW",
            "id_token_encrypted_response_enc": "A256GCM",
            "userinfo_encrypted_response_alg": "ECDH-ES",
            "userinfo_encrypted_response_enc": "A128GCM",
            "request_object_encryption_alg": "RSA-OAEP-256",
            "request_object_encryption_enc": "A256GCM",
        },
    ),
]


@pytest.mark.parametrize("config, expected", CONFIGURATIONS)
def test_the_metadata_follows_the_configuration(
    provider: DevProvider, config: dict[str, Any], expected: dict[str, Any]
) -> None:
    level = config.get("PARJAR_REQUEST", "pushed+signed")
    provider.allow_requests(level)
    metadata = document(make_site(provider, **config), "--site", SITE)
    assert {name: metadata.get(name) for name in expected} == expected


def test_a_certificate_that_an_authority_issued(provider: DevProvider, tmp_path: Path) -> None:
    """RFC 8705 sections 2.1.2 and 3.4."""
    files = PairFiles(tmp_path, make_pair("site"))
    app = make_site(
        provider,
        PARJAR_CLIENT_AUTH="tls_client_auth",
        PARJAR_BOUND_TOKENS=True,
        **files.config,
    )
    metadata = json.loads(run(app, "--site", SITE, "--json").output)
    assert metadata["token_endpoint_auth_method"] == "tls_client_auth"
    assert metadata["tls_client_auth_subject_dn"] == files.pair.certificate.subject.rfc4514_string()
    assert metadata["tls_client_certificate_bound_access_tokens"] is True


def test_the_back_channel_where_a_store_can_be_told(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = make_site(provider, PARJAR_STORE=store_address("redis", redis_process))
    metadata = document(app, "--site", SITE)
    assert metadata["backchannel_logout_uri"] == f"{SITE}/backchannel-logout"
    assert metadata["backchannel_logout_session_required"] is True
    assert "frontchannel_logout_uri" not in metadata
    auth0 = run(app, "--site", SITE, "--for", "auth0").output
    assert f"{SITE}/backchannel-logout" in auth0
    keycloak = json_of(run(app, "--site", SITE, "--for", "keycloak"))
    assert keycloak["attributes"]["backchannel.logout.url"] == f"{SITE}/backchannel-logout"


def test_on_this_machine_the_keys_themselves_are_given(provider: DevProvider) -> None:
    result = run(make_site(provider), "--json")
    metadata = json_of(result)
    assert metadata["redirect_uris"] == [
        "http://127.0.0.1:5000/callback",
        "http://localhost:5000/callback",
    ]
    assert "jwks_uri" not in metadata
    assert "initiate_login_uri" not in metadata  # it must be https
    assert [sorted(jwk) for jwk in metadata["jwks"]["keys"]] == [
        ["alg", "crv", "kid", "kty", "use", "x", "y"]
    ]
    assert "--site" in result.output


CHOICES: list[dict[str, Any]] = [
    {},
    {"PARJAR_CLIENT_SECRET": "s" * 40},
    {"PARJAR_CLIENT_SECRET": "s" * 40, "PARJAR_CLIENT_AUTH": "client_secret_jwt"},
    {"PARJAR_DPOP": True, "PARJAR_PROFILE": "fapi2-message-signing"},
    {
        "PARJAR_ENCRYPTION_KEY": ECKey.generate_key("P-256").as_dict(private=True),
        "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256GCM",
        "PARJAR_REQUEST_ENCRYPTION_ALG": "RSA-OAEP-256",
    },
]


@pytest.mark.parametrize("config", CHOICES)
def test_a_provider_that_registers_it_logs_people_in(
    provider: DevProvider, config: dict[str, Any]
) -> None:
    app = make_site(provider, PARJAR_REDIRECT_URI="https://localhost/callback", **config)
    metadata = document(app)
    known = {each.name for each in fields(ClientMetadata)}
    client = app.config["PARJAR_CLIENT_ID"]
    provider.register(
        ClientMetadata(
            client_id=client,
            client_secret=config.get("PARJAR_CLIENT_SECRET"),
            **{name: value for name, value in metadata.items() if name in known},
        )
    )
    visitor = Visitor(app, provider, base_url="https://localhost")
    assert visitor.log_in().status_code == 302
    assert visitor.get("/me").json["sub"] == "ada"


@pytest.mark.parametrize(
    "key, alg",
    [
        (ECKey.generate_key("P-256").as_dict(private=True), "ES256"),
        (RSAKey.generate_key(2048).as_dict(private=True), None),
    ],
)
def test_a_provider_that_is_away(key: dict[str, Any], alg: str | None) -> None:
    """Only an algorithm that is the only one of the key is named then."""
    app = Flask("site")
    app.config.update(
        SECRET_KEY="of the tests",
        PARJAR_ISSUER="http://127.0.0.1:9",
        PARJAR_CLIENT_ID="site",
        PARJAR_SIGNING_KEY=key,
        PARJAR_REQUEST_ENCRYPTION_ALG="RSA-OAEP-256",
    )
    ParJar(app)
    result = run(app, "--site", SITE, "--json")
    metadata = json_of(result)
    assert metadata.get("request_object_signing_alg") == alg
    assert metadata.get("token_endpoint_auth_signing_alg") == alg
    assert metadata["request_object_encryption_enc"] == "A128CBC-HS256"
    assert "provider_unreachable" in result.output


@pytest.mark.parametrize("words", [None, "auth0", "entra"])
@pytest.mark.parametrize("secret", [None, "a-secret-that-no-one-shows-anybody"])
@pytest.mark.parametrize("level", ["pushed+signed", "plain"])
def test_what_a_person_types(
    provider: DevProvider, words: str | None, secret: str | None, level: str
) -> None:
    provider.allow_requests(level)
    app = make_site(
        provider, PARJAR_CLIENT_SECRET=secret, PARJAR_REQUEST=level, PARJAR_PROVIDER_LOGOUT=False
    )
    arguments = [] if words is None else ["--for", words]
    result = run(app, "--site", SITE, *arguments)
    assert result.exit_code == 0
    assert f"{SITE}/callback" in result.output
    assert provider.issuer in result.output
    assert (secret or "PRIVATE") not in result.output
    assert app.config["PARJAR_SIGNING_KEY"]["d"] not in result.output
    if words == "auth0":
        assert f"Application Login URI  {SITE}/login\n" in re.sub("  +", "  ", result.output)
        assert ("Private Key JWT" in result.output) is (secret is None)
        assert ("Require Pushed Authorization Requests" in result.output) is (level != "plain")
    if words == "entra":
        assert ("PARJAR_REQUEST here" in result.output) is (level != "plain")
        assert ("PARJAR_KEY_HEADERS" in result.output) is (secret is None)


def test_a_site_without_https_registers_no_url_for_logins_of_another_site(
    provider: DevProvider,
) -> None:
    """OpenID Connect Registration section 2: ``initiate_login_uri`` must be https."""
    for words in ([], ["--for", "auth0"]):
        result = run(make_site(provider), "--site", "http://127.0.0.1:5000", *words)
        assert result.exit_code == 0
        assert "http://127.0.0.1:5000/callback" in result.output
        assert "http://127.0.0.1:5000/login" not in result.output


def test_keys_are_not_typed(provider: DevProvider) -> None:
    assert "flask parjar jwks" in run(make_site(provider)).output


def test_pages_after_a_logout_are_named(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_AFTER_LOGOUT="/bye", PARJAR_STORE="memory")
    for words in ("auth0", "entra"):
        assert f"{SITE}/bye" in run(app, "--site", SITE, "--for", words).output
    assert "Front-channel" not in run(app, "--site", SITE, "--for", "entra").output


KEYCLOAK: list[tuple[dict[str, Any], dict[str, str | None]]] = [
    (
        {},
        {
            "jwks.url": f"{SITE}/.well-known/jwks.json",
            "use.jwks.url": "true",
            "require.pushed.authorization.requests": "true",
            "request.object.required": "request or request_uri",
            "request.object.signature.alg": "ES256",
            "token.endpoint.auth.signing.alg": "ES256",
            "pkce.code.challenge.method": "S256",
            "post.logout.redirect.uris": f"{SITE}/",
            "dpop.bound.access.tokens": None,
        },
    ),
    ({"PARJAR_DPOP": True}, {"dpop.bound.access.tokens": "true"}),
    ({"PARJAR_PKCE": False}, {"pkce.code.challenge.method": None}),
    (
        {
            "PARJAR_CLIENT_SECRET": "s" * 40,
            "PARJAR_SIGNING_KEY": None,
            "PARJAR_REQUEST": "plain",
            "PARJAR_PROVIDER_LOGOUT": False,
        },
        {
            "client.secret.authentication.allowed.method": "client_secret_basic",
            "use.jwks.url": None,
            "require.pushed.authorization.requests": None,
            "request.object.required": None,
            "post.logout.redirect.uris": None,
        },
    ),
]


@pytest.mark.parametrize("config, attributes", KEYCLOAK)
def test_a_client_that_keycloak_imports(
    provider: DevProvider, config: dict[str, Any], attributes: dict[str, str | None]
) -> None:
    provider.allow_requests(config.get("PARJAR_REQUEST", "pushed+signed"))
    app = make_site(provider, **config)
    client = json_of(run(app, "--site", SITE, "--for", "keycloak"))
    assert {name: client["attributes"].get(name) for name in attributes} == attributes
    assert client["redirectUris"] == [f"{SITE}/callback"]
    assert client["clientId"] == app.config["PARJAR_CLIENT_ID"]
    assert "secret" not in client


def test_on_this_machine_keycloak_is_given_the_keys(provider: DevProvider) -> None:
    client = json_of(run(make_site(provider), "--for", "keycloak"))
    keys = json.loads(client["attributes"]["jwks.string"])["keys"]
    assert [sorted(set(jwk) & {"d", "kid"}) for jwk in keys] == [["kid"]]


def test_several_providers() -> None:
    app, work, home = make_site_of_two()
    everything = run(app, "--site", SITE).output
    assert all(each.issuer in everything for each in (work, home))
    assert f"{SITE}/callback/work" in everything
    metadata = document(app, "--site", SITE, "--provider", "home")
    assert metadata["redirect_uris"] == [f"{SITE}/callback/home"]
    assert metadata["initiate_login_uri"] == f"{SITE}/login/home"
    for arguments in (["--json"], ["--for", "keycloak"], ["--provider", "x"], ["--for", "x"]):
        assert run(app, *arguments).exit_code == 2
