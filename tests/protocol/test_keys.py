from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.algorithms import ALGORITHMS
from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.keys import (
    MAX_KEYS,
    MAX_RSA_BITS,
    MIN_RSA_BITS,
    KeySet,
    parse_shared_secret,
    parse_signing_keys,
)
from tests.protocol.examples import (
    EC_JWK,
    JWK_FOR,
    OKP_JWK,
    P384_JWK,
    P521_JWK,
    RSA_JWK,
    invalid,
    key_set,
    public,
    refused,
    rsa_key_for,
    signing_key,
)
from tests.protocol.strangers import bounded, documents

RSA_ALGS = ("PS256", "RS256", "PS384", "RS384", "PS512", "RS512")
OKP_ALGS = ("Ed25519", "EdDSA")
SECRET = "a client secret of more than 32 bytes"

# Thumbprints (RFC 7638); that of OKP_JWK is in RFC 8037 appendix A.3.
RSA_KID = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8"
OKP_KID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
EC_KID = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"


def pem(key: Any, form: str = "PKCS8") -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM,
            {
                "PKCS8": serialization.PrivateFormat.PKCS8,
                "PKCS1 or SEC1": serialization.PrivateFormat.TraditionalOpenSSL,
                "OpenSSH": serialization.PrivateFormat.OpenSSH,
            }[form],
            serialization.NoEncryption(),
        ).decode()
    )


