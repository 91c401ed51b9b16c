"""What is about to leave the provider, in a form that a fault can still change.

Also the provider's errors: Authlib's OAuth errors, with a description for the developer of the
client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc9101.errors import InvalidRequestObjectError, InvalidRequestUriError
from authlib.oidc.core.errors import ConsentRequiredError, LoginRequiredError
from flask import Response
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from .clients import Client
from .jws import encode, encode_json

__all__ = [
    "AccessDeniedError",
    "Answer",
    "AuthorizationAnswer",
    "CertificateBindingDraft",
    "ConsentRequiredError",
    "DPoPBindingDraft",
    "DPoPChallengeDraft",
    "DPoPNonceDraft",
    "IDTokenDraft",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidRequestObjectError",
    "InvalidRequestUriError",
    "InvalidScopeError",
    "LoginRequiredError",
    "OAuth2Error",
    "refusal",
    "with_query",
]

# RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")
_MAX_DESCRIPTION = 400


@dataclass(slots=True, kw_only=True)
class Answer:
    """A JSON answer: status, members and headers.

    :param members: the JSON object, or any other JSON value that a fault puts in its place
    :param path: the path of the request
    :param body: sent in place of the members: whole, or in pieces that are made as they are sent
    """

    members: object
    path: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "no-store"})
    content_type: str = "application/json"
    body: str | bytes | Iterable[bytes] | None = None

    @property
    def document(self) -> dict[str, object]:
        """The members, if they are a JSON object; else an empty one."""
        return self.members if isinstance(self.members, dict) else {}

    def put(self, name: str, value: object) -> None:
        """Set one member of the JSON object."""
        self.members = {**self.document, name: value}

    def drop(self, name: str) -> None:
        """Remove one member of the JSON object."""
        self.members = {k: v for k, v in self.document.items() if k != name}

    def text(self) -> str:
        """The members as JSON."""
        return json.dumps(self.members)

    def response(self) -> Response:
        """The answer as a Flask response."""
        body = self.text() if self.body is None else self.body
        response = Response(body, status=self.status, content_type=self.content_type)
        response.headers.update(self.headers)
        return response


@dataclass(slots=True, kw_only=True)
class AuthorizationAnswer:
    """The authorization response, which the browser carries back to the client.

    :param parameters: in order; a fault may repeat one
    :param mode: ``query`` or ``form_post``, or one of JARM

    RFC 6749 section 4.1.2
    """

    redirect_uri: str
    mode: str
    parameters: list[tuple[str, str]]

    def put(self, name: str, value: str) -> None:
        """Set one parameter, in place of all of that name."""
        self.drop(name)
        self.parameters.append((name, value))

    def drop(self, name: str) -> None:
        """Remove all parameters of that name."""
        self.parameters = [pair for pair in self.parameters if pair[0] != name]

    def url(self) -> str:
        """The client's redirect URI with the parameters in its query."""
        return with_query(self.redirect_uri, self.parameters)


@dataclass(slots=True, kw_only=True)
class DPoPNonceDraft:
    """The nonce that is about to be sent in ``DPoP-Nonce``; None if none is (RFC 9449)."""

    nonce: str | None


@dataclass(slots=True, kw_only=True)
class DPoPBindingDraft:
    """The key that tokens are about to be bound to, by its thumbprint; None for bearer tokens."""

    jkt: str | None


@dataclass(slots=True, kw_only=True)
class CertificateBindingDraft:
    """The certificate that tokens are about to be bound to, by its thumbprint; None for none."""

    x5t: str | None


@dataclass(slots=True, kw_only=True)
class DPoPChallengeDraft:
    """The scheme in ``WWW-Authenticate`` where a proof is refused (RFC 9449 section 7.1)."""

    scheme: str


@dataclass(slots=True, kw_only=True)
class IDTokenDraft:
    """An ID token before it is signed.

    :param key: signs, with the header's ``alg``
    :param now: the provider's time, in seconds since 1970
    :param payload: signed in place of the claims, for JSON that no library would write
    :param signer: makes the signature of the signing input, in place of the key
    :param text: the finished token, in place of all the fields above
    """

    header: dict[str, object]
    claims: dict[str, object]
    key: Key
    now: int
    client: Client
    payload: bytes | None = None
    signer: Callable[[bytes], bytes] | None = None
    text: object = None

    def finished(self) -> object:
        """The compact JWS, or ``text`` if a fault set it."""
        if self.text is not None:
            return self.text
        payload = json.dumps(self.claims).encode() if self.payload is None else self.payload
        signing_input = f"{encode_json(self.header)}.{encode(payload)}"
        signature = (self.signer or self.sign)(signing_input.encode("ascii"))
        return f"{signing_input}.{encode(signature)}"

    def sign(self, signing_input: bytes) -> bytes:
        """The correct signature."""
        return JWSRegistry.algorithms[str(self.header["alg"])].sign(signing_input, self.key)


def refusal(
    kind: type[OAuth2Error], description: str, *, status: int | None = None, code: str | None = None
) -> OAuth2Error:
    """An OAuth error, for the caller to raise.

    :param description: what was found and what was expected, for the developer of the client.
        Characters that the standard forbids become ``'`` or ``?``; cut after 400 characters
    :param status: the HTTP status, if it is not the usual one of this error
    :param code: the ``error`` code, where Authlib has no class for it that takes a description

    RFC 6749 section 5.2
    """
    text = _NOT_ALLOWED.sub("?", description.replace('"', "'"))[:_MAX_DESCRIPTION]
    return kind(description=text, status_code=status, error=code)


def with_query(url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """A URL with more parameters at the end of its query (RFC 6749 section 3.1.2)."""
    query = urlencode(list(parameters))
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
