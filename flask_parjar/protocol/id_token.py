"""Verification of ID tokens, at a login and at a renewal."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import TokenRejected
from .algorithms import verify_half_hash
from .encoding import is_number
from .jwe import is_encrypted
from .jws import read_claims
from .opener import ID_TOKEN, TokenOpener, number_claim
from .transaction import Transaction

MAX_SUBJECT = 255
_MILLISECONDS = 10**12  # no time in seconds that a provider can mean; in milliseconds it is 2001
MAX_AGE_AT_ISSUE = 600  # seconds; an older ID token was not issued for this login


@dataclass(frozen=True, slots=True, kw_only=True)
class IDTokenClaims:
    """The claims of an ID token that passed every check.

    :param checked: the names of what was checked, in order: ``encryption`` if it came encrypted,
        ``signature``, then claims.
    :param jws: the token as it came.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    checked: tuple[str, ...]
    jws: str = field(repr=False)

    @property
    def issuer(self) -> str:
        """The ``iss``: the provider's issuer, or that of the person's tenant."""
        return str(self.claims["iss"])

    @property
    def subject(self) -> str:
        """The ``sub``: unique within the issuer."""
        return str(self.claims["sub"])

    @property
    def alg(self) -> str:
        """The algorithm that it was signed with."""
        return str(self.header["alg"])

    @property
    def issued_at(self) -> int:
        """The ``iat``: seconds since 1970 by the provider's clock."""
        return int(self.claims["iat"])


def verify_id_token(
    id_token: str,
    *,
    opener: TokenOpener,
    transaction: Transaction,
    access_token: str,
    now: int,
) -> IDTokenClaims:
    """Verify an ID token, from its signature to its last claim.

    :param access_token: the one that came in the same answer, for ``at_hash``.
    :param now: seconds since 1970.
    :raises TokenRejected: with the code of the first check that fails.

    OpenID Connect Core 3.1.3.7, RFC 8725.
    """
    token, skew = opener.open(id_token, kind=ID_TOKEN), opener.agreement.clock_skew
    claims = token.claims
    _verify_times(claims, now=now, skew=skew)
    _verify_nonce(claims, transaction.nonce)
    _verify_subject(claims)
    _verify_person(claims, transaction)
    _verify_access_token_hash(claims, access_token, str(token.header["alg"]))
    _verify_freshness(claims, transaction, now=now, skew=skew)
    _verify_strength(claims, transaction)
    _verify_session_expiry(claims, now)
    checked = ["encryption"] if is_encrypted(id_token) else []
    checked += ["signature", "iss", "aud", "exp", "iat", "nonce", "sub"]
    checked += [name for name in ("at_hash",) if claims.get(name) is not None]
    if transaction.max_age is not None or "auth_time" in transaction.present:
        checked.append("auth_time")
    if transaction.acr_values or "acr" in transaction.present:
        checked.append("acr")
    checked += [name for name in ("session_expiry",) if claims.get(name) is not None]
    return IDTokenClaims(header=token.header, claims=claims, checked=tuple(checked), jws=token.jws)


def verify_renewed_id_token(
    id_token: str,
    *,
    opener: TokenOpener,
    original: str,
    expected_issuer: str,
    expected_subject: str,
    access_token: str,
    now: int,
) -> IDTokenClaims:
    """Verify an ID token that came with a refresh: same issuer, client and person.

    Another ``auth_time`` is accepted: at some providers it changes when the same person signs in
    for another client, and nothing here depends on it.

    :param original: the one that was verified at the login or at the refresh before; empty if
        there was no room to store it.
    :param expected_issuer: the ``iss`` of the session: perhaps that of the person's tenant.
    :param expected_subject: the ``sub`` of the session.
    :param now: seconds since 1970.
    :raises TokenRejected: with the code of the first check that fails.

    OpenID Connect Core 12.2.
    """
    token = opener.open(id_token, kind=ID_TOKEN)
    claims, before = token.claims, read_claims(original) if original else {}
    if claims["iss"] != expected_issuer:
        raise TokenRejected("token_issuer", f"iss={claims['iss']!r}, another than at the login")
    _verify_times(claims, now=now, skew=opener.agreement.clock_skew)
    _verify_subject(claims)
    if claims["sub"] != expected_subject:
        raise TokenRejected("token_subject", f"sub={claims['sub']!r}, another than at the login")
    nonce = claims.get("nonce")
    if nonce is not None and nonce != before.get("nonce", nonce):
        raise TokenRejected("token_claim", "nonce is another one than at the login")
    _verify_access_token_hash(claims, access_token, str(token.header["alg"]))
    _verify_session_expiry(claims, now)
    checked = ["encryption"] if is_encrypted(id_token) else []
    checked += ["signature", "iss", "aud", "exp", "iat", "sub"]
    optional = ("nonce", "at_hash", "session_expiry")
    checked += [name for name in optional if claims.get(name) is not None]
    return IDTokenClaims(header=token.header, claims=claims, checked=tuple(checked), jws=token.jws)


