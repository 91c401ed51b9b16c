"""The signature algorithms of this library; no other one is ever used."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from .encoding import b64encode


class Algorithm(NamedTuple):
    """What a signature algorithm needs: a key type, a curve, a hash."""

    kty: str
    crv: str | None
    hash: str


#: Every algorithm this library signs with or verifies, best first for each kind of key
#: (RFC 7518 section 3, RFC 8037, RFC 9864).
ALGORITHMS: Mapping[str, Algorithm] = {
    "PS256": Algorithm("RSA", None, "sha256"),
    "RS256": Algorithm("RSA", None, "sha256"),
    "PS384": Algorithm("RSA", None, "sha384"),
    "RS384": Algorithm("RSA", None, "sha384"),
    "PS512": Algorithm("RSA", None, "sha512"),
    "RS512": Algorithm("RSA", None, "sha512"),
    "ES256": Algorithm("EC", "P-256", "sha256"),
    "ES384": Algorithm("EC", "P-384", "sha384"),
    "ES512": Algorithm("EC", "P-521", "sha512"),
    "Ed25519": Algorithm("OKP", "Ed25519", "sha512"),
    "EdDSA": Algorithm("OKP", "Ed25519", "sha512"),
    "HS256": Algorithm("oct", None, "sha256"),
    "HS384": Algorithm("oct", None, "sha384"),
    "HS512": Algorithm("oct", None, "sha512"),
}

#: Two names of one algorithm: RFC 8037 section 3.1 (with an Ed25519 key), and RFC 9864 section 2.2.
_SAME = frozenset(("EdDSA", "Ed25519"))

#: The algorithms whose signatures a public key verifies.
ASYMMETRIC_ALGORITHMS = tuple(name for name, alg in ALGORITHMS.items() if alg.kty != "oct")


def is_same_algorithm(one: str, other: str) -> bool:
    """Whether two names mean the same algorithm, for an Ed25519 key."""
    return one == other or {one, other} == _SAME


def verify_half_hash(value: str, *, alg: str, expected: object) -> bool:
    """Compare an ``at_hash``, the left half of a hash (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.new(ALGORITHMS[alg].hash, value.encode()).digest()
    half = b64encode(digest[: len(digest) // 2])
    return (
        isinstance(expected, str)
        and expected.isascii()  # compare_digest raises for other text
        and hmac.compare_digest(half, expected)
    )
