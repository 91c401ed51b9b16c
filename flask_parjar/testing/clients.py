"""The registered clients: their identifiers, their keys, where they may be answered.

How a client proves who it is, is in ``client_auth.py``; what it may ask, in ``request_object.py``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

_CACHE_SECONDS = 60
_COOLDOWN_SECONDS = 1
_TIMEOUT_SECONDS = 5
_MAX_BYTES = 262_144
_MIN_RSA_BITS = 2048


class FixedKeys:
    """Keys that were handed over at registration.

    :param jwks: a JWK Set with public, asymmetric keys alone
    :raises ValueError: it holds anything else; a fault of the registration
    """

    def __init__(self, jwks: Mapping[str, object]) -> None:
        self._keys = _import_all(jwks)

    def find(self, kid: str | None) -> Key | None:
        """The key of that name. A text that names no key is not tried on all of them."""
        return None if kid is None else self._keys.get(kid)


class PublishedKeys:
    """Keys that the client publishes: fetched when needed, and again when a name is not known.

    :param uri: the client's ``jwks_uri``
    :param http: the session that fetches it
    :param now: the clock
    """

    def __init__(self, uri: str, *, http: requests.Session, now: Callable[[], float]) -> None:
        self.uri = uri
        self._http = http
        self._now = now
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: str | None) -> Key | None:
        """The key of that name, or nothing, also when the client's document cannot be had."""
        if kid is None:
            return None
        with self._lock:
            age = self._now() - self._fetched_at
            if age > _CACHE_SECONDS or (kid not in self._keys and age > _COOLDOWN_SECONDS):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered client (RFC 7591 section 2)."""

    client_id: str
    keys: FixedKeys | PublishedKeys
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str
    client_secret: str | None = field(repr=False)
    scopes: frozenset[str]
    client_name: str
    id_token_signed_response_alg: str | None
    backchannel_logout_uri: str | None
    frontchannel_logout_uri: str | None


def redirect_uri_fault(uri: str) -> str | None:
    """What is wrong with a redirect URI, if anything (RFC 6749 section 3.1.2)."""
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
        raise ValueError("a JWK Set that is shown to others holds no symmetric key")
    if member.get("kty") == "RSA" and len(str(member.get("n"))) * 6 < _MIN_RSA_BITS:
        raise ValueError(f"the RSA key {member['kid']!r} has less than {_MIN_RSA_BITS} bits")
    try:
        key = import_key(member)
    except (JoseError, ValueError, KeyError, TypeError) as exc:  # an unknown curve is a KeyError
        raise ValueError(f"the key {member['kid']!r} cannot be read: {exc}") from exc
    if key.is_private:
        raise ValueError(f"the key {member['kid']!r} is private: register its public half")
    return key
