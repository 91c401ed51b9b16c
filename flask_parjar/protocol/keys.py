"""Our own keys: how they are imported, and those that sign request objects and assertions."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ..errors import ProviderUnavailable
from .algorithms import ALGORITHMS
from .certificates import certificate_members, check_certificates, split_certificates
from .encoding import b64decode, b64encode, encode_json, parse_json_object

#: Seconds that ``iat`` and ``nbf`` of request objects and client assertions are back. Some
#: providers have no tolerance and refuse a JWT that was issued in their next second, and our clock
#: may be a little ahead of theirs.
BACKDATED = 10

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # a longer one is no safer in practice, and a verification takes a second

_MARK = 8  # characters: enough for the few keys of one site

#: Members of a JWS header that can name a key.
KEY_HEADERS = ("kid", "x5t#S256", "x5t", "x5c")

#: The members that make a public key (RFC 7638 section 3.2).
_KEY_MATERIAL = ("kty", "crv", "x", "y", "n", "e")

#: The members of our keys that are published: an allow-list, so that no private member can be.
PUBLISHED_MEMBERS = frozenset("kty kid alg crv x y n e x5u x5c x5t x5t#S256".split())


class PublicKey(Protocol):
    """One of our keys as it is published."""

    @property
    def kid(self) -> str | None: ...

    @property
    def public_jwk(self) -> Mapping[str, Any]: ...


def is_same_key(one: PublicKey, other: PublicKey) -> bool:
    """Whether two keys are the same, perhaps with other names and uses (RFC 7638 section 3)."""
    return all(one.public_jwk.get(k) == other.public_jwk.get(k) for k in _KEY_MATERIAL)


@runtime_checkable
class Signer(Protocol):
    """A private key that lies elsewhere: in a key management service or a hardware module.

    ``sign`` returns the signature of JWS: for EC the raw R and S (RFC 7518 section 3.4). It may
    raise any error. Its time-out is its own.
    """

    @property
    def public_jwk(self) -> Mapping[str, Any]:
        """The public key as a JWK (RFC 7517)."""
        ...

    @property
    def alg(self) -> str:
        """The only algorithm that it signs with (RFC 7518 section 3.1)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One of our private keys, or a shared secret: imported once, at start.

    :param named_by: the members of a JWS header that name the key: see `KEY_HEADERS`.
    :param signer: makes the signatures where the private key lies elsewhere.
    :param mark: a short name for this key in a session, made of its ``kid``; None if it has none.
    """

    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    public_jwk: Mapping[str, Any]
    _key: Key = field(repr=False)
    named_by: tuple[str, ...] = ("kid",)
    signer: Signer | None = field(default=None, repr=False)
    mark: str | None = field(init=False)
    #: The headers that were encoded before, by ``alg`` and ``typ``: the configuration has a few.
    _headers: dict[tuple[str, str | None], str] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "mark", _mark_of(self.kid))

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

    @property
    def is_private(self) -> bool:
        """Whether it signs, here or elsewhere; other keys of a set are only published."""
        return self.signer is not None or bool(self._key.is_private)

    def negotiate(
        self,
        listed: Sequence[str] | None,
        pinned: str | None,
        *,
        unlisted: Mapping[str, str],
    ) -> str | None:
        """Choose the algorithm for a provider; None if there is no common one.

        :param listed: the list in the provider's metadata; None if it has none.
        :param pinned: the algorithm in our configuration.
        :param unlisted: the algorithm to use without a list, by curve or key type.
        """
        if pinned is not None:
            fits = pinned in self.algorithms and (listed is None or pinned in listed)
            return pinned if fits else None
        if listed is None:
            usual = unlisted.get(self.crv or self.kty)
            return usual if usual in self.algorithms else self.alg
        return next((name for name in self.algorithms if name in listed), None)

    def with_headers(self, names: tuple[str, ...]) -> SigningKey:
        """The same key, named by other members of the header.

        :raises ValueError: it has none of that name, or its certificate is that of another key.
        """
        if chain := self.public_jwk.get("x5c"):
            check_certificates(chain, self._key.public_key)
        known = {"kid": self.kid, **certificate_members(self.public_jwk)}
        for name in names:
            if known.get(name) is None:
                raise ValueError(
                    f"the key has no {name}: put its certificate beside it in the PEM, or write "
                    "x5c into the JWK"
                )
        published = {name: known[name] for name in names}
        return replace(self, named_by=names, public_jwk={**self.public_jwk, **published})

    def header(self, *, alg: str, typ: str | None = None) -> Mapping[str, Any]:
        """The header of a JWS that this key signs (RFC 7515 section 4.1)."""
        header: dict[str, Any] = {"alg": alg, "typ": typ}
        header.update((name, self.public_jwk.get(name)) for name in self.named_by)
        return {name: value for name, value in header.items() if value is not None}

    def sign(self, claims: Mapping[str, Any], *, alg: str, typ: str | None = None) -> str:
        """Sign claims as a compact JWS (RFC 7515 section 7.1).

        :param alg: one of `algorithms`, as negotiated.
        :param typ: the header's ``typ`` (RFC 8725 section 3.11).
        :raises ProviderUnavailable: ``signer_failed``.
        """
        signing_input = f"{self._encoded_header(alg, typ)}.{encode_json(claims)}"
        signature = self._signature(signing_input.encode(), alg)
        return f"{signing_input}.{b64encode(signature)}"

    def _encoded_header(self, alg: str, typ: str | None) -> str:
        encoded = self._headers.get((alg, typ))
        if encoded is None:  # two threads may both encode it: the result is the same
            encoded = self._headers[alg, typ] = encode_json(self.header(alg=alg, typ=typ))
        return encoded

    def _signature(self, data: bytes, alg: str) -> bytes:
        # Not by the registry's own look-up, which warns at each use of "EdDSA". `ALGORITHMS` has
        # decided already which algorithms are used.
        algorithm = JWSRegistry.algorithms[alg]
        if self.signer is None:
            return bytes(algorithm.sign(data, self._key))
        try:
            signature = self.signer.sign(data)
            # Verified here: else the provider would only say that our key is not known.
            genuine = algorithm.verify(data, signature, self._key)
        except Exception as exc:  # of the app's object: any
            raise ProviderUnavailable("signer_failed", type(exc).__name__) from exc
        if not genuine:
            raise ProviderUnavailable("signer_failed", f"no {alg} signature of its public_jwk")
        return signature


def _mark_of(kid: str | None) -> str | None:
    return None if kid is None else b64encode(hashlib.sha256(kid.encode()).digest())[:_MARK]


def parse_signing_keys(value: str | Mapping[str, Any]) -> tuple[SigningKey, ...]:
    """Import our keys: PEM text (PKCS#8, PKCS#1, SEC1), a JWK, or a JWK Set.

    :returns: the first is private and signs, and public keys are last; the public halves of all are
        published.
    :raises ValueError: with what was found and what is needed.
    """
    keys = import_keys(value)
    if not any(key.is_private for key in keys):
        raise ValueError("there is no private key in it (a JWK has one in its member d)")
    return tuple(_signing_key(key) for key in sorted(keys, key=lambda each: not each.is_private))


def import_keys(value: str | Mapping[str, Any]) -> list[Key]:
    """Import keys in their order: PEM text (PKCS#8, PKCS#1, SEC1), a JWK, or a JWK Set.

    :raises ValueError: with what was found and what is needed.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            return import_keys(parse_json_object(text.encode()))
        return [_import_pem(text)]
    if "keys" not in value:
        return [import_jwk(value)]
    listed = value["keys"]
    if not isinstance(listed, list) or not all(isinstance(jwk, Mapping) for jwk in listed):
        raise ValueError("the member keys of a JWK Set is a list of JWKs")
    return [import_jwk(jwk) for jwk in listed]


def parse_signer(signer: Signer) -> tuple[SigningKey, ...]:
    """Make a key of an object that signs.

    :raises ValueError: its ``public_jwk`` or ``alg`` cannot be used.
    """
    jwk = signer.public_jwk
    if not isinstance(jwk, Mapping):
        raise ValueError("its public_jwk is no dict")
    key = import_jwk({**jwk, "alg": signer.alg})
    if key.is_private:
        raise ValueError("its public_jwk has a private key")
    return (replace(_signing_key(key), signer=signer),)


def parse_shared_secret(secret: str) -> SigningKey:
    """Make the key of ``client_secret_jwt`` from a client secret (OpenID Connect Core 9).

    :raises ValueError: it is the text of a key: a public key is not a secret.
    """
    if "-----BEGIN" in secret:
        raise ValueError("a PEM is no shared secret")
    key = OctKey.import_key(secret)
    return SigningKey(kid=None, kty="oct", crv=None, alg=None, public_jwk={}, _key=key)


def _import_pem(text: str) -> Key:
    # Environment files often have the two characters \n in place of a line break.
    text, certificates = split_certificates(text.replace("\\n", "\n"))
    pem = text.strip().encode()
    if not pem:
        raise ValueError("it is empty: write a PEM or a JWK")
    if b"-----BEGIN" not in pem:
        raise ValueError("it has no line -----BEGIN … KEY----- of a PEM, and it is no JWK")
    if b"-----END" not in pem:
        raise ValueError("its last line, -----END … KEY-----, is missing: the PEM was cut")
    if b"ENCRYPTED" in pem:
        raise ValueError("the PEM is encrypted: write the key without a pass phrase")
    key_types: tuple[type[RSAKey] | type[ECKey] | type[OKPKey], ...] = (RSAKey, ECKey, OKPKey)
    for key_type in key_types:  # RSA first: it is the most expensive one, and is then parsed once
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                key: Key = key_type.import_key(pem, {"x5c": certificates} if certificates else None)
            key.ensure_kid()
            return key
        except JoseError:
            continue
        # cryptography raises its own exceptions for keys that it knows but does not support.
        except Exception as exc:
            raise ValueError("not a PEM that can be read, or of an unusual kind") from exc
    raise ValueError("the PEM is of a key type other than RSA, EC or Ed25519")


def import_jwk(jwk: Mapping[str, Any]) -> Key:
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("a JWK must have kty RSA, EC or OKP")
    if jwk["kty"] == "RSA":
        _check_rsa_size(jwk)
    try:
        key: Key = JWKRegistry.import_key(dict(jwk))
        key.ensure_kid()
    # joserfc does not catch what its parsers raise for a member of the wrong type.
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
    public_jwk = {k: v for k, v in public.items() if k in PUBLISHED_MEMBERS} | {"use": "sig"}
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
