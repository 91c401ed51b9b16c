"""The registered clients: what is registered, what is refused, and where keys come from."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from cryptography import x509
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from .documents import AUTH_METHODS, CERTIFICATE_AUTH_METHODS, ID_TOKEN_ALGORITHMS
from .jwe import CONTENT_ALGORITHMS, DEFAULT_ENC, KEY_ALGORITHMS
from .people import STANDARD_SCOPES

_TIMEOUT_SECONDS = 5
_MAX_BYTES = 262_144
_MIN_RSA_BITS = 2048
_MIN_SECRET_BYTES = 32


class KeyCache(NamedTuple):
    """How long a provider keeps the keys that a client publishes at its ``jwks_uri``.

    :param seconds: after them the keys are fetched again
    :param unknown_kid_seconds: after them an unknown ``kid`` causes a fetch; None if it never does
    """

    seconds: float = 60
    unknown_kid_seconds: float | None = 1


class Encryption(NamedTuple):
    """How something is encrypted between the provider and a client."""

    alg: str
    enc: str


class FixedKeys:
    """Keys that were registered as a JWK Set.

    :param jwks: a JWK Set of public, asymmetric keys
    :raises ValueError: it has anything else
    """

    def __init__(self, jwks: Mapping[str, object]) -> None:
        self._keys = _import_all(jwks)
        #: The registered certificates, as DER: the first of each ``x5c`` (RFC 8705 section 2.2.2).
        self.certificates: tuple[bytes, ...] = tuple(
            base64.b64decode(str(chain[0]))
            for chain in (key.get("x5c") for key in self._keys.values())
            if isinstance(chain, list)
        )

    def find(self, kid: str | None) -> Key | None:
        """The key for signatures with that ``kid``. Without a ``kid`` no key is tried."""
        return _for_signatures(self._keys.get(kid or ""))

    def find_certified(self, thumbprint: object) -> Key | None:
        """The key for signatures with that ``x5t#S256`` (RFC 7517 section 4.9)."""
        return _certified(self._keys, thumbprint)

    def encryption_key(self, alg: str) -> Key | None:
        """The first key with ``use: enc`` and that ``alg``: it needs both."""
        return _for_encryption(self._keys, alg)


class PublishedKeys:
    """Keys that the client publishes: fetched when needed, and again for an unknown ``kid``.

    :param uri: the client's ``jwks_uri``
    :param cache: how long they are kept
    :param http: the session that fetches it
    :param now: the clock, in seconds since 1970
    """

    def __init__(
        self, uri: str, *, cache: KeyCache, http: requests.Session, now: Callable[[], float]
    ) -> None:
        self.uri = uri
        self.certificates: tuple[bytes, ...] = ()  # see testing/mutual_tls.py
        self._cache = cache
        self._http = http
        self._now = now
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: str | None) -> Key | None:
        """The key for signatures with that ``kid``.

        None is returned too if the client's document cannot be fetched.
        """
        return None if kid is None else _for_signatures(self._find(kid))

    def find_certified(self, thumbprint: object) -> Key | None:
        """The key for signatures with that ``x5t#S256`` (RFC 7517 section 4.9)."""
        self._find("")
        return _certified(self._keys, thumbprint)

    def encryption_key(self, alg: str) -> Key | None:
        """The first key with ``use: enc`` and that ``alg``: it needs both."""
        self._find("")
        return _for_encryption(self._keys, alg)

    def _find(self, kid: str) -> Key | None:
        with self._lock:
            age = self._now() - self._fetched_at
            at_unknown_kid = self._cache.unknown_kid_seconds
            unknown = kid not in self._keys and at_unknown_kid is not None and age > at_unknown_kid
            if age > self._cache.seconds or unknown:
                self._fetched_at = self._now()
                self._keys = self._fetch()
            return self._keys.get(kid)

    def _fetch(self) -> dict[str, Key]:
        try:
            with self._http.get(
                self.uri,
                headers={"Accept": "application/json"},
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_MAX_BYTES, decode_content=True)
                if response.status_code != 200:
                    return {}
                return _import_all(json.loads(body))
        except (requests.RequestException, OSError, ValueError):
            return {}


