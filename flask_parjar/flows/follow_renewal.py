"""Roles that follow: what a renewal of the tokens says of the person who is logged in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..errors import ParJarError
from ..protocol.identity import Identity, personal_claims
from ..protocol.jws import read_claims
from ..protocol.renewed_identity import renew_identity
from ..provider import Provider
from .refresh import LiveTokens

log: logging.Logger = logging.getLogger("flask_parjar")


def follow_renewal(
    provider: Provider, identity: Identity, renewal: LiveTokens, *, now: int
) -> Identity:
    """The same person with the claims and the scopes of a renewal.

    With PARJAR_USERINFO, userinfo is fetched again. If that fails, the claims stay as they are
    until the next renewal.

    :param identity: as it was before.
    :param now: seconds since 1970.
    """
    try:
        said = _said_of_the_person(provider, identity, renewal, now=now)
    except ParJarError as exc:
        log.warning("claims not renewed: %s: %s", exc.error_code, exc.detail)
        said = None
    id_token = {} if renewal.id_token is None else renewal.id_token.claims
    return renew_identity(identity, scopes=renewal.tokens.scopes, id_token=id_token, said=said)


def _said_of_the_person(
    provider: Provider, identity: Identity, renewal: LiveTokens, *, now: int
) -> Mapping[str, Any] | None:
    """What the newest ID token and the newest userinfo say; None if neither is new.

    A claim that is in both is the newer one's; that of the ID token if both are new, as at a login.
    """
    id_token, tokens = renewal.id_token, renewal.tokens
    if not provider.agreement(now).fetch_userinfo:
        return None if id_token is None else id_token.claims
    userinfo = provider.userinfo(tokens, issuer=identity.issuer, subject=identity.subject, now=now)
    newer = personal_claims(userinfo.claims)
    if id_token is not None:
        return {**newer, **personal_claims(id_token.claims)}
    # That of the login: without it, what only an ID token said is not known any more.
    of_login = read_claims(tokens.id_token) if tokens.id_token else {}
    return {**personal_claims(of_login), **newer}
