"""The nonces that servers asked us to put into our next proofs."""

from __future__ import annotations

from ..stores.newest import put_newest

_MAX_PLACES = 1_000


class Nonces:
    """The newest nonce of each place, in this process; of very many places the newest.

    All logins share them, so that a server that wants nonces refuses one request of a process and
    not one of each login. See `flask_parjar.protocol.outbound.Nonces`.
    """

    def __init__(self) -> None:
        self._nonces: dict[str, str] = {}  # in the order in which they were put

    def get(self, place: str) -> str | None:
        """The nonce that a place gave last; None if it gave none."""
        return self._nonces.get(place)

    def put(self, place: str, nonce: str) -> None:
        """Keep the nonce that a place gave."""
        put_newest(self._nonces, place, nonce, at_most=_MAX_PLACES)
