"""The way out: from what is asked, over the signed request object, to the URL for the browser.

Each type is made only from the one before it. `PushedRequest` alone has a URL, save where an
INSECURE key says otherwise.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ..errors import ProviderUnavailable
from .client import ClientConfig
from .keys import SigningKey
from .transaction import Transaction

REQUEST_OBJECT_LIFETIME = 60
NOT_BEFORE_TOLERANCE = 10
_MAX_REQUEST_URI = 2048
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")

#: What a caller may not set through free parameters: the library speaks for these itself (for
#: ``max_age`` where `LoginOptions` has it, because then the answer is checked for it), and
#: RFC 9101 section 4 forbids the last three inside a request object.
RESERVED_PARAMETERS = frozenset(
    "client_id response_type redirect_uri scope state nonce code_challenge code_challenge_method "
    "response_mode max_age iss aud exp nbf iat jti client_secret client_assertion "
    "client_assertion_type request request_uri sub".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """What one login may ask for beyond the configuration. All of it is signed.

    :param provider: a name in PARJAR_PROVIDERS.
    :param scopes: in place of PARJAR_SCOPES.
    :param login_hint: who is probably there: a user name or an e-mail address.
    :param prompt: ``login``, ``none``, ``consent``, ``select_account``.
    :param max_age: seconds since the person last proved who they are; checked in the ID token.
    :param acr_values: wanted authentication contexts, best first.
    :param essential_acr: whether an ID token with another ``acr`` is refused.
    :param ui_locales: languages for the provider's pages, best first: ``"de en"``.
    :param claims: single claims to ask for (OpenID Connect Core 5.5).
    :param authorization_details: what is to be allowed, in detail (RFC 9396).
    :param resource: the URLs of the APIs that the access token is for (RFC 8707).
    :param params: further authorization parameters, such as ``organization``; JSON values.
    :raises ValueError: where ``params`` sets what the library sets, or a list is a string.

    OpenID Connect Core 3.1.2.1, RFC 8707, RFC 9396.
    """

    provider: str | None = None
    scopes: Sequence[str] | None = None
    login_hint: str | None = None
    prompt: str | None = None
    max_age: int | None = None
    acr_values: Sequence[str] = ()
    essential_acr: bool = False
    ui_locales: str | None = None
    claims: Mapping[str, Any] | None = None
    authorization_details: Sequence[Mapping[str, Any]] | None = None
    resource: str | Sequence[str] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted(RESERVED_PARAMETERS.intersection(self.params))
        if taken:
            raise ValueError(f"params may not set {', '.join(taken)}: the library does")
        if isinstance(self.scopes, str) or isinstance(self.acr_values, str):
            raise ValueError("scopes and acr_values are lists of strings")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """The parameters of one authorization request, not yet signed."""

    client_id: str
    issuer: str
    parameters: Mapping[str, Any]

    @classmethod
    def build(
        cls, client: ClientConfig, transaction: Transaction, options: LoginOptions
    ) -> AuthorizationRequest:
        """Gather the parameters: the configuration's, the login's, and those that bind the answer.

        OpenID Connect Core 3.1.2.1, RFC 7636 section 4.3.
        """
        asked = {
            "login_hint": options.login_hint,
            "prompt": options.prompt,
            "max_age": options.max_age,
            "acr_values": " ".join(options.acr_values) or None,
            "ui_locales": options.ui_locales,
            "claims": _claims_parameter(options),
            "authorization_details": options.authorization_details,
            "resource": options.resource,
            "response_mode": client.response_mode,
        }
        parameters: dict[str, Any] = {
            **client.authorization_params,
            **options.params,
            **{name: value for name, value in asked.items() if value is not None},
            "client_id": client.client_id,
            "response_type": "code",
            "redirect_uri": transaction.redirect_uri,
            "scope": " ".join(transaction.scopes),
            "state": transaction.state,
            "nonce": transaction.nonce,
            "code_challenge": transaction.code_challenge,
            "code_challenge_method": "S256",
        }
        return cls(client_id=client.client_id, issuer=client.issuer, parameters=parameters)

    def as_form(self) -> dict[str, str]:
        """The parameters of a request that goes unsigned: a form, with JSON values as text."""
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.parameters.items()
        }

    def beside_request_object(self) -> dict[str, str]:
        """What must stand beside an unpushed request object (OpenID Connect Core 6.1)."""
        return {
            name: str(self.parameters[name]) for name in ("client_id", "response_type", "scope")
        }


def _claims_parameter(options: LoginOptions) -> Mapping[str, Any] | None:
    """The ``claims`` parameter; an essential acr goes into it (OpenID Connect Core 5.5.1.1)."""
    if not (options.essential_acr and options.acr_values):
        return options.claims
    claims = dict(options.claims or {})
    acr = {"essential": True, "values": list(options.acr_values)}
    claims["id_token"] = {**(claims.get("id_token") or {}), "acr": acr}
    return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestObject:
    """A signed authorization request (RFC 9101). The claims are kept to be looked at."""

    jwt: str = field(repr=False)
    alg: str
    kid: str | None
    claims: Mapping[str, Any] = field(repr=False)

    @classmethod
    def sign(
        cls, request: AuthorizationRequest, *, key: SigningKey, alg: str, now: int
    ) -> RequestObject:
        """Sign a request, with an identifier and a time of its own.

        RFC 9101 sections 4 and 10.8, FAPI 2.0 Message Signing section 5.3.
        """
        claims = {
            "iss": request.client_id,
            "aud": request.issuer,
            "iat": now,
            "nbf": now - NOT_BEFORE_TOLERANCE,
            "exp": now + REQUEST_OBJECT_LIFETIME,
            "jti": secrets.token_urlsafe(24),
            **request.parameters,
        }
        jwt = key.sign(claims, alg=alg, typ="oauth-authz-req+jwt")
        return cls(jwt=jwt, alg=alg, kid=key.kid, claims=claims)

    @property
    def header(self) -> Mapping[str, Any]:
        """The JWS header as it was signed."""
        return {"alg": self.alg, "typ": "oauth-authz-req+jwt", "kid": self.kid}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserRequest:
    """What the browser carries to the authorization endpoint."""

    authorization_endpoint: str
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the redirect; the endpoint's own query is kept (RFC 6749 section 3.1)."""
        joint = "&" if "?" in self.authorization_endpoint else "?"
        return f"{self.authorization_endpoint}{joint}{urlencode(self.parameters)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest(BrowserRequest):
    """A request that the provider holds; the browser carries ``client_id`` and ``request_uri``."""

    expires_in: int

    @classmethod
    def parse(
        cls, answer: Mapping[str, Any], *, client_id: str, authorization_endpoint: str
    ) -> PushedRequest:
        """Read the answer to a push. The ``request_uri`` is opaque: carried, never interpreted.

        :raises ProviderUnavailable: ``push_answer``.

        RFC 9126 sections 2.2 and 4.
        """
        request_uri, expires_in = answer.get("request_uri"), answer.get("expires_in")
        if not isinstance(request_uri, str) or not 0 < len(request_uri) <= _MAX_REQUEST_URI:
            raise ProviderUnavailable("push_answer", "request_uri is missing or not usable")
        if not _VISIBLE_ASCII.fullmatch(request_uri):
            raise ProviderUnavailable("push_answer", "request_uri holds white space or controls")
        if isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in <= 0:
            raise ProviderUnavailable("push_answer", f"expires_in={str(expires_in)[:40]!r}")
        return cls(
            authorization_endpoint=authorization_endpoint,
            parameters={"client_id": client_id, "request_uri": request_uri},
            expires_in=expires_in,
        )