def public_pem(key: Any) -> str:
    return str(
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def native(alg: str) -> Any:
    return signing_key(alg)._key.raw_value


def rsa_jwk(bits: int, **more: Any) -> dict[str, Any]:
    """A public RSA JWK with a modulus of so many bits; nobody knows its factors, nor must."""
    modulus = (1 << (bits - 1)) | 1
    return {
        "kty": "RSA",
        "n": b64encode(modulus.to_bytes((bits + 7) // 8, "big")),
        "e": "AQAB",
    } | more


# Our keys: what is taken.


@pytest.mark.parametrize(
    ("jwk", "kty", "crv", "kid", "algorithms"),
    [
        (RSA_JWK, "RSA", None, RSA_KID, RSA_ALGS),
        (EC_JWK, "EC", "P-256", EC_KID, ("ES256",)),
        (P384_JWK, "EC", "P-384", None, ("ES384",)),
        (P521_JWK, "EC", "P-521", None, ("ES512",)),
        (OKP_JWK, "OKP", "Ed25519", OKP_KID, OKP_ALGS),
    ],
)
def test_a_private_jwk(
    jwk: dict[str, Any],
    kty: str,
    crv: str | None,
    kid: str | None,
    algorithms: tuple[str, ...],
) -> None:
    (key,) = parse_signing_keys(jwk)
    assert (key.kty, key.crv, key.alg, key.algorithms) == (kty, crv, None, algorithms)
    assert key.kid is not None and len(key.kid) == 43
    assert kid is None or key.kid == kid
    assert key.public_jwk == {**public(jwk), "kid": key.kid, "use": "sig"}
    (from_text,) = parse_signing_keys(f"\n {json.dumps(jwk)} \n")
    assert from_text.public_jwk == key.public_jwk


def test_a_kid_and_an_alg_of_its_own_are_kept() -> None:
    (key,) = parse_signing_keys(
        {**RSA_JWK, "kid": "2011-04-29", "alg": "RS384", "use": "sig", "key_ops": ["sign"]}
    )
    assert (key.kid, key.kty, key.crv, key.alg) == ("2011-04-29", "RSA", None, "RS384")
    assert key.algorithms == ("RS384",)
    assert key.public_jwk == public(RSA_JWK, kid="2011-04-29", alg="RS384", use="sig")
    (key,) = parse_signing_keys({**OKP_JWK, "alg": "EdDSA"})
    assert (key.crv, key.algorithms) == ("Ed25519", ("EdDSA",))


def test_no_private_and_no_unknown_member_is_published() -> None:
    certificate = {"x5c": ["MIIB"], "x5t": "t", "x5t#S256": "t", "x5u": "https://client.example"}
    more = {"p": "p", "k": "k", "oth": [1], "comment": "pass phrase: hunter2", "key_ops": ["sign"]}
    (key,) = parse_signing_keys({**EC_JWK, **more, **certificate})
    assert key.public_jwk == public(EC_JWK, kid=EC_KID, use="sig", **certificate)


def test_no_private_member_is_printed() -> None:
    (key,) = parse_signing_keys(EC_JWK)
    assert EC_JWK["d"] not in repr(key)
    assert "_key" not in repr(key)


@pytest.mark.parametrize("form", ["PKCS8", "PKCS1 or SEC1", "OpenSSH"])
@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512"])
def test_a_private_pem(alg: str, form: str) -> None:
    (key,) = parse_signing_keys(pem(native(alg), form))
    assert key.public_jwk == signing_key(alg).public_jwk
    assert key.algorithms == signing_key(alg).algorithms


def test_a_private_pem_of_ed25519() -> None:
    (key,) = parse_signing_keys(pem(native("Ed25519")))
    assert (key.kid, key.algorithms) == (OKP_KID, OKP_ALGS)


def test_a_pem_from_an_environment_file() -> None:
    text = pem(native("ES256")).replace("\n", "\\n")
    assert "\n" not in text
    assert parse_signing_keys(f"  {text}  ")[0].kid == EC_KID


def test_a_jwk_set_keeps_its_order_and_puts_those_that_cannot_sign_last() -> None:
    keys = parse_signing_keys(
        {
            "keys": [
                public(P384_JWK, kid="retired", key_ops=["verify"]),
                {**EC_JWK, "kid": "now"},
                public(RSA_JWK, kid="older"),
                {**OKP_JWK, "kid": "next"},
            ]
        }
    )
    assert [key.kid for key in keys] == ["now", "next", "retired", "older"]
    assert [key.public_jwk["kid"] for key in keys] == ["now", "next", "retired", "older"]
    text = json.dumps({"keys": [EC_JWK]})
    assert parse_signing_keys(text)[0].kid == EC_KID


# Our keys: what is refused, in words for the developer.

NO_PRIVATE_KEY = "there is no private key in it (a JWK has one in its member d)"
NOT_A_PEM = "not a PEM that can be read, or of an unusual kind"


@pytest.mark.parametrize(
    "value", [public(EC_JWK), {"keys": [public(EC_JWK), public(RSA_JWK)]}, {"keys": []}]
)
def test_no_private_key(value: dict[str, Any]) -> None:
    with invalid(NO_PRIVATE_KEY):
        parse_signing_keys(value)


def test_a_public_pem() -> None:
    for alg in ("RS256", "ES256", "Ed25519"):
        with invalid(NO_PRIVATE_KEY):
            parse_signing_keys(public_pem(native(alg)))


@pytest.mark.parametrize("listed", [None, {}, "x", 1, [1], [EC_JWK, "x"], [None], [[EC_JWK]]])
def test_a_jwk_set_without_a_list_of_jwks(listed: object) -> None:
    with invalid("the member keys of a JWK Set is a list of JWKs"):
        parse_signing_keys({"keys": listed})


@pytest.mark.parametrize("kty", [None, "", "oct", "rsa", "AKP", ["RSA"], 1, {}])
def test_a_jwk_of_another_type(kty: object) -> None:
    with invalid("a JWK must have kty RSA, EC or OKP"):
        parse_signing_keys({**RSA_JWK, "kty": kty})


def test_a_jwk_without_a_type() -> None:
    with invalid("a JWK must have kty RSA, EC or OKP"):
        parse_signing_keys({})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"kty":"EC","kty":"RSA"}', "a member stands twice"),
        (
            "{",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ('{"keys":1}', "the member keys of a JWK Set is a list of JWKs"),
    ],
)
def test_json_that_is_no_jwk(text: str, reason: str) -> None:
    with invalid(reason):
        parse_signing_keys(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "[]", "hunter2", "\0", "-----BEGIN PRIVATE KEY-----", "ssh-rsa AAAA"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ],
)
def test_text_that_is_no_pem(text: str) -> None:
    with invalid(NOT_A_PEM):
        parse_signing_keys(text)


def test_text_that_is_no_unicode() -> None:
    for text in ("-----BEGIN \ud800", '{"a":"\ud800"}'):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            parse_signing_keys(text)


def test_a_pem_with_a_pass_phrase() -> None:
    encrypted = native("ES256").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    with invalid("the PEM is encrypted: write the key without a pass phrase"):
        parse_signing_keys(encrypted.decode())