def _for_signatures(key: Key | None) -> Key | None:
    return None if key is None or key.get("use") == "enc" else key


def _certified(keys: Mapping[str, Key], thumbprint: object) -> Key | None:
    named = (key for key in keys.values() if key.get("x5t#S256") == thumbprint is not None)
    return _for_signatures(next(named, None))


def _for_encryption(keys: Mapping[str, Key], alg: str) -> Key | None:
    fitting = (key for key in keys.values() if (key.get("use"), key.alg) == ("enc", alg))
    return next(fitting, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """What a client registers.

    :param redirect_uris: at least one
    :param jwks: its public keys, each with a ``kid``; or use ``jwks_uri``. A client that signs
        nothing needs none
    :param jwks_uri: where it publishes them
    :param client_secret: for the ``client_secret_*`` methods; ``client_secret_jwt`` needs 32
        characters
    :param scope: what it may request besides the standard scopes, separated by spaces
    :param id_token_signed_response_alg: signs its ID tokens and logout tokens; by default the
        first algorithm in the provider's metadata
    :param id_token_encrypted_response_alg: encrypts its ID tokens and logout tokens
    :param userinfo_signed_response_alg: signs userinfo, which is else plain JSON
    :param userinfo_encrypted_response_alg: encrypts userinfo, which is then signed too
    :param authorization_signed_response_alg: signs authorization responses, where the response mode
        is one of JARM; RS256 by default (JARM section 3)
    :param authorization_encrypted_response_alg: encrypts them too
    :param request_object_encryption_alg: no request object is accepted without it
    :param require_pushed_authorization_requests: no other requests are accepted from it, even if
        the provider's metadata does not require them of everybody (RFC 9126 section 6)
    :param require_signed_request_object: likewise (RFC 9101 section 10.5)
    :param dpop_bound_access_tokens: it gets no bearer tokens (RFC 9449 section 5.2)
    :param tls_client_auth_subject_dn: the subject of its certificate, for ``tls_client_auth``
        (RFC 8705 section 2.1.2)
    :param tls_client_certificate_bound_access_tokens: its tokens are bound to its certificate
        (RFC 8705 section 3.4)
    :param backchannel_logout_uri: a logout token is posted there when a session ends
    :param frontchannel_logout_uri: the signed-out page loads it in a frame

    RFC 7591 section 2
    """

    client_id: str
    redirect_uris: Iterable[str]
    jwks: Mapping[str, object] | None = None
    jwks_uri: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    token_endpoint_auth_method: str = "private_key_jwt"  # noqa: S105 - a method
    post_logout_redirect_uris: Iterable[str] = ()
    scope: str | None = None
    client_name: str | None = None
    id_token_signed_response_alg: str | None = None
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str = DEFAULT_ENC
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str = DEFAULT_ENC
    authorization_signed_response_alg: str = "RS256"
    authorization_encrypted_response_alg: str | None = None
    authorization_encrypted_response_enc: str = DEFAULT_ENC
    request_object_encryption_alg: str | None = None
    request_object_encryption_enc: str = DEFAULT_ENC
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    dpop_bound_access_tokens: bool = False
    tls_client_auth_subject_dn: str | None = None
    tls_client_certificate_bound_access_tokens: bool = False
    backchannel_logout_uri: str | None = None
    frontchannel_logout_uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered client, as the provider keeps it."""

    client_id: str
    keys: FixedKeys | PublishedKeys
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str
    client_secret: str | None = field(repr=False)
    scopes: frozenset[str]
    client_name: str
    id_token_signed_response_alg: str | None
    id_token_encryption: Encryption | None
    userinfo_signed_response_alg: str | None
    userinfo_encryption: Encryption | None
    authorization_signed_response_alg: str
    authorization_encryption: Encryption | None
    request_object_encryption: Encryption | None
    require_pushed_authorization_requests: bool
    require_signed_request_object: bool
    dpop_bound_access_tokens: bool
    tls_client_auth_subject_dn: str | None
    tls_client_certificate_bound_access_tokens: bool
    backchannel_logout_uri: str | None
    frontchannel_logout_uri: str | None


def home_of(client: Client, *, near: str = "") -> str:
    """A page of the client's site, for a person who cannot go on here.

    Only what is registered leads there: nothing of a request does.

    :param near: the redirect URI in use, if it is known: a site may have several addresses
    """
    origin = _origin(near or client.redirect_uris[0])
    pages = (uri for uri in client.post_logout_redirect_uris if _origin(uri) == origin)
    return next(pages, f"{origin}/")


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def make_client(
    metadata: ClientMetadata,
    *,
    cache: KeyCache,
    http: requests.Session,
    now: Callable[[], float],
) -> Client:
    """Make a client from its metadata, if this provider can support it.

    :param cache: how long the keys of its ``jwks_uri`` are kept
    :param http: fetches the client's ``jwks_uri``
    :param now: the clock, in seconds since 1970
    :raises ValueError: what is wrong with the metadata
    """
    client = Client(
        client_id=metadata.client_id,
        keys=_keys(metadata, cache=cache, http=http, now=now),
        redirect_uris=tuple(metadata.redirect_uris),
        post_logout_redirect_uris=tuple(metadata.post_logout_redirect_uris),
        token_endpoint_auth_method=metadata.token_endpoint_auth_method,
        client_secret=metadata.client_secret,
        scopes=frozenset((*STANDARD_SCOPES, *(metadata.scope or "").split())),
        client_name=metadata.client_name or metadata.client_id,
        id_token_signed_response_alg=metadata.id_token_signed_response_alg,
        id_token_encryption=_encryption(
            metadata.id_token_encrypted_response_alg, metadata.id_token_encrypted_response_enc
        ),
        userinfo_signed_response_alg=metadata.userinfo_signed_response_alg,
        userinfo_encryption=_encryption(
            metadata.userinfo_encrypted_response_alg, metadata.userinfo_encrypted_response_enc
        ),
        authorization_signed_response_alg=metadata.authorization_signed_response_alg,
        authorization_encryption=_encryption(
            metadata.authorization_encrypted_response_alg,
            metadata.authorization_encrypted_response_enc,
        ),
        request_object_encryption=_encryption(
            metadata.request_object_encryption_alg, metadata.request_object_encryption_enc
        ),
        require_pushed_authorization_requests=metadata.require_pushed_authorization_requests,
        require_signed_request_object=metadata.require_signed_request_object,
        dpop_bound_access_tokens=metadata.dpop_bound_access_tokens,
        tls_client_auth_subject_dn=metadata.tls_client_auth_subject_dn,
        tls_client_certificate_bound_access_tokens=(
            metadata.tls_client_certificate_bound_access_tokens
        ),
        backchannel_logout_uri=metadata.backchannel_logout_uri,
        frontchannel_logout_uri=metadata.frontchannel_logout_uri,
    )
    _check(client)
    return client


def _encryption(alg: str | None, enc: str) -> Encryption | None:
    """What was registered, if this provider has it."""
    if alg is None:
        return None
    if alg not in KEY_ALGORITHMS or enc not in CONTENT_ALGORITHMS:
        raise ValueError(
            f"alg {alg!r} with enc {enc!r}: choose among {', '.join(KEY_ALGORITHMS)}, and "
            f"{', '.join(CONTENT_ALGORITHMS)}"
        )
    return Encryption(alg, enc)


def _keys(
    metadata: ClientMetadata,
    *,
    cache: KeyCache,
    http: requests.Session,
    now: Callable[[], float],
) -> FixedKeys | PublishedKeys:
    """The keys of a client, from one of the two ways to register them."""
    if metadata.jwks is not None and metadata.jwks_uri is None:
        return FixedKeys(metadata.jwks)
    if metadata.jwks_uri is not None and metadata.jwks is None:
        return PublishedKeys(metadata.jwks_uri, cache=cache, http=http, now=now)
    signs = metadata.require_signed_request_object or (
        metadata.token_endpoint_auth_method == "private_key_jwt"  # noqa: S105 - a method
    )
    if metadata.jwks is not None or signs:
        raise ValueError("what a client signs needs its keys: give jwks or jwks_uri, not both")
    return FixedKeys({"keys": []})


def _check(client: Client) -> None:
    """Refuse a client that this provider cannot support."""
    if not client.client_id:
        raise ValueError("client_id is empty")
    logout_uris = (client.backchannel_logout_uri, client.frontchannel_logout_uri)
    uris = (*client.redirect_uris, *client.post_logout_redirect_uris, *logout_uris)
    for uri in uris:
        if uri is not None and (fault := _uri_fault(uri)):
            raise ValueError(fault)
    if not client.redirect_uris:
        raise ValueError("a client has at least one redirect URI")
    _check_method(client)
    for alg in (
        client.id_token_signed_response_alg,
        client.userinfo_signed_response_alg,
        client.authorization_signed_response_alg,
    ):
        if alg not in (None, *ID_TOKEN_ALGORITHMS):
            raise ValueError(f"tokens are signed by {', '.join(ID_TOKEN_ALGORITHMS)} here")


def _check_method(client: Client) -> None:
    """Refuse a way to authenticate that lacks something."""
    method, secret = client.token_endpoint_auth_method, client.client_secret
    known = (*AUTH_METHODS, *CERTIFICATE_AUTH_METHODS)
    if method not in known:
        raise ValueError(f"token_endpoint_auth_method {method!r} is not one of {', '.join(known)}")
    if method == "self_signed_tls_client_auth" and not client.keys.certificates:
        raise ValueError(f"{method} needs a jwks with a certificate in x5c, and here no jwks_uri")
    if method == "tls_client_auth":
        try:
            subject = list(x509.Name.from_rfc4514_string(client.tls_client_auth_subject_dn or ""))
        except ValueError:
            subject = []
        if not subject:
            raise ValueError(f"{method} needs a tls_client_auth_subject_dn, such as CN=site,O=Acme")
    if method.startswith("client_secret_") and not secret:
        raise ValueError(f"{method} needs a client_secret")
    if method == "client_secret_jwt" and len(str(secret)) < _MIN_SECRET_BYTES:
        raise ValueError(f"{method} needs a client_secret of {_MIN_SECRET_BYTES} characters")


def _uri_fault(uri: str) -> str | None:
    """What is wrong with a registered URI, or None (RFC 6749 section 3.1.2)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return f"{uri!r} is not an absolute http or https URL"
    return f"{uri!r} has a fragment" if "#" in uri else None


def _import_all(jwks: object) -> dict[str, Key]:
    members = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(members, list):
        raise ValueError("a JWK Set is an object with a list of keys")
    keys: dict[str, Key] = {}
    for member in members:
        key = _import_one(member)
        if key.kid in keys:
            raise ValueError(f"two keys have the kid {key.kid!r}")
        keys[str(key.kid)] = key
    return keys


def _import_one(member: object) -> Key:
    if not isinstance(member, dict) or not isinstance(member.get("kid"), str):
        raise ValueError("each key is an object with a kid")
    if member.get("kty") == "oct":
        raise ValueError("a registered JWK Set has no symmetric key")
    if member.get("kty") == "RSA" and len(str(member.get("n"))) * 6 < _MIN_RSA_BITS:
        raise ValueError(f"the RSA key {member['kid']!r} has less than {_MIN_RSA_BITS} bits")
    try:
        key = import_key(member)
    except (JoseError, ValueError, KeyError, TypeError) as exc:  # an unknown curve is a KeyError
        raise ValueError(f"the key {member['kid']!r} cannot be read: {exc}") from exc
    if key.is_private:
        raise ValueError(f"the key {member['kid']!r} is private: register its public half")
    return key
