"""Keys: ours to sign with, and a provider's to verify with. Knows joserfc, as jws.py does."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ..errors import TokenRejected
from .algorithms import ALGORITHMS
from .encoding import b64decode, b64encode, parse_json_object

MAX_KEYS = 50
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # a longer one serves nobody, and each verification would take a second

#: What of a key of ours is published: a list, so that no unknown member slips out with it.
_PUBLISHED = frozenset("kty kid alg crv x y n e x5u x5c x5t x5t#S256".split())

#: What a key of ours signs with where the provider's metadata lists nothing.
_UNLISTED = {
    "RSA": "RS256",
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
    "oct": "HS256",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key of ours (or a shared secret), ready to sign: imported once, at start."""

    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    public_jwk: Mapping[str, Any]
    _key: Key = field(repr=False)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The names of the algorithms this key can sign with, best first."""
        if self.alg is not None:
            return (self.alg,)
        return tuple(
            name
            for name, needs in ALGORITHMS.items()
            if needs.kty == self.kty and needs.crv in (None, self.crv)
        )

    def negotiate(self, listed: Sequence[str] | None, pinned: str | None) -> str | None:
        """Choose the algorithm for a provider, or None where there is no agreement.

        :param listed: what the provider's metadata lists, None where it is silent.
        :param pinned: what our configuration names.
        """
        if pinned is not None:
            fits = pinned in self.algorithms and (listed is None or pinned in listed)
            return pinned if fits else None
        if listed is None:
            unlisted = _UNLISTED[self.crv or self.kty]
            return unlisted if unlisted in self.algorithms else self.alg
        return next((name for name in self.algorithms if name in listed), None)

    def sign(self, claims: Mapping[str, Any], *, alg: str, typ: str | None = None) -> str:
        """Sign claims as a compact JWS (RFC 7515 section 7.1).

        :param alg: one of `algorithms`, as negotiated.
        :param typ: the header's ``typ`` (RFC 8725 section 3.11).
        """
        header = {"alg": alg}
        if typ is not None:
            header["typ"] = typ
        if self.kid is not None:
            header["kid"] = self.kid
        signing_input = f"{_encode_json(header)}.{_encode_json(claims)}"
        # The registry's own look-up would warn at each use of "EdDSA"; the table above has decided.
        signature = JWSRegistry.algorithms[alg].sign(signing_input.encode("ascii"), self._key)
        return f"{signing_input}.{b64encode(signature)}"


def _encode_json(value: Mapping[str, Any]) -> str:
    return b64encode(json.dumps(value, separators=(",", ":")).encode("utf-8"))


def parse_signing_keys(value: str | Mapping[str, Any]) -> tuple[SigningKey, ...]:
    """Import our keys: PEM text (PKCS#8, PKCS#1, SEC1), a JWK, or a JWK Set.

    :returns: the first is private and signs; the public halves of all are published.
    :raises ValueError: with what was found and what is needed.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            return parse_signing_keys(parse_json_object(text.encode("utf-8")))
        return _private_first([_import_pem(text)])
    if "keys" not in value:
        return _private_first([_import_jwk(value)])
    listed = value["keys"]
    if not isinstance(listed, list) or not all(isinstance(jwk, Mapping) for jwk in listed):
        raise ValueError("the member keys of a JWK Set is a list of JWKs")
    return _private_first([_import_jwk(jwk) for jwk in listed])


def _private_first(keys: Sequence[Key]) -> tuple[SigningKey, ...]:
    """The keys in order, those that cannot sign at the end: they are published, and no more."""
    if not any(key.is_private for key in keys):
        raise ValueError("there is no private key in it (a JWK has one in its member d)")
    return tuple(_signing_key(key) for key in sorted(keys, key=lambda each: not each.is_private))


def parse_shared_secret(secret: str) -> SigningKey:
    """Make the key of ``client_secret_jwt`` from a client secret (OpenID Connect Core 9).

    :raises ValueError: it is the text of a key, whose public half is no secret.
    """
    if "-----BEGIN" in secret:
        raise ValueError("a PEM is no shared secret")
    key = OctKey.import_key(secret)
    return SigningKey(kid=None, kty="oct", crv=None, alg=None, public_jwk={}, _key=key)


def _import_pem(text: str) -> Key:
    # Environment files often hold the two characters \n in place of a line break.
    pem = text.replace("\\n", "\n").encode("utf-8")
    if b"ENCRYPTED" in pem:
        raise ValueError("the PEM is encrypted: write the key without a pass phrase")
    key_types: tuple[type[RSAKey] | type[ECKey] | type[OKPKey], ...] = (RSAKey, ECKey, OKPKey)
    for key_type in key_types:  # RSA first: the dear one is parsed once
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                key: Key = key_type.import_key(pem)
            key.ensure_kid()
            return key
        except JoseError:
            continue
        # cryptography has exceptions of its own for what it knows and does not support
        except Exception as exc:
            raise ValueError("not a PEM that can be read, or of an unusual kind") from exc
    raise ValueError("the PEM is of a key type other than RSA, EC or Ed25519")


def _import_jwk(jwk: Mapping[str, Any]) -> Key:
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("a JWK must have kty RSA, EC or OKP")
    if jwk["kty"] == "RSA":
        _check_rsa_size(jwk)
    try:
        key: Key = JWKRegistry.import_key(dict(jwk))
        key.ensure_kid()
    # joserfc passes on whatever the parsers below it raise for a mistyped member
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"the JWK cannot be read ({type(exc).__name__})") from exc
    return key