def is_fresh(auth_time: object, *, max_age: int, now: int, skew: int) -> bool:
    """Say whether a person proved who they are at most `max_age` seconds ago.

    A time in the future (milliseconds, a wrong clock) is refused: it would be recent for ever.

    OpenID Connect Core 3.1.2.1.
    """
    return is_number(auth_time) and -skew <= now - auth_time <= max_age + skew


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> None:
    expires, issued, begins = (
        number_claim(claims, "exp"),
        number_claim(claims, "iat"),
        number_claim(claims, "nbf", default=now),
    )
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if max(issued, begins) > now + skew:
        ahead = max(issued, begins) - now
        raise TokenRejected("token_from_the_future", f"{ahead:.0f} s ahead of our clock")
    if issued < now - skew - MAX_AGE_AT_ISSUE:
        raise TokenRejected("token_too_old", f"iat is {now - issued:.0f} s before our clock")


def _verify_nonce(claims: Mapping[str, Any], expected_nonce: str) -> None:
    nonce = claims.get("nonce")
    if (
        not isinstance(nonce, str)
        or not nonce.isascii()  # compare_digest raises for other text
        or not hmac.compare_digest(nonce, expected_nonce)
    ):
        how = "nonce is missing" if nonce is None else "nonce is another one"
        raise TokenRejected("token_nonce", how)


def _verify_subject(claims: Mapping[str, Any]) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > MAX_SUBJECT:
        raise TokenRejected("token_subject", "missing, empty, too long, or not a string")
    if not subject.isascii() or not subject.isprintable():
        raise TokenRejected("token_subject", "not printable ASCII")


def _verify_person(claims: Mapping[str, Any], transaction: Transaction) -> None:
    """``sub`` is one that was asked for, of the right tenant.

    OpenID Connect Core 3.1.2.2 and 5.5.1.
    """
    if transaction.subjects and claims["sub"] not in transaction.subjects:
        raise TokenRejected("other_person", f"sub={claims['sub']!r}")
    if transaction.tenant_issuer not in ("", claims["iss"]):
        raise TokenRejected("other_person", f"sub={claims['sub']!r} of {claims['iss']!r}")


def _verify_access_token_hash(claims: Mapping[str, Any], access_token: str, alg: str) -> None:
    # Optional in the code flow (OpenID Connect Core 3.1.3.6); null is missing.
    expected = claims.get("at_hash")
    if expected is not None and not verify_half_hash(access_token, alg=alg, expected=expected):
        raise TokenRejected("token_hash")


def _verify_freshness(
    claims: Mapping[str, Any], transaction: Transaction, *, now: int, skew: int
) -> None:
    """Check how long ago the person signed in, if that was asked for."""
    if transaction.max_age is None and "auth_time" not in transaction.present:
        return
    auth_time = _auth_time(claims)
    if transaction.max_age is None:
        return
    if not is_fresh(auth_time, max_age=transaction.max_age, now=now, skew=skew):
        age = f"{now - auth_time:.0f} s ago"
        raise TokenRejected("token_auth_time", f"{age}, asked {transaction.max_age}")


def _verify_strength(claims: Mapping[str, Any], transaction: Transaction) -> None:
    """Check how the person signed in, if that was asked for."""
    acr = claims.get("acr")
    if transaction.acr_values and acr not in transaction.acr_values:
        raise TokenRejected("token_acr", f"acr={str(acr)[:100]!r}")
    if "acr" in transaction.present and (not isinstance(acr, str) or not acr):
        raise TokenRejected("token_acr", f"acr={str(acr)[:100]!r}")


def _auth_time(claims: Mapping[str, Any]) -> float:
    if not is_number(claims.get("auth_time")):
        raise TokenRejected("token_auth_time", "auth_time is missing or not a number")
    return float(claims["auth_time"])


def _verify_session_expiry(claims: Mapping[str, Any], now: int) -> None:
    """Check that the session may begin, or go on, where the provider says when it must end.

    There is no tolerance for clocks: the session would end with the next request.

    OpenID Connect Enterprise Extensions 1.0 section 2.1.
    """
    expiry = number_claim(claims, "session_expiry", default=now + 1)
    if expiry >= _MILLISECONDS:
        raise TokenRejected("token_claim", f"session_expiry={expiry:.0f} is not in seconds")
    if int(expiry) <= now:
        raise TokenRejected("token_session_expiry", f"{now - expiry:.0f} s before our clock")
