"""Certificates for mutual TLS, made when they are needed: self-signed, or by an authority."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from flask_parjar.protocol.encoding import b64encode

DAY = 86400

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return str(self.key.private_bytes(*form).decode())

    def encrypted_key_pem(self, kind: PrivateFormat = PrivateFormat.PKCS8) -> str:
        form = (Encoding.PEM, kind, BestAvailableEncryption(b"a pass phrase"))
        return str(self.key.private_bytes(*form).decode())

    @property
    def thumbprint(self) -> str:
        return b64encode(self.certificate.fingerprint(hashes.SHA256()))


def make_pair(
    name: str = "site",
    *,
    issuer: Pair | None = None,
    begins: int = -DAY,
    ends: int = 90 * DAY,
    key: Any = None,
    host: str | None = None,
    authority: bool = False,
) -> Pair:
    """Make a certificate.

    :param issuer: the authority that signs it; None for a self-signed one.
    :param begins: seconds from now.
    :param ends: seconds from now.
    :param host: an IP address, for a server.
    """
    private = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
        ]
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(seconds=begins))
        .not_valid_after(now + datetime.timedelta(seconds=ends))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    # Since Python 3.13 certificates are verified strictly (RFC 5280 section 4.2.1).
    signer = private if issuer is None else issuer.key
    identifiers = (
        x509.SubjectKeyIdentifier.from_public_key(private.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
    )
    for identifier in identifiers:
        builder = builder.add_extension(identifier, critical=False)
    if authority:
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
    if host is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    algorithm = None if "25519" in type(signer).__name__ else hashes.SHA256()
    return Pair(builder.sign(signer, algorithm), private)


class PairFiles:
    """The two files of a pair, as a site reads them."""

    def __init__(self, folder: Path, pair: Pair, *more: Pair) -> None:
        self.certificate = folder / "site.pem"
        self.key = folder / "site.key"
        self.write(pair, *more)

    def write(self, pair: Pair, *more: Pair) -> None:
        """Replace both, as a renewal does: each file at once, one after the other.

        :param more: the authorities that issued it.
        """
        self.replace(self.certificate, "".join(each.pem for each in (pair, *more)))
        self.replace(self.key, pair.key_pem)
        self.pair = pair

    @staticmethod
    def replace(path: Path, text: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, path)

    @property
    def config(self) -> dict[str, str]:
        return {
            "PARJAR_CLIENT_CERT": str(self.certificate),
            "PARJAR_CLIENT_CERT_KEY": str(self.key),
        }


def make_key_and_certificate() -> tuple[str, bytes]:
    """A key as PEM, and its self-signed certificate as DER."""
    pair = make_pair()
    return pair.key_pem, pair.certificate.public_bytes(Encoding.DER)
