"""Logout at the provider (the end session URL), and the logout tokens that it sends us."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..errors import TokenRejected
from .agreement import Agreement
from .id_token import MAX_SUBJECT
from .identity import Identity
from .opener import LOGOUT_TOKEN, TokenOpener, number_claim

#: How old a logout token may be, in seconds. Its ``jti`` is remembered as long.
MAX_LOGOUT_TOKEN_AGE = 300
MAX_IDENTIFIER = 255
#: How long an ID token may be as an ``id_token_hint``. The URL is in a header of our answer, and
#: proxies often limit all headers together to 4 kB. Providers limit the URL of a request too.
MAX_HINT = 2048
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def end_session_url(
    agreement: Agreement,
    identity: Identity,
    *,
    id_token: str,
    post_logout_redirect_uri: str,
) -> str | None:
    """The provider's logout URL for the browser, or None where the provider has none.

    :param id_token: the ID token of the session: a hint that the provider can verify. Where it is
        empty, ``logout_hint`` says who is logging out.

    OpenID Connect RP-Initiated Logout 1.0 section 2.
    """
    endpoint = agreement.endpoints.end_session
    if endpoint is None:
        return None
    parameters = {
        "client_id": agreement.client_id,
        **({"id_token_hint": id_token} if id_token else {"logout_hint": identity.subject}),
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": secrets.token_urlsafe(16),  # ignored on return; Glewlwyd requires the parameter
    }
    # What the URL says itself is not said twice: servers refuse that, or read only one of the two.
    said = dict(parse_qsl(urlsplit(endpoint).query, keep_blank_values=True))
    more = {name: value for name, value in parameters.items() if name not in said}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(more)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """A verified logout token: the provider ended one session, or all sessions of a person.

    :param issuer: the ``iss``: the provider's issuer, or that of a tenant.
    :param alg: the algorithm that it was signed with; the caller must compare it with that of the
        ID tokens of this client.
    :param jti: its identifier; the caller must check that it was not accepted before.
    :param issued_at: the ``iat``: seconds since 1970 by the provider's clock.
    :param subject: the ``sub``; None if the token has only a `sid`.
    :param sid: the provider's name for the session; None for all sessions of the subject.
    """

    issuer: str
    alg: str
    jti: str
    issued_at: int
    subject: str | None
    sid: str | None

    @classmethod
    def verify(cls, token: str, *, opener: TokenOpener, now: int) -> LogoutToken:
        """Verify a logout token, from its signature to its last claim.

        :param now: seconds since 1970.
        :raises TokenRejected: with the code of the first check that fails.

        OpenID Connect Back-Channel Logout 1.0 section 2.6.
        """
        verified = opener.open(token, kind=LOGOUT_TOKEN)
        claims = verified.claims
        _verify_times(claims, now=now, skew=opener.agreement.clock_skew)
        _verify_event(claims)
        if "nonce" in claims:  # an ID token must never pass for a logout token
            raise TokenRejected("token_kind", "a logout token has no nonce")
        subject = _identifier(claims, "sub", at_most=MAX_SUBJECT)
        sid = _identifier(claims, "sid", at_most=MAX_IDENTIFIER)
        if subject is None and sid is None:
            raise TokenRejected("token_claim", "neither sub nor sid")
        jti = _identifier(claims, "jti", at_most=MAX_IDENTIFIER)
        if jti is None:
            raise TokenRejected("token_claim", "jti is missing")
        return cls(
            issuer=str(claims["iss"]),
            alg=str(verified.header["alg"]),
            jti=jti,
            issued_at=int(claims["iat"]),
            subject=subject,
            sid=sid,
        )


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> None:
    """Check ``iat``, and ``exp`` if it is there, because older providers do not send it."""
    issued, expires = number_claim(claims, "iat"), number_claim(claims, "exp", default=now + 1)
    if issued > now + skew:
        raise TokenRejected("token_from_the_future", f"{issued - now:.0f} s ahead of our clock")
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if issued < now - skew - MAX_LOGOUT_TOKEN_AGE:
        raise TokenRejected("token_too_old", f"iat is {now - issued:.0f} s before our clock")


def _verify_event(claims: Mapping[str, Any]) -> None:
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise TokenRejected("token_kind", "events does not say that this is a logout")


def _identifier(claims: Mapping[str, Any], name: str, *, at_most: int) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= at_most:
        raise TokenRejected("token_claim", f"{name} is empty, too long, or not a string")
    return value
