"""Encryption: our keys that decrypt tokens, and request objects encrypted for a provider.

What is encrypted is always a signed JWT (RFC 7519 section 11.2), in the compact form. The header
is read here, because we decide what it may have. joserfc does the cryptography.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from joserfc.jwe import JWERegistry, decrypt_compact, encrypt_compact
from joserfc.jwk import Key

from ..errors import TokenRejected
from .encoding import b64decode, parse_json_object
from .keys import PUBLISHED_MEMBERS, import_jwk, import_keys

_RSA = frozenset(("RSA",))
_CURVES = frozenset(("P-256", "P-384", "P-521", "X25519"))

#: Every way to encrypt the content key that this library uses, best first, and the keys that it
#: needs, by key type or curve. RSA1_5 is not here because its padding can be attacked; ``dir``, AES
#: key wrapping and PBES2 are not because two sides share their secret. RFC 7518 section 4, RFC 8725
#: section 3.2.
KEY_ALGORITHMS: Mapping[str, frozenset[str]] = {
    "ECDH-ES+A256KW": _CURVES,
    "ECDH-ES+A192KW": _CURVES,
    "ECDH-ES+A128KW": _CURVES,
    "ECDH-ES": _CURVES,
    "RSA-OAEP-256": _RSA,
    "RSA-OAEP": _RSA,
}

#: Every way to encrypt the content that this library uses, best first (RFC 7518 section 5).
CONTENT_ALGORITHMS = ("A256GCM", "A256CBC-HS512", "A128GCM", "A128CBC-HS256")

#: The content encryption of a request object if neither the configuration nor the provider names
#: one (OpenID Connect Dynamic Client Registration section 2).
DEFAULT_ENC = "A128CBC-HS256"

#: Characters of an encrypted token. The longest JWT that we read, encoded once more, is shorter.
MAX_ENCRYPTED_LENGTH = 48 * 1024
_MAX_HEADER = 4096
_MAX_ENCRYPTED_KEY = 1400  # that of an RSA key of 8192 bits

#: Members of a header that change how the content is read (RFC 7516 sections 4.1.3 and 4.1.13,
#: RFC 7797). A small token that is compressed may have a huge content.
_FORBIDDEN_HEADERS = ("zip", "crit", "b64")

#: Members of our JWKs that are not for joserfc: it would compare them with what it does itself.
_OF_USE = frozenset(("use", "key_ops", "alg"))


class Encryption(NamedTuple):
    """How a kind of token is encrypted for us, as it was registered at the provider.

    :param encs: the accepted encryptions of the content. One was registered, but some providers
        use another one than they announce.
    """

    alg: str
    encs: tuple[str, ...]


def parse_encryption(value: object) -> Encryption:
    """Read ``"ECDH-ES+A256KW A256CBC-HS512"``: one ``alg`` and one ``enc`` or more.

    :raises ValueError: with what is wrong and what to write.
    """
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or len(words) < 2 or not _are_text(words):
        raise ValueError("write one alg, then one enc or more, as in ECDH-ES+A256KW A256GCM")
    alg, *encs = words
    if alg not in KEY_ALGORITHMS:
        raise ValueError(f"choose the alg among {', '.join(KEY_ALGORITHMS)}")
    if not set(encs) <= set(CONTENT_ALGORITHMS):
        raise ValueError(f"choose the enc among {', '.join(CONTENT_ALGORITHMS)}")
    return Encryption(alg=alg, encs=tuple(encs))


def _are_text(words: Sequence[object]) -> bool:
    return all(isinstance(word, str) for word in words)


class PublishedKey(NamedTuple):
    """The public half of a decryption key, as our JWK Set has it for one algorithm."""

    kid: str | None
    public_jwk: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptionKey:
    """One of our private keys that decrypts: imported once, at start.

    :param kind: its curve, or ``RSA``.
    :param alg: the only algorithm that it is for; None if it is for all that fit it.
    """

    kid: str
    kind: str
    alg: str | None
    public_jwk: Mapping[str, Any]
    key: Key = field(repr=False)

    def fits(self, alg: str) -> bool:
        """Whether it can be used with an algorithm."""
        return self.kind in KEY_ALGORITHMS[alg] and self.alg in (None, alg)

    def has_kid(self, kid: str, alg: str) -> bool:
        """Whether a provider means this key by the ``kid`` of a token."""
        return kid in (self.kid, self._published_kid(alg))

    def published_for(self, alg: str) -> PublishedKey:
        """Its entry in our JWK Set, with ``use`` and ``alg``.

        Some providers find no key without both. So a key that is for several algorithms has several
        entries, each with a ``kid`` of its own.

        RFC 7517 sections 4.2, 4.4 and 4.5.
        """
        kid = self._published_kid(alg)
        return PublishedKey(kid=kid, public_jwk={**self.public_jwk, "kid": kid, "alg": alg})

    def _published_kid(self, alg: str) -> str:
        return self.kid if self.alg is not None else f"{self.kid}-{alg}"


def parse_decryption_keys(value: str | Mapping[str, Any]) -> tuple[DecryptionKey, ...]:
    """Import our private keys that decrypt: PEM text, a JWK, or a JWK Set.

    :raises ValueError: with what was found and what is needed.
    """
    return tuple(_decryption_key(key) for key in import_keys(value))


def _decryption_key(key: Key) -> DecryptionKey:
    if not key.is_private:
        raise ValueError("a key without its private part cannot decrypt")
    if key.get("use") not in (None, "enc"):
        raise ValueError("its use is not 'enc': sign with one key and decrypt with another")
    kind, kid, alg = _kind(key), str(key.kid), key.alg
    able = [name for name, kinds in KEY_ALGORITHMS.items() if kind in kinds]
    if not able:
        raise ValueError(
            f"a key of the kind {kind} cannot decrypt; use RSA, P-256, P-384, P-521 or X25519"
        )
    if alg is not None and alg not in able:
        raise ValueError(f"its alg {alg!r} does not fit the key; one of {', '.join(able)} would")
    public = key.as_dict(private=False)
    return DecryptionKey(
        kid=kid,
        kind=kind,
        alg=alg,
        public_jwk={k: v for k, v in public.items() if k in PUBLISHED_MEMBERS} | {"use": "enc"},
        key=_without_use(key.as_dict(private=True)),
    )


def _kind(key: Key) -> str:
    return str(key.get("crv") or key.key_type)


def _without_use(jwk: Mapping[str, Any]) -> Key:
    return import_jwk({name: value for name, value in jwk.items() if name not in _OF_USE})


def published_keys(keys: Sequence[DecryptionKey], algs: Iterable[str]) -> tuple[PublishedKey, ...]:
    """What our JWK Set has of our decryption keys: for each algorithm the first key that fits.

    The others only decrypt, so that no provider encrypts for a key that will be taken out.

    :param algs: the algorithms of the configuration; without any, each key is published for its
        own, or for the usual one.

    OpenID Connect Core 10.2.1.
    """
    offered = dict.fromkeys(algs) or dict.fromkeys(_usual_alg(key) for key in keys)
    first = ((alg, next((key for key in keys if key.fits(alg)), None)) for alg in offered)
    return tuple(key.published_for(alg) for alg, key in first if key is not None)


def _usual_alg(key: DecryptionKey) -> str:
    return key.alg or next(alg for alg in KEY_ALGORITHMS if key.fits(alg))


def is_encrypted(token: str) -> bool:
    """Whether a token has the five parts of a compact JWE (RFC 7516 section 7.1)."""
    return token.count(".") == 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Decryption:
    """Decrypts one kind of token.

    :param keys: all our keys; those that are not published any more too.
    """

    encryption: Encryption
    keys: tuple[DecryptionKey, ...] = field(repr=False)

    def decrypt(self, token: str) -> str:
        """Decrypt a compact JWE.

        Its header is compared with what was agreed before anything is decrypted. Why a decryption
        fails is not told, because a sender could learn something of the key from it.

        :returns: what is inside, to be read as a compact JWS; nothing of it is verified.
        :raises TokenRejected: ``token_malformed``, ``token_encryption``, ``token_decryption``.

        RFC 7516 sections 5.2 and 11.4, RFC 8725 section 3.
        """
        if len(token) > MAX_ENCRYPTED_LENGTH:
            raise TokenRejected("token_malformed", f"longer than {MAX_ENCRYPTED_LENGTH} characters")
        header = _parse_header(token)
        self._check_header(header)
        alg, kid = self.encryption.alg, header.get("kid")
        keys = [key for key in self.keys if key.fits(alg) and (not kid or key.has_kid(kid, alg))]
        for key in keys:
            try:
                content = decrypt_compact(token, key.key, registry=_registry(self.encryption))
            # Whatever the libraries raise for a key, a point, a length or a tag is one failure.
            except Exception:  # noqa: S112 - it is reported below
                continue
            return (content.plaintext or b"").decode("ascii", "replace")
        raise TokenRejected("token_decryption", f"kid={kid!r:.80} alg={alg}; {len(keys)} keys fit")

    def _check_header(self, header: Mapping[str, Any]) -> None:
        """Compare the header with what was agreed."""
        for name in _FORBIDDEN_HEADERS:
            if name in header:
                raise TokenRejected("token_encryption", f"the header has {name!r}")
        if header.get("alg") != self.encryption.alg:
            raise TokenRejected("token_encryption", f"alg={header.get('alg')!r:.80}")
        if header.get("enc") not in self.encryption.encs:
            raise TokenRejected("token_encryption", f"enc={header.get('enc')!r:.80}")
        if not isinstance(header.get("kid", ""), str):
            raise TokenRejected("token_encryption", "kid is not a string")
        cty = str(header.get("cty")).lower().removeprefix("application/")
        if cty != "jwt":  # RFC 7519 section 5.2
            raise TokenRejected("token_encryption", f"cty={header.get('cty')!r:.80}")


def _parse_header(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts[0]) > _MAX_HEADER or len(parts[1]) > _MAX_ENCRYPTED_KEY:
        raise TokenRejected("token_malformed", "the header or the encrypted key is too long")
    try:
        header, *_ = [b64decode(part) for part in parts]
        return parse_json_object(header)
    except ValueError as exc:
        raise TokenRejected("token_malformed", f"JWE: {exc}") from exc


def _registry(encryption: Encryption) -> JWERegistry:
    """What joserfc may use for one token, and how large its parts may be."""
    # Members that joserfc does not know, such as x5t, are none of its concern.
    registry = JWERegistry(algorithms=[encryption.alg, *encryption.encs], strict_check_header=False)
    registry.max_protected_header_length = _MAX_HEADER
    registry.max_encrypted_key_length = _MAX_ENCRYPTED_KEY
    return registry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncryptionKey:
    """A public key of a provider, for what is encrypted for it."""

    kid: str | None
    kind: str
    alg: str | None
    key: Key = field(repr=False)

    def fits(self, alg: str) -> bool:
        """Whether it can be used with an algorithm."""
        return self.kind in KEY_ALGORITHMS[alg] and self.alg in (None, alg)


def parse_encryption_key(public_jwk: Mapping[str, Any]) -> EncryptionKey:
    """Read a provider's public key that has ``use: enc``.

    :raises ValueError: it cannot be read.
    """
    kid, alg = public_jwk.get("kid"), public_jwk.get("alg")
    key = _without_use(public_jwk)
    return EncryptionKey(
        kid=kid if isinstance(kid, str) else None,
        kind=_kind(key),
        alg=alg if isinstance(alg, str) else None,
        key=key,
    )


class RequestEncryption(NamedTuple):
    """How request objects are encrypted for the provider (RFC 9101 section 5)."""

    alg: str
    enc: str

    def encrypt(self, jws: str, key: EncryptionKey) -> str:
        """Encrypt a signed request object as a compact JWE.

        :param key: one that fits `alg`.

        RFC 7516 section 5.1; RFC 7519 section 5.2 for ``cty``.
        """
        header = {"alg": self.alg, "enc": self.enc, "cty": "JWT"}
        if key.kid is not None:
            header["kid"] = key.kid
        encryption = Encryption(alg=self.alg, encs=(self.enc,))
        return encrypt_compact(header, jws, key.key, registry=_registry(encryption))
