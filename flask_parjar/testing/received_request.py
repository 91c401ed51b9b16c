"""Authorization requests as they are received: pushed or not, signed or not.

The same rules hold for all of them. The views say which ways are open. No HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .answers import (
    InvalidRequestError,
    InvalidRequestObjectError,
    InvalidScopeError,
    OAuth2Error,
    refusal,
)
from .clients import Client
from .jws import Unproven
from .request_object import use_up_jti, verify_request_object
from .state import AuthorizationRequest, ProviderState, ReturnAddress

_TEXT_PARAMETERS = (
    *("response_type", "redirect_uri", "scope", "state", "nonce", "response_mode", "prompt"),
    *("code_challenge", "code_challenge_method", "acr_values", "login_hint", "ui_locales"),
    "dpop_jkt",
)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s#]+")
_PROMPTS = {"none", "login", "consent", "select_account"}
_JSON_PARAMETERS = ("claims", "authorization_details")
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request whose sender is known, and whose parameters are not checked yet.

    :param parameters: JSON values, as in a request object
    :param signed: whether they come from a request object that was verified
    """

    client: Client
    parameters: Mapping[str, object] = field(repr=False)
    signed: bool


def receive(
    form: Mapping[str, str], *, resources: list[str], client: Client, provider: ProviderState
) -> ReceivedRequest:
    """Verify the request object in ``request``, or read the parameters without one.

    :param resources: all values of ``resource`` in the form
    :raises OAuth2Error: ``invalid_request_object``; ``request_not_supported`` if the metadata says
        that there are none here; ``invalid_request`` if it is missing and required

    RFC 9101 sections 5 and 10.5, OpenID Connect Core section 3.1.2.6
    """
    if "request" not in form:
        if must_sign(client, provider=provider):
            raise refusal(InvalidRequestError, "request is missing: requests must be signed here")
        parameters: dict[str, object] = {**form, "resource": resources}
        return ReceivedRequest(client=client, parameters=parameters, signed=False)
    if provider.metadata.get("request_parameter_supported") is False:
        raise refusal(
            OAuth2Error, "no request objects are accepted here", code="request_not_supported"
        )
    try:
        claims = verify_request_object(form["request"], client=client, provider=provider)
    except Unproven as exc:
        raise refusal(InvalidRequestObjectError, f"request object: {exc}") from exc
    return ReceivedRequest(client=client, parameters=claims, signed=True)


def must_sign(client: Client, *, provider: ProviderState) -> bool:
    """Whether requests of this client must be signed (RFC 9101 section 10.5)."""
    return client.require_signed_request_object or (
        provider.metadata.get("require_signed_request_object") is True
    )


def must_push(client: Client, *, provider: ProviderState) -> bool:
    """Whether requests of this client must be pushed (RFC 9126 sections 5 and 6)."""
    return client.require_pushed_authorization_requests or (
        provider.metadata.get("require_pushed_authorization_requests") is True
    )


def find_return_address(received: ReceivedRequest, *, provider: ProviderState) -> ReturnAddress:
    """Where the answer goes. Until it is known, no error may be sent to the client.

    :raises OAuth2Error: ``invalid_request``

    RFC 6749 section 4.1.2.1
    """
    given, client = received.parameters, received.client
    redirect_uri, state = given.get("redirect_uri", ""), given.get("state", "")
    if redirect_uri not in client.redirect_uris:
        raise refusal(
            InvalidRequestError,
            f"redirect_uri {redirect_uri!r} is not one of the registered ones"
            f"{provider.advice_for_redirect_uri}: {', '.join(client.redirect_uris)}",
        )
    mode = given.get("response_mode", "") or "query"
    if mode not in provider.offered("response_modes_supported"):
        raise refusal(InvalidRequestError, f"response_mode {mode!r} is not supported")
    return ReturnAddress(
        redirect_uri=str(redirect_uri),
        mode=str(mode),
        state=state if isinstance(state, str) and state else None,
    )


def accept(received: ReceivedRequest, *, provider: ProviderState) -> AuthorizationRequest:
    """Check the parameters; a request object is used up.

    :raises OAuth2Error: ``invalid_request_object``, or the error that belongs to a parameter

    OpenID Connect Core section 3.1.2.2
    """
    client = received.client
    _check_demanded(received.parameters, provider=provider)
    try:
        if not received.signed:
            return _parse_request(_typed(received.parameters), received, provider=provider)
        request = _parse_request(received.parameters, received, provider=provider)
        use_up_jti(received.parameters, client=client, provider=provider)
    except Unproven as exc:
        if not received.signed:
            raise refusal(InvalidRequestError, str(exc)) from exc
        raise refusal(InvalidRequestObjectError, f"request object: {exc}") from exc
    return request


