"""Mutual TLS: a client that authenticates with its certificate, and tokens bound to a certificate.

The certificate is no part of a request: the TLS connection presents it. So a request only says
which certificate its connection has to present (`Outbound.certificate`). RFC 8705.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from .certificates import split_certificates
from .encoding import b64encode
from .keys import PUBLISHED_MEMBERS, import_keys
from .outbound import CURRENT_CERTIFICATE, Answer, Nonces, Outbound, Proof

#: Client authentication by certificate (RFC 8705 section 2).
CERTIFICATE_AUTHS = ("tls_client_auth", "self_signed_tls_client_auth")

_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL
)
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """Our certificate, without its private key.

    :param pem: the certificate alone, without those of authorities.
    :param thumbprint: its ``x5t#S256`` (RFC 8705 section 3.1).
    :param not_before: when its validity begins, in seconds since 1970.
    :param not_after: when its validity ends, in seconds since 1970.
    :param public_jwk: its public key, with the certificates, as we publish it (section 2.2.2).
    """

    pem: str = field(repr=False)
    thumbprint: str
    not_before: int
    not_after: int
    public_jwk: Mapping[str, Any] = field(repr=False)

    @property
    def kid(self) -> str:
        """The ``kid`` of its public key: each certificate has its own, even for the same key."""
        return self.thumbprint

    @property
    def subject(self) -> str:
        """Its subject, as ``tls_client_auth_subject_dn`` has it (RFC 8705 section 2.1.2)."""
        return x509.load_pem_x509_certificate(self.pem.encode()).subject.rfc4514_string()

    def fault_at(self, now: int) -> str | None:
        """Why it is not valid at a time, or None.

        :param now: seconds since 1970.

        RFC 5280 section 4.1.2.5.
        """
        if now < self.not_before:
            return f"it is valid only from {_written(self.not_before)}"
        if now > self.not_after:
            return f"it was valid until {_written(self.not_after)}"
        return None


def parse_certificate(pem: str, key_pem: str) -> ClientCertificate:
    """Read our certificate and the private key that belongs to it.

    :param pem: the certificate, and after it those of the authorities that issued it.
    :param key_pem: the private key, in clear text.
    :raises ValueError: with what is wrong.

    RFC 7468 sections 5 and 10, RFC 8705 section 2.2.2.
    """
    chain = parse_chain(pem)
    public_key = chain[0].public_key()
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    written = public_key.public_bytes(*form)
    if parse_private_key(key_pem).public_key().public_bytes(*form) != written:
        raise ValueError("the private key is that of another certificate")
    ders = [each.public_bytes(Encoding.DER) for each in chain]
    thumbprint = b64encode(hashlib.sha256(ders[0]).digest())
    members = import_keys(written.decode())[0].as_dict(private=False)
    return ClientCertificate(
        pem=chain[0].public_bytes(Encoding.PEM).decode(),
        thumbprint=thumbprint,
        not_before=int(chain[0].not_valid_before_utc.timestamp()),
        not_after=int(chain[0].not_valid_after_utc.timestamp()),
        public_jwk={
            **{name: members[name] for name in PUBLISHED_MEMBERS if name in members},
            "kid": thumbprint,
            "use": "sig",  # so that it is not taken for a key to encrypt with
            "x5c": [base64.b64encode(each).decode() for each in ders],
            "x5t#S256": thumbprint,
        },
    )


def parse_chain(pem: str) -> list[x509.Certificate]:
    """Read the certificates of a PEM, ours first.

    :raises ValueError: there is none, or one cannot be read.
    """
    _, encoded = split_certificates(pem)
    if not encoded:
        raise ValueError("there is no line -----BEGIN CERTIFICATE----- in it")
    try:
        return [
            x509.load_der_x509_certificate(base64.b64decode(each, validate=True))
            for each in encoded
        ]
    except (ValueError, binascii.Error) as exc:
        raise ValueError("its certificate cannot be read") from exc


def parse_private_key(pem: str) -> Any:
    """Read the private key of a certificate, as a key of the library cryptography.

    :raises ValueError: there is none, it is encrypted, or it cannot be read.
    """
    found = _PRIVATE_KEY.search(pem)
    if found is None:
        raise ValueError("there is no line -----BEGIN … PRIVATE KEY----- in it")
    if "ENCRYPTED" in found[0]:
        raise ValueError(
            "the private key is encrypted: write it without a pass phrase (openssl pkey -in … "
            "-out …), and let only the site read the file"
        )
    try:
        return load_pem_private_key(found[0].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError("its private key cannot be read") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuth:
    """``tls_client_auth`` and ``self_signed_tls_client_auth``.

    The form names the client, and the connection presents its certificate, as at every endpoint of
    the provider (RFC 8705 section 2).
    """

    client_id: str

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`."""
        return outbound.with_fields({"client_id": self.client_id})

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundToken:
    """An access token in the ``Authorization`` header, and the certificate it is bound to."""

    access_token: str = field(repr=False)
    thumbprint: str

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply` (RFC 8705 section 3)."""
        authorized = outbound.with_header("Authorization", f"Bearer {self.access_token}")
        return replace(authorized, certificate=self.thumbprint)

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateBinding:
    """Bound to the certificate of the connection that the tokens came through.

    A renewed certificate ends what the access token is good for, and not the refresh token: that of
    a client that authenticates is bound to the client (RFC 8705 section 4). So a refresh uses the
    current certificate, and the new tokens are bound to it.

    :param thumbprint: of that certificate; `CURRENT_CERTIFICATE` before there are tokens.
    """

    thumbprint: str = CURRENT_CERTIFICATE
    kind: str = "certificate"

    def parameters(self) -> Mapping[str, str]:
        """See `TokenBinding.parameters`: none."""
        return {}

    def push_proofs(self, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.push_proofs`: none."""
        return ()

    def proofs(self, access_token: str | None = None, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.proofs`."""
        if access_token is None:  # every request to the provider presents the certificate
            return ()
        return (BoundToken(access_token=access_token, thumbprint=self.thumbprint),)

    def accepts(self, token_type: str) -> bool:
        """See `TokenBinding.accepts`: no ``token_type`` of its own (RFC 8705 section 3)."""
        return token_type.lower() == "bearer"

    def after(self, answer: Answer) -> CertificateBinding:
        """See `TokenBinding.after`."""
        return replace(self, thumbprint=answer.certificate or CURRENT_CERTIFICATE)

    def to_text(self) -> str:
        """See `TokenBinding.to_text`."""
        return self.thumbprint


def begin_certificate(secret: str) -> CertificateBinding:
    """See `BeginBinding`: nothing is derived, because the connection is what binds."""
    return CertificateBinding()


def read_certificate_binding(text: str) -> CertificateBinding:
    """Read what `CertificateBinding.to_text` wrote.

    :raises ValueError: it is something else.
    """
    if text != CURRENT_CERTIFICATE and not _THUMBPRINT.fullmatch(text):
        raise ValueError("not the thumbprint of a certificate")
    return CertificateBinding(thumbprint=text)


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
