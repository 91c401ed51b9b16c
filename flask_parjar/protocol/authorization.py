"""The authorization request: its parameters, the signed request object, the URL for the browser.

Each type is made from the one before it: `AuthorizationRequest`, `RequestObject`, `PushedRequest`,
`AuthorizationRedirect`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode

from ..errors import LoginError, ProviderUnavailable
from .agreement import Agreement, RequestSigning
from .authorization_details import check_types, types_of
from .binding import TokenBinding
from .claims_parameter import check_claims, merge_claims, requested_values
from .client_auth import check_assertion_claims
from .encoding import is_number, parse_seconds
from .jwe import EncryptionKey, RequestEncryption
from .keys import BACKDATED
from .outbound import Parameters
from .transaction import Transaction
from .urls import check_endpoint

MAX_UNPUSHED_URL = 8192  # many servers refuse a longer one with 414
_TYP = "oauth-authz-req+jwt"
_MAX_REQUEST_URI = 2048
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x22\x24-\x7e]+")  # without a fragment
_RESOURCE_ADVICE = "write one absolute URI without a fragment, or a list of them"
_DETAILS_ADVICE = "write a list of dicts, each with a type"
_PROMPTS = frozenset(("none", "login", "consent", "select_account", "create"))

#: Parameters that a caller may not set freely, because the library sets them itself. (``max_age``
#: is set in `LoginOptions`, so that the ID token is checked for it.) RFC 9101 section 4 forbids the
#: last three inside a request object.
RESERVED_PARAMETERS = frozenset(
    "client_id response_type redirect_uri scope state nonce code_challenge code_challenge_method "
    "response_mode max_age iss aud exp nbf iat jti client_secret client_assertion "
    "client_assertion_type request request_uri sub".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """What one login may ask for beyond the configuration. All of it is a part of the request.

    :param provider: a name in PARJAR_PROVIDERS.
    :param scopes: in place of PARJAR_SCOPES.
    :param login_hint: who will probably log in: a user name or an e-mail address.
    :param prompt: ``login``, ``none``, ``consent``, ``select_account``, ``create``, or
        several of them with spaces between. A value that only your provider has goes into `params`.
    :param other_account: whether a person who is signed in at the provider may choose another
        account: ``prompt`` then has ``select_account`` if the provider lists it, else ``login``.
    :param max_age: seconds since the person last proved who they are; checked in the ID token.
    :param acr_values: wanted authentication contexts, best first.
    :param essential_acr: whether an ID token with another ``acr`` is refused.
    :param ui_locales: languages for the provider's pages, best first: ``"de en"``.
    :param claims: single claims to ask for (OpenID Connect Core 5.5), merged over those of the
        configuration; an essential ``acr`` or ``auth_time``, and a ``sub``, are checked.
    :param authorization_details: what the tokens shall allow, in detail (RFC 9396).
    :param resource: the URLs of the APIs that the access token is for (RFC 8707).
    :param assertion_claims: further claims of the client assertions of this login, of its renewals
        and of its revocation, over those of the configuration. They are in the session cookie until
        the login is complete, where its owner can read them.
    :param params: further authorization parameters, such as ``organization``; JSON values.
    :raises ValueError: for a value that makes no sense, with what was found and what to write.

    OpenID Connect Core 3.1.2.1, RFC 8707, RFC 9396.
    """

    provider: str | None = None
    scopes: Sequence[str] | None = None
    login_hint: str | None = None
    prompt: str | None = None
    other_account: bool = False
    max_age: int | None = None
    acr_values: Sequence[str] = ()
    essential_acr: bool = False
    ui_locales: str | None = None
    claims: Mapping[str, Any] | None = None
    authorization_details: Sequence[Mapping[str, Any]] | None = None
    resource: str | Sequence[str] | None = None
    assertion_claims: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, check, advice in _CHECKS:
            value = getattr(self, name)
            if not check(value):
                raise ValueError(f"{name} is {value!r:.80}: {advice}")
        check_params(self.params)
        if self.assertion_claims is not None:
            try:
                check_assertion_claims(self.assertion_claims)
            except ValueError as exc:
                raise ValueError(f"assertion_claims: {exc}") from exc
        if self.essential_acr and not self.acr_values:
            raise ValueError("essential_acr needs acr_values: say which")
        if self.claims is not None:
            check_claims(self.claims)


def check_params(params: Mapping[str, Any]) -> None:
    """Check further authorization parameters.

    :raises ValueError: with what is wrong.
    """
    if not _is_object(params):
        raise ValueError("write a dict of JSON values")
    taken = sorted(RESERVED_PARAMETERS.intersection(params))
    if taken:
        raise ValueError(f"leave out {', '.join(taken)}: the library sets them itself")
    if not _is_text(params.get("prompt")):
        raise ValueError("prompt: write a text")
    if "claims" in params:
        check_claims(params["claims"])
    if not _are_resources(params.get("resource")):
        raise ValueError(f"resource: {_RESOURCE_ADVICE}")
    if not _are_details(params.get("authorization_details")):
        raise ValueError(f"authorization_details: {_DETAILS_ADVICE}")


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and _is_json(value))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.split() == [value] and _is_json(value)


def _are_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_word(each) for each in value)


def _are_scopes(value: object) -> bool:
    return value is None or (
        isinstance(value, list | tuple) and _are_words(value) and "openid" in value
    )


def _is_prompt(value: object) -> bool:
    if not isinstance(value, str):
        return value is None
    words = value.split()
    return bool(words) and _PROMPTS.issuperset(words) and ("none" not in words or len(words) == 1)


def _is_age(value: object) -> bool:
    return value is None or (isinstance(value, int) and is_number(value) and value >= 0)


def _are_details(value: object) -> bool:
    return value is None or (
        isinstance(value, list | tuple)
        and all(isinstance(each, Mapping) and _is_word(each.get("type")) for each in value)
        and _is_json(value)
    )


def _are_resources(value: object) -> bool:
    several = value if isinstance(value, list | tuple) else [value]
    return value is None or all(
        isinstance(each, str) and _ABSOLUTE_URI.fullmatch(each) for each in several
    )


def _is_object(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(name, str) for name in value)
        and _is_json(value)
    )


def _is_json(value: object) -> bool:
    """Whether a value can be signed: JSON without NaN, and text without half a surrogate pair."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


