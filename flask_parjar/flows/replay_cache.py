"""The logout tokens that were accepted, so that each counts once."""

from __future__ import annotations

import secrets

from ..protocol.logout import MAX_LOGOUT_TOKEN_AGE
from ..stores import Store
from .sealed_records import store_key
from .session_registry import Registration


class ReplayCache:
    """The ``jti`` of each accepted logout token, kept for as long as the token is valid.

    OpenID Connect Back-Channel Logout 1.0 section 2.6.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def remember(self, registration: Registration, jti: str, *, leeway: int) -> bool:
        """Remember the ``jti`` of a token that was accepted.

        :param leeway: seconds that clocks may differ.
        :returns: False if it was remembered before, perhaps just now by another request.
        :raises StoreUnavailable: the store does not answer.
        """
        ttl = MAX_LOGOUT_TOKEN_AGE + 2 * leeway + 1
        return self._store.add(_key(registration, jti), secrets.token_urlsafe(9), ttl=ttl)


def _key(registration: Registration, jti: str) -> str:
    return f"jti:{store_key(*registration, jti)}"
