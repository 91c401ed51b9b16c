"""Leaving: here at once, and at the provider where it has a door for that."""

from __future__ import annotations

import logging

from ..errors import ParJarError
from ..protocol.identity import Identity
from ..protocol.logout import end_session_url
from ..provider import Provider

log: logging.Logger = logging.getLogger("flask_parjar")


def begin_logout(
    provider: Provider, identity: Identity, *, post_logout_redirect_uri: str, now: int
) -> str | None:
    """The URL at the provider where the browser logs out there too; None where there is none.

    The provider's state never keeps anybody logged in here: if it cannot be reached, the logout is
    a local one.
    """
    try:
        metadata = provider.metadata(now)
    except ParJarError as exc:
        log.warning("logout at %s left out: %s", provider.client.issuer, exc.code)
        return None
    return end_session_url(
        metadata,
        provider.client,
        identity,
        post_logout_redirect_uri=post_logout_redirect_uri,
    )