def _check_rsa_size(jwk: Mapping[str, Any]) -> None:
    modulus = jwk.get("n")
    if not isinstance(modulus, str):
        raise ValueError("the RSA JWK has no modulus n")
    bits = int.from_bytes(b64decode(modulus), "big").bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise ValueError(f"the RSA key has {bits} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are taken")


def _signing_key(key: Key) -> SigningKey:
    if key.get("use") not in (None, "sig"):
        raise ValueError("its use is not 'sig'")
    operation = "sign" if key.is_private else "verify"
    if operation not in (key.get("key_ops", [operation]) or ()):
        raise ValueError(f"its key_ops do not have {operation!r}")
    public = key.as_dict(private=False)
    if key.key_type == "RSA":
        _check_rsa_size(public)
    public_jwk = {k: v for k, v in public.items() if k in _PUBLISHED} | {"use": "sig"}
    crv = key.get("crv")
    signing_key = SigningKey(
        kid=key.kid,
        kty=key.key_type,
        crv=crv if isinstance(crv, str) else None,
        alg=None,
        public_jwk=public_jwk,
        _key=key,
    )
    able = signing_key.algorithms
    if not able:
        raise ValueError(f"a key on curve {crv} cannot sign; use P-256, P-384, P-521 or Ed25519")
    alg = key.alg
    if alg is None:
        return signing_key
    if alg not in able:
        raise ValueError(f"its alg {alg!r} does not fit the key; one of {', '.join(able)} would")
    return SigningKey(
        kid=key.kid, kty=key.key_type, crv=signing_key.crv, alg=alg, public_jwk=public_jwk, _key=key
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _VerificationKey:
    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    key: Key = field(repr=False)

    def fits(self, alg: str) -> bool:
        needs = ALGORITHMS[alg]
        return self.kty == needs.kty and needs.crv in (None, self.crv) and self.alg in (None, alg)


@dataclass(frozen=True, slots=True)
class KeySet:
    """A provider's public keys, parsed once a fetch."""

    _keys: tuple[_VerificationKey, ...]

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> KeySet:
        """Read a JWK Set (RFC 7517 section 5).

        Keys that cannot be read, are symmetric, weak, or not for signatures are skipped.

        :raises ValueError: where it is no JWK Set, or holds an absurd number of keys.
        """
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise ValueError("the JWK Set has no list of keys")
        if len(listed) > MAX_KEYS:
            raise ValueError(f"the JWK Set has more than {MAX_KEYS} keys")
        return cls(tuple(_verification_keys(listed)))

    def select(self, *, kid: str | None, alg: str) -> Key:
        """Find the one key that a token's header asks for.

        :raises TokenRejected: ``token_key``, where none fits, or more than one.
        """
        fitting = [key for key in self._keys if key.fits(alg) and kid in (None, key.kid)]
        if len(fitting) == 1:
            return fitting[0].key
        found = "no key" if not fitting else f"{len(fitting)} keys"
        raise TokenRejected("token_key", f"{found} for kid={kid!r:.80} alg={alg}")


def _verification_keys(listed: Iterable[Any]) -> Iterable[_VerificationKey]:
    for jwk in listed:
        if not isinstance(jwk, dict) or jwk.get("use") not in (None, "sig"):
            continue
        operations = jwk.get("key_ops", ["verify"])
        if not isinstance(operations, list) or "verify" not in operations:
            continue
        public = {k: v for k, v in jwk.items() if k not in ("d", "p", "q", "dp", "dq", "qi")}
        try:
            key = _import_jwk(public)
        except ValueError:
            continue  # RFC 7517 section 5: what is not understood is ignored
        kid, crv, alg = public.get("kid"), public.get("crv"), public.get("alg")
        yield _VerificationKey(
            kid=kid if isinstance(kid, str) else None,
            kty=key.key_type,
            crv=crv if isinstance(crv, str) else None,
            alg=alg if isinstance(alg, str) else None,
            key=key,
        )
