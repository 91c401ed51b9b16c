"""DPoP: tokens that can be used only with a key of ours, which signs a proof for each request.

Each login has a key of its own, never one that signs client assertions. It is derived from the
secret of the transaction, so that the callback, perhaps in another process, has the same key. After
the login it is stored with the tokens, encrypted as they are. RFC 9449.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, Key, OKPKey
from joserfc.jws import JWSRegistry

from .algorithms import ALGORITHMS
from .challenge import is_use_dpop_nonce
from .encoding import b64decode, b64encode, encode_json
from .outbound import Answer, Nonces, Outbound, Proof
from .urls import DEFAULT_PORTS

PROOF_LIFETIME = 60
MAX_NONCE = 1024

#: What can be derived in microseconds, best first. No RSA: such a key takes a tenth of a second.
DPOP_ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "ES384", "ES512")

_NONCE = re.compile(rf"[\x21\x23-\x5b\x5d-\x7e]{{1,{MAX_NONCE}}}")  # RFC 9449 section 8.1
_MEMBERS = ("kty", "crv", "x", "y")


class _Curve(NamedTuple):
    """A curve for ECDSA (FIPS 186-5, SP 800-186 section 3.2.1).

    :param order: of its base point. A private key is a number from 1 to one below it.
    :param size: octets of a private key.
    """

    make: Callable[[], ec.EllipticCurve]
    order: int
    size: int


_CURVES: Mapping[str | None, _Curve] = {
    "P-256": _Curve(
        ec.SECP256R1,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        32,
    ),
    "P-384": _Curve(
        ec.SECP384R1,
        int("ffffffffffffffffffffffffffffffffffffffffffffffff"
            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
        48,
    ),
    "P-521": _Curve(
        ec.SECP521R1,
        int("01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
            "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
        66,
    ),
}  # fmt: skip
_ED25519_SIZE = 32  # octets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProofKey:
    """The key of one login, ready to sign.

    :param header: the encoded header of its proofs: the same for all of them.
    :param thumbprint: of the public key, by SHA-256 (RFC 7638).
    """

    alg: str
    header: str
    thumbprint: str
    _key: Key = field(repr=False)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Sign the claims of a proof (RFC 9449 section 4.2)."""
        signing_input = f"{self.header}.{encode_json(claims)}"
        signature = JWSRegistry.algorithms[self.alg].sign(signing_input.encode(), self._key)
        return f"{signing_input}.{b64encode(signature)}"


class DPoPProof:
    """The proof of one request, and of its second try if the server asks for a nonce.

    :param key: gives the key; called for each proof.
    :param nonces: those that servers gave; a nonce goes to no other place than its own.
    :param access_token: for a request to an API; None for one to the authorization server.
    """

    # Of the last request, for its answer.
    _place: str
    _sent: str | None

    def __init__(
        self, key: Callable[[], ProofKey], *, nonces: Nonces, access_token: str | None = None
    ) -> None:
        self._key = key
        self._nonces = nonces
        self._access_token = access_token

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`.

        RFC 9449 sections 4.2, 5 and 7.1.
        """
        self._place = place_of(outbound.url, of_api=self._access_token is not None)
        self._sent = self._nonces.get(self._place)
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": outbound.method.upper(),
            "htu": target_of(outbound.url),
            "iat": now,
            "exp": now + PROOF_LIFETIME,
        }
        if self._sent is not None:
            claims["nonce"] = self._sent
        if self._access_token is None:
            return outbound.with_header("DPoP", self._key().sign(claims))
        digest = hashlib.sha256(self._access_token.encode("ascii")).digest()
        proof = self._key().sign({**claims, "ath": b64encode(digest)})
        authorized = outbound.with_header("Authorization", f"DPoP {self._access_token}")
        return authorized.with_header("DPoP", proof)

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: keep the nonce of any answer.

        A nonce that no header can have, or that is very long, is ignored. Without a new nonce, one
        more try would be refused as this one was.

        RFC 9449 sections 8, 8.2 and 9.
        """
        nonce = answer.headers.get("DPoP-Nonce") or ""
        if not _NONCE.fullmatch(nonce):
            return False
        self._nonces.put(self._place, nonce)
        return nonce != self._sent and _asks_for_nonce(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class DPoP:
    """Bound to the key of one login.

    :param private: the private key: the octets of ``d`` in its JWK.
    :param at_par: whether a pushed request has a proof, beside the ``dpop_jkt`` in it.
    """

    alg: str
    private: bytes = field(repr=False)
    at_par: bool = field(default=True, compare=False)
    kind: str = "dpop"

    def parameters(self) -> Mapping[str, str]:
        """See `TokenBinding.parameters`: the code is bound to the key too (RFC 9449 section 10)."""
        return {"dpop_jkt": self._key().thumbprint}

    def push_proofs(self, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.push_proofs` (RFC 9449 section 10.1)."""
        return self.proofs(nonces=nonces) if self.at_par else ()

    def proofs(self, access_token: str | None = None, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.proofs`."""
        return (DPoPProof(self._key, nonces=nonces, access_token=access_token),)

    def accepts(self, token_type: str) -> bool:
        """See `TokenBinding.accepts`: a bearer token would be a downgrade (RFC 9449 section 5)."""
        return token_type.lower() == "dpop"

    def after(self, answer: Answer) -> DPoP:
        """See `TokenBinding.after`: the key is that of the login."""
        return self

    def to_text(self) -> str:
        """See `TokenBinding.to_text`."""
        return f"{self.alg}.{b64encode(self.private)}"

    def _key(self) -> ProofKey:
        return _open_key(self.alg, self.private)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginDPoP:
    """Makes the key of one login: a `BeginBinding`."""

    alg: str
    at_par: bool

    def __call__(self, secret: str) -> DPoP:
        """Derive the key from the secret of the transaction; the same from the same one."""
        return DPoP(alg=self.alg, private=_derive_private(self.alg, secret), at_par=self.at_par)


