"""The documents that the provider publishes: its metadata, and its public keys.

The metadata is a plain dict that a test may change while the provider runs. The provider follows
its own metadata for algorithms, client authentication methods, response modes, ``acr`` values
(weakest first), the ``claims`` parameter, the types of ``authorization_details``, ``iss`` in the
authorization response, and which requests must be pushed or signed.
"""

from __future__ import annotations

import functools
import itertools
import threading
from urllib.parse import urlsplit

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from .jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from .jws import ASYMMETRIC, SYMMETRIC
from .people import STANDARD_SCOPES

AUTH_METHODS = (
    "private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt", "none",
)  # fmt: skip
#: With client certificates: of providers with an https issuer (RFC 8705 section 2).
CERTIFICATE_AUTH_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")
#: Authentication context classes, weakest first: a password, two factors, a phishing-resistant key.
ACR_LEVELS = ("pwd", "mfa", "phr")
#: The algorithms that can sign an ID token here, the default first.
ID_TOKEN_ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
_KEY_TYPES = {
    "ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP", "Ed25519": "OKP",
}  # fmt: skip

#: The response modes in which the answer is a signed JWT (JARM section 2.3).
SIGNED_MODES = ("jwt", "query.jwt", "form_post.jwt")

#: The path of each endpoint, below the issuer.
PATHS = {
    "authorization_endpoint": "/authorize",
    "pushed_authorization_request_endpoint": "/par",
    "token_endpoint": "/token",
    "revocation_endpoint": "/revoke",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/end-session",
    "jwks_uri": "/jwks.json",
}
#: The endpoints that have an alias for mutual TLS (RFC 8705 section 5).
ALIASED = (
    "pushed_authorization_request_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


def provider_metadata(issuer: str, *, mtls: str | None = None) -> dict[str, object]:
    """The discovery document of a provider with that issuer.

    :param mtls: the URL below which the endpoints take client certificates, if it is another one

    OpenID Connect Discovery section 3, RFC 8414 section 2; RFC 9126 section 5, RFC 9101
    section 10.5, RFC 9207 section 3, RFC 7009 section 2; OpenID Connect Back-Channel Logout section
    2.1, Front-Channel Logout section 3; RFC 9449 section 5.1; RFC 8705 sections 3.3 and 5; JARM
    section 4; RFC 9396 section 10
    """
    tls = issuer.startswith("https:")
    auth_methods = [*AUTH_METHODS, *(CERTIFICATE_AUTH_METHODS if tls else ())]
    aliases = {name: endpoint_url(mtls, name) for name in ALIASED} if mtls else None
    return {
        "issuer": issuer,
        **{name: endpoint_url(issuer, name) for name in PATHS},
        **_algorithms(),
        "scopes_supported": list(STANDARD_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post", *SIGNED_MODES],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "acr_values_supported": list(ACR_LEVELS),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "token_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_methods_supported": list(auth_methods),
        "code_challenge_methods_supported": ["S256"],
        "authorization_details_types_supported": ["payment_initiation", "account_information"],
        **({"tls_client_certificate_bound_access_tokens": True} if tls else {}),
        **({"mtls_endpoint_aliases": aliases} if aliases else {}),
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"),
            *("name", "given_name", "family_name", "preferred_username", "locale"),
            *("email", "email_verified", "phone_number"),
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": True,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }


def _algorithms() -> dict[str, list[str]]:
    """What signs, and what encrypts, at each place."""
    return {
        "id_token_signing_alg_values_supported": list(ID_TOKEN_ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(ID_TOKEN_ALGORITHMS),
        "authorization_signing_alg_values_supported": list(ID_TOKEN_ALGORITHMS),
        "request_object_signing_alg_values_supported": list(ASYMMETRIC),
        "token_endpoint_auth_signing_alg_values_supported": [*ASYMMETRIC, *SYMMETRIC],
        "revocation_endpoint_auth_signing_alg_values_supported": [*ASYMMETRIC, *SYMMETRIC],
        "dpop_signing_alg_values_supported": list(ASYMMETRIC),
        **{
            f"{kind}_encryption_{what}_values_supported": list(values)
            for kind in ("id_token", "userinfo", "request_object", "authorization")
            for what, values in (("alg", KEY_ALGORITHMS), ("enc", CONTENT_ALGORITHMS))
        },
    }


def endpoint_url(issuer: str, name: str) -> str:
    """The URL of one of the endpoints in ``PATHS``."""
    return issuer.rstrip("/") + PATHS[name]


def path_prefix(issuer: str) -> str:
    """The path of the issuer, under which all of the provider's URLs are: empty, or ``/tenant``."""
    return urlsplit(issuer).path.rstrip("/")


class ProviderKeys:
    """The provider's signing keys: one for each key type, in generations; and keys that decrypt.

    The newest generation signs. It and the one before are published. The keys that decrypt request
    objects are made and published when a client first registers that it encrypts them.

    :param issuer: the issuer that the keys belong to
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._generation = 0
        self._made: dict[tuple[int, str], Key] = {}
        self._decrypting: list[Key] = []
        self._decrypting_before: list[Key] = []
        self._lock = threading.Lock()

    def signing_key(self, alg: str) -> Key:
        """The key that signs with this algorithm now.

        :raises KeyError: an algorithm that is not one of ``ID_TOKEN_ALGORITHMS``
        """
        with self._lock:
            return self._key(self._generation, _KEY_TYPES[alg])

    def publish_decryption_keys(self) -> None:
        """Publish a key of each type for request objects that are encrypted (RFC 7517 4.2)."""
        with self._lock:
            if not self._decrypting:
                self._decrypting = _new_decryption_keys(self._generation)

    def decryption_key(self, kid: str | None, alg: str) -> Key | None:
        """Our key with that ``kid``, for an ``alg`` that encrypts content keys."""
        wanted = "RSA" if alg.startswith("RSA") else "EC"
        keys = (*self._decrypting, *self._decrypting_before)
        return next((k for k in keys if (k.kid, k.key_type) == (kid, wanted)), None)

    def find(self, kid: str | None) -> Key | None:
        """A published key by its ``kid``."""
        return next((key for key in self._published() if key.kid == kid), None)

    def public_jwks(self) -> dict[str, list[dict[str, object]]]:
        """The JWK Set at ``jwks_uri`` (RFC 7517 section 5)."""
        return {"keys": [public_jwk(key) for key in (*self._published(), *self._decrypting)]}

    def rotate(self) -> None:
        """Sign with new keys from now on. The last generation stays published, older ones go.

        Of keys that decrypt, the new ones alone are published. The last ones still decrypt, for
        clients that have our keys in a cache (OpenID Connect Core 10.2.1).
        """
        with self._lock:
            for kty in set(_KEY_TYPES.values()):
                self._key(self._generation, kty)
            self._generation += 1
            self._made = {k: v for k, v in self._made.items() if k[0] >= self._generation - 1}
            if self._decrypting:
                self._decrypting_before = self._decrypting
                self._decrypting = _new_decryption_keys(self._generation)

    def _published(self) -> list[Key]:
        with self._lock:
            types = dict.fromkeys(_KEY_TYPES.values())
            newest = [self._key(self._generation, kty) for kty in types]
            return newest + [k for (n, _), k in self._made.items() if n < self._generation]

    def _key(self, generation: int, kty: str) -> Key:
        if (generation, kty) not in self._made:
            self._made[generation, kty] = _new_key(kty, self._issuer, generation)
        return self._made[generation, kty]


def public_jwk(key: Key) -> dict[str, object]:
    """The public half of a key, as a JWK."""
    return dict(key.as_dict(private=False))


def new_ec_key() -> ECKey:
    """A fresh P-256 key for ES256, with a ``kid`` and ``use``."""
    key: ECKey = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return key


def _new_key(kty: str, issuer: str, generation: int) -> Key:
    if kty == "EC":
        return new_ec_key()
    if kty == "OKP":  # no "alg": the same key signs under both names of RFC 8037 and RFC 9864
        key: OKPKey = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)
        return key
    return _rsa_key(_rsa_number(issuer, generation), use="sig")


# An RSA key takes a tenth of a second to make. So a process has sixteen of them at most, which are
# used in turn: tests have many issuers, each at a port of its own, but few at the same time.
_turns = itertools.cycle(range(16))


@functools.cache
def _rsa_number(issuer: str, generation: int) -> int:
    return next(_turns)


@functools.cache
def _rsa_key(number: int, *, use: str) -> RSAKey:
    # No "alg": the same key signs RS256 and PS256.
    key: RSAKey = RSAKey.generate_key(2048, {"use": use}, auto_kid=True)
    return key


def _new_decryption_keys(generation: int) -> list[Key]:
    ec = ECKey.generate_key("P-256", {"use": "enc"}, auto_kid=True)
    return [ec, _rsa_key(generation % 3, use="enc")]
