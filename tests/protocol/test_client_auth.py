"""How a client proves who it is; which of these is used is in test_agreement.py."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote_plus

import pytest
from joserfc.jws import JWSRegistry

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.client_auth import (
    ASSERTION_LIFETIME,
    JWT_BEARER,
    ClientAssertion,
    FormerKey,
    GivenAssertion,
    PublicClient,
    SecretInBody,
    SecretInHeader,
    check_assertion_claims,
    mark_of_key,
    with_claims,
    with_key,
)
from flask_parjar.protocol.encoding import b64decode, parse_json_object
from flask_parjar.protocol.jws import verify_token
from flask_parjar.protocol.keys import parse_shared_secret
from flask_parjar.protocol.outbound import Answer, Outbound, Proof
from tests.protocol.examples import (
    CLIENT_ID,
    ISSUER,
    JWK_FOR,
    NOW,
    key_set,
    signing_key,
)
from tests.support.errors import invalid, refused

ENDPOINT = f"{ISSUER}/token"
SECRET = "a client secret of more than 32 bytes"
PLAIN = Outbound.post(ENDPOINT, {"grant_type": "x"})


def apply(proof: Proof) -> Outbound:
    outbound = proof.apply(PLAIN, now=NOW)
    assert (outbound.method, outbound.url) == ("POST", ENDPOINT)
    assert (outbound.form or ())[0] == ("grant_type", "x")
    assert PLAIN == Outbound.post(ENDPOINT, {"grant_type": "x"})  # it is not changed
    return outbound


def added(outbound: Outbound) -> dict[str, str]:
    """The form fields that a proof added."""
    return dict((outbound.form or ())[1:])


def assertion(alg: str = "ES256", **fields: Any) -> ClientAssertion:
    given = {
        "client_id": CLIENT_ID,
        "key": signing_key(alg),
        "alg": alg,
        "audience": ISSUER,
        "typ": "JWT",
    }
    return ClientAssertion(**(given | fields))


PROOFS = [
    PublicClient(client_id=CLIENT_ID),
    SecretInHeader(client_id=CLIENT_ID, client_secret="hunter2"),
    SecretInBody(client_id=CLIENT_ID, client_secret="hunter2"),
    assertion(),
]


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: type(proof).__name__)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_an_answer_changes_nothing(proof: Proof, status: int) -> None:
    document = {"error": "use_dpop_nonce"}
    answer = Answer(status=status, headers={"DPoP-Nonce": "x"}, body=b"", document=document)
    assert proof.learn(answer) is False


def test_basic_of_rfc_6749() -> None:
    """Section 2.3.1."""
    made = apply(SecretInHeader(client_id=CLIENT_ID, client_secret="7Fjfp0ZBr1KtDRbnfVdmIw"))
    assert added(made) == {}
    assert made.headers == {"Authorization": "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"}


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
    made = apply(SecretInHeader(client_id=client_id, client_secret=secret))
    assert added(made) == {}
    scheme, _, value = made.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", pair)
    assert [unquote_plus(half) for half in pair.split(":")] == [client_id, secret]


def test_post_puts_both_into_the_form() -> None:
    made = apply(SecretInBody(client_id=CLIENT_ID, client_secret="s e"))
    assert added(made) == {"client_id": CLIENT_ID, "client_secret": "s e"}
    assert made.headers == {}


def test_none_only_says_who() -> None:
    made = apply(PublicClient(client_id=CLIENT_ID))
    assert added(made) == {"client_id": CLIENT_ID}
    assert made.headers == {}


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: type(proof).__name__)
def test_a_client_id_that_is_there_already_stands_once(proof: Proof) -> None:
    """A push has one beside its request object (RFC 9126 section 3)."""
    pushed = Outbound.post(ENDPOINT, {"client_id": CLIENT_ID, "request": "a.b.c"})
    names = [name for name, _ in proof.apply(pushed, now=NOW).form or ()]
    assert sorted(set(names)) == sorted(names)
    assert {"client_id", "request"} <= set(names)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: type(proof).__name__)
def test_no_secret_is_printed(proof: Proof) -> None:
    made = apply(proof)
    for printed in (repr(proof), repr(made)):
        assert "hunter2" not in printed and "Basic" not in printed
        assert "client_assertion" not in printed and "SigningKey" not in printed


@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(("setting", "audience"), [(ISSUER, ISSUER), (None, ENDPOINT)])
def test_an_assertion(alg: str, setting: str | None, audience: str) -> None:
    key = signing_key(alg)
    made = apply(assertion(alg, audience=setting))
    form = added(made)
    assert made.headers == {}
    assert set(form) == {"client_id", "client_assertion_type", "client_assertion"}
    assert form["client_id"] == CLIENT_ID
    assert form["client_assertion_type"] == JWT_BEARER
    proved = verify_token(
        form["client_assertion"],
        keys=key_set({**JWK_FOR[alg], "kid": key.kid}),
        expected_algs=(alg,),
        expected_typs=("jwt",),
    )
    assert proved.header == {"alg": alg, "typ": "JWT", "kid": key.kid}
    assert proved.claims == {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": audience,
        "jti": proved.claims["jti"],
        "iat": NOW - 10,
        "nbf": NOW - 10,
        "exp": NOW + 60,
    }


def test_the_names_of_rfc_7523() -> None:
    assert JWT_BEARER == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert ASSERTION_LIFETIME == 60


def test_an_assertion_by_a_shared_secret() -> None:
    key = parse_shared_secret(SECRET)
    typ = "client-authentication+jwt"
    proof = ClientAssertion(client_id=CLIENT_ID, key=key, alg="HS256", audience=ISSUER, typ=typ)
    form = added(apply(proof))
    assert set(form) == {"client_id", "client_assertion_type", "client_assertion"}
    header, payload, signature = form["client_assertion"].split(".")
    assert parse_json_object(b64decode(header)) == {"alg": "HS256", "typ": typ}
    assert JWSRegistry.algorithms["HS256"].verify(
        f"{header}.{payload}".encode(), b64decode(signature), key._key
    )
    assert SECRET not in str(form)


def test_no_assertion_is_used_twice() -> None:
    proof, identifiers = assertion(), set()
    for _ in range(20):
        payload = added(apply(proof))["client_assertion"].split(".")[1]
        identifier = parse_json_object(b64decode(payload))["jti"]
        assert len(b64decode(identifier)) == 24
        identifiers.add(identifier)
    assert len(identifiers) == 20


# Further claims, and the key of one login.

SIGNED = "eyJh.eyJp.c2ln"


def claims_of(proof: Proof) -> dict[str, Any]:
    return parse_json_object(b64decode(added(apply(proof))["client_assertion"].split(".")[1]))


def test_further_claims_stand_beside_our_own() -> None:
    """Those of a login come before those of the configuration, and replace none of ours."""
    proof = assertion(
        further_claims=lambda: {"a": 1, "b": 2, "c": {"d": [None]}},
        login_claims={"b": 3, "iss": "another", "exp": 1},
    )
    claims = claims_of(proof)
    assert {name: claims[name] for name in "abc"} == {"a": 1, "b": 3, "c": {"d": [None]}}
    assert (claims["iss"], claims["exp"]) == (CLIENT_ID, NOW + 60)


@pytest.mark.parametrize(
    "claims",
    [None, [], "text", {1: "a"}, {"a": 1, 2: "b"}, {"a": {1}}, {"a": float("nan")}]
    + [{name: "x"} for name in ("iss", "sub", "aud", "jti", "iat", "nbf", "exp")],
    ids=repr,
)
def test_further_claims_that_cannot_be_sent(claims: Any) -> None:
    with invalid(*(claims if isinstance(claims, dict) and "x" in claims.values() else ())):
        check_assertion_claims(claims)
    with invalid():
        apply(assertion(further_claims=lambda: claims))


def test_claims_without_an_end_are_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with invalid():
        check_assertion_claims(endless)


@pytest.mark.parametrize("claims", [{}, {"a": None}, {"roles": [{"of": "x"}], "iss2": 1.5}])
def test_further_claims_that_can_be_sent(claims: dict[str, Any]) -> None:
    check_assertion_claims(claims)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: type(proof).__name__)
def test_claims_of_a_login_need_an_assertion_of_ours(proof: Proof) -> None:
    assert with_claims(proof, {}) is proof
    if isinstance(proof, ClientAssertion):
        assert with_claims(proof, {"a": 1}) == assertion(login_claims={"a": 1})
    else:
        with invalid("assertion_claims"):
            with_claims(proof, {"a": 1})


def test_a_login_goes_on_with_the_key_that_it_began_with() -> None:
    current, former = signing_key("ES256"), signing_key("PS256")
    assert current.mark and former.mark and current.mark != former.mark
    proof = assertion(former={former.mark: FormerKey(former, "PS256")})
    assert mark_of_key(proof) == current.mark
    for mark in (None, current.mark):
        assert with_key(proof, mark) is proof
    of_former = with_key(proof, former.mark)
    assert isinstance(of_former, ClientAssertion)
    assert (of_former.key, of_former.alg, of_former.client_id) == (former, "PS256", CLIENT_ID)
    assert mark_of_key(of_former) == former.mark
    assert with_key(proof, "a mark of no key") is None


@pytest.mark.parametrize("proof", PROOFS[:3], ids=lambda proof: type(proof).__name__)
def test_a_client_without_assertions_has_no_key_to_go_on_with(proof: Proof) -> None:
    assert mark_of_key(proof) is None
    assert with_key(proof, None) is proof
    assert with_key(proof, "a mark") is proof


# An assertion that somebody else signs.


@pytest.mark.parametrize("given", [SIGNED, f" {SIGNED}\n"])
def test_an_assertion_of_somebody_else(given: str) -> None:
    proof = GivenAssertion(client_id=CLIENT_ID, read=lambda: given)
    made = apply(proof)
    assert made.headers == {}
    assert added(made) == {
        "client_id": CLIENT_ID,
        "client_assertion_type": JWT_BEARER,
        "client_assertion": SIGNED,
    }
    assert proof.learn(Answer(status=401, headers={}, body=b"", document=None)) is False


@pytest.mark.parametrize(
    "given", [None, b"eyJh.eyJp.c2ln", "", "a.b", "a.b.c.d", "a.b.", "a.b.c d", "é.b.c"]
)
def test_what_is_no_assertion_is_not_sent(given: Any) -> None:
    with refused(ProviderUnavailable, "client_assertion_missing", "JWT"):
        GivenAssertion(client_id=CLIENT_ID, read=lambda: given).apply(PLAIN, now=NOW)


def test_an_assertion_that_cannot_be_read() -> None:
    def read() -> str:
        raise OSError("hunter2")

    with refused(ProviderUnavailable, "client_assertion_missing", "OSError"):
        GivenAssertion(client_id=CLIENT_ID, read=read).apply(PLAIN, now=NOW)
