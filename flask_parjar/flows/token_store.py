"""The token store of one session: its tokens, encrypted, in the store of the site."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ..errors import StoreUnavailable
from ..protocol.sealing import MAX_SEALED, seal, unseal
from ..protocol.tokens import TokenSet
from ..stores import Store

log: logging.Logger = logging.getLogger("flask_parjar")


class TokenStore:
    """The stored tokens of one session. Made for one request.

    A renewal replaces exactly the value that was read (compare-and-swap), so that a slow process
    cannot overwrite tokens that another process has renewed since.

    :param key: the key of the tokens in the store.
    :param session: the handle of their session; they can be decrypted for no other.
    :param secrets: the app's, newest first.
    :param lifetime: seconds until the stored tokens expire.
    :param lock_timeout: seconds to wait for a renewal by another request.
    """

    def __init__(
        self,
        store: Store,
        *,
        key: str,
        session: str,
        secrets: Sequence[bytes],
        lifetime: int,
        lock_timeout: float,
    ) -> None:
        self._store = store
        self._key = key
        self._secrets = secrets
        self._purpose = f"tokens:{session}"
        self._lifetime = lifetime
        self._patience = lock_timeout
        self._read = ""

    def load(self) -> TokenSet | None:
        """The tokens as they are now; None where there are none, or none that we can decrypt.

        `renew` replaces exactly what was read here.

        :raises StoreUnavailable: the store does not answer.
        """
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
        """Store the tokens of a login.

        :raises StoreUnavailable: they could not be stored.
        """
        self._write(tokens, self._put)

    def renew(self, tokens: TokenSet) -> bool:
        """Store renewed tokens in place of those that `load` read.

        :returns: False if the store has others by now; nothing is written then.
        :raises StoreUnavailable: they could not be stored.
        """
        return self._write(tokens, self._replace)

    def remove(self) -> bool:
        """Delete the tokens that `load` read.

        :returns: False if the store has others by now; nothing is deleted then.
        :raises StoreUnavailable: the store does not answer.
        """
        return self._store.remove(self._key, expected=self._read)

    def empty(self) -> None:
        """Delete the tokens, whatever they are.

        :raises StoreUnavailable: the store does not answer.
        """
        self._store.delete(self._key)

    def lock(self) -> AbstractContextManager[None]:
        """Let only one request at a time renew these tokens, in all processes of the store.

        :raises StoreUnavailable: ``store_busy``.
        """
        # Longer than the slowest renewal (metadata, token, keys: five exchanges), so that the lock
        # does not expire while its holder works. If the holder is killed, it expires then.
        ttl = int(6 * self._patience) + 1
        return self._store.lock(f"renewal-{self._key}", ttl=ttl, wait=self._patience)

    def _write(self, tokens: TokenSet, write: Callable[[str], bool]) -> bool:
        """Write the tokens encrypted; if they are too large, without what is not essential."""
        # The ID token is only a hint for the provider's logout. Replaced tokens expire unrevoked.
        small = tokens.without_id_token()
        for each in (tokens, small):
            try:
                return self._seal_and(write, each)
            except StoreUnavailable as exc:
                if exc.error_code != "tokens_too_large":
                    raise
        return self._seal_and(write, small.without_replaced())

    def _seal_and(self, write: Callable[[str], bool], tokens: TokenSet) -> bool:
        sealed = seal(tokens.to_json(), secrets=self._secrets, purpose=self._purpose)
        if len(sealed) > MAX_SEALED:  # it could not be read again
            raise StoreUnavailable("tokens_too_large", f"{len(sealed)} characters")
        written = write(sealed)
        if written:
            self._read = sealed
        return written

    def _put(self, sealed: str) -> bool:
        self._store.put(self._key, sealed, ttl=self._lifetime)
        return True

    def _replace(self, sealed: str) -> bool:
        return self._store.replace(self._key, sealed, expected=self._read, ttl=self._lifetime)
