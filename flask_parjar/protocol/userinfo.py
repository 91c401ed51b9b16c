"""The answer of the userinfo endpoint, accepted only for the subject of the ID token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import TokenRejected
from .opener import USERINFO, TokenOpener, number_claim
from .outbound import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInfo:
    """The claims of the userinfo endpoint, about the subject of the ID token."""

    claims: Mapping[str, Any] = field(repr=False)


def verify_userinfo(
    answer: Answer,
    *,
    opener: TokenOpener,
    expected_issuer: str,
    expected_subject: str,
    now: int,
) -> UserInfo:
    """Verify a userinfo answer: a JSON object, or a JWT with the provider's signature.

    The JWT may be encrypted. If that was agreed, it must be.

    :param expected_issuer: the ``iss`` of the ID token.
    :param expected_subject: the ``sub`` of the ID token.
    :param now: seconds since 1970.
    :raises TokenRejected: ``userinfo_subject``, ``token_issuer``, or the code of a check of the
        JWT.

    OpenID Connect Core 5.3.2 and 5.3.4.
    """
    claims = answer.document
    if claims is None:
        text = answer.body.decode("ascii", "replace").strip()
        claims = opener.open(text, kind=USERINFO).claims
        if claims["iss"] != expected_issuer:
            raise TokenRejected("token_issuer", "userinfo is of another tenant than the ID token")
        _verify_times(claims, now=now, skew=opener.agreement.clock_skew)
    elif opener.agreement.userinfo_decryption is not None:
        raise TokenRejected("token_not_encrypted", "userinfo is plain JSON")
    if claims.get("sub") != expected_subject:
        raise TokenRejected("userinfo_subject")
    return UserInfo(claims=claims)


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> None:
    """Check ``exp`` and ``nbf``, which a signed answer may have (RFC 7519 section 4.1)."""
    expires, begins = (
        number_claim(claims, "exp", default=now + 1),
        number_claim(claims, "nbf", default=now),
    )
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if begins > now + skew:
        raise TokenRejected("token_from_the_future", f"{begins - now:.0f} s ahead of our clock")