@pytest.mark.parametrize(
    ("key", "crv"),
    [(x25519.X25519PrivateKey.generate(), "X25519"), (ed448.Ed448PrivateKey.generate(), "Ed448")],
)
def test_a_pem_on_a_curve_that_cannot_sign(key: Any, crv: str) -> None:
    reason = f"a key on curve {crv} cannot sign; use P-256, P-384, P-521 or Ed25519"
    with invalid(reason):
        parse_signing_keys(pem(key))


def test_a_pem_on_a_curve_without_a_name_in_jose() -> None:
    with invalid(NOT_A_PEM):
        parse_signing_keys(pem(ec.generate_private_key(ec.SECP224R1())))


def test_a_pem_on_a_curve_that_cryptography_does_not_support() -> None:
    sect283r1 = bytes.fromhex("06052b81040010")  # 1.3.132.0.16, in place of 1.3.132.0.34
    der = native("ES384").private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert der.count(bytes.fromhex("06052b81040022")) == 1
    changed = der.replace(bytes.fromhex("06052b81040022"), sect283r1)
    body = b64encode(changed).replace("-", "+").replace("_", "/")
    body += "=" * (-len(body) % 4)
    with invalid(NOT_A_PEM):
        parse_signing_keys(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")


# openssl genpkey, DSA with 1024 bits
DSA_PEM = """-----BEGIN PRIVATE KEY-----
MIIBWgIBADCCATMGByqGSM44BAEwggEmAoGBAPyYIP4MilKe04dT0v72DCRbrv2b
zh0VNcoFP5QPq2QIq6u6vY+8zYNtc0zFDN2OQzFqQ5j83ySNFFYGH5d4VegQbVwQ
Yo8ZTmOD9CgKvdy/OxJt/A3cMRUxATu9KH9r36nRuUvUg2IpfqhC4tFH2R3msc4M
Z8UmhsPifDG0AHHbAh0A460TY3ItGap/sOpqAxhBMvfHaMwgj4svbzOywwKBgBeV
KsO+MwUpTk3xlpjq7+a/atJEmZrpf+qv57UpX6xV1Vo+RNuY31aS5Px8TsgLbmNY
SIa0nki+hwKAUANT9tbsnG3KpXjcLAIsa2Cf3KcbHz/YGDejXV5NOr/+jXGoaBgj
3kaGLsjxX0UyUulD+LXJcFP4Vd0viKl8GIeiSYe0BB4CHFJnY0473d1c16j9rh5S
fGghaiY8DuEy4KP1GvI=
-----END PRIVATE KEY-----"""


def test_a_pem_of_another_type() -> None:
    with invalid("the PEM is of a key type other than RSA, EC or Ed25519"):
        parse_signing_keys(DSA_PEM)


def test_a_weak_rsa_pem() -> None:
    key = rsa.generate_private_key(65537, 1024)
    with invalid("the RSA key has 1024 bits; 2048 to 8192 are taken"):
        parse_signing_keys(pem(key))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"use": "enc"}, "its use is not 'sig'"),
        ({"key_ops": ["verify"]}, "its key_ops do not have 'sign'"),
        ({"key_ops": []}, "its key_ops do not have 'sign'"),
        ({"alg": "ES384"}, "its alg 'ES384' does not fit the key; one of ES256 would"),
        ({"alg": "none"}, "its alg 'none' does not fit the key; one of ES256 would"),
        ({"use": ["sig"]}, "its use is not 'sig'"),
    ],
)
def test_a_private_jwk_that_cannot_sign(members: dict[str, Any], reason: str) -> None:
    with invalid(reason):
        parse_signing_keys({**EC_JWK, **members})