#: Each field of `LoginOptions` that is checked by itself, and what to write into it.
_CHECKS: Sequence[tuple[str, Callable[[object], bool], str]] = (
    ("provider", _is_text, "write a name in PARJAR_PROVIDERS"),
    ("scopes", _are_scopes, "write a list of words with openid among them"),
    ("login_hint", _is_text, "write a string"),
    ("prompt", _is_prompt, "write none, or some of login, consent, select_account, create"),
    ("other_account", lambda value: isinstance(value, bool), "write True or False"),
    ("max_age", _is_age, "write a whole number of seconds, 0 or more"),
    ("acr_values", _are_words, "write a list of words"),
    ("essential_acr", lambda value: isinstance(value, bool), "write True or False"),
    ("ui_locales", _is_text, "write languages with spaces between"),
    ("claims", lambda value: value is None or _is_json(value), "write a dict of JSON values"),
    ("authorization_details", _are_details, _DETAILS_ADVICE),
    ("resource", _are_resources, _RESOURCE_ADVICE),
    ("params", _is_object, "write a dict of JSON values"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """The parameters of one authorization request, not yet signed."""

    client_id: str
    parameters: Mapping[str, Any] = field(repr=False)

    @classmethod
    def build(
        cls,
        agreement: Agreement,
        transaction: Transaction,
        options: LoginOptions,
        *,
        binding: TokenBinding,
    ) -> AuthorizationRequest:
        """Build the parameters: those of the configuration, of this login, and of the transaction.

        :raises LoginError: ``acr_unsupported``: the provider lists its levels, and none of those
            that this login needs; ``authorization_details_unsupported``: the same of the types.

        OpenID Connect Core 3.1.2.1, RFC 7636 section 4.3.
        """
        _check_levels(transaction.acr_values, agreement.acr_values)
        if agreement.https_redirect_uri:
            _check_redirect_uri(transaction.redirect_uri)
        check_types(transaction.details_types, agreement.details_types)
        free = {**agreement.authorization_params, **options.params}
        if options.acr_values:
            free.pop("acr_values", None)  # those of this login replace the configured ones
        parameters: dict[str, Any] = {
            **free,
            **_asked(agreement, options),
            **binding.parameters(),
            "client_id": agreement.client_id,
            "response_type": "code",
            "redirect_uri": transaction.redirect_uri,
            "scope": " ".join(transaction.scopes),
            "state": transaction.state,
            "nonce": transaction.nonce,
        }
        if agreement.pkce:
            parameters["code_challenge"] = transaction.code_challenge
            parameters["code_challenge_method"] = "S256"
        return cls(client_id=agreement.client_id, parameters=parameters)

    def as_form(self) -> Parameters:
        """The parameters of an unsigned request: those of a list repeated, JSON values as text.

        RFC 8707 section 2, OpenID Connect Core 5.5, RFC 9396 section 2.
        """
        return {name: _as_text(value) for name, value in self.parameters.items()}

    def beside_request_object(self) -> dict[str, str]:
        """The parameters that are sent beside an unpushed request object.

        OpenID Connect Core 6.1.
        """
        return {
            name: str(self.parameters[name]) for name in ("client_id", "response_type", "scope")
        }


def _asked(agreement: Agreement, options: LoginOptions) -> dict[str, Any]:
    """The parameters of the fields of `LoginOptions`, and ``response_mode``, which are not None."""
    claims, acr_values = asked_claims(
        agreement.authorization_params, options, claims_parameter=agreement.claims_parameter
    )
    asked = {
        "login_hint": options.login_hint,
        "prompt": _prompt(agreement, options),
        "max_age": options.max_age,
        "acr_values": " ".join(acr_values) or None,
        "ui_locales": options.ui_locales,
        "claims": claims or None,
        "authorization_details": asked_details(agreement.authorization_params, options),
        "resource": asked_resource(agreement.authorization_params, options),
        "response_mode": agreement.response_mode,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _prompt(agreement: Agreement, options: LoginOptions) -> str | None:
    """``prompt``, with what lets a person choose another account if that is wanted."""
    if not options.other_account:
        return options.prompt
    configured = {**agreement.authorization_params, **options.params}.get("prompt")
    words = (options.prompt or configured or "").split()
    if "login" not in words and "select_account" not in words:
        words = [*(word for word in words if word != "none"), agreement.other_account_prompt]
    return " ".join(words)


def _as_text(value: Any) -> str | list[str]:
    if isinstance(value, list | tuple) and value:
        # A list of objects, as in authorization_details, is one JSON value.
        if not any(isinstance(each, Mapping | list | tuple) for each in value):
            return [_as_one_text(each) for each in value]
    return _as_one_text(value)


def _as_one_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_redirect_uri(uri: str) -> None:
    """Refuse a ``redirect_uri`` over http, where others could read the response."""
    try:
        check_endpoint(uri, allow_http=False)
    except ValueError as exc:
        raise LoginError("redirect_uri_insecure", f"{uri!r:.200}: {exc}") from exc


def _check_levels(needed: tuple[str, ...], listed: tuple[str, ...]) -> None:
    """Refuse a level that cannot be reached: some providers would show an error of their own."""
    if needed and listed and not set(needed).intersection(listed):
        raise LoginError("acr_unsupported", f"needed: {list(needed)}; listed: {list(listed)}")


def asked_claims(
    authorization_params: Mapping[str, Any], options: LoginOptions, *, claims_parameter: bool
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The ``claims`` and the ``acr_values`` of one login; a wanted acr is in only one of them.

    What a provider does with both is not specified. An essential acr goes into ``claims``, because
    only ``claims`` can say "essential", unless the provider does not support it. Any other acr goes
    into ``claims`` only if that already has values for ``acr``.

    :param claims_parameter: whether the provider supports ``claims``.

    OpenID Connect Core 5.5.1.1.
    """
    configured = authorization_params.get("claims"), options.params.get("claims")
    claims, wanted = merge_claims(*configured, options.claims), tuple(options.acr_values)
    listed_before = (claims.get("id_token") or {}).get("acr") or {}
    others = requested_values(listed_before)
    if not wanted or not (others or (options.essential_acr and claims_parameter)):
        return claims, wanted
    acr = {"essential": True, "values": list(wanted)}
    if not options.essential_acr:
        acr = {**listed_before, "values": list(dict.fromkeys([*wanted, *others]))}
        acr.pop("value", None)
    return merge_claims(claims, {"id_token": {"acr": acr}}), ()


def asked_resource(
    authorization_params: Mapping[str, Any], options: LoginOptions
) -> str | Sequence[str] | None:
    """The APIs that the tokens of one login are for, as they were written (RFC 8707 section 2)."""
    for asked in (options.resource, options.params.get("resource")):
        if asked is not None:
            return asked
    configured: str | Sequence[str] | None = authorization_params.get("resource")
    return configured


def asked_resources(
    authorization_params: Mapping[str, Any], options: LoginOptions
) -> tuple[str, ...]:
    """The same as a list, for the token requests (RFC 8707 section 2.2)."""
    return _as_list(asked_resource(authorization_params, options))


def configured_resources(authorization_params: Mapping[str, Any]) -> tuple[str, ...]:
    """The same for a login that asks for nothing beyond the configuration."""
    return _as_list(authorization_params.get("resource"))


def _as_list(resource: str | Sequence[str] | None) -> tuple[str, ...]:
    return (resource,) if isinstance(resource, str) else tuple(resource or ())


def asked_details(
    authorization_params: Mapping[str, Any], options: LoginOptions
) -> Sequence[Mapping[str, Any]] | None:
    """What the tokens of one login shall allow (RFC 9396 section 2); None if that is not said."""
    params = options.params.get("authorization_details")
    for asked in (options.authorization_details, params):
        if asked is not None:
            return cast(Sequence[Mapping[str, Any]], asked)
    configured: Sequence[Mapping[str, Any]] | None = authorization_params.get(
        "authorization_details"
    )
    return configured


def asked_details_types(
    authorization_params: Mapping[str, Any], options: LoginOptions
) -> tuple[str, ...]:
    """Their types, for the comparison with what is granted (RFC 9396 section 7)."""
    return types_of(asked_details(authorization_params, options) or ())


def configured_details_types(authorization_params: Mapping[str, Any]) -> tuple[str, ...]:
    """The same for a login that asks for nothing beyond the configuration."""
    return types_of(authorization_params.get("authorization_details") or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestObject:
    """A signed authorization request, perhaps encrypted (RFC 9101). The claims are for signals.

    :param header: of the JWS.
    :param beside: the parameters that are sent beside it, although they are inside too.
    """

    jwt: str = field(repr=False)
    alg: str
    kid: str | None
    claims: Mapping[str, Any] = field(repr=False)
    header: Mapping[str, Any] = field(default_factory=dict)
    beside: Parameters = field(default_factory=dict, repr=False)

    @classmethod
    def sign(
        cls, request: AuthorizationRequest, signing: RequestSigning, *, now: int
    ) -> RequestObject:
        """Sign a request, with a new identifier and the current time.

        :param now: seconds since 1970.

        RFC 9101 sections 4 and 10.8, FAPI 2.0 Message Signing section 5.3.
        """
        claims = {
            "iss": request.client_id,
            "aud": signing.audience,
            "iat": now - BACKDATED,
            "nbf": now - BACKDATED,
            # Counted from nbf: some providers refuse more than a number of seconds between the two.
            "exp": now - BACKDATED + signing.lifetime,
            "jti": secrets.token_urlsafe(24),
            **request.parameters,
        }
        form = request.as_form() if signing.beside else {}
        return cls(
            jwt=signing.key.sign(claims, alg=signing.alg, typ=_TYP),
            alg=signing.alg,
            kid=signing.key.kid,
            claims=claims,
            header=signing.key.header(alg=signing.alg, typ=_TYP),
            beside={name: form[name] for name in signing.beside if name in form},
        )

    def encrypt(self, encryption: RequestEncryption, key: EncryptionKey) -> RequestObject:
        """Encrypt the signed request for the provider.

        :param key: the provider's, for the ``alg`` that was agreed.

        RFC 9101 section 5, OpenID Connect Core 10.2.
        """
        return replace(self, jwt=encryption.encrypt(self.jwt, key))

    def as_form(self) -> Parameters:
        """The form to push: the request object, and only ``client_id`` beside it, and `beside`.

        RFC 9126 section 3.
        """
        return {**self.beside, "client_id": str(self.claims["client_id"]), "request": self.jwt}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """A request that was pushed to the provider.

    :param request_uri: its name at the provider, to be used once; opaque.
    :param expires_in: seconds that it can be used.
    """

    request_uri: str = field(repr=False)
    expires_in: int

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> PushedRequest:
        """Read the answer to a push.

        :raises ProviderUnavailable: ``push_answer``.

        RFC 9126 section 2.2.
        """
        request_uri, expires_in = answer.get("request_uri"), answer.get("expires_in")
        if not isinstance(request_uri, str) or len(request_uri) > _MAX_REQUEST_URI:
            raise ProviderUnavailable("push_answer", "request_uri is no string, or is too long")
        if not _VISIBLE_ASCII.fullmatch(request_uri):
            raise ProviderUnavailable("push_answer", "request_uri is empty, or not visible ASCII")
        try:
            lifetime = parse_seconds(expires_in)
        except ValueError:
            lifetime = 0
        if lifetime == 0:
            raise ProviderUnavailable("push_answer", f"expires_in={str(expires_in)[:40]!r}")
        return cls(request_uri=request_uri, expires_in=lifetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRedirect:
    """The redirect of the browser to the provider.

    :param endpoint: the authorization endpoint.
    :param parameters: ``client_id`` and ``request_uri`` if the request was pushed.
    :param url: both together.
    :param request_object: the one that was pushed, for signals; None if nothing was signed.
    """

    endpoint: str
    parameters: Parameters = field(repr=False)
    url: str = field(repr=False)
    request_object: RequestObject | None

    @classmethod
    def build(
        cls, endpoint: str, parameters: Parameters, *, request_object: RequestObject | None
    ) -> AuthorizationRedirect:
        """Build the URL; the endpoint's own query is kept (RFC 6749 section 3.1).

        :raises LoginError: ``request_too_long``: that of an unpushed request may be longer than
            servers accept.
        """
        joint = "&" if "?" in endpoint else "?"
        url = f"{endpoint}{joint}{urlencode(parameters, doseq=True)}"
        if len(url) > MAX_UNPUSHED_URL:
            raise LoginError("request_too_long", f"{len(url)} characters")
        return cls(endpoint=endpoint, parameters=parameters, url=url, request_object=request_object)
