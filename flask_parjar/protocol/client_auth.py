"""Client authentication at the provider's endpoints. Each method is a `Proof`."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from ..errors import ProviderUnavailable
from .keys import BACKDATED, SigningKey
from .outbound import Answer, Outbound, Proof

ASSERTION_LIFETIME = 60
ASSERTION_TYPS = ("JWT", "client-authentication+jwt")  # the second: draft-ietf-oauth-rfc7523bis
#: Claims of every assertion, which further claims do not replace.
_OWN_CLAIMS = frozenset("iss sub aud jti iat nbf exp".split())
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicClient:
    """``none``: the client sends its ``client_id`` and proves nothing."""

    client_id: str

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`."""
        return outbound.with_fields({"client_id": self.client_id})

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretInHeader:
    """``client_secret_basic`` (RFC 6749 section 2.3.1).

    It adds no ``client_id`` to the form: that is for clients that do not authenticate (section
    4.1.3), and some providers take it for a second method. In a pushed request the form has one of
    its own, because there it is a parameter of the request (RFC 9126 section 2.1).
    """

    client_id: str
    client_secret: str = field(repr=False)

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`."""
        # Both are form-encoded first, so that a colon in the id cannot be taken for the separator.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode()
        basic = "Basic " + base64.b64encode(pair).decode()
        return outbound.with_header("Authorization", basic)

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretInBody:
    """``client_secret_post`` (RFC 6749 section 2.3.1)."""

    client_id: str
    client_secret: str = field(repr=False)

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`."""
        return outbound.with_fields(
            {"client_id": self.client_id, "client_secret": self.client_secret}
        )

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAssertion:
    """``private_key_jwt`` with an assertion that somebody else signs, such as a Kubernetes cluster.

    :param read: gives the assertion; called for each request.

    RFC 7523 section 2.2.
    """

    client_id: str
    read: Callable[[], object]

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`.

        :raises ProviderUnavailable: ``client_assertion_missing``.
        """
        try:
            assertion = self.read()
        except Exception as exc:  # of a file, or of the app's function: any
            raise ProviderUnavailable("client_assertion_missing", type(exc).__name__) from exc
        if not isinstance(assertion, str) or not _JWT.fullmatch(assertion.strip()):
            raise ProviderUnavailable("client_assertion_missing", "it is no JWT")
        return outbound.with_fields(
            {
                "client_id": self.client_id,
                "client_assertion_type": JWT_BEARER,
                "client_assertion": assertion.strip(),
            }
        )

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


def check_assertion_claims(claims: object) -> None:
    """Check further claims of client assertions.

    :raises ValueError: with what is wrong.
    """
    if not isinstance(claims, Mapping) or not all(isinstance(name, str) for name in claims):
        raise ValueError("write a dict of JSON values, or a function that returns one")
    if taken := sorted(_OWN_CLAIMS.intersection(claims)):
        raise ValueError(f"leave out {', '.join(taken)}: the library sets them itself")
    try:
        json.dumps(claims, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError("write a dict of JSON values, or a function that returns one") from exc


def with_claims(client_auth: Proof, claims: Mapping[str, Any]) -> Proof:
    """The client authentication of one login.

    :param claims: further claims of its assertions.
    :raises ValueError: there are some, and no assertion of ours to be in.
    """
    if not claims:
        return client_auth
    if not isinstance(client_auth, ClientAssertion):
        raise ValueError("assertion_claims: this client authenticates without an assertion of ours")
    return replace(client_auth, login_claims=claims)


class LoginAssertions(NamedTuple):
    """What the client assertions of one login have that those of another do not.

    :param claims: further claims.
    :param key: the `SigningKey.mark` of our key that signed the first of them; None for the
        current key.
    """

    claims: Mapping[str, Any] = MappingProxyType({})
    key: str | None = None


class FormerKey(NamedTuple):
    """A key that signs for the sessions that began with it, and its algorithm."""

    key: SigningKey
    alg: str


def with_key(client_auth: Proof, mark: str | None) -> Proof | None:
    """The client authentication of a login that began with one of our keys.

    Some providers accept only that key for the code and for each refresh (AT Protocol).

    :param mark: names the key; None for the current one.
    :returns: None if the key is not configured any more.
    """
    current = mark_of_key(client_auth)  # None where the client now has no key, but a secret
    if mark is None or current in (None, mark) or not isinstance(client_auth, ClientAssertion):
        return client_auth
    former = client_auth.former.get(mark)
    return None if former is None else replace(client_auth, key=former.key, alg=former.alg)


def mark_of_key(client_auth: Proof) -> str | None:
    """The `SigningKey.mark` of the key that signs client assertions; None if there are none."""
    return client_auth.key.mark if isinstance(client_auth, ClientAssertion) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAssertion:
    """``private_key_jwt`` or ``client_secret_jwt``: a new JWT for each request.

    :param audience: its ``aud``; None for the URL of the endpoint that is called.
    :param typ: the ``typ`` of its header.
    :param further_claims: gives further claims; called for each assertion.
    :param login_claims: further claims of one login, over those.
    :param former: our other keys, by their `SigningKey.mark`.

    RFC 7523 section 2.2, OpenID Connect Core 9, FAPI 2.0 section 5.3.3.1.
    """

    client_id: str
    key: SigningKey = field(repr=False)
    alg: str
    audience: str | None
    typ: str
    further_claims: Callable[[], Mapping[str, Any]] | None = None
    login_claims: Mapping[str, Any] = field(default_factory=dict)
    former: Mapping[str, FormerKey] = field(default_factory=dict, repr=False)

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`.

        :raises ValueError: the further claims are none; and what their function raises.
        """
        claims = {
            **self._further_claims(),
            **self.login_claims,
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": outbound.url if self.audience is None else self.audience,
            "jti": secrets.token_urlsafe(24),
            "iat": now - BACKDATED,
            "nbf": now - BACKDATED,
            "exp": now + ASSERTION_LIFETIME,
        }
        return outbound.with_fields(
            {
                "client_id": self.client_id,
                "client_assertion_type": JWT_BEARER,
                "client_assertion": self.key.sign(claims, alg=self.alg, typ=self.typ),
            }
        )

    def _further_claims(self) -> Mapping[str, Any]:
        if self.further_claims is None:
            return {}
        further = self.further_claims()
        check_assertion_claims(further)
        return further

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False