@pytest.mark.parametrize(
    "members",
    [
        *({"kid": 5}, {"kid": None}, {"alg": None}, {"alg": ["ES256"]}),
        *({"key_ops": ["fly"]}, {"key_ops": 1}, {"key_ops": [["sign"]]}),
        *({"use": "sig", "key_ops": ["sign", "encrypt"]}, {"crv": "P-192"}, {"crv": ["P-256"]}),
        *({"d": None}, {"d": EC_JWK["x"]}, {"y": EC_JWK["x"]}, {"x": "="}, {"x": None}),
    ],
)
def test_a_jwk_that_cannot_be_read(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^the JWK cannot be read \(\w+\)$"):
        parse_signing_keys({**EC_JWK, **members})


def test_the_public_keys_of_a_set_are_for_verifying() -> None:
    retired = public(P384_JWK, key_ops=["sign"])
    with invalid("its key_ops do not have 'verify'"):
        parse_signing_keys({"keys": [EC_JWK, retired]})


def test_an_rsa_alg_that_does_not_fit() -> None:
    reason = (
        "its alg 'ES256' does not fit the key; one of "
        "PS256, RS256, PS384, RS384, PS512, RS512 would"
    )
    with invalid(reason):
        parse_signing_keys({**RSA_JWK, "alg": "ES256"})


@pytest.mark.parametrize("modulus", [None, 5, [], True, {}])
def test_an_rsa_jwk_without_a_modulus(modulus: object) -> None:
    with invalid("the RSA JWK has no modulus n"):
        parse_signing_keys({**RSA_JWK, "n": modulus})


def test_an_rsa_jwk_whose_modulus_is_no_base64url() -> None:
    with invalid("not base64url"):
        parse_signing_keys({**RSA_JWK, "n": "AA=="})


@bounded
@given(documents(EC_JWK | {"kid": "1", "use": "sig", "key_ops": ["sign"], "alg": "ES256"}))
def test_a_jwk_of_a_stranger_has_one_error(jwk: dict[str, Any]) -> None:
    try:
        keys = parse_signing_keys(jwk)
    except ValueError:
        return
    for key in keys:
        assert key.sign({}, alg=key.algorithms[0]).count(".") == 2
        assert "d" not in key.public_jwk


@bounded
@given(st.text() | st.text('-BEGIN PRIVATEKYRS\n{}\\"=:', max_size=60))
def test_a_pem_of_a_stranger_has_one_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_signing_keys(text)


# Signing.


def read(part: str) -> Any:
    return json.loads(b64decode(part))


@pytest.mark.parametrize("alg", sorted(JWK_FOR))
def test_a_signature_and_its_header(alg: str) -> None:
    key = signing_key(alg)
    token = key.sign({"a": [1, "é"]}, alg=alg, typ="x+jwt")
    header, payload, signature = token.split(".")
    assert b64decode(header) == f'{{"alg":"{alg}","typ":"x+jwt","kid":"{key.kid}"}}'.encode()
    assert b64decode(payload) == b'{"a":[1,"\\u00e9"]}'
    assert JWSRegistry.algorithms[alg].verify(
        f"{header}.{payload}".encode(), b64decode(signature), key._key
    )
    assert read(key.sign({}, alg=alg).split(".")[0]) == {"alg": alg, "kid": key.kid}


def test_rsa_signatures_are_those_of_rfc_7515() -> None:
    """Appendix A.2: the signing input is not JSON as we write it, so it is signed as it stands."""
    signing_input = (
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
        "mNvbS9pc19yb290Ijp0cnVlfQ"
    )
    signature = JWSRegistry.algorithms["RS256"].sign(
        signing_input.encode(), signing_key("RS256")._key
    )
    assert b64encode(signature).startswith("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu")


@pytest.mark.parametrize("private", [True, False])
def test_the_text_of_a_key_is_no_shared_secret(private: bool) -> None:
    """Whoever reads the public key could sign in our name."""
    pem = ECKey.generate_key("P-256").as_pem(private=private).decode("ascii")
    with pytest.raises(ValueError, match="a PEM is no shared secret"):
        parse_shared_secret(pem)


def test_a_shared_secret() -> None:
    key = parse_shared_secret(SECRET)
    assert (key.kid, key.kty, key.crv, key.alg, key.public_jwk) == (None, "oct", None, None, {})
    assert key.algorithms == ("HS256", "HS384", "HS512")
    assert SECRET not in repr(key)
    assert read(key.sign({}, alg="HS256", typ="JWT").split(".")[0]) == {
        "alg": "HS256",
        "typ": "JWT",
    }


def test_hmac_as_openssl_makes_it() -> None:
    # printf %s "$signing_input" | openssl dgst -sha256 -hmac "$SECRET" -binary | basenc --base64url
    token = parse_shared_secret(SECRET).sign({"iss": "joe"}, alg="HS256")
    assert token == (
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.PFxMXm7Y8BmBAD6_wauQ227dDArSM8hV5Sfse6Kh4rI"
    )


# Which algorithm.


@pytest.mark.parametrize(
    ("alg_of_key", "listed", "pinned", "chosen"),
    [
        # the provider is silent
        ("RS256", None, None, "RS256"),
        ("ES256", None, None, "ES256"),
        ("ES384", None, None, "ES384"),
        ("ES512", None, None, "ES512"),
        ("Ed25519", None, None, "EdDSA"),
        # the provider lists
        ("RS256", ("RS256", "PS256"), None, "PS256"),
        ("RS256", ("RS512", "RS384"), None, "RS384"),
        ("RS256", ("none", "RS256"), None, "RS256"),
        ("Ed25519", ("EdDSA", "Ed25519"), None, "Ed25519"),
        ("Ed25519", ("EdDSA",), None, "EdDSA"),
        ("ES256", ("RS256", "ES384"), None, None),
        ("ES256", (), None, None),
        # we pinned
        ("RS256", None, "RS512", "RS512"),
        ("RS256", ("RS256", "RS512"), "RS512", "RS512"),
        ("RS256", ("RS256",), "RS512", None),
        ("RS256", (), "RS256", None),
        ("ES256", None, "RS256", None),
        ("ES256", ("RS256", "ES256"), "RS256", None),
    ],
)
def test_negotiation(
    alg_of_key: str, listed: tuple[str, ...] | None, pinned: str | None, chosen: str | None
) -> None:
    assert signing_key(alg_of_key).negotiate(listed, pinned) == chosen


@pytest.mark.parametrize(
    ("listed", "pinned", "chosen"),
    [
        (None, None, "RS512"),
        (("RS256", "RS512"), None, "RS512"),
        (("RS256",), None, None),
        (None, "RS512", "RS512"),
        (None, "RS256", None),
    ],
)
def test_negotiation_of_a_key_with_an_alg(
    listed: tuple[str, ...] | None, pinned: str | None, chosen: str | None
) -> None:
    assert rsa_key_for("RS512").negotiate(listed, pinned) == chosen


def test_negotiation_of_a_key_with_the_usual_alg() -> None:
    assert rsa_key_for("RS256").negotiate(None, None) == "RS256"


def test_negotiation_of_a_shared_secret() -> None:
    key = parse_shared_secret(SECRET)
    assert key.negotiate(None, None) == "HS256"
    assert key.negotiate(("HS512", "RS256"), None) == "HS512"


# A provider's keys.


def select(keys: KeySet, *, kid: str | None = None, alg: str = "ES256") -> dict[str, Any]:
    return dict(keys.select(kid=kid, alg=alg).as_dict(private=False))


def test_the_keys_of_rfc_7517_appendix_a_1() -> None:
    """Its EC key is for encryption, so that one key is left."""
    keys = KeySet.parse(
        {
            "keys": [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                    "use": "enc",
                    "kid": "1",
                },
                public(RSA_JWK, alg="RS256", kid="2011-04-29"),
            ]
        }
    )
    assert len(keys) == 1
    assert select(keys, kid="2011-04-29", alg="RS256")["n"] == RSA_JWK["n"]