def read_dpop(text: str) -> DPoP:
    """Read what `DPoP.to_text` wrote.

    :raises ValueError: it is something else.
    """
    alg, _, encoded = text.partition(".")
    if alg not in DPOP_ALGORITHMS:
        raise ValueError(f"no algorithm of DPoP keys: {alg!r:.40}")
    private, curve = b64decode(encoded), _CURVES.get(ALGORITHMS[alg].crv)
    if len(private) != (_ED25519_SIZE if curve is None else curve.size):
        raise ValueError("not the size of a private key")
    if curve is not None and not 0 < int.from_bytes(private, "big") < curve.order:
        raise ValueError("not a private key of its curve")
    return DPoP(alg=alg, private=private)


def target_of(url: str) -> str:
    """The ``htu`` of a URL: without query and fragment, written as HTTP libraries send it.

    RFC 9449 section 4.2, RFC 3986 sections 6.2.2 and 6.2.3.
    """
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def place_of(url: str, *, of_api: bool) -> str:
    """What a nonce is kept for: an origin, as an API or as an authorization server.

    RFC 9449 sections 8 and 9; RFC 6454 section 4.
    """
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return f"{'api' if of_api else 'provider'} {parts.scheme}://{parts.hostname}:{port}"


def _asks_for_nonce(answer: Answer) -> bool:
    if answer.status not in (400, 401):
        return False
    error = (answer.document or {}).get("error")
    return error == "use_dpop_nonce" or is_use_dpop_nonce(
        answer.headers.get("WWW-Authenticate") or ""
    )


def _derive_private(alg: str, secret: str) -> bytes:
    """Derive a private key, with 128 bits more than it needs, so that all keys are as likely.

    FIPS 186-5 appendix A.2.1; RFC 8032 section 5.1.5.
    """
    label = f"dpop {alg} ".encode()
    wide = b"".join(hmac.digest(secret.encode(), label + bytes([n]), "sha512") for n in (1, 2))
    curve = _CURVES.get(ALGORITHMS[alg].crv)
    if curve is None:
        return wide[:_ED25519_SIZE]
    number = int.from_bytes(wide[: curve.size + 16], "big")
    return (number % (curve.order - 1) + 1).to_bytes(curve.size, "big")


@functools.lru_cache(maxsize=1024)
def _open_key(alg: str, private: bytes) -> ProofKey:
    """Make the key that signs. The newest are kept: each request of a session has the same key."""
    curve = _CURVES.get(ALGORITHMS[alg].crv)
    key: Key
    if curve is None:
        key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(private))
    else:
        number = int.from_bytes(private, "big")
        key = ECKey.import_key(ec.derive_private_key(number, curve.make()))
    public = key.as_dict(private=False)
    jwk = {name: public[name] for name in _MEMBERS if name in public}
    header = encode_json({"typ": "dpop+jwt", "alg": alg, "jwk": jwk})
    return ProofKey(alg=alg, header=header, thumbprint=key.thumbprint(), _key=key)
