"""The configuration of one client at a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .issuer import AcceptedIssuer
from .jwe import DecryptionKey, Encryption, published_keys
from .keys import PublicKey, SigningKey
from .mutual_tls import CERTIFICATE_AUTHS, ClientCertificate
from .request_level import DEFAULT_LEVEL, REQUEST_LEVELS, RequestLevel

CLIENT_AUTHS = (
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    *CERTIFICATE_AUTHS,
    "none",
)

#: The response modes in which a browser brings an answer to a server (OAuth 2.0 Multiple Response
#: Types; Form Post Response Mode; JARM).
RESPONSE_MODES_OF_THE_BROWSER = ("query", "form_post", "jwt", "query.jwt", "form_post.jwt")
#: Those in which the answer is a signed JWT (JARM section 2.3).
SIGNED_RESPONSE_MODES = ("jwt", "query.jwt", "form_post.jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """One client at one provider. Each field is the PARJAR_ key of its name, checked.

    :param certificate: what was in the files of `client_cert` and `client_cert_key` at start.
    """

    name: str
    issuer: str
    client_id: str
    label: str | None = None
    tenants: frozenset[str] = frozenset()
    client_secret: str | None = field(default=None, repr=False)
    client_auth: str | None = None
    profile: str | None = None
    client_assertion: Callable[[], str] | None = field(default=None, repr=False)
    request: str = DEFAULT_LEVEL
    request_audience: str = "issuer"
    request_lifetime: int = 600
    request_beside: tuple[str, ...] = ()
    pkce: bool = True
    http_headers: Callable[[], Mapping[str, str]] | None = None
    assertion_audience: str = "issuer"
    assertion_typ: str = "JWT"
    assertion_claims: Callable[[], Mapping[str, Any]] | None = None
    signing_keys: tuple[SigningKey, ...] = ()
    secret_key: SigningKey | None = None
    assertion_keys: tuple[SigningKey, ...] = ()
    key_headers: tuple[str, ...] = ("kid",)
    signing_alg: str | None = None
    id_token_algs: tuple[str, ...] | None = None
    encryption_keys: tuple[DecryptionKey, ...] = ()
    id_token_encryption: Encryption | None = None
    userinfo_encryption: Encryption | None = None
    response_encryption: Encryption | None = None
    request_encryption_alg: str | None = None
    request_encryption_enc: str | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    userinfo: bool = False
    authorization_params: Mapping[str, Any] = field(default_factory=dict)
    response_mode: str | None = None
    redirect_uri: str | None = None
    post_logout_redirect_uri: str | None = None
    dpop: bool = False
    dpop_at_par: bool = True
    client_cert: str | None = None
    client_cert_key: str | None = None
    certificate: ClientCertificate | None = None
    bound_tokens: bool = False
    provider_logout: bool = True
    end_session_url: str | None = None
    metadata: Mapping[str, Any] | None = None
    trusted_audiences: tuple[str, ...] = ()
    clock_skew: int = 60
    insecure_http: bool = False

    @property
    def accepted_issuer(self) -> AcceptedIssuer:
        """Whose tokens and sessions are accepted."""
        return AcceptedIssuer(self.issuer, self.tenants)

    @property
    def request_level(self) -> RequestLevel:
        """The level of `request`."""
        return REQUEST_LEVELS[self.request]

    @property
    def possible_client_auths(self) -> tuple[str, ...]:
        """The methods that our keys and secrets allow, best first; or only the configured one."""
        if self.client_auth is not None:
            return (self.client_auth,)
        if self.client_secret is not None:
            return ("client_secret_basic", "client_secret_post")
        return ("private_key_jwt",)

    def assertion_key(self, method: str) -> SigningKey | None:
        """The key that signs client assertions in a method; None if the method has no assertion."""
        if method == "private_key_jwt" and self.client_assertion is not None:
            return None  # somebody else signs them
        if method == "private_key_jwt":
            return (self.assertion_keys or self.signing_keys)[0]
        return self.secret_key if method == "client_secret_jwt" else None

    @property
    def former_assertion_keys(self) -> tuple[SigningKey, ...]:
        """Our other keys that can sign client assertions: for sessions that began with them."""
        first, keys = self.first_assertion_key, (*self.assertion_keys, *self.signing_keys)
        if first is None or first.mark is None:  # no assertion of ours, or one with a secret
            return ()
        return tuple(key for key in keys if key.is_private and key.mark != first.mark)

    @property
    def first_assertion_key(self) -> SigningKey | None:
        """The key of client assertions if the best of our methods has them."""
        return self.assertion_key(self.possible_client_auths[0])

    @property
    def mutual_tls(self) -> bool:
        """Whether our certificate authenticates this client, or binds its tokens (RFC 8705).

        Otherwise the certificate protects connections, and the provider does not look at it.
        """
        return self.client_auth in CERTIFICATE_AUTHS or self.bound_tokens

    @property
    def own_keys(self) -> tuple[PublicKey, ...]:
        """Our keys that the provider needs, to verify our signatures and to encrypt for us.

        Shared secrets are not among them.
        """
        registered = (
            self.id_token_encryption,
            self.userinfo_encryption,
            self.response_encryption,
        )
        algs = [each.alg for each in registered if each is not None]
        # RFC 8705 section 2.2.2. With the other method an authority has issued the certificate.
        self_signed = self.client_auth == "self_signed_tls_client_auth"
        return (
            *self.signing_keys,
            *self.assertion_keys,
            *published_keys(self.encryption_keys, algs),
            *([self.certificate] if self_signed and self.certificate is not None else ()),
        )

    @property
    def public_jwks(self) -> list[dict[str, Any]]:
        """The public halves of `own_keys`."""
        return merge_public_keys(self.own_keys)


def merge_public_keys(keys: Iterable[PublicKey]) -> list[dict[str, Any]]:
    """The public keys as one JWK Set has them, each once (RFC 7517 section 5).

    A key that signs with several algorithms has no ``alg``. Two different keys do not have the
    same ``kid``: the configuration was checked for that.
    """
    merged: dict[str | None, dict[str, Any]] = {}
    for key in keys:
        published = merged.setdefault(key.kid, dict(key.public_jwk))
        if published.get("alg") != key.public_jwk.get("alg"):
            published.pop("alg", None)
    return list(merged.values())
