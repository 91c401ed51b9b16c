"""Leaving everywhere: the provider's logout URL, and the notices that it sends us."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ..errors import TokenRejected
from .client import ClientConfig
from .encoding import is_number
from .id_token import MAX_SUBJECT, verify_audience, verify_issuer
from .identity import Identity
from .jws import verify_token
from .keys import KeySet
from .metadata import ProviderMetadata

#: How old a notice may be, in seconds: as long its ``jti`` is remembered.
MAX_NOTICE_AGE = 300
MAX_IDENTIFIER = 255
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TYPS = ("logout+jwt", "jwt", None)  # the last two from providers older than RFC 8725's advice


def end_session_url(
    metadata: ProviderMetadata,
    client: ClientConfig,
    identity: Identity,
    *,
    id_token: str | None,
    post_logout_redirect_uri: str,
) -> str | None:
    """The provider's logout URL for the browser, or None where the provider has none.

    :param id_token: that of the login, where it was kept: a hint that the provider can prove. In
        its place ``logout_hint`` says who is leaving.

    OpenID Connect RP-Initiated Logout 1.0 section 2.
    """
    endpoint = metadata.end_session_endpoint
    if endpoint is None:
        return None
    parameters = {
        "client_id": client.client_id,
        **({"id_token_hint": id_token} if id_token else {"logout_hint": identity.subject}),
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": secrets.token_urlsafe(16),  # nothing hangs on it; Glewlwyd leaves nobody without
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """A provider's proved word that a session, or all sessions of a person, are over.

    :param jti: never seen before, if the caller looked (see `MAX_NOTICE_AGE`).
    """

    jti: str
    subject: str | None
    sid: str | None

    @classmethod
    def verify(
        cls, token: str, *, keys: KeySet, algs: Sequence[str], client: ClientConfig, now: int
    ) -> LogoutToken:
        """Prove a logout token, from its signature to its last claim.

        :raises TokenRejected: with the code of the first check that fails.

        OpenID Connect Back-Channel Logout 1.0 section 2.6.
        """
        proved = verify_token(token, keys=keys, expected_algs=algs, expected_typs=_TYPS)
        claims = proved.claims
        verify_issuer(claims, client.issuer)
        verify_audience(claims, client)
        _verify_times(claims, now=now, skew=client.clock_skew)
        _verify_event(claims)
        if "nonce" in claims:  # an ID token must never pass for a notice
            raise TokenRejected("token_kind", "a logout token has no nonce")
        subject = _identifier(claims, "sub", at_most=MAX_SUBJECT)
        sid = _identifier(claims, "sid", at_most=MAX_IDENTIFIER)
        if subject is None and sid is None:
            raise TokenRejected("token_claim", "neither sub nor sid")
        jti = _identifier(claims, "jti", at_most=MAX_IDENTIFIER)
        if jti is None:
            raise TokenRejected("token_claim", "jti is missing")
        return cls(jti=jti, subject=subject, sid=sid)


def _verify_times(claims: Mapping[str, Any], *, now: int, skew: int) -> None:
    """``iat`` is demanded; ``exp``, which older providers do not send, counts where it is there."""
    issued, expires = claims.get("iat"), claims.get("exp", now + 1)
    if not is_number(issued) or not is_number(expires):
        raise TokenRejected("token_claim", "iat is missing, or iat or exp is not a number")
    if issued > now + skew:
        raise TokenRejected("token_from_the_future", f"{issued - now:.0f} s ahead of our clock")
    if now - skew >= expires:
        raise TokenRejected("token_expired", f"exp is {now - expires:.0f} s before our clock")
    if issued < now - skew - MAX_NOTICE_AGE:
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
