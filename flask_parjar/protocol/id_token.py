"""The ID token: every check, once, in one place."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TokenRejected
from .algorithms import verify_half_hash
from .client import ClientConfig
from .encoding import is_number
from .jws import read_claims, verify_token
from .keys import KeySet
from .transaction import Transaction

MAX_SUBJECT = 255
MAX_AGE_AT_ISSUE = 600  # an ID token of a login just finished that is older was stored somewhere
_TYPS = (None, "jwt", "id_token+jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class IDTokenClaims:
    """The claims of an ID token that passed every check, and what was proved on the way."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    proofs: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The ``sub``: unique within the issuer."""
        return str(self.claims["sub"])


def verify_id_token(
    id_token: str,
    *,
    keys: KeySet,
    algs: Sequence[str],
    client: ClientConfig,
    transaction: Transaction,
    access_token: str,
    now: int,
) -> IDTokenClaims:
    """Prove an ID token, from its signature to its last claim.

    :param algs: the algorithms agreed on with this provider.
    :param access_token: the one that came in the same answer, for ``at_hash``.
    :raises TokenRejected: with the code of the first check that fails.

    OpenID Connect Core 3.1.3.7, RFC 8725.
    """
    token = verify_token(id_token, keys=keys, expected_algs=algs, expected_typs=_TYPS)
    claims, alg = token.claims, str(token.header["alg"])
    proofs = (
        f"signature: {alg}, by a key that the provider publishes",
        verify_issuer(claims, transaction.issuer),
        verify_audience(claims, client),
        *_verify_times(claims, now=now, skew=client.clock_skew),
        _verify_nonce(claims, transaction.nonce),
        _verify_subject(claims),
        *_verify_access_token_hash(claims, access_token, alg),
        *_verify_authentication(claims, transaction, now=now, skew=client.clock_skew),
    )
    return IDTokenClaims(header=token.header, claims=claims, proofs=proofs)


def verify_renewed_id_token(
    id_token: str,
    *,
    original: str,
    expected_subject: str,
    keys: KeySet,
    algs: Sequence[str],
    client: ClientConfig,
    access_token: str,
    now: int,
) -> None:
    """Prove an ID token that came with a refresh: about the same person, from the same place.

    :param original: the one that was proved at the login, or at the refresh before; empty where
        there was no room to keep it.
    :param expected_subject: who is logged in.
    :raises TokenRejected: with the code of the first check that fails.

    OpenID Connect Core 12.2.
    """
    token = verify_token(id_token, keys=keys, expected_algs=algs, expected_typs=_TYPS)
    claims, before = token.claims, read_claims(original) if original else {}
    verify_issuer(claims, client.issuer)
    verify_audience(claims, client)
    _verify_times(claims, now=now, skew=client.clock_skew)
    _verify_subject(claims)
    if claims["sub"] != expected_subject:
        raise TokenRejected("token_subject", "another one than at the login")
    for name in ("nonce", "auth_time"):
        if name in claims and claims[name] != before.get(name, claims[name]):
            raise TokenRejected("token_claim", f"{name} is another one than at the login")
    _verify_access_token_hash(claims, access_token, str(token.header["alg"]))


def verify_issuer(claims: Mapping[str, Any], expected_issuer: str) -> str:
    """``iss`` is the very issuer that was asked."""
    if claims.get("iss") != expected_issuer:
        found = str(claims.get("iss"))[:200]
        raise TokenRejected("token_issuer", f"expected {expected_issuer!r}, found {found!r}")
    return "iss: the provider that was asked"


def verify_audience(claims: Mapping[str, Any], client: ClientConfig) -> str:
    """``aud`` is us, or us among others; then ``azp`` must be us and the others be trusted."""
    audience, azp = claims.get("aud"), claims.get("azp")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TokenRejected("token_audience", "aud is not a string or a list of strings")
    if client.client_id not in listed:
        raise TokenRejected("token_audience", f"aud={str(listed)[:200]}")
    strangers = set(listed) - {client.client_id, *client.trusted_audiences}
    if strangers:
        raise TokenRejected(
            "token_audience", f"untrusted audiences: {str(sorted(strangers))[:200]}"
        )
    if len(listed) > 1 and azp is None:
        raise TokenRejected("token_audience", "several audiences and no azp")
    if azp is not None and azp != client.client_id:
        raise TokenRejected("token_audience", f"azp={str(azp)[:200]!r}")
    return "aud: this client"


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> tuple[str, str]:
    expires, issued, begins = (
        _number(claims, "exp"),
        _number(claims, "iat"),
        _number(claims, "nbf", default=now),
    )
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if max(issued, begins) > now + skew:
        ahead = max(issued, begins) - now
        raise TokenRejected("token_from_the_future", f"{ahead:.0f} s ahead of our clock")
    if issued < now - skew - MAX_AGE_AT_ISSUE:
        raise TokenRejected("token_too_old", f"iat is {now - issued:.0f} s before our clock")
    return "exp: not expired", "iat: just issued"


def _number(claims: Mapping[str, Any], name: str, *, default: float | None = None) -> float:
    value = claims.get(name, default)
    if not is_number(value):
        raise TokenRejected("token_claim", f"{name} is missing or not a number")
    return value


def _verify_nonce(claims: Mapping[str, Any], expected_nonce: str) -> str:
    nonce = claims.get("nonce")
    if (
        not isinstance(nonce, str)
        or not nonce.isascii()  # compare_digest takes no other text
        or not hmac.compare_digest(nonce, expected_nonce)
    ):
        raise TokenRejected("token_nonce", "missing" if nonce is None else "another one")
    return "nonce: that of this login"


def _verify_subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > MAX_SUBJECT:
        raise TokenRejected("token_subject", "missing, empty, too long, or not a string")
    if not subject.isascii() or not subject.isprintable():
        raise TokenRejected("token_subject", "not printable ASCII")
    return "sub: present"


def _verify_access_token_hash(
    claims: Mapping[str, Any], access_token: str, alg: str
) -> tuple[str, ...]:
    if "at_hash" not in claims:
        return ()  # optional in the code flow (OpenID Connect Core 3.1.3.6)
    if not verify_half_hash(access_token, alg=alg, expected=claims["at_hash"]):
        raise TokenRejected("token_hash")
    return ("at_hash: the access token that came with it",)


def _verify_authentication(
    claims: Mapping[str, Any], transaction: Transaction, *, now: int, skew: int
) -> tuple[str, ...]:
    """What was asked of the sign-in itself: how long ago, and how strong."""
    proofs: list[str] = []
    if transaction.max_age is not None:
        age = now - _auth_time(claims)
        if not -skew <= age <= transaction.max_age + skew:
            raise TokenRejected("token_auth_time", f"{age:.0f} s ago, asked {transaction.max_age}")
        proofs.append("auth_time: young enough")
    if transaction.acr_values:
        if claims.get("acr") not in transaction.acr_values:
            raise TokenRejected("token_acr", f"acr={str(claims.get('acr'))[:100]!r}")
        proofs.append("acr: one of those asked for")
    return tuple(proofs)


def _auth_time(claims: Mapping[str, Any]) -> float:
    if not is_number(claims.get("auth_time")):
        raise TokenRejected("token_auth_time", "auth_time is missing or not a number")
    return float(claims["auth_time"])
