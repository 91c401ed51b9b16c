"""What we registered at a provider: one client, as the configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .keys import SigningKey

CLIENT_AUTHS = (
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "none",
)

#: The ways a browser brings an answer back to a server (OAuth 2.0 Multiple Response Types; Form
#: Post Response Mode).
RESPONSE_MODES_OF_THE_BROWSER = ("query", "form_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """One client at one provider. Each field is the PARJAR_ key of its name, checked."""

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    client_auth: str | None = None
    assertion_audience: str = "issuer"
    signing_keys: tuple[SigningKey, ...] = ()
    secret_key: SigningKey | None = None
    assertion_keys: tuple[SigningKey, ...] = ()
    signing_alg: str | None = None
    id_token_algs: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    userinfo: bool = False
    authorization_params: Mapping[str, Any] = field(default_factory=dict)
    response_mode: str | None = None
    redirect_uri: str | None = None
    post_logout_redirect_uri: str | None = None
    metadata: Mapping[str, Any] | None = None
    trusted_audiences: tuple[str, ...] = ()
    clock_skew: int = 60
    insecure_http: bool = False
    insecure_unsigned_request: bool = False
    insecure_unpushed_request: bool = False

    @property
    def possible_client_auths(self) -> tuple[str, ...]:
        """The methods that what we hold allows, best first; the configured one alone if named."""
        if self.client_auth is not None:
            return (self.client_auth,)
        if self.client_secret is not None:
            return ("client_secret_basic", "client_secret_post")
        return ("private_key_jwt",)

    def assertion_key(self, method: str) -> SigningKey | None:
        """The key that signs our client assertions under a method, or None where it has none."""
        if method == "private_key_jwt":
            return (self.assertion_keys or self.signing_keys)[0]
        return self.secret_key if method == "client_secret_jwt" else None

    @property
    def public_jwks(self) -> list[Mapping[str, Any]]:
        """Our public keys, as the provider should know them (RFC 7517)."""
        by_kid = {key.kid: key.public_jwk for key in self.signing_keys + self.assertion_keys}
        return list(by_kid.values())
