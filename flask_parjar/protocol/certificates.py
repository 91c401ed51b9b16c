"""X.509 certificates of our keys: what names a key by its certificate in a JWS header."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .encoding import b64encode

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def split_certificates(pem: str) -> tuple[str, list[str]]:
    """Take the certificates out of a PEM.

    :returns: the rest, and the certificates in order, as ``x5c`` has them (RFC 7515 section 4.1.6).
    """
    certificates = ["".join(found.split()) for found in _CERTIFICATE.findall(pem)]
    return _CERTIFICATE.sub("", pem), certificates


def certificate_members(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The members that name the certificate of a key: its own, or made from its ``x5c``.

    RFC 7515 sections 4.1.6 to 4.1.8, RFC 7517 sections 4.7 to 4.9.
    """
    members: dict[str, Any] = {}
    if chain := jwk.get("x5c"):
        der = base64.b64decode(chain[0])
        members = {
            "x5c": chain,
            "x5t": b64encode(hashlib.sha1(der, usedforsecurity=False).digest()),
            "x5t#S256": b64encode(hashlib.sha256(der).digest()),
        }
    return {**members, **{name: jwk[name] for name in ("x5t", "x5t#S256") if name in jwk}}


def check_certificates(chain: Sequence[str], public_key: Any) -> None:
    """Check that the first certificate of a chain belongs to a key.

    :param public_key: of the library cryptography.
    :raises ValueError: it does not, or cannot be read.
    """
    certificates = [_load(each) for each in chain]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificates[0].public_key().public_bytes(*form) != public_key.public_bytes(*form):
        raise ValueError("its first certificate is that of another key")


def certificate_end(certificate: str) -> int:
    """When a certificate ends, in seconds since 1970.

    :param certificate: one of ``x5c`` (RFC 7515 section 4.1.6).
    :raises ValueError: it cannot be read.
    """
    return int(_load(certificate).not_valid_after_utc.timestamp())


def _load(certificate: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True))
    except (ValueError, TypeError, binascii.Error) as exc:
        raise ValueError("its certificate cannot be read") from exc
