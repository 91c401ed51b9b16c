"""The tokens of one session, sealed, in whichever store the site has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ..errors import StoreUnavailable
from ..protocol.sealing import seal, unseal
from ..protocol.tokens import TokenSet
from ..stores import Store

log: logging.Logger = logging.getLogger("flask_parjar")

_PAUSE = 5  # seconds after a failed renewal in which nobody tries again


class Vault:
    """Where the tokens of one session lie. Made for one request.

    What it writes in a renewal replaces exactly what it read: a process that slept through its turn
    cannot overwrite what another has renewed since.

    :param key: the name of the tokens in the store.
    :param session: the session they belong to; they open in no other.
    :param secrets: the app's, newest first.
    :param lifetime: seconds that a session lasts at most.
    :param patience: seconds that one renewal may take; nobody waits longer for another's.
    """

    def __init__(
        self,
        store: Store,
        *,
        key: str,
        session: str,
        secrets: Sequence[bytes],
        lifetime: int,
        patience: float,
    ) -> None:
        self._store = store
        self._key = key
        self._secrets = secrets
        self._purpose = f"tokens:{session}"
        self._lifetime = lifetime
        self._patience = patience
        self._read = ""

    def load(self) -> TokenSet | None:
        """The tokens as they are now; None where there are none, or none that we can open."""
        self._read = self._store.get(self._key)[0] or ""
        if not self._read:
            return None
        try:
            return TokenSet.from_json(
                unseal(self._read, secrets=self._secrets, purpose=self._purpose)
            )
        except ValueError as exc:
            log.warning("stored tokens cannot be read (was SECRET_KEY changed?): %s", exc)
            return None

    def save(self, tokens: TokenSet) -> None:
        """Keep the tokens of a login.

        :raises StoreUnavailable: they could not be kept.
        """
        self._write(tokens, self._put)

    def renew(self, tokens: TokenSet) -> bool:
        """Keep renewed tokens in place of those last loaded; False where those are there no more.

        :raises StoreUnavailable: they could not be kept.
        """
        return self._write(tokens, self._replace)

    def empty(self) -> None:
        """Forget the tokens."""
        self._store.delete(self._key)
        self._store.delete(f"pause-{self._key}")

    def lock(self) -> AbstractContextManager[None]:
        """Let one request at a time renew these tokens, of all processes that share the store.

        :raises StoreUnavailable: ``store_busy``.
        """
        # Longer than a renewal takes with everything slow (metadata, token, keys: five exchanges),
        # so that a lock never opens under a living holder; that long at most if it is killed.
        ttl = int(6 * self._patience) + 1
        return self._store.lock(f"renewal-{self._key}", ttl=ttl, wait=self._patience)

    def pause(self) -> None:
        """Remember for a moment that a renewal failed."""
        self._store.put(f"pause-{self._key}", "1", ttl=_PAUSE)

    def is_paused(self) -> bool:
        """Whether a renewal failed just now: the next would wait for the same time-out."""
        return self._store.get(f"pause-{self._key}")[0] is not None

    def _write(self, tokens: TokenSet, write: Callable[[str], bool]) -> bool:
        """Write the tokens sealed; where there is little room, without their ID token."""
        try:
            return self._seal_and(write, tokens)
        except StoreUnavailable as exc:
            if exc.code != "tokens_too_large":
                raise
            # It is but a hint, for the provider's logout.
            return self._seal_and(write, tokens.without_id_token())

    def _seal_and(self, write: Callable[[str], bool], tokens: TokenSet) -> bool:
        sealed = seal(tokens.to_json(), secrets=self._secrets, purpose=self._purpose)
        written = write(sealed)
        if written:
            self._read = sealed
        return written

    def _put(self, sealed: str) -> bool:
        self._store.put(self._key, sealed, ttl=self._lifetime)
        return True

    def _replace(self, sealed: str) -> bool:
        return self._store.replace(self._key, sealed, expected=self._read, ttl=self._lifetime)
