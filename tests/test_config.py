"""PARJAR_* keys: what is read, what is refused, and with which words."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar import ConfigError, ParJar
from flask_parjar.config import KEYS, NOT_YET, Settings, read_settings

EC = ECKey.generate_key("P-256")
EC_JWK = EC.as_dict(private=True)
RSA = RSAKey.generate_key(2048)
GOOD = {
    "PARJAR_ISSUER": "https://op.example",
    "PARJAR_CLIENT_ID": "site",
    "PARJAR_SIGNING_KEY": EC_JWK,
}


def read(changes: Mapping[str, Any] | None = None, **more: Any) -> Settings:
    return read_settings({**GOOD, **(changes or {}), **more}, secret_key="s")


def faults(changes: Mapping[str, Any] | None = None, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(changes, **more)
    return caught.value.faults


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
    assert (settings.after_login, settings.after_logout, settings.url_prefix) == ("/", "/", None)
    assert (settings.http_timeout, settings.transaction_lifetime) == (5, 600)
    assert settings.session_lifetime == 8 * 3600
    assert (settings.store, settings.idle_timeout) == ("session", None)
    assert read(PARJAR_STORE="session") == settings
    assert not settings.named and not settings.warnings


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(
            {
                "PARJAR_CLIENTID": "x",
                "PARJAR_SCOPES": "profile",
                "PARJAR_HTTP_TIMEOUT": "soon",
                "PARJAR_DPOP": True,
                "OTHER_KEY": "of another extension",
            },
            secret_key=None,
        )
    assert caught.value.faults == (
        "PARJAR_CLIENTID is not a key of Flask-ParJar: did you mean PARJAR_CLIENT_ID?",
        "PARJAR_SCOPES is 'profile': add openid: without it the provider gives no ID token",
        "PARJAR_HTTP_TIMEOUT is 'soon': write a number of seconds from 1 to 60",
        "PARJAR_DPOP: this version has no DPoP; remove the key",
        "SECRET_KEY is not set: write 32 or more random bytes; it signs the session",
        "PARJAR_ISSUER is required",
        "PARJAR_CLIENT_ID is required",
        "PARJAR_SIGNING_KEY is required: a private key as PEM or JWK, or the path of one",
    )
    text = str(caught.value)
    assert text.startswith("Flask-ParJar cannot start with this configuration:\n  - PARJAR_CLIENT")
    assert text.count("\n  - ") == 8
    assert caught.value.code == "config"


def test_an_unknown_key_without_a_likeness() -> None:
    assert faults(PARJAR_XYZZY=1) == ("PARJAR_XYZZY is not a key of Flask-ParJar",)


@pytest.mark.parametrize("key", NOT_YET)
def test_a_key_of_a_later_version_is_refused_and_not_ignored(key: str) -> None:
    (fault,) = faults({f"PARJAR_{key}": "on"})
    assert fault == f"PARJAR_{key}: this version has no {NOT_YET[key]}; remove the key"
    assert read({f"PARJAR_{key}": None}).providers
    assert read({f"PARJAR_{key}": False}).providers


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
        ("RESPONSE_MODE", "jwt"),
        ("RESPONSE_MODE", "query.jwt"),
        ("CLIENT_AUTH", "tls_client_auth"),
        ("CLIENT_AUTH", "self_signed_tls_client_auth"),
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
        ("INSECURE_HTTP", "true"),
        ("INSECURE_UNSIGNED_REQUEST", 1),
        ("INSECURE_UNPUSHED_REQUEST", 1),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(key: str, value: Any) -> None:
    found = faults({f"PARJAR_{key}": value})
    assert any(f"PARJAR_{key}" in fault for fault in found)


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
    assert "1024 bits" in fault


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


def test_seconds_are_whole_ones() -> None:
    """As a `timedelta` gives them they are not, and Redis takes no others."""
    settings = read(
        PARJAR_SESSION_LIFETIME=28800.0, PARJAR_CLOCK_SKEW=29.5, PARJAR_HTTP_TIMEOUT=1.5
    )
    skew = settings.providers["default"].clock_skew
    for value, whole in ((settings.session_lifetime, 28800), (skew, 30)):
        assert (type(value), value) == (int, whole)
    assert settings.http_timeout == 1.5


def test_an_empty_former_key_is_none() -> None:
    for empty in ("", None, b""):
        assert faults(SECRET_KEY_FALLBACKS=["old", empty]) == (
            "SECRET_KEY_FALLBACKS holds an empty key: leave it out",
        )


def test_the_address_of_a_store_is_not_printed() -> None:
    """An error tracker prints what it finds in the frames, and the address may hold a password."""
    assert "hunter2" not in repr(read(PARJAR_STORE="redis://:hunter2@localhost"))


def test_keys_that_need_each_other() -> None:
    secret = {"PARJAR_CLIENT_SECRET": "s" * 32}
    none = {"PARJAR_SIGNING_KEY": None}
    for auth in ("client_secret_basic", "client_secret_post", "client_secret_jwt"):
        assert faults(PARJAR_CLIENT_AUTH=auth) == (f"PARJAR_CLIENT_SECRET is required by {auth}",)
        assert read(secret, PARJAR_CLIENT_AUTH=auth).providers
    assert faults(PARJAR_CLIENT_AUTH="client_secret_jwt", PARJAR_CLIENT_SECRET="short") == (
        "PARJAR_CLIENT_SECRET needs 32 bytes or more for client_secret_jwt",
    )
    public = ECKey.import_key(EC_JWK).as_pem(private=False).decode("ascii")
    assert faults(PARJAR_CLIENT_AUTH="client_secret_jwt", PARJAR_CLIENT_SECRET=public) == (
        "PARJAR_CLIENT_SECRET is the text of a key: write the shared secret",
    )
    unsigned = {**none, "PARJAR_INSECURE_UNSIGNED_REQUEST": True}
    assert faults(unsigned) == (
        "PARJAR_SIGNING_KEY is required by private_key_jwt, or write a CLIENT_SECRET",
    )
    assert read(unsigned, **secret).providers
    assert read(unsigned, PARJAR_ASSERTION_KEY=EC_JWK).providers
    assert faults(unsigned, PARJAR_CLIENT_AUTH="private_key_jwt", **secret)
    assert faults(PARJAR_SIGNING_ALG="PS256") == (
        "PARJAR_SIGNING_ALG is PS256: the signing key can only ES256",
    )


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


def test_the_faults_of_a_section_name_it() -> None:
    found = faults(
        PARJAR_CLIENT_ID=None,
        PARJAR_PROVIDERS={
            "work": {"issuer": "http://work.example", "client_ID": "x", "scope": "x"},
            "home": {"after_login": "/x", "dpop": True, "signing_alg": "PS256"},
        },
        PARJAR_REDIRECT_URI="https://site.example/callback",
    )
    work, home = "PARJAR_PROVIDERS['work']", "PARJAR_PROVIDERS['home']"
    assert found == (
        "PARJAR_REDIRECT_URI cannot serve several providers, each has a callback of its own: "
        "write redirect_uri in each section of PARJAR_PROVIDERS",
        f"{work}['scope'] is not a key of Flask-ParJar: did you mean {work}['scopes']?",
        f"{work}['issuer'] is 'http://work.example': plain http is accepted on loopback only",
        f"{home}['after_login'] belongs to the whole app: write PARJAR_AFTER_LOGIN",
        f"{home}['dpop']: this version has no DPoP; remove the key",
        f"{home}['client_id'] is required",
        f"{home}['signing_alg'] is PS256: the signing key can only ES256",
    )


@pytest.mark.parametrize(
    "issuer", ["http://localhost:9000", "http://127.0.0.1", "http://127.1.2.3:1", "http://[::1]:9"]
)
def test_plain_http_on_this_machine(issuer: str) -> None:
    assert read(PARJAR_ISSUER=issuer).providers["default"].issuer == issuer


def test_each_weaker_choice_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    weaker = [key for key in KEYS if key.startswith("INSECURE_")]
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", PARJAR_ISSUER="http://op.example")
    app.config.update({f"PARJAR_{key}": True for key in weaker})
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        ParJar(app)
    assert len(caplog.messages) == len(weaker) == 3
    for key, message in zip(weaker, caplog.messages, strict=True):
        assert message.startswith(f"PARJAR_{key} is on for provider 'default'")


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
        *("session", "sealed", "memory"),
        *("redis://localhost", "redis://:secret@10.0.0.1:6380/3", "rediss://cache.example:6379/0"),
        *("unix:///run/redis.sock", "unix:///run/redis.sock?db=2", "redis://localhost?db=1"),
    ],
)
def test_every_store(store: str) -> None:
    assert read(PARJAR_STORE=store).store == store


@pytest.mark.parametrize(
    "store",
    [
        "redis//:hunter2@cache.example",  # a slip of the pen
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


def test_an_idle_time_out() -> None:
    assert read(PARJAR_IDLE_TIMEOUT=1800).idle_timeout == 1800
    assert read(PARJAR_IDLE_TIMEOUT=60).idle_timeout == 60
    assert read(PARJAR_IDLE_TIMEOUT=None).idle_timeout is None


def test_memory_is_refused_where_several_workers_are_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask(__name__)
    app.config.update(GOOD, SECRET_KEY="s", PARJAR_STORE="memory")
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with pytest.raises(ConfigError) as caught:
        ParJar(app)
    (fault,) = caught.value.faults
    assert "WEB_CONCURRENCY" in fault and "redis://" in fault
    assert "parjar" not in app.extensions
    for one in ("1", ""):
        monkeypatch.setenv("WEB_CONCURRENCY", one)
        app = Flask(__name__)
        app.config.update(GOOD, SECRET_KEY="s", PARJAR_STORE="memory")
        with caplog.at_level(logging.WARNING, "flask_parjar"):
            ParJar(app)
    assert caplog.text.count("PARJAR_STORE is memory: for tests") == 2