def _typed(form: Mapping[str, object]) -> dict[str, object]:
    """The parameters of an unsigned request, with numbers and JSON values in place of their text.

    OpenID Connect Core sections 3.1.2.1 and 5.5, RFC 9396 section 2
    """
    typed = dict(form)
    for name in _JSON_PARAMETERS:
        if name in form:
            try:
                typed[name] = json.loads(str(form[name]))
            except (ValueError, RecursionError) as exc:
                raise Unproven(f"{name} is not JSON") from exc
    if "max_age" in form and _SECONDS.fullmatch(str(form["max_age"])):
        typed["max_age"] = int(str(form["max_age"]))
    return typed


def _parse_request(
    given: Mapping[str, object], received: ReceivedRequest, *, provider: ProviderState
) -> AuthorizationRequest:
    client, text = received.client, _texts(given)
    if text["response_type"] != "code":
        raise refusal(
            OAuth2Error,
            f"response_type is {text['response_type']!r}, expected 'code'",
            code="unsupported_response_type",
        )
    address = find_return_address(received, provider=provider)
    prompt = _prompt(text)
    reads_claims = provider.metadata.get("claims_parameter_supported") is True
    asked = _claims_parameter(given if reads_claims else {})
    acr_values, essential = _acr(text["acr_values"], asked["id_token"])
    return AuthorizationRequest(
        client=client,
        address=address,
        scopes=_scopes(text["scope"], client=client),
        nonce=text["nonce"] or None,
        code_challenge=_challenge(text) if provider.demands.takes("code_challenge") else None,
        prompt=prompt,
        max_age=_max_age(given),
        acr_values=acr_values,
        acr_is_essential=essential,
        login_hint=text["login_hint"],
        id_token_claims=tuple(asked["id_token"]),
        userinfo_claims=tuple(asked["userinfo"]),
        dpop_jkt=text["dpop_jkt"] or None,
        resources=_resources(given.get("resource", [])),
        authorization_details=_details(given.get("authorization_details", []), provider=provider),
    )


def _check_demanded(given: Mapping[str, object], *, provider: ProviderState) -> None:
    """Check what this provider demands of the values of parameters, beyond the standards.

    :raises OAuth2Error: ``invalid_request``
    """
    for name, pattern in provider.demands.request_parameters.items():
        value = given.get(name, "")
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise refusal(InvalidRequestError, f"{name} does not match {pattern}")


def _details(value: object, *, provider: ProviderState) -> tuple[Mapping[str, object], ...]:
    """What the tokens shall allow: an array of objects, each of a type that is known here.

    :raises OAuth2Error: ``invalid_authorization_details``

    RFC 9396 sections 2 and 5
    """
    known, code = provider.offered("authorization_details_types_supported"), "authorization_details"
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise refusal(OAuth2Error, "it is no array of objects", code=f"invalid_{code}")
    for each in value:
        if each.get("type") not in known:
            raise refusal(
                OAuth2Error, f"type {each.get('type')!r} is not known here", code=f"invalid_{code}"
            )
    return tuple(value)


def _resources(value: object) -> tuple[str, ...]:
    """The APIs that the tokens are for: one URI or several (RFC 8707 section 2)."""
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not all(isinstance(each, str) for each in several):
        raise Unproven("resource is not a string or a list of strings")
    for each in several:
        if not _ABSOLUTE_URI.fullmatch(each):
            raise refusal(
                OAuth2Error, f"resource {each!r} is no absolute URI", code="invalid_target"
            )
    return tuple(several)


def _texts(claims: Mapping[str, object]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name in _TEXT_PARAMETERS:
        value = claims.get(name, "")
        if not isinstance(value, str):
            raise Unproven(f"{name} is not a string")
        texts[name] = value
    return texts


def _prompt(text: Mapping[str, str]) -> frozenset[str]:
    prompt = frozenset(text["prompt"].split())
    if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise refusal(InvalidRequestError, f"prompt {text['prompt']!r} is not one we know")
    return prompt


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
    """The requested levels, in the order of preference, and whether one of them is essential.

    OpenID Connect Core section 5.5.1.1
    """
    member = asked.get("acr")
    if not isinstance(member, dict):
        return tuple(acr_values.split()), False
    values = member.get("values", [member["value"]] if "value" in member else [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Unproven("the values of acr in claims are not strings")
    return (*values, *acr_values.split()), member.get("essential") is True and bool(values)
