"""Proofs as RFC 9449 describes them. An independent reading of the JWS verifies each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

from flask_parjar.protocol.binding import read_binding
from flask_parjar.protocol.dpop import (
    DPOP_ALGORITHMS,
    MAX_NONCE,
    BeginDPoP,
    DPoP,
    place_of,
    read_dpop,
    target_of,
)
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.outbound import Answer, Outbound
from flask_parjar.protocol.transaction import new_seed
from flask_parjar.provider.nonces import Nonces
from tests.protocol.examples import NOW
from tests.support.errors import invalid

TOKEN = "https://op.example/token"
USERINFO = "https://op.example/userinfo"
API = "https://api.example/reports"
SECRET = "yBqfu0AWs2tiLKQLZEkYM1SWUe2uvFqAwG4gkJ7xdMU"

#: RFC 9449 section 7.1, figures 12 and 13.
ACCESS_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
ACCESS_TOKEN_HASH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


def begin(alg: str = "ES256", secret: str = SECRET, *, at_par: bool = True) -> DPoP:
    return BeginDPoP(alg=alg, at_par=at_par)(secret)


def part(text: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return decoded


def read_proof(outbound: Outbound) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a proof whose signature its own public key verifies."""
    text = outbound.headers["DPoP"]
    header = part(text.split(".")[0])
    key_type: Any = OKPKey if header["jwk"]["kty"] == "OKP" else ECKey
    key = key_type.import_key(header["jwk"])
    assert not key.is_private
    signing_input, _, signature = text.rpartition(".")
    decoded = base64.urlsafe_b64decode(signature + "==")
    # (Not by deserialize_compact, which warns of the name EdDSA.)
    assert JWSRegistry.algorithms[header["alg"]].verify(signing_input.encode(), decoded, key)
    return header, part(text.split(".")[1])


def answer(status: int = 200, error: str | None = None, **headers: str) -> Answer:
    document = None if error is None else {"error": error}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=given, body=b"", document=document)


# The key of a login.


@pytest.mark.parametrize("alg", DPOP_ALGORITHMS)
def test_the_key_is_derived_from_the_secret_of_the_login(alg: str) -> None:
    first, again, other = begin(alg), begin(alg), begin(alg, new_seed())
    assert first == again and first.parameters() == again.parameters()
    assert first != other and first.parameters() != other.parameters()
    assert SECRET not in first.to_text() and first.private not in SECRET.encode()


def test_each_algorithm_has_a_key_of_its_own() -> None:
    assert len({begin(alg).private for alg in DPOP_ALGORITHMS}) == len(DPOP_ALGORITHMS)


#: The orders of the curves (SP 800-186 section 3.2.1), and the octets of a private key.
ORDERS = {
    "ES256": (0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, 32),
    "ES384": (2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D, 48),
    "ES512": (
        2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
        66,
    ),
}


@pytest.mark.parametrize("alg", DPOP_ALGORITHMS)
def test_the_key_is_derived_as_fips_186_5_says(alg: str) -> None:
    """Appendix A.2.1: 128 bits more than the key needs, and one added to the remainder.

    The tokens of a session are bound to this key, so that it must stay the same in each version.
    """
    blocks = [
        hmac.new(SECRET.encode(), f"dpop {alg} ".encode() + bytes([number]), hashlib.sha512)
        for number in (1, 2)
    ]
    wide = blocks[0].digest() + blocks[1].digest()
    expected = wide[:32]
    if alg in ORDERS:
        order, size = ORDERS[alg]
        number = int.from_bytes(wide[: size + 16], "big") % (order - 1) + 1
        expected = number.to_bytes(size, "big")
    assert begin(alg).private == expected


@pytest.mark.parametrize("alg", ORDERS)
def test_a_private_key_is_a_number_below_the_order(alg: str) -> None:
    order, size = ORDERS[alg]
    for number in (1, order - 1):
        private = number.to_bytes(size, "big")
        assert read_dpop(f"{alg}.{b64encode(private)}").private == private
    for number in (0, order):
        with invalid():
            read_dpop(f"{alg}.{b64encode(number.to_bytes(size, 'big'))}")


