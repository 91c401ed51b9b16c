"""What every competitor is given, and what it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask

SECRET_KEY = "0123456789abcdef" * 4
SITE = "https://app.example"
CALLBACK_URL = f"{SITE}/callback"
SCOPE = "openid profile email"
KID = "site"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One client at the stub: each competitor makes its app of it.

    :param encryption_key: the private key that decrypts the ID token, as PEM; None where the ID
        token is not encrypted and tokens are bearer tokens.
    """

    issuer: str
    alg: str
    ca_bundle: str
    private_key: str = field(repr=False)
    encryption_key: str | None = field(default=None, repr=False)

    @property
    def is_fapi(self) -> bool:
        """Whether the tokens are bound to a key (DPoP), and the ID token comes encrypted."""
        return self.encryption_key is not None

    @property
    def is_https(self) -> bool:
        """Whether the provider speaks TLS."""
        return self.issuer.startswith("https:")


@dataclass(frozen=True, kw_only=True)
class Competitor:
    """A way to log people in.

    Its app has ``/login``, ``/callback``, and ``/who``, which answers with the subject of who is
    logged in and with an empty body where no one is.

    :param does_less: what of our login it leaves out, in a few words.
    """

    name: str
    make_app: Callable[[Registration], Flask]
    does_less: str = ""


@cache
def private_key(alg: str) -> str:
    """The site's key for an algorithm, as PEM: one for a whole run."""
    if alg == "RS256":
        return _as_pem(rsa.generate_private_key(65537, 2048))
    return _as_pem(ec.generate_private_key(ec.SECP256R1()))


@cache
def encryption_key() -> str:
    """The site's key that decrypts, as PEM: one for a whole run."""
    return _as_pem(ec.generate_private_key(ec.SECP256R1()))


def _as_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def public_pem(private_pem: str) -> str:
    """The public half of a key, as PEM."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
