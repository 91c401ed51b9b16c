"""Profiles: the rules that the negotiation of an agreement follows.

What a profile demands of our own configuration is in ``config/profiles.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .algorithms import ALGORITHMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a login requires of the provider.

    :param unlisted_algs: the algorithm of each kind of our keys, by curve or key type, if the
        provider's metadata lists none.
    :param unlisted_id_token_algs: accepted on ID tokens if the metadata lists none.
    :param algs: the algorithms of all signatures, ours and the provider's.
    :param iss_required: whether every authorization response must have ``iss``, also if the
        metadata does not announce it.
    :param https_redirect_uri: whether the ``redirect_uri`` must be https, or on loopback.
    """

    unlisted_algs: Mapping[str, str]
    unlisted_id_token_algs: tuple[str, ...]
    algs: frozenset[str]
    iss_required: bool
    https_redirect_uri: bool

    def permitted(self, listed: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The algorithms of a list that the profile permits; None for no list."""
        return None if listed is None else tuple(alg for alg in listed if alg in self.algs)


#: OpenID Connect Core, without a stricter profile above it.
OPENID_CONNECT = Profile(
    unlisted_algs={
        "RSA": "RS256",
        "P-256": "ES256",
        "P-384": "ES384",
        "P-521": "ES512",
        "Ed25519": "EdDSA",
        "oct": "HS256",
    },
    unlisted_id_token_algs=("RS256",),
    algs=frozenset(ALGORITHMS),
    iss_required=False,
    https_redirect_uri=False,
)

_FAPI_ALGS = ("PS256", "ES256", "Ed25519", "EdDSA")  # section 5.4.1; RFC 9864 for Ed25519

#: FAPI 2.0 Security Profile. Message Signing demands nothing more of what is negotiated.
FAPI2 = Profile(
    unlisted_algs={"RSA": "PS256", "P-256": "ES256", "Ed25519": "EdDSA"},
    unlisted_id_token_algs=_FAPI_ALGS,
    algs=frozenset(_FAPI_ALGS),
    iss_required=True,
    https_redirect_uri=True,
)

#: The profiles of PARJAR_PROFILE.
PROFILES: Mapping[str | None, Profile] = {
    None: OPENID_CONNECT,
    "fapi2-security": FAPI2,
    "fapi2-message-signing": FAPI2,
}
