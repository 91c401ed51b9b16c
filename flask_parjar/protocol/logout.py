"""Logging out at the provider too."""

from __future__ import annotations

from urllib.parse import urlencode

from .client import ClientConfig
from .identity import Identity
from .metadata import ProviderMetadata


def end_session_url(
    metadata: ProviderMetadata,
    client: ClientConfig,
    identity: Identity,
    *,
    post_logout_redirect_uri: str,
) -> str | None:
    """The provider's logout URL for the browser, or None where the provider has none.

    OpenID Connect RP-Initiated Logout 1.0 section 2. Without a kept ID token, ``client_id`` and
    ``logout_hint`` say who is leaving.
    """
    endpoint = metadata.end_session_endpoint
    if endpoint is None:
        return None
    parameters = {
        "client_id": client.client_id,
        "logout_hint": identity.subject,
        "post_logout_redirect_uri": post_logout_redirect_uri,
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"
