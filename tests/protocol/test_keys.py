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

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.keys import (
    parse_shared_secret,
    parse_signer,
    parse_signing_keys,
)
from flask_parjar.protocol.profiles import OPENID_CONNECT
from tests.protocol.examples import (
    EC_JWK,
    JWK_FOR,
    OKP_JWK,
    P384_JWK,
    P521_JWK,
    RSA_JWK,
    public,
    rsa_key_for,
    signing_key,
)
from tests.support.errors import invalid
from tests.support.untrusted import bounded, documents

RSA_ALGS = ("PS256", "RS256", "PS384", "RS384", "PS512", "RS512")
OKP_ALGS = ("Ed25519", "EdDSA")
SECRET = "a client secret of more than 32 bytes"

# Thumbprints (RFC 7638); that of OKP_JWK is in RFC 8037 appendix A.3.
RSA_KID = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8"
OKP_KID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
EC_KID = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"


UNLISTED = OPENID_CONNECT.unlisted_algs


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


# Our keys: what is refused.


@pytest.mark.parametrize(
    "value", [public(EC_JWK), {"keys": [public(EC_JWK), public(RSA_JWK)]}, {"keys": []}]
)
def test_no_private_key(value: dict[str, Any]) -> None:
    with invalid("private key"):
        parse_signing_keys(value)


def test_a_public_pem() -> None:
    for alg in ("RS256", "ES256", "Ed25519"):
        with invalid("private key"):
            parse_signing_keys(public_pem(native(alg)))


@pytest.mark.parametrize("listed", [None, {}, "x", 1, [1], [EC_JWK, "x"], [None], [[EC_JWK]]])
def test_a_jwk_set_without_a_list_of_jwks(listed: object) -> None:
    with invalid("keys"):
        parse_signing_keys({"keys": listed})


@pytest.mark.parametrize("kty", [None, "", "oct", "rsa", "AKP", ["RSA"], 1, {}])
def test_a_jwk_of_another_type(kty: object) -> None:
    with invalid("kty"):
        parse_signing_keys({**RSA_JWK, "kty": kty})


def test_a_jwk_without_a_type() -> None:
    with invalid("kty"):
        parse_signing_keys({})


@pytest.mark.parametrize(
    ("text", "value"), [('{"kty":"EC","kty":"RSA"}', ""), ("{", ""), ('{"keys":1}', "keys")]
)
def test_json_that_is_no_jwk(text: str, value: str) -> None:
    with invalid(value):
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
    with invalid("PEM"):
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
    with invalid("encrypted", "pass phrase"):
        parse_signing_keys(encrypted.decode())


@pytest.mark.parametrize(
    ("key", "crv"),
    [(x25519.X25519PrivateKey.generate(), "X25519"), (ed448.Ed448PrivateKey.generate(), "Ed448")],
)
def test_a_pem_on_a_curve_that_cannot_sign(key: Any, crv: str) -> None:
    with invalid(crv, "P-256", "P-384", "P-521", "Ed25519"):
        parse_signing_keys(pem(key))


def test_a_pem_on_a_curve_without_a_name_in_jose() -> None:
    with invalid("PEM"):
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
    with invalid("PEM"):
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
    with invalid("RSA", "Ed25519"):
        parse_signing_keys(DSA_PEM)


def test_a_weak_rsa_pem() -> None:
    key = rsa.generate_private_key(65537, 1024)
    with invalid("1024", "2048", "8192"):
        parse_signing_keys(pem(key))


@pytest.mark.parametrize(
    ("members", "values"),
    [
        ({"use": "enc"}, ("use", "sig")),
        ({"key_ops": ["verify"]}, ("key_ops", "sign")),
        ({"key_ops": []}, ("key_ops", "sign")),
        ({"alg": "ES384"}, ("alg", "ES384", "ES256")),
        ({"alg": "none"}, ("alg", "none", "ES256")),
        ({"use": ["sig"]}, ("use", "sig")),
    ],
)
def test_a_private_jwk_that_cannot_sign(members: dict[str, Any], values: tuple[str, ...]) -> None:
    with invalid(*values):
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
    with invalid("JWK"):
        parse_signing_keys({**EC_JWK, **members})


def test_the_public_keys_of_a_set_are_for_verifying() -> None:
    retired = public(P384_JWK, key_ops=["sign"])
    with invalid("key_ops", "'verify'"):
        parse_signing_keys({"keys": [EC_JWK, retired]})


