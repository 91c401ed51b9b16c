"""One login under way: what binds the response to the browser that began the login."""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .client_auth import LoginAssertions
from .encoding import b64encode
from .sealing import derive_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The secrets of one login, and what its response must have: used once.

    One random 256-bit `seed` and the app's SECRET_KEY give the `secret` of this login. It gives
    256-bit values (state, nonce, code verifier, the key of DPoP), each by HMAC-SHA-256 with its own
    label. A person who sees the state in a URL or the nonce in a token learns nothing about the
    others. The session cookie has only the 43 characters of the seed; it is signed and can be read,
    so the seed alone gives nothing.

    :param seed: what lies in the session.
    :param secret: see `mix`.
    :param state: the signed ``state``; empty once the transaction is read from the session.
    :param next: the path that the login leads to.
    :param resources: the APIs that the tokens are for (RFC 8707).
    :param details_types: the types of the ``authorization_details`` that are asked for (RFC 9396).
    :param assertion_claims: further claims of client assertions.
    :param assertion_key: the `SigningKey.mark` of our key for them; None for the current one.
    :param acr_values: the ``acr`` of the ID token must be one of these; empty for any.
    :param present: claims that the ID token must have.
    :param subjects: the ``sub`` of the ID token must be one of these; empty for any.
    :param tenant_issuer: the ``iss`` of the ID token must be this one, where there are tenants;
        empty for any.
    """

    seed: str = field(repr=False)
    secret: str = field(repr=False)
    state: str = field(repr=False)
    provider: str
    issuer: str
    redirect_uri: str
    started_at: int
    next: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()
    assertion_claims: Mapping[str, Any] = field(default_factory=dict)
    assertion_key: str | None = None
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    tenant_issuer: str = ""

    @property
    def assertions(self) -> LoginAssertions:
        """How the client authenticates for this login."""
        return LoginAssertions(self.assertion_claims, self.assertion_key)

    @property
    def nonce(self) -> str:
        """The value that the ID token must repeat (OpenID Connect Core 3.1.2.1)."""
        return derive(self.secret, "nonce")

    @property
    def code_verifier(self) -> str:
        """43 characters, 256 bits (RFC 7636 section 4.1)."""
        return derive(self.secret, "code_verifier")

    @property
    def code_challenge(self) -> str:
        """The S256 challenge of the verifier (RFC 7636 section 4.2)."""
        return b64encode(hashlib.sha256(self.code_verifier.encode()).digest())


def new_seed() -> str:
    """Make 256 random bits with the operating system, as 43 characters."""
    return secrets.token_urlsafe(32)


def mix(seed: str, app_secret: bytes) -> str:
    """Make the secret of one login, which the session cookie alone does not give.

    :param seed: of `new_seed`.
    :param app_secret: SECRET_KEY, or a former one.
    """
    return b64encode(hmac.digest(_login_key(app_secret), seed.encode(), "sha256"))


@functools.lru_cache(maxsize=64)
def _login_key(app_secret: bytes) -> bytes:
    """The same for all logins of an app, so it is not derived for each of them."""
    return derive_key(app_secret, "login")


def derive(secret: str, label: str) -> str:
    """Make a 256-bit value from a secret, for one purpose."""
    digest = hmac.digest(secret.encode(), label.encode(), "sha256")
    return b64encode(digest)
