"""A provider's public keys, which verify its signatures and encrypt what is for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import Key

from ..errors import LoginError, TokenRejected
from .algorithms import ALGORITHMS, is_same_algorithm
from .jwe import EncryptionKey, parse_encryption_key
from .keys import import_jwk

MAX_KEYS = 50
_MAX_SHOWN = 300

#: Members of a JWK that are not read: private ones, and those about a certificate, which we do not
#: need. So a fault in one of them is no matter.
_IGNORED = frozenset("d p q dp dq qi x5u x5c x5t x5t#S256".split())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _VerificationKey:
    kid: str | None
    kty: str
    crv: str | None
    alg: str | None
    issuer: str | None
    key: Key = field(repr=False)

    def fits(self, alg: str) -> bool:
        needs = ALGORITHMS[alg]
        if self.kty != needs.kty or needs.crv not in (None, self.crv):
            return False
        return self.alg is None or is_same_algorithm(self.alg, alg)


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """A provider's public keys, parsed once for each fetch.

    :param left_out: the keys that cannot be used, each with the reason, for the log.
    """

    _keys: tuple[_VerificationKey, ...]
    left_out: tuple[str, ...] = ()
    _encryption_keys: tuple[EncryptionKey, ...] = ()

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> KeySet:
        """Read a JWK Set (RFC 7517 section 5).

        Keys that cannot be read, are symmetric or weak, or are for something else are left out. A
        member that is null counts as missing.

        :raises ValueError: it is not a JWK Set, or has more than `MAX_KEYS` keys.
        """
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise ValueError("the JWK Set has no list of keys")
        if len(listed) > MAX_KEYS:
            raise ValueError(f"the JWK Set has more than {MAX_KEYS} keys")
        keys: list[_VerificationKey] = []
        encryption_keys: list[EncryptionKey] = []
        left_out: list[str] = []  # a key that is not understood is no fault (RFC 7517 section 5)
        for jwk in listed:
            try:
                public = _public_members(jwk)
                if public.get("use") == "enc":
                    encryption_keys.append(parse_encryption_key(public))
                else:
                    keys.append(_verification_key(public))
            except ValueError as exc:
                kid = jwk.get("kid") if isinstance(jwk, dict) else None
                left_out.append(f"kid={kid!r:.80}: {exc}")
        return cls(tuple(keys), tuple(left_out), tuple(encryption_keys))

    def select(self, *, kid: str | None, alg: str) -> Key:
        """Find the one key that a token's header asks for.

        :raises TokenRejected: ``token_key``: none fits, or more than one.
        """
        fitting = [key for key in self._keys if key.fits(alg) and kid in (None, key.kid)]
        if len(fitting) == 1:
            return fitting[0].key
        found = "no key" if not fitting else f"{len(fitting)} keys"
        detail = f"{found} for kid={kid!r:.80} alg={alg}"
        if self.left_out:
            detail += f"; left out: {', '.join(self.left_out):.{_MAX_SHOWN}}"
        raise TokenRejected("token_key", detail)

    def issuer_of(self, selected: Key) -> str | None:
        """The ``issuer`` of a key that was selected; None where it has none, as usual.

        Microsoft Entra ID says so for which tenants a key signs.
        """
        return next(each.issuer for each in self._keys if each.key is selected)

    def encryption_key(self, alg: str) -> EncryptionKey:
        """Find the key that encrypts for the provider: the first that fits an algorithm.

        :raises LoginError: ``request_encryption_key``: there is none.

        OpenID Connect Core 10.2.
        """
        for key in self._encryption_keys:
            if key.fits(alg):
                return key
        found = f"{len(self._encryption_keys)} keys have use enc, and none fits {alg}"
        raise LoginError("request_encryption_key", found)


def _public_members(jwk: object) -> dict[str, Any]:
    if not isinstance(jwk, dict):
        raise ValueError("it is no JSON object")
    return {k: v for k, v in jwk.items() if v is not None and k not in _IGNORED}


def _verification_key(public: Mapping[str, Any]) -> _VerificationKey:
    """Read one public key.

    :raises ValueError: with the reason why it cannot be used.
    """
    if public.get("use", "sig") != "sig":
        raise ValueError("its use is not 'sig'")
    operations = public.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("its key_ops do not have 'verify'")
    key = import_jwk(public)
    crv, alg, kid = public.get("crv"), public.get("alg"), public.get("kid")
    issuer = public.get("issuer")
    return _VerificationKey(
        kid=kid if isinstance(kid, str) else None,
        kty=key.key_type,
        crv=crv if isinstance(crv, str) else None,
        alg=alg if isinstance(alg, str) else None,
        issuer=None if issuer is None else str(issuer),
        key=key,
    )