def test_an_rsa_alg_that_does_not_fit() -> None:
    with invalid("ES256", "PS256", "RS256", "PS384", "RS384", "PS512", "RS512"):
        parse_signing_keys({**RSA_JWK, "alg": "ES256"})


@pytest.mark.parametrize("modulus", [None, 5, [], True, {}])
def test_an_rsa_jwk_without_a_modulus(modulus: object) -> None:
    with invalid():
        parse_signing_keys({**RSA_JWK, "n": modulus})


def test_an_rsa_jwk_whose_modulus_is_no_base64url() -> None:
    with invalid():
        parse_signing_keys({**RSA_JWK, "n": "AA=="})


@bounded
@given(documents(EC_JWK | {"kid": "1", "use": "sig", "key_ops": ["sign"], "alg": "ES256"}))
def test_any_jwk_is_read_or_has_one_error(jwk: dict[str, Any]) -> None:
    try:
        keys = parse_signing_keys(jwk)
    except ValueError:
        return
    for key in keys:
        assert key.sign({}, alg=key.algorithms[0]).count(".") == 2
        assert "d" not in key.public_jwk


@bounded
@given(st.text() | st.text('-BEGIN PRIVATEKYRS\n{}\\"=:', max_size=60))
def test_any_pem_is_read_or_has_one_error(text: str) -> None:
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
    """A person who reads the public key could sign in our name."""
    pem = ECKey.generate_key("P-256").as_pem(private=private).decode("ascii")
    with invalid("PEM"):
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
    assert signing_key(alg_of_key).negotiate(listed, pinned, unlisted=UNLISTED) == chosen


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
    assert rsa_key_for("RS512").negotiate(listed, pinned, unlisted=UNLISTED) == chosen


def test_negotiation_of_a_key_with_the_usual_alg() -> None:
    assert rsa_key_for("RS256").negotiate(None, None, unlisted=UNLISTED) == "RS256"


def test_negotiation_of_a_shared_secret() -> None:
    key = parse_shared_secret(SECRET)
    assert key.negotiate(None, None, unlisted=UNLISTED) == "HS256"
    assert key.negotiate(("HS512", "RS256"), None, unlisted=UNLISTED) == "HS512"


# A private key that lies elsewhere.


class Elsewhere:
    """An object that signs, with a key that only this object has."""

    def __init__(self, alg: str = "ES256", public_jwk: Any = None) -> None:
        self.alg = alg
        self._key = ec.generate_private_key(ec.SECP256R1())
        of_the_key = dict(ECKey.import_key(self._key.public_key()).as_dict(private=False))
        self.public_jwk = of_the_key if public_jwk is None else public_jwk
        self.answer: bytes | Exception | None = None

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        key = ECKey.import_key(self._key)
        return bytes(JWSRegistry.algorithms["ES256"].sign(data, key))


def test_a_key_of_an_object_that_signs() -> None:
    signer = Elsewhere()
    (key,) = parse_signer(signer)
    assert (key.is_private, key.algorithms, key.signer) == (True, ("ES256",), signer)
    assert key.public_jwk["x"] == signer.public_jwk["x"] and "d" not in key.public_jwk
    header, claims, signature = key.sign({"a": 1}, alg="ES256", typ="JWT").split(".")
    assert read(header) == {"alg": "ES256", "typ": "JWT", "kid": key.kid}
    public = ECKey.import_key(signer.public_jwk)
    data = f"{header}.{claims}".encode()
    assert JWSRegistry.algorithms["ES256"].verify(data, b64decode(signature), public)


@pytest.mark.parametrize("answer", [OSError("hunter2"), b"", bytes(64), "text"], ids=repr)
def test_a_signature_that_is_none_is_not_used(answer: Any) -> None:
    signer = Elsewhere()
    (key,) = parse_signer(signer)
    signer.answer = answer
    with pytest.raises(ProviderUnavailable) as caught:
        key.sign({}, alg="ES256")
    assert caught.value.error_code == "signer_failed"
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize(
    ("alg", "public_jwk", "value"),
    [
        ("ES256", "text", "public_jwk"),
        ("ES256", [], "public_jwk"),
        ("ES256", ECKey.generate_key("P-256").as_dict(private=True), "private"),
        ("ES384", None, "ES384"),
        ("HS256", {"kty": "oct", "k": "AAAA"}, ""),
    ],
)
def test_an_object_that_cannot_sign(alg: str, public_jwk: Any, value: str) -> None:
    with invalid(value):
        parse_signer(Elsewhere(alg, public_jwk))