def test_a_key_by_its_kid() -> None:
    keys = key_set({**EC_JWK, "kid": "a"}, {**P384_JWK, "kid": "b"}, RSA_JWK)
    assert len(keys) == 3
    assert select(keys, kid="a")["x"] == EC_JWK["x"]
    assert select(keys, kid="b", alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, alg="PS512")["n"] == RSA_JWK["n"]


@pytest.mark.parametrize("kid", ["c", "A", "", "a ", RSA_KID])
def test_no_key_by_that_kid(kid: str) -> None:
    keys = key_set({**EC_JWK, "kid": "a"}, RSA_JWK)
    with refused(TokenRejected, "token_key", f"no key for kid={kid!r} alg=ES256"):
        select(keys, kid=kid)
    with refused(TokenRejected, "token_key", f"no key for kid={kid!r} alg=RS256"):
        select(keys, kid=kid, alg="RS256")


def test_no_key_in_an_empty_set() -> None:
    keys = KeySet.parse({"keys": []})
    assert len(keys) == 0
    with refused(TokenRejected, "token_key", f"no key for kid='{'k' * 79} alg=ES256"):
        select(keys, kid="k" * 100)


def test_two_keys_that_fit_are_one_too_many() -> None:
    other = {**public(EC_JWK), "x": P521_JWK["x"]}
    assert len(key_set(other)) == 0
    second = parse_signing_keys(pem(ec.generate_private_key(ec.SECP256R1())))[0].public_jwk
    keys = key_set({**EC_JWK, "kid": "1"}, {**second, "kid": "2"})
    assert select(keys, kid="2")["x"] == second["x"]
    with refused(TokenRejected, "token_key", "2 keys for kid=None alg=ES256"):
        select(keys)
    keys = key_set({**EC_JWK, "kid": "1"}, {**second, "kid": "1"})
    with refused(TokenRejected, "token_key", "2 keys for kid='1' alg=ES256"):
        select(keys, kid="1")


