from __future__ import annotations

from typing import Any

import pytest

from flask_parjar.protocol.client import (
    CLIENT_AUTHS,
    RESPONSE_MODES_OF_THE_BROWSER,
    ClientConfig,
    merge_public_keys,
)
from flask_parjar.protocol.keys import is_same_key, parse_shared_secret, parse_signing_keys
from flask_parjar.protocol.request_level import REQUEST_LEVELS
from tests.protocol.examples import (
    EC_JWK,
    P384_JWK,
    RSA_JWK,
    make_client,
    public,
    rsa_key_for,
    signing_key,
)

SECRET_KEY = parse_shared_secret("a client secret of more than 32 bytes")


def test_the_default_configuration() -> None:
    assert make_client() == ClientConfig(
        name="default",
        issuer="https://op.example",
        client_id="s6BhdRkqt3",
        client_secret=None,
        client_auth=None,
        request="pushed+signed",
        assertion_audience="issuer",
        signing_keys=(),
        secret_key=None,
        assertion_keys=(),
        signing_alg=None,
        id_token_algs=None,
        scopes=("openid", "profile", "email"),
        userinfo=False,
        authorization_params={},
        response_mode=None,
        redirect_uri=None,
        post_logout_redirect_uri=None,
        metadata=None,
        trusted_audiences=(),
        clock_skew=60,
        insecure_http=False,
    )


def test_the_names_that_a_configuration_may_use() -> None:
    assert CLIENT_AUTHS == (
        "private_key_jwt",
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "tls_client_auth",
        "self_signed_tls_client_auth",
        "none",
    )
    assert RESPONSE_MODES_OF_THE_BROWSER == (
        *("query", "form_post"),
        *("jwt", "query.jwt", "form_post.jwt"),
    )


def test_the_level_of_its_requests() -> None:
    assert make_client(request="signed").request_level is REQUEST_LEVELS["signed"]


def test_the_secret_is_not_printed() -> None:
    assert "hunter2" not in repr(make_client(client_secret="hunter2"))


@pytest.mark.parametrize(
    ("fields", "methods"),
    [
        ({}, ("private_key_jwt",)),
        ({"client_secret": "s"}, ("client_secret_basic", "client_secret_post")),
        ({"client_secret": "s", "client_auth": "private_key_jwt"}, ("private_key_jwt",)),
        ({"client_secret": "s", "client_auth": "client_secret_jwt"}, ("client_secret_jwt",)),
        ({"client_auth": "none"}, ("none",)),
    ],
)
def test_possible_client_authentications(fields: dict[str, Any], methods: tuple[str, ...]) -> None:
    assert make_client(**fields).possible_client_auths == methods


def test_the_key_of_an_assertion() -> None:
    first, second = signing_key("ES256"), signing_key("ES384")
    client = make_client(signing_keys=(first, second), secret_key=SECRET_KEY)
    assert client.assertion_key("private_key_jwt") is first
    assert client.assertion_key("client_secret_jwt") is SECRET_KEY
    for method in ("client_secret_basic", "client_secret_post", "none"):
        assert client.assertion_key(method) is None
    own = make_client(signing_keys=(first,), assertion_keys=(second, first))
    assert own.assertion_key("private_key_jwt") is second
    assert own.assertion_key("client_secret_jwt") is None


def test_an_assertion_that_somebody_else_signs_needs_no_key_of_ours() -> None:
    client = make_client(
        client_assertion=lambda: "header.claims.signature",
        signing_keys=(signing_key("ES256"), signing_key("ES384")),
        secret_key=SECRET_KEY,
    )
    assert client.assertion_key("private_key_jwt") is None
    assert client.first_assertion_key is None and client.former_assertion_keys == ()
    assert client.assertion_key("client_secret_jwt") is SECRET_KEY


def test_all_public_keys_are_published_once() -> None:
    (first,) = parse_signing_keys({**EC_JWK, "kid": "a"})
    (second,) = parse_signing_keys({**P384_JWK, "kid": "b"})
    client = make_client(
        signing_keys=(first, second), assertion_keys=(second,), secret_key=SECRET_KEY
    )
    assert client.public_jwks == [
        public(EC_JWK, kid="a", use="sig"),
        public(P384_JWK, kid="b", use="sig"),
    ]
    assert make_client(assertion_keys=(second,)).public_jwks == [second.public_jwk]
    assert make_client().public_jwks == []


def test_a_key_for_several_algorithms_is_published_once_and_for_all() -> None:
    """A provider that looks for the kid finds it, whatever it was used for."""
    ps256, rs256, any_alg = (
        parse_signing_keys({**RSA_JWK, "kid": "a", **alg})[0]
        for alg in ({"alg": "PS256"}, {"alg": "RS256"}, {})
    )
    for keys in ((ps256, rs256), (ps256, any_alg), (any_alg, ps256), (ps256, rs256, ps256)):
        assert merge_public_keys(keys) == [public(RSA_JWK, kid="a", use="sig")]
    same = public(RSA_JWK, kid="a", use="sig", alg="PS256")
    assert merge_public_keys((ps256, ps256)) == [same] == [ps256.public_jwk]


def test_the_same_key() -> None:
    ps256, rs256 = rsa_key_for("PS256"), rsa_key_for("RS256")
    assert is_same_key(ps256, rs256) and is_same_key(rs256, ps256)
    for other in (signing_key("ES256"), signing_key("ES384"), signing_key("EdDSA")):
        assert not is_same_key(ps256, other) and not is_same_key(other, ps256)
        assert is_same_key(other, other)