@pytest.mark.parametrize("alg", DPOP_ALGORITHMS)
def test_the_key_is_bound_by_its_thumbprint(alg: str) -> None:
    """RFC 9449 section 10: ``dpop_jkt`` is the SHA-256 thumbprint of the key of the proofs."""
    binding = begin(alg)
    (proof,) = binding.proofs(nonces=Nonces())
    header, _ = read_proof(proof.apply(Outbound.post(TOKEN, {}), now=NOW))
    key_type: Any = OKPKey if header["jwk"]["kty"] == "OKP" else ECKey
    assert binding.parameters() == {"dpop_jkt": key_type.import_key(header["jwk"]).thumbprint()}


@pytest.mark.parametrize("alg", DPOP_ALGORITHMS)
def test_what_is_stored_is_the_private_key_and_nothing_else(alg: str) -> None:
    binding = begin(alg, at_par=False)
    stored = binding.to_text()
    assert stored == f"{alg}.{b64encode(binding.private)}"
    assert read_binding("dpop", stored) == read_dpop(stored) == binding
    assert read_dpop(stored).parameters() == binding.parameters()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ES256",
        "ES256.",
        "RS256." + b64encode(bytes(32)),
        "ES256." + b64encode(bytes(32)),
        "ES256." + b64encode(b"\xff" * 32),
        "ES256." + b64encode(b"\x01" * 31),
        "ES384." + b64encode(b"\x01" * 32),
        "ES512." + b64encode(b"\xff" * 66),
        "Ed25519." + b64encode(b"\x01" * 33),
        "ES256.not base64",
        "ES256." + b64encode(b"\x01" * 32) + "=",
    ],
)
def test_what_is_no_stored_key(text: str) -> None:
    with invalid(""):
        read_dpop(text)


def test_no_key_is_printed() -> None:
    binding = begin()
    (proof,) = binding.proofs(ACCESS_TOKEN, nonces=Nonces())
    printed = f"{binding!r} {proof!r} {binding._key()!r}"
    for secret in (b64encode(binding.private), repr(binding.private), ACCESS_TOKEN):
        assert secret not in printed


# What a proof says.


def test_a_proof_for_the_authorization_server() -> None:
    """RFC 9449 section 4.2. (It has no ``exp``; Singpass refuses a proof without one.)"""
    (proof,) = begin().proofs(nonces=Nonces())
    plain = Outbound.post(f"{TOKEN}?tenant=1#x", {"code": "c"})
    outbound = proof.apply(plain, now=NOW)
    assert (outbound.method, outbound.url, outbound.form) == (plain.method, plain.url, plain.form)
    assert outbound.headers.keys() == {"DPoP"}
    header, claims = read_proof(outbound)
    assert header.keys() == {"typ", "alg", "jwk"} and header["jwk"].keys() == {*"xy", "kty", "crv"}
    assert (header["typ"], header["alg"]) == ("dpop+jwt", "ES256")
    assert len(claims.pop("jti")) == 22  # 128 bits
    assert claims == {"htm": "POST", "htu": TOKEN, "iat": NOW, "exp": NOW + 60}


def test_a_proof_for_an_api_has_the_hash_of_the_token() -> None:
    (proof,) = begin().proofs(ACCESS_TOKEN, nonces=Nonces())
    outbound = proof.apply(Outbound(method="get", url=API), now=NOW)
    assert outbound.headers["Authorization"] == f"DPoP {ACCESS_TOKEN}"
    _, claims = read_proof(outbound)
    assert (claims["ath"], claims["htm"], claims["htu"]) == (ACCESS_TOKEN_HASH, "GET", API)


def test_each_proof_has_an_identifier_of_its_own() -> None:
    (proof,) = begin().proofs(nonces=Nonces())
    outbound = Outbound.post(TOKEN, {})
    made = {read_proof(proof.apply(outbound, now=NOW))[1]["jti"] for _ in range(20)}
    assert len(made) == 20