def test_keys_of_one_kid_and_several_types() -> None:
    """RFC 7517 section 4.5 allows it."""
    keys = key_set(*({**jwk, "kid": "1"} for jwk in (EC_JWK, P384_JWK, RSA_JWK, OKP_JWK)))
    assert select(keys, kid="1", alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, kid="1", alg="EdDSA")["x"] == OKP_JWK["x"]
    assert select(keys, kid="1", alg="Ed25519")["x"] == OKP_JWK["x"]


@pytest.mark.parametrize("jwk", [RSA_JWK, EC_JWK, P384_JWK, P521_JWK, OKP_JWK])
def test_a_key_fits_its_own_algorithms_alone(jwk: dict[str, Any]) -> None:
    keys = key_set(jwk)
    for alg in ALGORITHMS:
        if JWK_FOR.get(alg) is jwk:
            assert select(keys, alg=alg)["kty"] == jwk["kty"]
        else:
            with refused(TokenRejected, "token_key", f"no key for kid=None alg={alg}"):
                select(keys, alg=alg)


def test_a_key_with_an_alg_is_for_that_alone() -> None:
    keys = KeySet.parse({"keys": [public(RSA_JWK, alg="RS256", kid="1")]})
    assert select(keys, alg="RS256")
    with refused(TokenRejected, "token_key", "no key for kid=None alg=PS256"):
        select(keys, alg="PS256")


@pytest.mark.parametrize(
    "members",
    [
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"use": "sig", "key_ops": ["verify"], "alg": "ES256", "kid": "1"},
        {"x5c": ["MIIB"], "foo": {"bar": None}},
        # private members of a careless provider are not even looked at
        {"d": "?"},
        {"d": P384_JWK["d"], "p": 1, "q": 2, "dp": 3, "dq": 4, "qi": 5},
    ],
)
def test_members_that_a_verification_key_may_have(members: dict[str, Any]) -> None:
    keys = KeySet.parse({"keys": [{**public(EC_JWK), **members}]})
    key = keys.select(kid=members.get("kid"), alg="ES256")
    assert not key.is_private
    assert not {"d", "p", "q", "dp", "dq", "qi"}.intersection(key.dict_value)


SKIPPED = [
    *({"use": use} for use in ("enc", "", "SIG", 1, ["sig"], {})),
    *({"key_ops": ops} for ops in (["sign"], [], "verify", "xverifyx", 1, True, 1.5, None)),
    *({"key_ops": ops} for ops in ({"verify": 1}, [["verify"]], ["verify", "fly"], ["verify", 1])),
    {"use": "sig", "key_ops": ["verify", "encrypt"]},
    *({"kty": kty} for kty in ("oct", "RSA", "OKP", "ec", None, 1, ["EC"], {})),
    *({"crv": crv} for crv in ("P-384", "p-256", "Ed25519", "", None, 1, ["P-256"])),
    *({"x": x} for x in ("", "AA", "=", "é", "\ud800", None, 1, [], P384_JWK["x"], EC_JWK["y"])),
    *({"alg": alg} for alg in (None, 1, ["ES256"], {})),
    *({"kid": kid} for kid in (None, 1, ["1"], {})),
    *({"x5c": x5c} for x5c in (1, "MIIB", [1])),
]


@pytest.mark.parametrize("members", SKIPPED, ids=repr)
def test_a_key_that_cannot_be_used_is_skipped(members: dict[str, Any]) -> None:
    spoilt = {**public(EC_JWK), **members}
    keys = KeySet.parse({"keys": [spoilt, public(EC_JWK, kid="good"), spoilt]})
    assert len(keys) == 1
    assert select(keys, kid="good")["x"] == EC_JWK["x"]


