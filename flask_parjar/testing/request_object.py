"""JAR, checked: a signed request object becomes an authorization request, or a refusal.

Nothing here knows HTTP. Each check of RFC 9101, and of FAPI 2.0 Message Signing, is one of the
steps below; what passed them all is an ``AuthorizationRequest``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .clients import Client
from .jws import ASYMMETRIC, Unproven, instant, parse, verify
from .refusals import (
    InvalidRequestError,
    InvalidRequestObjectError,
    InvalidScopeError,
    OAuth2Error,
    refusal,
)
from .state import ProviderState

MAX_AGE_SECONDS = 3600
MAX_JTI_LENGTH = 256
# RFC 9101 section 4 forbids the first two; section 10.8 the third, lest it pass for a login.
_NEVER_INSIDE = ("request", "request_uri", "sub", "client_secret", "client_assertion")
_TEXT_PARAMETERS = (
    *("response_type", "redirect_uri", "scope", "state", "nonce", "response_mode", "prompt"),
    *("code_challenge", "code_challenge_method", "acr_values", "login_hint", "ui_locales"),
)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_PROMPTS = {"none", "login", "consent", "select_account"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asked for, proved to come from it and to be allowed."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None = field(repr=False)
    nonce: str | None = field(repr=False)
    code_challenge: str = field(repr=False)
    response_mode: str
    prompt: frozenset[str]
    max_age: int | None
    acr_values: tuple[str, ...]
    acr_is_essential: bool
    login_hint: str
    id_token_claims: tuple[str, ...]
    userinfo_claims: tuple[str, ...]


def verify_request_object(
    text: str, *, client: Client, provider: ProviderState
) -> AuthorizationRequest:
    """Prove a request object and read the request in it.

    :raises OAuth2Error: what was found, what was expected

    RFC 9101 sections 4 and 6, RFC 9126 section 3, FAPI 2.0 Message Signing section 5.3
    """
    try:
        claims = _signed_by_client(text, client=client, provider=provider)
        _addressed_to_us(claims, client=client, provider=provider)
        _of_this_moment(claims, provider=provider)
        request = _allowed_request(claims, client=client, provider=provider)
        _only_once(claims, client=client, provider=provider)
    except Unproven as exc:
        raise refusal(InvalidRequestObjectError, f"request object: {exc}") from exc
    return request


def _signed_by_client(
    text: str, *, client: Client, provider: ProviderState
) -> Mapping[str, object]:
    offered = provider.offered("request_object_signing_alg_values_supported")
    signed = parse(text)
    # RFC 9101 section 10.8, RFC 8725 section 3.11: another kind of JWT must not pass for a request.
    if signed.header.get("typ") != "oauth-authz-req+jwt":
        raise Unproven(f"typ is {signed.header.get('typ')!r}, expected 'oauth-authz-req+jwt'")
    return verify(
        signed, find_key=client.keys.find, algorithms=[alg for alg in offered if alg in ASYMMETRIC]
    )


def _addressed_to_us(
    claims: Mapping[str, object], *, client: Client, provider: ProviderState
) -> None:
    for name in ("iss", "client_id"):
        if claims.get(name) != client.client_id:
            raise Unproven(f"{name} is {claims.get(name)!r}, expected {client.client_id!r}")
    if claims.get("aud") != provider.issuer:
        raise Unproven(
            f"aud is {claims.get('aud')!r}, expected the issuer as a string: {provider.issuer!r}"
        )
    for name in _NEVER_INSIDE:
        if name in claims:
            raise Unproven(f"{name} must not be inside a request object")


def _of_this_moment(claims: Mapping[str, object], *, provider: ProviderState) -> None:
    now = provider.now()
    issued, not_before, expires = (instant(claims, name) for name in ("iat", "nbf", "exp"))
    if expires <= now:
        raise Unproven(f"exp was {now - expires:.0f} s ago")
    for name, moment in (("iat", issued), ("nbf", not_before)):
        if moment > now + provider.clock_skew:
            raise Unproven(f"{name} is {moment - now:.0f} s in the future")
    if not_before < now - MAX_AGE_SECONDS:
        raise Unproven(f"nbf was more than {MAX_AGE_SECONDS} s ago")
    if expires > now + MAX_AGE_SECONDS or expires > not_before + MAX_AGE_SECONDS:
        raise Unproven(f"exp is more than {MAX_AGE_SECONDS} s after nbf or now")


def _only_once(claims: Mapping[str, object], *, client: Client, provider: ProviderState) -> None:
    jti, expires = claims.get("jti"), instant(claims, "exp")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise Unproven(f"jti is {jti!r}, expected a string of up to {MAX_JTI_LENGTH} characters")
    if not provider.memory.spent.add(f"request\n{client.client_id}\n{jti}", True, until=expires):
        raise Unproven("this jti was used before")


def _allowed_request(
    claims: Mapping[str, object], *, client: Client, provider: ProviderState
) -> AuthorizationRequest:
    text = _texts(claims)
    if text["response_type"] != "code":
        raise refusal(
            OAuth2Error,
            f"response_type is {text['response_type']!r}, expected 'code'",
            code="unsupported_response_type",
        )
    if text["redirect_uri"] not in client.redirect_uris:
        raise refusal(
            InvalidRequestError,
            f"redirect_uri {text['redirect_uri']!r} is not one of {list(client.redirect_uris)}",
        )
    mode = text["response_mode"] or "query"
    if mode not in provider.offered("response_modes_supported"):
        raise refusal(InvalidRequestError, f"response_mode {mode!r} is not supported")
    prompt = frozenset(text["prompt"].split())
    if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise refusal(InvalidRequestError, f"prompt {text['prompt']!r} is not one we know")
    asked = _claims_parameter(claims)
    acr_values, essential = _acr(text["acr_values"], asked["id_token"])
    return AuthorizationRequest(
        client=client,
        redirect_uri=text["redirect_uri"],
        scopes=_scopes(text["scope"], client=client),
        state=text["state"] or None,
        nonce=text["nonce"] or None,
        code_challenge=_challenge(text),
        response_mode=mode,
        prompt=prompt,
        max_age=_max_age(claims),
        acr_values=acr_values,
        acr_is_essential=essential,
        login_hint=text["login_hint"],
        id_token_claims=tuple(asked["id_token"]),
        userinfo_claims=tuple(asked["userinfo"]),
    )


def _texts(claims: Mapping[str, object]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name in _TEXT_PARAMETERS:
        value = claims.get(name, "")
        if not isinstance(value, str):
            raise Unproven(f"{name} is not a string")
        texts[name] = value
    return texts


def _challenge(text: Mapping[str, str]) -> str:
    # RFC 7636 section 4.3; FAPI 2.0 Security Profile 5.3.2.2 demands PKCE and S256.
    if text["code_challenge_method"] != "S256":
        raise refusal(InvalidRequestError, "code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(text["code_challenge"]):
        raise refusal(InvalidRequestError, "code_challenge must be 43 characters of base64url")
    return text["code_challenge"]


def _scopes(scope: str, *, client: Client) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scope.split()))
    if "openid" not in scopes:
        raise refusal(InvalidScopeError, f"scope {scope!r} has no openid")
    if foreign := [one for one in scopes if one not in client.scopes]:
        raise refusal(InvalidScopeError, f"not registered for this client: {' '.join(foreign)}")
    return scopes


def _max_age(claims: Mapping[str, object]) -> int | None:
    if "max_age" not in claims:
        return None
    value = claims["max_age"]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unproven(f"max_age is {value!r}, expected a number of seconds")
    return value


def _claims_parameter(claims: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    value = claims.get("claims", {})
    if not isinstance(value, dict):
        raise Unproven("claims is not a JSON object")
    asked: dict[str, Mapping[str, object]] = {}
    for place in ("id_token", "userinfo"):
        members = value.get(place) or {}
        if not isinstance(members, dict):
            raise Unproven(f"{place} in claims is not a JSON object")
        asked[place] = members
    return asked


def _acr(acr_values: str, asked: Mapping[str, object]) -> tuple[tuple[str, ...], bool]:
    """The levels asked for, dearest wish first, and whether the login is worthless without one.

    OpenID Connect Core section 5.5.1.1
    """
    wish = asked.get("acr")
    if not isinstance(wish, dict):
        return tuple(acr_values.split()), False
    values = wish.get("values", [wish["value"]] if "value" in wish else [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Unproven("the values of acr in claims are not strings")
    return (*values, *acr_values.split()), wish.get("essential") is True and bool(values)
