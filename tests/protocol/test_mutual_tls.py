"""Our certificate: what is read and published of it, and what tokens are bound to. RFC 8705."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import PrivateFormat
from joserfc.jwk import import_key

from flask_parjar.protocol.mutual_tls import (
    BoundToken,
    CertificateAuth,
    CertificateBinding,
    ClientCertificate,
    begin_certificate,
    parse_certificate,
    parse_chain,
    parse_private_key,
    read_certificate_binding,
)
from flask_parjar.protocol.outbound import CURRENT_CERTIFICATE, Answer, Outbound
from flask_parjar.provider.nonces import Nonces
from tests.protocol.examples import NOW
from tests.support.certificates import DAY, Pair, make_pair
from tests.support.errors import invalid

ANSWER = Answer(status=200, headers={}, body=b"", document=None)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_what_is_published_of_a_certificate(key: Any) -> None:
    """RFC 8705 section 2.2.2: the key as a JWK, with the certificate in ``x5c``."""
    pair = make_pair(key=key)
    certificate = parse_certificate(pair.pem, pair.key_pem)
    jwk = dict(certificate.public_jwk)
    assert certificate.thumbprint == certificate.kid == pair.thumbprint
    assert (jwk["kid"], jwk["x5t#S256"], jwk["use"]) == (pair.thumbprint, pair.thumbprint, "sig")
    (encoded,) = jwk["x5c"]
    assert parse_chain(f"-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----") == [
        pair.certificate
    ]
    assert not {"d", "p", "q"} & jwk.keys()
    assert import_key(jwk).thumbprint() == import_key(pair.key_pem, jwk["kty"]).thumbprint()


def test_the_certificates_of_authorities_come_after_ours() -> None:
    root = make_pair("root", authority=True)
    pair = make_pair(issuer=root)
    certificate = parse_certificate(f"text before\n{pair.pem}{root.pem}", pair.key_pem)
    assert [base64.b64decode(each)[:1] for each in certificate.public_jwk["x5c"]] == [b"0", b"0"]
    assert certificate.pem == pair.pem
    with invalid("the private key is that of another certificate"):
        parse_certificate(f"{root.pem}{pair.pem}", pair.key_pem)


def test_one_file_with_both(pair: Pair) -> None:
    both = pair.key_pem + pair.pem
    assert parse_certificate(both, both) == parse_certificate(pair.pem, pair.key_pem)


def test_when_it_is_valid() -> None:
    pair = make_pair(begins=-10, ends=10)
    certificate = parse_certificate(pair.pem, pair.key_pem)
    now = int(time.time())
    assert now - 20 <= certificate.not_before < now < certificate.not_after <= now + 20
    assert certificate.fault_at(certificate.not_before) is None
    assert certificate.fault_at(certificate.not_after) is None
    assert "valid only from" in str(certificate.fault_at(certificate.not_before - 1))
    assert "valid until" in str(certificate.fault_at(certificate.not_after + 1))


def test_its_faults_are_written_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(time, "tzset"):  # not on Windows
        monkeypatch.setenv("TZ", "UTC-5")
        time.tzset()
    certificate = ClientCertificate(
        pem="", thumbprint="", not_before=0, not_after=DAY, public_jwk={}
    )
    assert certificate.fault_at(DAY + 1) == "it was valid until 1970-01-02 00:00 UTC"
    if hasattr(time, "tzset"):
        monkeypatch.undo()
        time.tzset()


def test_what_is_no_certificate(pair: Pair) -> None:
    with invalid("BEGIN CERTIFICATE"):
        parse_chain(pair.key_pem)
    for body in ("AAAA", "!!!", "A", "MIIB"):
        with invalid("cannot be read"):
            parse_chain(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----")
    with invalid("cannot be read"):
        parse_chain(pair.pem.replace("\n-----END", "*\n-----END"))


def test_what_is_no_private_key(pair: Pair) -> None:
    with invalid("PRIVATE KEY"):
        parse_private_key(pair.pem)
    with invalid("cannot be read"):
        parse_private_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
    with invalid("PRIVATE KEY"):
        parse_private_key(pair.key_pem[:-40])


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_private_key(pair: Pair, kind: PrivateFormat) -> None:
    with invalid("the private key is encrypted"):
        parse_private_key(pair.encrypted_key_pem(kind))


def test_a_key_of_another_kind(pair: Pair) -> None:
    other = Pair(pair.certificate, x25519.X25519PrivateKey.generate())
    with invalid("the private key is that of another certificate"):
        parse_certificate(pair.pem, other.key_pem)


# What a request says.


def test_client_authentication_names_the_client() -> None:
    """RFC 8705 section 2: ``client_id`` is there, and no secret."""
    auth = CertificateAuth(client_id="site")
    sent = auth.apply(Outbound.post("https://op.example/token", {"code": "x"}), now=NOW)
    assert sent.form == (("code", "x"), ("client_id", "site"))
    assert auth.learn(ANSWER) is False


def test_tokens_are_bound_by_the_connection_that_they_came_through() -> None:
    begun = begin_certificate("a secret")
    assert begun == CertificateBinding() and begun.parameters() == {}
    assert begun.push_proofs(nonces=Nonces()) == begun.proofs(nonces=Nonces()) == ()
    bound = begun.after(Answer(**{**_fields(ANSWER), "certificate": "t" * 43}))
    assert bound.thumbprint == "t" * 43
    (proof,) = bound.proofs("the-token", nonces=Nonces())
    assert proof == BoundToken(access_token="the-token", thumbprint="t" * 43)
    sent = proof.apply(Outbound(method="GET", url="https://api.example/"), now=NOW)
    assert (sent.headers, sent.certificate) == ({"Authorization": "Bearer the-token"}, "t" * 43)
    assert proof.learn(ANSWER) is False
    assert "the-token" not in repr(proof)
    assert bound.after(ANSWER).thumbprint == CURRENT_CERTIFICATE


def _fields(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in ("status", "headers", "body", "document")}


@pytest.mark.parametrize(
    ("token_type", "right"), [("Bearer", True), ("bearer", True), ("DPoP", False)]
)
def test_which_token_types_are_right(token_type: str, right: bool) -> None:
    assert CertificateBinding().accepts(token_type) is right


@pytest.mark.parametrize("thumbprint", [CURRENT_CERTIFICATE, "A" * 43])
def test_it_can_be_stored(thumbprint: str) -> None:
    binding = CertificateBinding(thumbprint=thumbprint)
    assert read_certificate_binding(binding.to_text()) == binding


@pytest.mark.parametrize("text", ["x", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n"])
def test_what_cannot_be_stored(text: str) -> None:
    with invalid("thumbprint"):
        read_certificate_binding(text)
