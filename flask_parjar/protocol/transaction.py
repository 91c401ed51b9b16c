"""One login under way: what ties the answer to the browser that asked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from .encoding import b64encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The secrets and the expectations of one login: kept in the session, used once.

    One fresh 256-bit `seed` stands for three 256-bit values, each made from it by HMAC-SHA-256
    under a label of its own: whoever sees the state in a URL or the nonce in a token learns nothing
    of the seed or of the verifier, and the cookie carries 43 characters and not 129.
    """

    seed: str = field(repr=False)
    state: str = field(repr=False)
    provider: str
    issuer: str
    redirect_uri: str
    started_at: int
    next: str
    scopes: tuple[str, ...]
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()

    @property
    def state_id(self) -> str:
        """The unguessable part of ``state`` (RFC 6749 section 10.12)."""
        return self._derive("state")

    @property
    def nonce(self) -> str:
        """The ID token must return it (OpenID Connect Core 3.1.2.1)."""
        return self._derive("nonce")

    @property
    def code_verifier(self) -> str:
        """43 characters, 256 bits (RFC 7636 section 4.1)."""
        return self._derive("code_verifier")

    @property
    def code_challenge(self) -> str:
        """The S256 challenge of the verifier (RFC 7636 section 4.2)."""
        return b64encode(hashlib.sha256(self.code_verifier.encode("ascii")).digest())

    def _derive(self, label: str) -> str:
        return derive(self.seed, label)


def new_seed() -> str:
    """256 fresh bits from the operating system, as 43 characters."""
    return secrets.token_urlsafe(32)


def derive(seed: str, label: str) -> str:
    """Make a 256-bit value from a seed, for one purpose."""
    digest = hmac.digest(seed.encode("ascii"), label.encode("ascii"), "sha256")
    return b64encode(digest)