@pytest.mark.parametrize("alg", DPOP_ALGORITHMS)
def test_each_algorithm_signs_proofs(alg: str) -> None:
    (proof,) = begin(alg).proofs(nonces=Nonces())
    header, claims = read_proof(proof.apply(Outbound.post(TOKEN, {}), now=NOW))
    assert (header["alg"], claims["htu"]) == (alg, TOKEN)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.example", "https://api.example/"),
        ("https://api.example?x=1", "https://api.example/"),
        ("https://api.example/a//b/?x=/#/y", "https://api.example/a//b/"),
        ("https://api.example:8443/%7Ea%2Fb", "https://api.example:8443/%7Ea%2Fb"),
        ("https://api.example/ä b", "https://api.example/%C3%A4%20b"),
        ("https://name:word@api.example/a", "https://api.example/a"),
        ("http://[::1]:80/a;b=c,d", "http://[::1]:80/a;b=c,d"),
    ],
)
def test_the_target_is_the_url_without_query_and_fragment(url: str, target: str) -> None:
    assert target_of(url) == target


def test_a_push_has_a_proof_unless_it_is_switched_off() -> None:
    assert len(begin().push_proofs(nonces=Nonces())) == 1
    nonces = Nonces()
    nonces.put("provider https://op.example:443", "n-1")
    (proof,) = begin().push_proofs(nonces=nonces)
    pushed = proof.apply(Outbound.post("https://op.example/par", {}), now=NOW)
    assert read_proof(pushed)[1]["nonce"] == "n-1"
    without = begin(at_par=False)
    assert without.push_proofs(nonces=Nonces()) == ()
    assert without.parameters() == begin().parameters()
    assert len(without.proofs(nonces=Nonces())) == 1


@pytest.mark.parametrize("token_type", ["DPoP", "dpop", "DPOP", "dPoP"])
def test_the_type_of_a_bound_token(token_type: str) -> None:
    assert begin().accepts(token_type)


@pytest.mark.parametrize("token_type", ["", "Bearer", "bearer", "mac", "DPoP ", "N_A"])
def test_another_type_is_not_bound(token_type: str) -> None:
    assert not begin().accepts(token_type)


# Nonces.


def test_a_nonce_is_kept_for_a_server_as_what_it_was_asked_as() -> None:
    """RFC 9449 section 9: the nonces of an API are not those of the authorization server."""
    nonces = Nonces()
    learn(nonces, API, answer(200, DPoP_Nonce="of-the-api"), ACCESS_TOKEN)
    learn(nonces, TOKEN, answer(200, DPoP_Nonce="of-the-provider"))
    assert nonces.get(place_of(API, of_api=True)) == "of-the-api"
    assert nonces.get(place_of(TOKEN, of_api=False)) == "of-the-provider"
    assert nonces.get(place_of(API, of_api=False)) is None


def nonce_sent(nonces: Nonces, url: str, access_token: str | None = None) -> str | None:
    (proof,) = begin().proofs(access_token, nonces=nonces)
    _, claims = read_proof(proof.apply(Outbound(method="POST", url=url), now=NOW))
    return claims.get("nonce")


def learn(nonces: Nonces, url: str, given: Answer, access_token: str | None = None) -> bool:
    (proof,) = begin().proofs(access_token, nonces=nonces)
    proof.apply(Outbound(method="POST", url=url), now=NOW)
    return proof.learn(given)


@pytest.mark.parametrize(
    "given",
    [
        answer(400, "use_dpop_nonce", DPoP_Nonce="n"),
        answer(401, "use_dpop_nonce", DPoP_Nonce="n"),
        answer(401, DPoP_Nonce="n", WWW_Authenticate='DPoP error="use_dpop_nonce"'),
        answer(401, DPoP_Nonce="n", WWW_Authenticate='dPoP algs="ES256", error=use_dpop_nonce'),
        answer(401, DPoP_Nonce="n", WWW_Authenticate='Basic x="", DPOP error="use_dpop_nonce"'),
    ],
)
def test_a_server_that_asks_for_a_nonce_gets_it_at_once(given: Answer) -> None:
    nonces = Nonces()
    assert learn(nonces, API, given, ACCESS_TOKEN)
    assert nonce_sent(nonces, API, ACCESS_TOKEN) == "n"


