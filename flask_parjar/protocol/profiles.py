"""Profiles: the rules that the negotiation of an agreement follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a login requires of the provider and of our configuration.

    :param unlisted_algs: the algorithm of each kind of our keys, by curve or key type, if the
        provider's metadata lists none.
    """

    unlisted_algs: Mapping[str, str]


#: OpenID Connect Core, without a stricter profile above it.
OPENID_CONNECT = Profile(
    unlisted_algs={
        "RSA": "RS256",
        "P-256": "ES256",
        "P-384": "ES384",
        "P-521": "ES512",
        "Ed25519": "EdDSA",
        "oct": "HS256",
    }
)
