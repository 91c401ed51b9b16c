"""PARJAR_* keys: what is read, what is refused, and with which words."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar import ConfigError, ParJar
from flask_parjar.config import KEYS, Settings, read_settings
from flask_parjar.testing import DevProvider
from tests.support.site import make_site

EC = ECKey.generate_key("P-256")
EC_JWK = EC.as_dict(private=True)
RSA = RSAKey.generate_key(2048)
GOOD = {
    "PARJAR_ISSUER": "https://op.example",
    "PARJAR_CLIENT_ID": "site",
    "PARJAR_SIGNING_KEY": EC_JWK,
}
SECRET_KEY = "a secret of the tests, and long enough"


def read(changes: Mapping[str, Any] | None = None, **more: Any) -> Settings:
    return read_settings({**GOOD, **(changes or {}), **more}, secret_key=SECRET_KEY)


def faults(changes: Mapping[str, Any] | None = None, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(changes, **more)
    return caught.value.faults


def named(found: tuple[str, ...]) -> list[str]:
    """The key that each fault begins with."""
    return [re.split(r"[: ]", fault, maxsplit=1)[0] for fault in found]


def start(**config: Any) -> Flask:
    """An app of this configuration."""
    app = Flask(__name__)
    app.config.update({"SECRET_KEY": SECRET_KEY, **GOOD, **config})
    ParJar(app)
    return app


def test_the_least_configuration() -> None:
    settings = read()
    client = settings.providers["default"]
    assert (client.name, client.issuer, client.client_id) == (
        "default",
        "https://op.example",
        "site",
    )
    assert client.scopes == ("openid", "profile", "email")
    assert client.possible_client_auths == ("private_key_jwt",)
    assert (client.clock_skew, client.assertion_audience) == (60, "issuer")
    assert (client.dpop, client.dpop_at_par) == (False, True)
    assert (settings.after_login, settings.after_logout, settings.url_prefix) == ("/", None, None)
    assert (settings.http_timeout, settings.transaction_lifetime) == (5, 600)
    assert settings.session_lifetime == 8 * 3600
    assert (settings.store, settings.idle_timeout) == (None, None)
    assert read(PARJAR_STORE=None) == settings
    assert not settings.named and not settings.warnings


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(
            {
                "PARJAR_CLIENTID": "x",
                "PARJAR_SCOPES": "profile",
                "PARJAR_HTTP_TIMEOUT": "soon",
                "PARJAR_PROFILE": "any",
                "OTHER_KEY": "of another extension",
            },
            secret_key=None,
        )
    found = caught.value.faults
    assert named(found) == [
        "PARJAR_CLIENTID",
        "PARJAR_SCOPES",
        "PARJAR_HTTP_TIMEOUT",
        "PARJAR_PROFILE",
        "SECRET_KEY",
        "PARJAR_ISSUER",
        "PARJAR_CLIENT_ID",
        "PARJAR_SIGNING_KEY",
    ]
    for fault, value in zip(found, ("PARJAR_CLIENT_ID", "'profile'", "'soon'"), strict=False):
        assert value in fault
    text = str(caught.value)
    assert [fault for fault in found if f"\n  - {fault}" not in text] == []
    assert caught.value.error_code == "config"


def test_an_unknown_key_without_a_likeness() -> None:
    (fault,) = faults(PARJAR_XYZZY=1)
    assert named((fault,)) == ["PARJAR_XYZZY"]
    assert fault.count("PARJAR_") == 1  # and no other key is proposed


@pytest.mark.parametrize(
    "key, value",
    [
        ("STORE", ""),
        ("STORE", "Sealed"),
        ("STORE", "cookies"),
        ("STORE", "localhost:6379"),
        ("STORE", "redis:/localhost"),
        ("STORE", "http://localhost"),
        ("STORE", "rediss:"),
        ("STORE", " redis://localhost"),
        ("STORE", True),
        ("STORE", 7),
        ("STORE", ["memory"]),
        ("RESPONSE_MODE", "fragment.jwt"),
        ("RESPONSE_MODE", "JWT"),
        ("ISSUER", ""),
        ("ISSUER", "op.example"),
        ("ISSUER", "ftp://op.example"),
        ("ISSUER", "http://op.example"),
        ("ISSUER", "https://op.example?x=1"),
        ("ISSUER", "https://op.example#x"),
        ("ISSUER", "https://user@op.example"),
        ("ISSUER", "https://op.example:port"),
        ("ISSUER", "https://[op"),
        ("ISSUER", 7),
        ("ISSUER", "https://login.microsoftonline.com/{tenantid}/v2.0"),
        ("TENANTS", []),
        ("TENANTS", ""),
        ("TENANTS", 7),
        ("TENANTS", [7]),
        ("TENANTS", "organizations"),
        ("TENANTS", ["contoso.onmicrosoft.com"]),
        ("TENANTS", ["72F988BF-86F1-41AF-91AB-2D7CD011DB47"]),
        ("TENANTS", ["a/b"]),
        ("TENANTS", ["x" * 65]),
        ("TENANTS", ["of-one-issuer"]),
        ("CLIENT_ID", ""),
        ("CLIENT_ID", True),
        ("CLIENT_SECRET", ""),
        ("CLIENT_SECRET", 12345),
        ("CLIENT_AUTH", "basic"),
        ("ASSERTION_AUDIENCE", "token"),
        ("SIGNING_KEY", ""),
        ("SIGNING_KEY", "no/such/file.pem"),
        ("SIGNING_KEY", 7),
        ("SIGNING_KEY", {"kty": "oct", "k": "AAAA"}),
        ("SIGNING_KEY", {"keys": []}),
        ("SIGNING_KEY", {"keys": 7}),
        ("SIGNING_KEY", {"keys": [7]}),
        ("SIGNING_KEY", "{"),
        ("SIGNING_KEY", "[]"),
        ("SIGNING_KEY", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"),
        ("SIGNING_KEY", EC.as_dict(private=False)),
        ("SIGNING_KEY", EC.as_pem(private=False).decode()),
        ("SIGNING_KEY", EC.as_pem(private=True, password="x").decode()),
        ("SIGNING_KEY", {**EC_JWK, "use": "enc"}),
        ("SIGNING_KEY", {**EC_JWK, "alg": "RS256"}),
        ("SIGNING_KEY", OKPKey.generate_key("X25519").as_dict(private=True)),
        ("SIGNING_KEY", ECKey.generate_key("secp256k1").as_dict(private=True)),
        ("SIGNING_ALG", "HS256"),
        ("SIGNING_ALG", "none"),
        ("SIGNING_ALG", "RS256"),
        ("ID_TOKEN_ALGS", "none"),
        ("ID_TOKEN_ALGS", "HS256"),
        ("ID_TOKEN_ALGS", []),
        ("ID_TOKEN_ALGS", 7),
        ("SCOPES", "email"),
        ("SCOPES", ["openid", 7]),
        ("SCOPES", 7),
        ("USERINFO", "yes"),
        ("USERINFO", 1),
        ("AUTHORIZATION_PARAMS", "a=b"),
        ("AUTHORIZATION_PARAMS", {"state": "mine"}),
        ("AUTHORIZATION_PARAMS", {"request_uri": "x"}),
        ("AUTHORIZATION_PARAMS", {"max_age": 60}),
        ("AUTHORIZATION_PARAMS", {"limit": float("nan")}),
        ("AUTHORIZATION_PARAMS", {"limit": object()}),
        ("AUTHORIZATION_PARAMS", {7: "acme"}),
        ("AUTHORIZATION_PARAMS", {"claims": '{"id_token": {}}'}),
        ("AUTHORIZATION_PARAMS", {"claims": {"id_token": ["acr"]}}),
        ("AUTHORIZATION_PARAMS", {"claims": {"id_token": {"acr": {"values": "gold"}}}}),
        ("REDIRECT_URI", "/callback"),
        ("POST_LOGOUT_REDIRECT_URI", "javascript:alert(1)"),
        ("METADATA", "x"),
        ("CLOCK_SKEW", -1),
        ("CLOCK_SKEW", 301),
        ("CLOCK_SKEW", True),
        ("CLOCK_SKEW", float("nan")),
        ("PROVIDERS", []),
        ("PROVIDERS", {}),
        ("PROVIDERS", {"a b": {}}),
        ("PROVIDERS", {"a": 7}),
        ("PROVIDERS", {7: {}, "ok": {}, "x" * 41: {}}),
        ("URL_PREFIX", "auth"),
        ("URL_PREFIX", "//auth"),
        ("AFTER_LOGIN", "https://elsewhere.example/"),
        ("AFTER_LOGOUT", "//elsewhere.example/"),
        ("SESSION_LIFETIME", 59),
        ("IDLE_TIMEOUT", 59),
        ("IDLE_TIMEOUT", 0),
        ("IDLE_TIMEOUT", "soon"),
        ("IDLE_TIMEOUT", True),
        ("IDLE_TIMEOUT", 367 * 86400),
        ("TRANSACTION_LIFETIME", 3601),
        ("HTTP_TIMEOUT", 0),
        ("CA_BUNDLE", "no/such/file"),
        ("AUTHORIZATION_PARAMS", {"resource": "orders"}),
        ("INSECURE_HTTP", "true"),
        ("PKCE", "S256"),
        ("REQUEST", "pushed-and-signed"),
        ("REQUEST", "signed+pushed"),
        ("REQUEST", True),
        ("REQUEST", ["pushed"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(key: str, value: Any) -> None:
    found = faults({f"PARJAR_{key}": value})
    assert any(f"PARJAR_{key}" in fault for fault in found)


def test_how_long_a_request_object_may_live() -> None:
    for seconds in (60, 3600):
        assert read(PARJAR_REQUEST_LIFETIME=seconds).providers
    for wrong in (3601, 0, -60, "soon", True):
        (fault,) = faults(PARJAR_REQUEST_LIFETIME=wrong)
        assert "PARJAR_REQUEST_LIFETIME" in fault


@pytest.mark.parametrize(
    "key, right, wrong",
    [
        (
            "REQUEST_AUDIENCE",
            ["issuer", "authorization_endpoint", "https://id.example/oidc", "urn:id:1"],
            ["", 7, "isuer", "token_endpoint", "https://id.example/ oidc", ["https://a.example"]],
        ),
        (
            "ASSERTION_CLAIMS",
            [{}, {"client_amr": "mtls", "authorization_details": [{"type": "t"}]}, dict],
            [7, [], '{"a": 1}', {"aud": "x"}, {"jti": "x"}, {1: "x"}, {"a": object()}],
        ),
        (
            "HTTP_HEADERS",
            [{}, {"x-fapi-interaction-id": "c770aef3", "X-Tenant": "a b"}, dict],
            [
                *(7, [], "x: y", {"Authorization": "x"}, {"dpop": "x"}, {"HOST": "x"}, {"": "x"}),
                *({"a b": "x"}, {"a": "x\r\ny: z"}, {"a": ""}, {"a": 1}, {"a": "\xe9"}, {1: "x"}),
            ],
        ),
        (
            "END_SESSION_URL",
            ["https://op.example/logout?a=b", "http://localhost/logout"],
            ["http://op.example/logout", "/logout", "https://op.example/#x", 7],
        ),
        ("KEY_HEADERS", ["kid", ["kid"]], [[], "", 7, "x5u", ["kid", "jwk"]]),
        (
            "REQUEST_BESIDE",
            ["scope", ["scope", "audience"], []],
            [7, ["response_type"], "request", ["client_id", "scope"]],
        ),
        ("ASSERTION_TYP", ["JWT", "client-authentication+jwt"], ["jws", "", 7]),
        (
            "ASSERTION_AUDIENCE",
            ["issuer", "endpoint", "token_endpoint", "https://id.example/oidc"],
            ["", 7, "authorization_endpoint", "isuer"],
        ),
    ],
)
def test_values_of_the_keys_about_what_is_signed(
    key: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right:
        assert read({f"PARJAR_{key}": value}).providers
    for value in wrong:
        (fault,) = faults({f"PARJAR_{key}": value})
        assert f"PARJAR_{key}" in fault


@pytest.mark.parametrize(
    ("setting", "more", "warned"),
    [
        ("issuer", {}, False),
        ("https://op.example", {}, False),
        ("https://op.example/", {}, True),
        ("endpoint", {}, True),
        ("token_endpoint", {}, True),
        ("endpoint", {"CLIENT_SECRET": "s" * 32}, False),
        ("endpoint", {"CLIENT_SECRET": "s" * 32, "CLIENT_AUTH": "client_secret_jwt"}, True),
        ("endpoint", {"CLIENT_AUTH": "none"}, False),
    ],
)
def test_an_assertion_that_another_provider_could_use_is_warned_of(
    setting: str, more: Mapping[str, str], warned: bool
) -> None:
    given = {f"PARJAR_{key}": value for key, value in more.items()}
    warnings = read(given, PARJAR_ASSERTION_AUDIENCE=setting).warnings
    assert len(warnings) == warned
    assert all("PARJAR_ASSERTION_AUDIENCE of provider 'default'" in each for each in warnings)


def test_one_assertion_key_for_several_providers() -> None:
    """Only the issuer as audience keeps one of them from using an assertion at another."""
    own = {"assertion_key": ECKey.generate_key("P-256").as_dict(private=True)}
    elsewhere = {"issuer": "https://id.other.example"}
    endpoint = {"assertion_audience": "endpoint"}
    secret = {"client_auth": "client_secret_jwt", "client_secret": "s" * 32}
    for work, home, at_fault in (
        (endpoint, elsewhere, ["work"]),
        (endpoint, elsewhere | endpoint, ["work", "home"]),
        (endpoint, elsewhere | own, []),
        (endpoint | own, elsewhere | endpoint, []),
        (endpoint, endpoint, []),
        ({}, elsewhere, []),
        (endpoint, elsewhere | {"client_secret": "s"}, []),
        (endpoint | secret, elsewhere | secret, ["work"]),
        (endpoint | secret, elsewhere | secret | {"client_secret": "t" * 32}, []),
        (endpoint | secret, elsewhere, []),
    ):
        sections = {"PARJAR_PROVIDERS": {"work": work, "home": home}}
        if at_fault:
            found = faults(sections)
            assert [fault.split("'")[1] for fault in found] == at_fault
            assert set(named(found)) == {"PARJAR_ASSERTION_AUDIENCE"}
        else:
            assert set(read(sections).providers) == {"work", "home"}


@pytest.mark.parametrize(
    ("level", "beside", "warned"),
    [
        ("pushed+signed", "scope", True),
        ("pushed+signed", "", False),
        ("pushed", "scope", False),
    ],
)
def test_parameters_beside_a_pushed_request_object_are_warned_of(
    level: str, beside: str, warned: bool
) -> None:
    warnings = read(PARJAR_REQUEST=level, PARJAR_REQUEST_BESIDE=beside).warnings
    assert ["PARJAR_REQUEST_BESIDE of provider 'default'" in each for each in warnings] == (
        [True] * warned
    )


@pytest.mark.parametrize("level", ["plain", "pushed+signed"])
def test_a_site_without_pkce_is_warned(level: str) -> None:
    with_pkce, without = (
        read(PARJAR_REQUEST=level, PARJAR_PKCE=on).warnings for on in (True, False)
    )
    assert not any("PKCE" in each and "is off" in each for each in with_pkce)
    (added,) = [each for each in without if each.startswith("PARJAR_PKCE of provider 'default'")]
    assert not any("PKCE" in each for each in without if each is not added)


def test_a_client_that_does_not_authenticate_needs_pkce() -> None:
    public = {"PARJAR_CLIENT_AUTH": "none"}
    assert read(public).providers
    assert named(faults(public, PARJAR_PKCE=False)) == ["PARJAR_PKCE"]


def test_no_fault_shows_a_secret() -> None:
    secret = "a-secret-that-is-not-text"
    found = faults(
        PARJAR_CLIENT_SECRET=[secret],
        PARJAR_SIGNING_KEY={**EC_JWK, "x": secret},
        PARJAR_PROVIDERS=[secret],
    )
    assert secret not in str(found) and EC_JWK["d"] not in str(found)
    assert secret not in repr(read(PARJAR_CLIENT_SECRET=secret))
    assert str(EC_JWK["d"]) not in repr(read())
    assert secret not in str(faults(PARJAR_HTTP_HEADERS={"X-Api-Key": secret + "\n"}))


def test_a_weak_rsa_key_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (fault,) = faults(PARJAR_SIGNING_KEY=pem.decode())
    assert "1024" in fault


def _traditional_pem(key: ECKey | RSAKey) -> str:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    private = key.private_key
    assert private is not None
    return private.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()


OKP = OKPKey.generate_key("Ed25519")


@pytest.mark.parametrize(
    "value, kid",
    [
        pytest.param(EC_JWK, EC.thumbprint(), id="JWK"),
        pytest.param({**EC_JWK, "kid": "mine", "key_ops": ["sign"]}, "mine", id="JWK with kid"),
        pytest.param(json.dumps(EC_JWK), EC.thumbprint(), id="JWK as text"),
        pytest.param({"keys": [EC_JWK]}, EC.thumbprint(), id="JWK Set"),
        pytest.param(json.dumps({"keys": [EC_JWK]}), EC.thumbprint(), id="JWK Set as text"),
        pytest.param(EC.as_pem(private=True).decode(), EC.thumbprint(), id="PKCS#8 EC"),
        pytest.param(RSA.as_pem(private=True).decode(), RSA.thumbprint(), id="PKCS#8 RSA"),
        pytest.param(OKP.as_pem(private=True).decode(), OKP.thumbprint(), id="PKCS#8 Ed25519"),
        pytest.param(_traditional_pem(EC), EC.thumbprint(), id="SEC1"),
        pytest.param(_traditional_pem(RSA), RSA.thumbprint(), id="PKCS#1"),
        pytest.param(
            _traditional_pem(EC).replace("\n", "\\n"), EC.thumbprint(), id="an environment's PEM"
        ),
    ],
)
def test_every_form_of_key(value: Any, kid: str, tmp_path: Path) -> None:
    (key,) = read(PARJAR_SIGNING_KEY=value).providers["default"].signing_keys
    assert key.kid == kid
    assert not {"d", "p", "q", "dp", "dq", "qi", "key_ops"} & set(key.public_jwk)
    assert (key.public_jwk["kid"], key.public_jwk["use"]) == (kid, "sig")
    path = tmp_path / "key"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    for name in (str(path), path):
        (same,) = read(PARJAR_SIGNING_KEY=name).providers["default"].signing_keys
        assert same.kid == kid


def test_of_a_set_the_first_private_key_signs_and_all_are_published() -> None:
    old, public = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    keys = {"keys": [public.as_dict(private=False), EC_JWK, old.as_dict(private=True)]}
    client = read(PARJAR_SIGNING_KEY=keys).providers["default"]
    assert client.signing_keys[0].kid == EC.thumbprint()
    published = [jwk["kid"] for jwk in client.public_jwks]
    assert published == [EC.thumbprint(), old.thumbprint(), public.thumbprint()]
    assert all("d" not in jwk for jwk in client.public_jwks)


RSA_K = {**RSA.as_dict(private=True), "kid": "one name"}
EC_K = {**EC_JWK, "kid": "one name"}
ISSUERS = {name: {"issuer": f"https://{name}.example"} for name in ("work", "home")}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"SIGNING_KEY": RSA_K, "ASSERTION_KEY": EC_K}, id="for assertions"),
        pytest.param({"SIGNING_KEY": {"keys": [RSA_K, EC_K]}}, id="in one set"),
        pytest.param(
            {
                "PROVIDERS": {
                    "work": {**ISSUERS["work"], "signing_key": RSA_K},
                    "home": {**ISSUERS["home"], "signing_key": EC_K},
                }
            },
            id="at two providers",
        ),
    ],
)
def test_two_keys_of_one_name_are_a_fault(config: dict[str, Any]) -> None:
    """All of them are published in one set, where one would hide the other."""
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", **{f"PARJAR_{k}": v for k, v in config.items()})
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    assert any("one name" in fault for fault in caught.value.faults)


def published(**config: Any) -> list[dict[str, Any]]:
    """The keys that a site with this configuration publishes."""
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", **{f"PARJAR_{k}": v for k, v in config.items()})
    ParJar(app)
    keys: list[dict[str, Any]] = app.test_client().get("/.well-known/jwks.json").json["keys"]
    return keys


def test_one_key_for_two_algorithms_is_published_for_both() -> None:
    (jwk,) = published(
        SIGNING_KEY={**RSA_K, "alg": "PS256"}, ASSERTION_KEY={**RSA_K, "alg": "RS256"}
    )
    assert jwk["kid"] == "one name" and "alg" not in jwk


def test_one_key_for_two_providers_is_published_once() -> None:
    sections = {name: {**section, "signing_key": EC_K} for name, section in ISSUERS.items()}
    (jwk,) = published(PROVIDERS=sections)
    assert jwk["kid"] == "one name" and "d" not in jwk


def test_seconds_are_whole_ones() -> None:
    """As a `timedelta` gives them they are not, and Redis takes no others."""
    settings = read(
        PARJAR_SESSION_LIFETIME=28800.0, PARJAR_CLOCK_SKEW=29.5, PARJAR_HTTP_TIMEOUT=1.5
    )
    skew = settings.providers["default"].clock_skew
    for value, whole in ((settings.session_lifetime, 28800), (skew, 30)):
        assert (type(value), value) == (int, whole)
    assert settings.http_timeout == 1.5


def test_an_empty_fallback_key_is_a_fault() -> None:
    for empty in ("", None, b""):
        assert named(faults(SECRET_KEY_FALLBACKS=["old", empty])) == ["SECRET_KEY_FALLBACKS"]


def test_the_address_of_a_store_is_not_printed() -> None:
    """An error tracker prints what it finds in the frames, and the address may hold a password."""
    assert "hunter2" not in repr(read(PARJAR_STORE="redis://:hunter2@localhost"))


def test_keys_that_need_each_other() -> None:
    secret = {"PARJAR_CLIENT_SECRET": "s" * 32}
    none = {"PARJAR_SIGNING_KEY": None}
    for auth in ("client_secret_basic", "client_secret_post", "client_secret_jwt"):
        (fault,) = faults(PARJAR_CLIENT_AUTH=auth)
        assert named((fault,)) == ["PARJAR_CLIENT_SECRET"] and auth in fault
        assert read(secret, PARJAR_CLIENT_AUTH=auth).providers
    (fault,) = faults(PARJAR_CLIENT_AUTH="client_secret_jwt", PARJAR_CLIENT_SECRET="short")
    assert named((fault,)) == ["PARJAR_CLIENT_SECRET"]
    assert "32" in fault and "client_secret_jwt" in fault
    public = ECKey.import_key(EC_JWK).as_pem(private=False).decode("ascii")
    found = faults(PARJAR_CLIENT_AUTH="client_secret_jwt", PARJAR_CLIENT_SECRET=public)
    assert named(found) == ["PARJAR_CLIENT_SECRET"]
    for level in ("pushed+signed", "signed"):
        (fault,) = faults(none, PARJAR_REQUEST=level, **secret)
        assert named((fault,)) == ["PARJAR_SIGNING_KEY"]
    for level in ("pushed", "plain"):
        unsigned = {**none, "PARJAR_REQUEST": level}
        (fault,) = faults(unsigned)
        assert named((fault,)) == ["PARJAR_SIGNING_KEY"]
        assert "private_key_jwt" in fault and "CLIENT_SECRET" in fault
        assert read(unsigned, **secret).providers
        assert read(unsigned, PARJAR_CLIENT_AUTH="none").providers
        assert read(unsigned, PARJAR_ASSERTION_KEY=EC_JWK).providers
        assert faults(unsigned, PARJAR_CLIENT_AUTH="private_key_jwt", **secret)
    (fault,) = faults(PARJAR_SIGNING_ALG="PS256")
    assert named((fault,)) == ["PARJAR_SIGNING_ALG"]
    assert "PS256" in fault and "ES256" in fault


def test_what_the_environment_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SECRET_KEY": "s",
        "PARJAR_ISSUER": "https://op.example/",
        "PARJAR_CLIENT_ID": "1234567890",
        "PARJAR_SIGNING_KEY": json.dumps(EC_JWK),
        "PARJAR_USERINFO": "true",
        "PARJAR_HTTP_TIMEOUT": "2.5",
        "PARJAR_SCOPES": "openid email",
        "PARJAR_AUTHORIZATION_PARAMS": '{"organization": "acme"}',
    }.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    app = Flask(__name__)
    app.config.from_prefixed_env()
    ParJar(app)
    settings: Settings = app.extensions["parjar"].settings
    client = settings.providers["default"]
    assert (client.issuer, client.client_id) == ("https://op.example/", "1234567890")
    assert (client.userinfo, settings.http_timeout) == (True, 2.5)
    assert client.scopes == ("openid", "email")
    assert client.authorization_params == {"organization": "acme"}


def test_several_providers_share_what_they_do_not_say() -> None:
    settings = read(
        PARJAR_ISSUER=None,
        PARJAR_PROVIDERS={
            "work": {"issuer": "https://work.example", "scopes": ["openid", "groups"]},
            "home": {"issuer": "https://home.example", "client_id": "other", "userinfo": True},
        },
    )
    work, home = settings.providers["work"], settings.providers["home"]
    assert settings.named
    assert (work.client_id, work.scopes, work.userinfo) == ("site", ("openid", "groups"), False)
    assert (home.client_id, home.name, home.userinfo) == ("other", "home", True)
    assert work.signing_keys[0].kid == home.signing_keys[0].kid


@pytest.mark.parametrize(
    "labels, are_good",
    [
        ({"work": "Employees", "home": "Guests"}, True),
        ({"work": "home at work", "home": None}, True),
        ({"work": "home", "home": None}, False),  # a label that is another's name
        ({"work": "Employees", "home": " Employees "}, False),
    ],
)
def test_each_provider_has_a_label_of_its_own(
    labels: dict[str, str | None], are_good: bool
) -> None:
    sections = {name: {"label": label} for name, label in labels.items()}
    if are_good:
        assert [c.label for c in read(PARJAR_PROVIDERS=sections).providers.values()] == [
            *labels.values()
        ]
    else:
        (fault,) = faults(PARJAR_PROVIDERS=sections)
        assert all(repr(name) in fault for name in labels)


@pytest.mark.parametrize("label", ["", "  ", 5, ["Employees"]])
def test_a_label_is_text(label: Any) -> None:
    found = faults(PARJAR_PROVIDERS={"work": {"label": label}})
    assert named(found) == ["PARJAR_PROVIDERS['work']['label']"]


def test_the_faults_of_a_section_name_it() -> None:
    found = faults(
        PARJAR_CLIENT_ID=None,
        PARJAR_PROVIDERS={
            "work": {"issuer": "http://work.example", "client_ID": "x", "scope": "x"},
            "home": {"after_login": "/x", "profile": "any", "signing_alg": "PS256"},
        },
        PARJAR_REDIRECT_URI="https://site.example/callback",
    )
    work, home = "PARJAR_PROVIDERS['work']", "PARJAR_PROVIDERS['home']"
    assert named(found) == [
        "PARJAR_REDIRECT_URI",
        f"{work}['scope']",
        f"{work}['issuer']",
        f"{home}['after_login']",
        f"{home}['profile']",
        f"{home}['client_id']",
        f"{home}['signing_alg']",
    ]
    for fault, value in zip(
        found,
        ("redirect_uri", f"{work}['scopes']", "http://work.example", "PARJAR_AFTER_LOGIN"),
        strict=False,
    ):
        assert value in fault


@pytest.mark.parametrize(
    "issuer", ["http://localhost:9000", "http://127.0.0.1", "http://127.1.2.3:1", "http://[::1]:9"]
)
def test_plain_http_on_this_machine(issuer: str) -> None:
    assert read(PARJAR_ISSUER=issuer).providers["default"].issuer == issuer


def test_each_insecure_setting_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    weaker = [key for key in KEYS if key.startswith("INSECURE_")]
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY, PARJAR_ISSUER="http://op.example")
    app.config.update({f"PARJAR_{key}": True for key in weaker})
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        ParJar(app)
    assert len(caplog.messages) == len(weaker) == 1
    for key, message in zip(weaker, caplog.messages, strict=True):
        assert f"PARJAR_{key}" in message and "'default'" in message


@pytest.mark.parametrize(
    ("level", "loud"),
    [(None, None), ("pushed+signed", None), ("pushed", None), ("signed", False), ("plain", True)],
)
def test_a_level_without_a_push_is_logged_at_start(
    level: str | None, loud: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask(__name__)
    sections = {"work": {"request": level}, "home": {}}
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY, PARJAR_PROVIDERS=sections)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        ParJar(app)
    assert len(caplog.messages) == (loud is not None)
    for message in caplog.messages:
        assert f"PARJAR_REQUEST of provider 'work' is {level}" in message
        assert ("NOT PROTECTED" in message) is loud


def test_the_request_level_of_each_provider() -> None:
    sections = {"work": {"request": "signed"}, "home": {}, "more": {"request": "pushed+signed"}}
    settings = read(PARJAR_PROVIDERS=sections, PARJAR_REQUEST="pushed")
    assert {name: client.request for name, client in settings.providers.items()} == {
        "work": "signed",
        "home": "pushed",
        "more": "pushed+signed",
    }
    assert read().providers["default"].request == "pushed+signed"


@pytest.mark.parametrize(
    ("former", "level"),
    [("INSECURE_UNSIGNED_REQUEST", "pushed"), ("INSECURE_UNPUSHED_REQUEST", "signed")],
)
@pytest.mark.parametrize("value", [True, False])
def test_a_former_key_is_unknown_and_its_fault_says_what_to_write(
    former: str, level: str, value: bool
) -> None:
    (fault,) = faults({f"PARJAR_{former}": value})
    assert named((fault,)) == [f"PARJAR_{former}"]
    assert f"write PARJAR_REQUEST = '{level}'" in fault
    (fault,) = faults(PARJAR_PROVIDERS={"work": {former.lower(): value}})
    assert f"write PARJAR_PROVIDERS['work']['request'] = '{level}'" in fault
    assert "PARJAR_REQUEST" in fault


def test_a_ca_bundle_is_a_file_or_a_folder(tmp_path: Path) -> None:
    assert read(PARJAR_CA_BUNDLE=str(tmp_path)).ca_bundle == str(tmp_path)


def test_a_prefix_loses_its_last_slash() -> None:
    assert read(PARJAR_URL_PREFIX="/auth/").url_prefix == "/auth"


def test_a_faulty_key_is_one_fault() -> None:
    assert len(faults(PARJAR_SIGNING_KEY="{")) == 1
    assert len(faults(PARJAR_ISSUER=7)) == 1
    assert len(faults(PARJAR_PROVIDERS=7)) == 1
    assert len(faults(PARJAR_CLIENT_SECRET=7, PARJAR_CLIENT_AUTH="client_secret_post")) == 1


def test_none_in_a_section_is_as_good_as_nothing() -> None:
    settings = read(PARJAR_PROVIDERS={"work": {"client_secret": None}})
    assert settings.providers["work"].client_secret is None


@pytest.mark.parametrize(
    "store",
    [
        *("cookie", "memory"),
        *("redis://localhost", "redis://:secret@10.0.0.1:6380/3", "rediss://cache.example:6379/0"),
        *("unix:///run/redis.sock", "unix:///run/redis.sock?db=2", "redis://localhost?db=1"),
    ],
)
def test_every_store(store: str) -> None:
    assert read(PARJAR_STORE=store).store == store


@pytest.mark.parametrize(
    "store",
    [
        "redis//:hunter2@cache.example",  # a typing mistake
        "REDIS://:hunter2@cache.example",
        "hunter2",
        "redis://:hunter2@cache.example:port/0",
        "redis://:hunter2@[cache.example/0",
        "unix://:hunter2@/run/redis.sock?socket_timeout=soon",
        *(f"redis://:hunter2{mark}x@cache.example/0" for mark in "/?#"),
        "redis://:hunter2@cache.example/0?hunter2=1",
        "rediss://:hunter2@cache.example/0?ssl_cert_reqs=hunter2",
    ],
)
def test_no_fault_shows_the_password_of_the_store(store: str) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", PARJAR_STORE=store)
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    (fault,) = caught.value.faults
    assert fault.startswith("PARJAR_STORE: ")
    assert "hunter2" not in str(caught.value) and "cache.example" not in str(caught.value)


def test_a_store_that_is_away_keeps_no_site_from_starting() -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", PARJAR_STORE="redis://:hunter2@127.0.0.1:1/0")
    ParJar(app)
    assert "hunter2" not in repr(app.extensions["parjar"].store)


@pytest.mark.parametrize("name", ["session", "sealed", "cookies", "none", ""])
def test_another_name_is_no_store(name: str) -> None:
    """To keep no tokens is to leave the key out."""
    (fault,) = faults(PARJAR_STORE=name)
    assert "PARJAR_STORE" in fault


@pytest.mark.parametrize("name, instead", [("session", "leave the key out"), ("sealed", "cookie")])
def test_a_name_that_was_used_before_leads_to_the_new_one(name: str, instead: str) -> None:
    (fault,) = faults(PARJAR_STORE=name)
    assert f"it is {name}: " in fault and instead in fault


@pytest.mark.parametrize("key", ["PARJAR_AFTER_LOGIN", "PARJAR_AFTER_LOGOUT"])
@pytest.mark.parametrize(
    "prefix, path",
    [
        (None, "/login"),
        (None, "/login?next=/home"),
        (None, "/%6cogin"),
        (None, "/logout"),
        (None, "/callback"),
        ("/auth", "/auth/login"),
        ("/auth", "/auth/logout"),
    ],
)
def test_neither_a_login_nor_a_logout_ends_at_a_route_of_ours(
    key: str, prefix: str | None, path: str
) -> None:
    """It would be one redirect after another."""
    (fault,) = faults({key: path, "PARJAR_URL_PREFIX": prefix})
    assert key in fault


@pytest.mark.parametrize("key", ["after_login", "after_logout"])
@pytest.mark.parametrize(
    "prefix, path", [(None, "/login-help"), (None, "/auth/login"), ("/auth", "/login")]
)
def test_a_page_whose_path_is_like_ours_is_a_page(key: str, prefix: str | None, path: str) -> None:
    settings = read({f"PARJAR_{key.upper()}": path, "PARJAR_URL_PREFIX": prefix})
    assert getattr(settings, key) == path


@pytest.mark.parametrize(
    "secret_key, fallbacks",
    [(["key"], None), ("key", ["old", True]), ("key", [["old"]])],
)
def test_a_secret_key_of_another_type_is_a_fault(secret_key: Any, fallbacks: Any) -> None:
    """Each alone; a number would be a key of so many zero bytes."""
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=secret_key, SECRET_KEY_FALLBACKS=fallbacks)
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    (fault,) = caught.value.faults
    assert fault.startswith("SECRET_KEY" if fallbacks is None else "SECRET_KEY_FALLBACKS")


@pytest.mark.parametrize("value", ["RSA1_5", "dir", "A256KW", "RSA-OEAP-265", ["RSA-OAEP"]])
def test_an_algorithm_that_is_not_used_is_refused(provider: DevProvider, value: object) -> None:
    with pytest.raises(ConfigError, match="PARJAR_REQUEST_ENCRYPTION_ALG"):
        make_site(provider, PARJAR_REQUEST_ENCRYPTION_ALG=value)


EC_KEY = ECKey.generate_key("P-256").as_dict(private=True)
OTHER_KEY = ECKey.generate_key("P-384").as_dict(private=True)


@pytest.mark.parametrize(
    "config, faulty",
    [
        ({"ID_TOKEN_ENCRYPTION": "ECDH-ES A256GCM"}, "ENCRYPTION_KEY"),
        ({"USERINFO_ENCRYPTION": "ECDH-ES A256GCM"}, "ENCRYPTION_KEY"),
        (
            {"ENCRYPTION_KEY": EC_KEY, "ID_TOKEN_ENCRYPTION": "RSA-OAEP A256GCM"},
            "ID_TOKEN_ENCRYPTION",
        ),
        (
            {
                "ENCRYPTION_KEY": {**EC_KEY, "alg": "ECDH-ES"},
                "USERINFO_ENCRYPTION": "ECDH-ES+A128KW A256GCM",
            },
            "USERINFO_ENCRYPTION",
        ),
        ({"ID_TOKEN_ENCRYPTION": "RSA1_5 A256GCM"}, "ID_TOKEN_ENCRYPTION"),
        (
            {"ENCRYPTION_KEY": "no key at all", "ID_TOKEN_ENCRYPTION": "ECDH-ES A256GCM"},
            "ENCRYPTION_KEY",
        ),
        ({"ENCRYPTION_KEY": []}, "ENCRYPTION_KEY"),
        ({"ENCRYPTION_KEY": [EC_KEY, EC_KEY]}, "ENCRYPTION_KEY"),
        ({"ENCRYPTION_KEY": {**EC_KEY, "use": "sig"}}, "ENCRYPTION_KEY"),
        ({"ENCRYPTION_KEY": OTHER_KEY, "SIGNING_KEY": OTHER_KEY}, "ENCRYPTION_KEY"),
        ({"ENCRYPTION_KEY": OTHER_KEY, "ASSERTION_KEY": OTHER_KEY}, "ENCRYPTION_KEY"),
        ({"REQUEST_ENCRYPTION_ENC": "A256GCM"}, "REQUEST_ENCRYPTION_ENC"),
        (
            {"REQUEST_ENCRYPTION_ALG": "ECDH-ES", "REQUEST_ENCRYPTION_ENC": "A192GCM"},
            "REQUEST_ENCRYPTION_ENC",
        ),
        ({"REQUEST_ENCRYPTION_ALG": "ECDH-ES", "REQUEST": "pushed"}, "REQUEST_ENCRYPTION_ALG"),
    ],
)
def test_faults_of_encryption(config: dict[str, Any], faulty: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({f"PARJAR_{name}": value for name, value in config.items()})
    (fault,) = caught.value.faults
    assert fault.startswith(f"PARJAR_{faulty}")
    for key in (EC_KEY, OTHER_KEY):
        assert str(key["d"]) not in fault


def test_a_kid_of_an_encryption_key_and_a_signing_key() -> None:
    signing = {**EC_KEY, "kid": "same"}
    decrypting = {**OTHER_KEY, "kid": "same", "alg": "ECDH-ES"}
    with pytest.raises(ConfigError, match="kid 'same'"):
        read({"PARJAR_SIGNING_KEY": signing, "PARJAR_ENCRYPTION_KEY": decrypting})


def test_a_key_that_signs_at_one_provider_does_not_decrypt_at_another() -> None:
    sections = {
        "work": {"issuer": "https://work.example", "client_id": "w", "signing_key": EC_KEY},
        "home": {"issuer": "https://home.example", "client_id": "h", "encryption_key": EC_KEY},
    }
    with pytest.raises(ConfigError, match="'home'.*signs too"):
        read({"PARJAR_ISSUER": None, "PARJAR_PROVIDERS": sections})


def test_encryption_keys_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(EC_KEY))
    settings = read(
        {
            "PARJAR_ENCRYPTION_KEY": [{"keys": [{**OTHER_KEY, "kid": "new"}]}, str(path)],
            "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES A256GCM",
            "PARJAR_USERINFO_ENCRYPTION": ["ECDH-ES+A256KW", "A256GCM"],
        }
    )
    client = settings.providers["default"]
    assert [key.kid for key in client.encryption_keys][0] == "new"
    assert len(client.encryption_keys) == 2
    enc = [jwk for jwk in client.public_jwks if jwk["use"] == "enc"]
    assert [(jwk["kid"], jwk["alg"]) for jwk in enc] == [
        ("new-ECDH-ES", "ECDH-ES"),
        ("new-ECDH-ES+A256KW", "ECDH-ES+A256KW"),
    ]


def test_former_secret_keys_in_one_string_are_refused(provider: DevProvider) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY_FALLBACKS"):
        make_site(provider, SECRET_KEY_FALLBACKS="old")


def test_host_matching_is_refused(provider: DevProvider) -> None:
    app = Flask(__name__, host_matching=True, static_host="x")
    app.config.update(SECRET_KEY="s", **provider.config())
    with pytest.raises(RuntimeError, match="host_matching"):
        ParJar(app)


@pytest.mark.parametrize("prefix", ["/a?x=1", "/a#b", "/a%20b", "/", "a"])
def test_a_url_prefix_that_no_route_can_have_is_refused(provider: DevProvider, prefix: str) -> None:
    with pytest.raises(ConfigError, match="PARJAR_URL_PREFIX"):
        make_site(provider, PARJAR_URL_PREFIX=prefix)


def test_an_idle_time_out() -> None:
    assert read(PARJAR_IDLE_TIMEOUT=1800).idle_timeout == 1800
    assert read(PARJAR_IDLE_TIMEOUT=60).idle_timeout == 60
    assert read(PARJAR_IDLE_TIMEOUT=None).idle_timeout is None


def test_memory_is_refused_where_several_workers_are_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY, PARJAR_STORE="memory")
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    (fault,) = caught.value.faults
    assert "WEB_CONCURRENCY" in fault and "redis://" in fault
    assert "parjar" not in app.extensions
    for one in ("1", ""):
        monkeypatch.setenv("WEB_CONCURRENCY", one)
        app = Flask(__name__)
        app.config.update(GOOD, SECRET_KEY=SECRET_KEY, PARJAR_STORE="memory")
        with caplog.at_level(logging.WARNING, "flask_parjar"):
            ParJar(app)
    assert ["PARJAR_STORE" in message for message in caplog.messages] == [True, True]


# What the environment makes of a value.


@pytest.mark.parametrize(
    "variables, key, wanted",
    [
        ({"SECRET_KEY": "12345678901234567890123456789012"}, "SECRET_KEY", "(?i)quot"),
        ({"SECRET_KEY": "true"}, "SECRET_KEY", "(?i)quot"),
        ({"SECRET_KEY_FALLBACKS": "[2025]"}, "SECRET_KEY_FALLBACKS", "(?i)quot"),
        ({"SECRET_KEY_FALLBACKS": "2025"}, "SECRET_KEY_FALLBACKS", r"(?i)\blist\b"),
        *(
            ({"PARJAR_USERINFO": text}, "PARJAR_USERINFO", r"\btrue\b")
            for text in ("True", "yes", "1")
        ),
        (
            {"PARJAR_AUTHORIZATION_PARAMS": "{'organization': 'acme'}"},
            "PARJAR_AUTHORIZATION_PARAMS",
            "JSON",
        ),
        *(
            ({"PARJAR_SCOPES": text}, "PARJAR_SCOPES", r"\bspaces?\b")
            for text in ("openid,email", "['openid', 'email']")
        ),
        ({"PARJAR_CLIENT_SECRET": "12345678901234567890"}, "PARJAR_CLIENT_SECRET", "(?i)quot"),
    ],
)
def test_an_error_says_how_to_write_a_value_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], key: str, wanted: str
) -> None:
    """Flask reads each variable as JSON where it can, and as text where it cannot."""
    good = {**GOOD, "PARJAR_SIGNING_KEY": json.dumps(EC_JWK), "SECRET_KEY": SECRET_KEY}
    for name, value in {**good, **variables}.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    app = Flask(__name__)
    app.config.from_prefixed_env()
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    (fault,) = caught.value.faults
    assert fault.startswith(key) and re.search(wanted, fault)
    assert "add openid" not in fault  # it is there
    if "SECRET" in key:
        assert variables[key] not in fault


@pytest.mark.parametrize("secret_key", [SECRET_KEY, SECRET_KEY.encode()])
def test_a_secret_key_is_text_or_bytes(
    secret_key: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    start(SECRET_KEY=secret_key, SECRET_KEY_FALLBACKS=[b"an old one", "an older one"])
    assert caplog.messages == []


# Key files.


_PEM = EC.as_pem(private=True).decode()
_BODY = "".join(_PEM.splitlines()[1:-1])


def test_a_key_file_that_is_not_there_is_named_with_the_folder_it_was_looked_for_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (fault,) = faults(PARJAR_SIGNING_KEY="keys/my-key.pem")
    assert fault.startswith("PARJAR_SIGNING_KEY")
    assert "keys/my-key.pem" in fault and str(Path.cwd()) in fault


@pytest.mark.parametrize(
    "content, wanted",
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(_BODY.encode(), "BEGIN", id="no first line"),
        pytest.param(_PEM[:-60].encode(), "END", id="cut"),
        pytest.param(_PEM.encode("utf-16"), "UTF", id="UTF-16"),
    ],
)
def test_a_key_file_of_no_use_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes, wanted: str
) -> None:
    path = tmp_path / "my-key.pem"
    path.write_bytes(content)
    (fault,) = faults(PARJAR_SIGNING_KEY=str(path))
    assert fault.startswith("PARJAR_SIGNING_KEY") and str(path) in fault
    assert wanted in fault.replace(str(path), "")
    assert _BODY[:40] not in fault


@pytest.mark.parametrize(
    "path, shown",
    [
        ("my-key.pem", True),
        ("{folder}/my-key", True),  # in a folder that there is
        ("{folder}/not-there/my-key.json", True),
        ("{folder}/not-there/my-key", False),
        ("my-key", False),
        ("/my-key", False),
    ],
)
def test_a_path_that_could_be_a_secret_is_not_shown(tmp_path: Path, path: str, shown: bool) -> None:
    (fault,) = faults(PARJAR_SIGNING_KEY=path.format(folder=tmp_path))
    assert ("my-key" in fault) == shown
    assert (str(Path.cwd()) in fault) == (not Path(path.format(folder=tmp_path)).is_absolute())


def test_the_text_of_a_key_is_never_shown_as_a_path() -> None:
    """Without its first line it looks like one."""
    for text in (_BODY, _BODY[:60], _BODY[60:]):
        (fault,) = faults(PARJAR_SIGNING_KEY=text)
        assert text not in fault and text[:20] not in fault


# What can be seen at start.


@pytest.mark.parametrize("document", ["openid-configuration", "oauth-authorization-server"])
def test_the_address_of_the_metadata_is_no_issuer(document: str) -> None:
    address = f"https://op.example/.well-known/{document}"
    (fault,) = faults(PARJAR_ISSUER=address)
    assert fault.startswith("PARJAR_ISSUER")
    assert "https://op.example" in fault.replace(address, "")


_METADATA = {
    "issuer": "https://op.example",
    "authorization_endpoint": "https://op.example/authorize",
    "token_endpoint": "https://op.example/token",
    "jwks_uri": "https://op.example/jwks.json",
    "pushed_authorization_request_endpoint": "https://op.example/par",
}


@pytest.mark.parametrize(
    "metadata, named",
    [
        ({}, ["issuer"]),
        (
            {"issuer": "https://op.example"},
            ["authorization_endpoint", "token_endpoint", "jwks_uri"],
        ),
        ({**_METADATA, "issuer": "https://other.example"}, ["https://other.example"]),
        ({**_METADATA, "token_endpoint": "/token"}, ["token_endpoint"]),
        ({**_METADATA, "jwks_uri": None, "userinfo_endpoint": 7}, ["jwks_uri", "userinfo_end"]),
        ({**_METADATA, "end_session_endpoint": "/logout"}, ["end_session_endpoint"]),
        ({**_METADATA, "response_modes_supported": "query"}, ["response_modes_supported"]),
    ],
)
def test_metadata_by_hand_is_checked_at_start(metadata: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        start(PARJAR_METADATA=metadata)
    text = str(caught.value)
    assert "PARJAR_METADATA" in text
    assert [name for name in named if name not in text] == []


def test_metadata_of_a_section_is_checked_at_start() -> None:
    with pytest.raises(ConfigError) as caught:
        start(PARJAR_PROVIDERS={"work": {"metadata": {**_METADATA, "jwks_uri": None}}})
    (fault,) = caught.value.faults
    assert fault.startswith("PARJAR_PROVIDERS['work']['metadata']") and "jwks_uri" in fault


YOUR_SITE = "https://your.site/callback"


@pytest.mark.parametrize(
    "config, named",
    [
        ({"SECRET_KEY": "dev"}, ["SECRET_KEY"]),
        (
            {"SESSION_COOKIE_SAMESITE": "Strict", "PARJAR_REDIRECT_URI": YOUR_SITE},
            ["SESSION_COOKIE_SAMESITE", "Strict", "Lax"],
        ),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, ["SESSION_COOKIE_SAMESITE", "Strict", "Lax"]),
        ({"SESSION_COOKIE_SAMESITE": "strict"}, ["SESSION_COOKIE_SAMESITE", "op.example"]),
        ({"PARJAR_REDIRECT_URI": "http://your.site/callback"}, ["PARJAR_REDIRECT_URI", "https"]),
    ],
)
def test_a_doubtful_value_is_logged_at_start(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any], named: list[str]
) -> None:
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        start(**config)
    assert any(all(name in message for name in named) for message in caplog.messages)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"PARJAR_REDIRECT_URI": YOUR_SITE},
        {"PARJAR_REDIRECT_URI": "http://127.0.0.1:5000/callback"},
        {"PARJAR_REDIRECT_URI": "http://localhost:5000/callback"},
        {
            "SESSION_COOKIE_SAMESITE": "Strict",
            "PARJAR_REDIRECT_URI": "https://www.op.example/callback",  # the provider's own site
        },
        {"PARJAR_METADATA": _METADATA},
        {"SESSION_COOKIE_SAMESITE": "Strict", "PARJAR_ISSUER": "http://127.0.0.1:9000"},
        {"SESSION_COOKIE_SAMESITE": "Lax"},
    ],
)
def test_nothing_is_logged_at_start_without_doubtful_values(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any]
) -> None:
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        start(**config)
    assert caplog.messages == []


# What can be seen at the first request at the latest.


def first_request(app: Flask) -> None:
    app.test_client().get("/a-page")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("path", ["/login", "/callback", "/logout"])
def test_a_page_of_the_app_at_one_of_our_paths_is_logged(
    caplog: pytest.LogCaptureFixture, path: str, before: bool
) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY)
    if before:
        app.add_url_rule(path, "own", lambda: "a page of the app")
    ParJar(app)
    if not before:
        app.add_url_rule(path, "own", lambda: "a page of the app")
    first_request(app)
    assert any(path in each and "PARJAR_URL_PREFIX" in each for each in caplog.messages)


def test_a_page_of_the_app_at_a_callback_that_it_adds_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY)
    app.add_url_rule("/auth", "own", lambda: "the callback of another package")
    ParJar(app)
    app.add_url_rule("/auth", "parjar.callback")
    first_request(app)
    (message,) = caplog.messages
    assert "/auth" in message and "own" in message


def messages_of_the_first_request(
    caplog: pytest.LogCaptureFixture, *callbacks: str, **config: Any
) -> list[str]:
    """What an app logs that adds rules for our callback."""
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY, **config)
    ParJar(app)
    for path in callbacks:
        app.add_url_rule(path, "parjar.callback")
    first_request(app)
    return caplog.messages


@pytest.mark.parametrize(
    "uri, prefix, callback",
    [
        ("https://your.site/oidc/return", None, "/callback"),
        (YOUR_SITE, "/auth", "/auth/callback"),
    ],
)
def test_a_redirect_uri_that_is_no_callback_is_logged(
    caplog: pytest.LogCaptureFixture, uri: str, prefix: str | None, callback: str
) -> None:
    config = {"PARJAR_REDIRECT_URI": uri, "PARJAR_URL_PREFIX": prefix}
    (message,) = messages_of_the_first_request(caplog, **config)
    assert "PARJAR_REDIRECT_URI" in message and uri in message
    assert f"at {callback}:" in message and "add_url_rule" in message


@pytest.mark.parametrize(
    "config, callbacks",
    [
        ({"PARJAR_REDIRECT_URI": YOUR_SITE}, []),
        ({"PARJAR_REDIRECT_URI": "https://your.site/shop/callback"}, []),  # below a path
        ({"PARJAR_REDIRECT_URI": "https://your.site/in/callback", "PARJAR_URL_PREFIX": "/in"}, []),
        ({"PARJAR_PROVIDERS": {"work": {"redirect_uri": f"{YOUR_SITE}/work"}}}, []),
        ({"PARJAR_REDIRECT_URI": "https://your.site/oidc/return"}, ["/oidc/return"]),
        (
            {"PARJAR_PROVIDERS": {"work": {"redirect_uri": "https://your.site/return/work"}}},
            ["/return/<provider>"],
        ),
    ],
)
def test_a_redirect_uri_that_is_a_callback_is_not_logged(
    caplog: pytest.LogCaptureFixture, config: dict[str, Any], callbacks: list[str]
) -> None:
    assert messages_of_the_first_request(caplog, *callbacks, **config) == []


def test_warnings_of_the_first_request_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """And no function of the app that runs before a request is left out."""
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY)
    ParJar(app)
    ran: list[int] = []
    for number in range(3):
        app.before_request(lambda number=number: ran.append(number))
    app.config["PARJAR_USERINFO"] = True
    first_request(app)
    assert len(caplog.messages) == 1
    first_request(app)
    assert len(caplog.messages) == 1
    assert ran == [0, 1, 2] * 2


def test_pages_of_the_app_at_other_paths_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY=SECRET_KEY, PARJAR_URL_PREFIX="/auth")
    app.add_url_rule("/login", "own", lambda: "a page of the app")
    app.add_url_rule("/<path:anything>", "spa", lambda anything: "a page of the app")
    ParJar(app)
    app.add_url_rule("/auth/help", "help", lambda: "a page of the app")
    first_request(app)
    assert caplog.messages == []


def test_a_key_that_is_set_too_late_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = start()
    app.config["PARJAR_SCOPES"] = "openid groups"
    first_request(app)
    assert any("PARJAR_SCOPES" in message for message in caplog.messages)


@pytest.mark.parametrize("tenant", ["{tenantid}", "{tid}"])
def test_an_issuer_as_the_metadata_writes_it(tenant: str) -> None:
    """Microsoft Entra ID has braces in its metadata, and no URL has them."""
    issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
    (fault,) = faults(PARJAR_ISSUER=issuer)
    assert named((fault,)) == ["PARJAR_ISSUER"]
    assert "organizations" in fault and "TENANTS" in fault