@pytest.mark.parametrize(
    "given",
    [
        answer(200, DPoP_Nonce="n"),
        answer(200, "use_dpop_nonce", DPoP_Nonce="n"),
        answer(403, "use_dpop_nonce", DPoP_Nonce="n"),
        answer(500, "use_dpop_nonce", DPoP_Nonce="n"),
        answer(400, "invalid_dpop_proof", DPoP_Nonce="n"),
        answer(400, "invalid_grant", DPoP_Nonce="n"),
        answer(401, DPoP_Nonce="n", WWW_Authenticate='DPoP error="invalid_token"'),
        answer(401, DPoP_Nonce="n", WWW_Authenticate='Digest error="use_dpop_nonce"'),
    ],
)
def test_a_nonce_that_comes_with_any_answer_is_for_the_next_proof(given: Answer) -> None:
    nonces = Nonces()
    assert not learn(nonces, TOKEN, given)
    assert nonce_sent(nonces, TOKEN) == "n"


def test_without_a_new_nonce_there_is_no_second_try() -> None:
    nonces = Nonces()
    asks = answer(400, "use_dpop_nonce", DPoP_Nonce="the-same")
    assert not learn(nonces, TOKEN, answer(400, "use_dpop_nonce"))
    assert learn(nonces, TOKEN, asks)
    assert not learn(nonces, TOKEN, asks)
    assert learn(nonces, TOKEN, answer(400, "use_dpop_nonce", DPoP_Nonce="newer"))


@pytest.mark.parametrize(
    "nonce", ["", "a b", "a\r\nX: y", "\x00", "ä", 'a"b', "a\\b", "one, two", "n" * (MAX_NONCE + 1)]
)
def test_a_nonce_that_no_header_has_is_ignored(nonce: str) -> None:
    """RFC 9449 section 8.1. Two headers in one, as HTTP libraries join them, are none either."""
    nonces = Nonces()
    learn(nonces, TOKEN, answer(DPoP_Nonce="known"))
    assert not learn(nonces, TOKEN, answer(400, "use_dpop_nonce", DPoP_Nonce=nonce))
    assert nonce_sent(nonces, TOKEN) == "known"


@pytest.mark.parametrize("nonce", ["!", "~", "a,b", "eyJ7S_zG.eyJH0-Z.HX4w-7v", "n" * MAX_NONCE])
def test_nonces_are_sent_back_as_they_came(nonce: str) -> None:
    nonces = Nonces()
    learn(nonces, TOKEN, answer(DPoP_Nonce=nonce))
    assert nonce_sent(nonces, TOKEN) == nonce


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://op.example:8443/token",
        "http://op.example/token",
        "https://op.example.evil.example/token",
        "https://evil.example/https://op.example",
        "https://op.example@evil.example/token",
    ],
)
def test_a_nonce_goes_to_its_own_origin_alone(elsewhere: str) -> None:
    nonces = Nonces()
    learn(nonces, TOKEN, answer(DPoP_Nonce="n"))
    assert nonce_sent(nonces, elsewhere) is None
    assert nonce_sent(nonces, "https://OP.example:443/par") == "n"


def test_the_authorization_server_and_an_api_at_one_origin_have_nonces_of_their_own() -> None:
    nonces = Nonces()
    learn(nonces, TOKEN, answer(DPoP_Nonce="of-the-server"))
    assert nonce_sent(nonces, USERINFO, ACCESS_TOKEN) is None
    learn(nonces, USERINFO, answer(DPoP_Nonce="of-the-api"), ACCESS_TOKEN)
    assert nonce_sent(nonces, USERINFO, ACCESS_TOKEN) == "of-the-api"
    assert nonce_sent(nonces, TOKEN) == "of-the-server"


def test_a_place_is_named_by_its_origin() -> None:
    assert place_of("https://API.example/x", of_api=True) == "api https://api.example:443"
    assert place_of("http://[::1]:8080", of_api=False) == "provider http://::1:8080"