@pytest.mark.parametrize("item", [None, 1, "x", [], [public(EC_JWK)], True, {}])
def test_an_item_that_is_no_key_is_skipped(item: object) -> None:
    assert len(KeySet.parse({"keys": [item, public(EC_JWK)]})) == 1


def test_a_symmetric_key_is_never_taken() -> None:
    oct_jwk = {"kty": "oct", "k": b64encode(SECRET.encode()), "alg": "HS256"}
    assert len(KeySet.parse({"keys": [oct_jwk]})) == 0


@pytest.mark.parametrize(
    ("bits", "taken"),
    [
        (MIN_RSA_BITS, True),
        (MIN_RSA_BITS - 1, False),
        (MAX_RSA_BITS, True),
        (MAX_RSA_BITS + 1, False),
        (512, False),
        (2**16, False),
    ],
)
def test_rsa_keys_are_neither_weak_nor_absurd(bits: int, taken: bool) -> None:
    assert (MIN_RSA_BITS, MAX_RSA_BITS) == (2048, 8192)
    assert len(KeySet.parse({"keys": [rsa_jwk(bits)]})) == taken


@pytest.mark.parametrize(
    "members",
    [
        *({"n": n} for n in (None, 1, "", "A", "é", [], f"{RSA_JWK['n']}=")),
        *({"e": e} for e in (None, 1, "", "AQ", "Ag", "A", "=", [])),  # 1 and 2 are no exponents
    ],
)
def test_rsa_keys_of_wrong_numbers_are_skipped(members: dict[str, Any]) -> None:
    assert len(KeySet.parse({"keys": [{**public(RSA_JWK), **members}]})) == 0


@pytest.mark.parametrize("exponent", [3, 65537, 2**64 + 1, 2**2000 + 1])
def test_odd_rsa_numbers_make_no_signature_hold(exponent: int) -> None:
    encoded = b64encode(exponent.to_bytes((exponent.bit_length() + 7) // 8, "big"))
    keys = KeySet.parse({"keys": [rsa_jwk(2048, e=encoded)]})
    for alg in ("RS256", "PS256"):
        for signature in (b"", b"\1", b"\1" * 256, b"\xff" * 256, bytes(256)):
            try:
                key = keys.select(kid=None, alg=alg)
            except TokenRejected:
                continue
            assert not JWSRegistry.algorithms[alg].verify(b"x", signature, key)


@pytest.mark.parametrize(
    "document", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"Keys": []}]
)
def test_a_document_that_is_no_key_set(document: dict[str, Any]) -> None:
    with invalid("the JWK Set has no list of keys"):
        KeySet.parse(document)


def test_as_many_keys_and_no_more() -> None:
    keys = [public(EC_JWK, kid=str(number)) for number in range(MAX_KEYS)]
    assert MAX_KEYS == 50
    assert len(KeySet.parse({"keys": keys})) == 50
    with invalid("the JWK Set has more than 50 keys"):
        KeySet.parse({"keys": [*keys, {}]})


def test_no_key_is_printed() -> None:
    assert "key=" not in repr(key_set(EC_JWK)).replace("_keys=", "")


@bounded
@given(
    st.lists(
        st.sampled_from([EC_JWK, RSA_JWK, OKP_JWK])
        .map(public)
        .flatmap(
            lambda jwk: documents(
                jwk | {"kid": "1", "use": "sig", "key_ops": ["verify"], "alg": "x"}
            )
        ),
        max_size=3,
    )
)
def test_a_key_set_of_a_stranger_has_one_error(jwks: list[dict[str, Any]]) -> None:
    keys = KeySet.parse({"keys": jwks})
    for alg in ALGORITHMS:
        try:
            key = keys.select(kid=None, alg=alg)
        except TokenRejected as error:
            assert error.code == "token_key"
            continue
        assert not JWSRegistry.algorithms[alg].verify(b"x", b"\1" * 64, key)


@bounded
@given(documents({"keys": [public(EC_JWK)]}))
def test_a_document_of_a_stranger_has_one_error(document: dict[str, Any]) -> None:
    try:
        KeySet.parse(document)
    except ValueError:
        assert not isinstance(document.get("keys"), list)
