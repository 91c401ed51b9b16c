from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote_plus

import pytest
from joserfc.jws import JWSRegistry

from flask_parjar.protocol.client_auth import (
    ASSERTION_LIFETIME,
    JWT_BEARER,
    ClientAuthentication,
    authenticate_client,
)
from flask_parjar.protocol.encoding import b64decode, parse_json_object
from flask_parjar.protocol.jws import verify_token
from flask_parjar.protocol.keys import parse_shared_secret
from flask_parjar.protocol.metadata import Agreement
from tests.protocol.examples import (
    CLIENT_ID,
    ISSUER,
    JWK_FOR,
    NOW,
    key_set,
    make_client,
    signing_key,
)

ENDPOINT = f"{ISSUER}/token"
SECRET = "a client secret of more than 32 bytes"


def authenticate(
    method: str, alg: str | None = None, *, key: Any = None, **fields: Any
) -> ClientAuthentication:
    return authenticate_client(
        make_client(**fields),
        Agreement(
            pushed=True,
            request_object_alg=None,
            client_auth=method,
            client_assertion_alg=alg,
            id_token_algs=(),
        ),
        key=key,
        endpoint=ENDPOINT,
        now=NOW,
    )


def test_basic_of_rfc_6749() -> None:
    """Section 2.3.1."""
    assert authenticate("client_secret_basic", client_secret="7Fjfp0ZBr1KtDRbnfVdmIw") == (
        ClientAuthentication(
            form={"client_id": CLIENT_ID},
            authorization="Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3",
        )
    )


@pytest.mark.parametrize(
    ("client_id", "secret", "pair"),
    [
        ("a:b", "c:d", "a%3Ab:c%3Ad"),
        # RFC 6749 appendix B
        (" %&+£€", "x", "+%25%26%2B%C2%A3%E2%82%AC:x"),
        ("https://client.example/", "p/ss=w?rd", "https%3A%2F%2Fclient.example%2F:p%2Fss%3Dw%3Frd"),
        ("a", "b\r\nX-Injected: 1", "a:b%0D%0AX-Injected%3A+1"),
    ],
)
def test_basic_is_form_encoded_first(client_id: str, secret: str, pair: str) -> None:
    made = authenticate("client_secret_basic", client_id=client_id, client_secret=secret)
    assert made.form == {"client_id": client_id}
    assert made.authorization is not None
    scheme, _, value = made.authorization.partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", pair)
    assert [unquote_plus(half) for half in pair.split(":")] == [client_id, secret]


def test_post_puts_both_into_the_form() -> None:
    assert authenticate("client_secret_post", client_secret="s e") == ClientAuthentication(
        form={"client_id": CLIENT_ID, "client_secret": "s e"}, authorization=None
    )


def test_none_only_says_who() -> None:
    assert authenticate("none", client_secret="s") == ClientAuthentication(
        form={"client_id": CLIENT_ID}, authorization=None
    )


def test_nothing_of_it_is_printed() -> None:
    for method in ("client_secret_basic", "client_secret_post"):
        made = authenticate(method, client_secret="hunter2")
        assert repr(made) == "ClientAuthentication()"


@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(("setting", "audience"), [("issuer", ISSUER), ("endpoint", ENDPOINT)])
def test_an_assertion(alg: str, setting: str, audience: str) -> None:
    key = signing_key(alg)
    made = authenticate("private_key_jwt", alg, key=key, assertion_audience=setting)
    assert made.authorization is None
    assert set(made.form) == {"client_id", "client_assertion_type", "client_assertion"}
    assert made.form["client_id"] == CLIENT_ID
    assert made.form["client_assertion_type"] == JWT_BEARER
    proved = verify_token(
        made.form["client_assertion"],
        keys=key_set({**JWK_FOR[alg], "kid": key.kid}),
        expected_algs=(alg,),
        expected_typs=(None,),
    )
    assert proved.header == {"alg": alg, "kid": key.kid}
    assert proved.claims == {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": audience,
        "jti": proved.claims["jti"],
        "iat": NOW,
        "exp": NOW + 60,
    }


def test_the_names_of_rfc_7523() -> None:
    assert JWT_BEARER == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert ASSERTION_LIFETIME == 60


def test_an_assertion_by_a_shared_secret() -> None:
    key = parse_shared_secret(SECRET)
    made = authenticate("client_secret_jwt", "HS256", key=key, client_secret=SECRET)
    assert set(made.form) == {"client_id", "client_assertion_type", "client_assertion"}
    header, payload, signature = made.form["client_assertion"].split(".")
    assert parse_json_object(b64decode(header)) == {"alg": "HS256"}
    assert JWSRegistry.algorithms["HS256"].verify(
        f"{header}.{payload}".encode(), b64decode(signature), key._key
    )
    assert SECRET not in str(made.form)


def test_no_assertion_is_used_twice() -> None:
    identifiers = set()
    for _ in range(20):
        made = authenticate("private_key_jwt", "ES256", key=signing_key("ES256"))
        payload = made.form["client_assertion"].split(".")[1]
        identifier = parse_json_object(b64decode(payload))["jti"]
        assert len(b64decode(identifier)) == 24
        identifiers.add(identifier)
    assert len(identifiers) == 20


@pytest.mark.parametrize(("alg", "key"), [(None, signing_key("ES256")), ("ES256", None)])
def test_without_a_key_or_an_algorithm_there_is_no_assertion(alg: str | None, key: Any) -> None:
    assert authenticate("none", alg, key=key) == ClientAuthentication(form={"client_id": CLIENT_ID})


def test_a_missing_secret_is_an_empty_one() -> None:
    made = authenticate("client_secret_post")
    assert made.form == {"client_id": CLIENT_ID, "client_secret": ""}
