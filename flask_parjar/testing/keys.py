"""The provider's own keys: made when first needed, rotated on demand, published as a JWK Set.

Signing with them is the business of ``jws.py`` and ``id_token.py``.
"""

from __future__ import annotations

import functools
import threading

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

#: What an ID token may be signed with here, the default first.
ID_TOKEN_ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
_KEY_NAMES = {
    "ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP", "Ed25519": "OKP",
}  # fmt: skip


class ProviderKeys:
    """One key for each family of algorithms, in generations.

    The newest generation signs; it and the one before are published.

    :param issuer: whose keys they are
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._generation = 0
        self._made: dict[tuple[int, str], Key] = {}
        self._lock = threading.Lock()

    def signing_key(self, alg: str) -> Key:
        """The key that signs with this algorithm today.

        :raises KeyError: an algorithm that is not one of ``ID_TOKEN_ALGORITHMS``
        """
        with self._lock:
            return self._key(self._generation, _KEY_NAMES[alg])

    def find(self, kid: str | None) -> Key | None:
        """A published key by its name."""
        return next((key for key in self._published() if key.kid == kid), None)

    def public_jwks(self) -> dict[str, object]:
        """What ``jwks_uri`` serves (RFC 7517 section 5)."""
        return {"keys": [public_jwk(key) for key in self._published()]}

    def rotate(self) -> None:
        """Sign with new keys from now on; the ones until now stay published, those before go."""
        with self._lock:
            for name in set(_KEY_NAMES.values()):
                self._key(self._generation, name)
            self._generation += 1
            self._made = {k: v for k, v in self._made.items() if k[0] >= self._generation - 1}

    def _published(self) -> list[Key]:
        with self._lock:
            names = dict.fromkeys(_KEY_NAMES.values())
            newest = [self._key(self._generation, name) for name in names]
            return newest + [k for (n, _), k in self._made.items() if n < self._generation]

    def _key(self, generation: int, name: str) -> Key:
        if (generation, name) not in self._made:
            self._made[generation, name] = _new_key(name, self._issuer, generation)
        return self._made[generation, name]


def public_jwk(key: Key) -> dict[str, object]:
    """The half of a key that everybody may see."""
    return dict(key.as_dict(private=False))


def new_ec_key() -> ECKey:
    """A fresh P-256 key with a name and a use: what most clients sign with."""
    key: ECKey = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return key


def _new_key(name: str, issuer: str, generation: int) -> Key:
    if name == "EC":
        return new_ec_key()
    if name == "OKP":  # no "alg": the same key signs under both names of RFC 8037 and RFC 9864
        key: OKPKey = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)
        return key
    return _rsa_key(issuer, generation)


@functools.lru_cache(maxsize=16)
def _rsa_key(issuer: str, generation: int) -> RSAKey:
    """RSA keys take a tenth of a second to make: once per issuer and process, not once per test."""
    # No "alg": the same key signs RS256 and PS256.
    key: RSAKey = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    return key
