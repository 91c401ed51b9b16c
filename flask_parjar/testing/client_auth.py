"""Client authentication: exactly one method, and only the registered one.

RFC 6749 section 2.3, RFC 7523, OpenID Connect Core section 9
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from joserfc.jwk import Key, OctKey

from .answers import InvalidClientError, InvalidRequestError, OAuth2Error, refusal
from .clients import Client
from .documents import CERTIFICATE_AUTH_METHODS
from .jws import ASYMMETRIC, SYMMETRIC, SignedText, Unproven, instant, parse, verify
from .mutual_tls import check_client_certificate
from .state import ProviderState

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION_SECONDS = 300
CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")
# RFC 6749 section 2.3.1: anything else in a Basic credential was not form-encoded.
_FORM_ENCODED = re.compile(r"(?:[A-Za-z0-9*._~+-]|%[0-9A-Fa-f]{2})*")


def authenticate(
    form: Mapping[str, str],
    *,
    authorization: str | None,
    certificate: str | None = None,
    called: str,
    provider: ProviderState,
) -> Client:
    """The client that sent a form, authenticated.

    :param form: the form, each parameter once
    :param authorization: the Authorization header, if there is one
    :param certificate: that of the TLS connection, as PEM. It may come with another method too, for
        bound tokens
    :param called: the URL of the endpoint, which is one of the audiences that an assertion may have
    :raises OAuth2Error: ``invalid_client``, or ``invalid_request`` for two methods at once

    RFC 6749 section 2.3, RFC 7523 section 3, OpenID Connect Core section 9
    """
    presented = [
        *(["client_secret_basic"] if authorization is not None else []),
        *(["client_secret_post"] if "client_secret" in form else []),
        *(
            ["a client assertion"]
            if {"client_assertion", "client_assertion_type"} & {*form}
            else []
        ),
    ]
    if len(presented) > 1:
        raise refusal(InvalidRequestError, f"authenticated twice: {' and '.join(presented)}")
    if not presented:
        return _public_or_by_certificate(form, certificate, provider=provider)
    if presented == ["client_secret_basic"]:
        return _by_basic(str(authorization), form, provider=provider)
    if presented == ["client_secret_post"]:
        client = _registered(form.get("client_id"), ("client_secret_post",), provider=provider)
        return _by_secret(client, form["client_secret"])
    return _by_assertion(form, called=called, provider=provider)


def assertion_kid(form: Mapping[str, str]) -> str | None:
    """The ``kid`` of the client assertion in a form that was authenticated; None without one."""
    if "client_assertion" not in form:
        return None
    kid = parse(form["client_assertion"]).header.get("kid")
    return None if kid is None else str(kid)


def _public_or_by_certificate(
    form: Mapping[str, str], certificate: str | None, *, provider: ProviderState
) -> Client:
    methods = ("none", *(() if certificate is None else CERTIFICATE_AUTH_METHODS))
    client = _registered(form.get("client_id"), methods, provider=provider)
    if certificate is not None and client.token_endpoint_auth_method in CERTIFICATE_AUTH_METHODS:
        try:
            check_client_certificate(client, certificate)
        except Unproven as exc:
            raise _rejected(str(exc)) from exc
    return client


def _by_basic(authorization: str, form: Mapping[str, str], *, provider: ProviderState) -> Client:
    scheme, _, encoded = authorization.partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, ValueError) as exc:
        raise _rejected("the Authorization header is not base64 of ASCII") from exc
    client_id, colon, secret = raw.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _rejected("the Authorization header is not Basic with an id and a secret")
    if not _FORM_ENCODED.fullmatch(client_id) or not _FORM_ENCODED.fullmatch(secret):
        raise _rejected("id and secret must be form-encoded before base64")
    client_id = unquote_plus(client_id)
    if form.get("client_id", client_id) != client_id:
        raise _rejected("client_id in the form is not that of the Authorization header")
    if provider.demands.basic_alone and "client_id" in form:
        raise _rejected("client_id in the form beside the Authorization header")
    client = _registered(client_id, ("client_secret_basic",), provider=provider)
    return _by_secret(client, unquote_plus(secret))


def _by_secret(client: Client, secret: str) -> Client:
    if not hmac.compare_digest(secret.encode(), str(client.client_secret).encode()):
        raise _rejected("the secret is wrong")
    return client


def _by_assertion(form: Mapping[str, str], *, called: str, provider: ProviderState) -> Client:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise _rejected(f"client_assertion_type must be {ASSERTION_TYPE}")
    text, at_most = form.get("client_assertion", ""), provider.demands.assertion_length
    try:
        if at_most is not None and len(text) > at_most:
            raise Unproven(f"it is longer than {at_most} characters")
        signed = parse(text)
        client_id = signed.claims.get("sub")
        methods = ("private_key_jwt", "client_secret_jwt")
        client = _registered(client_id, methods, provider=provider)
        if form.get("client_id", client_id) != client_id:
            raise Unproven("client_id in the form is not that of the assertion")
        claims = _verify_assertion(signed, client=client, provider=provider)
        _check_assertion(claims, client=client, called=called, provider=provider)
    except Unproven as exc:
        raise _rejected(f"client assertion: {exc}") from exc
    return client


def _verify_assertion(
    signed: SignedText, *, client: Client, provider: ProviderState
) -> Mapping[str, object]:
    typ, demanded = signed.header.get("typ"), provider.demands.assertion_typ
    # RFC 7523 has no type; draft-ietf-oauth-rfc7523bis has the last one.
    accepted = [None, "JWT", "client-authentication+jwt"] if demanded is None else [demanded]
    if typ not in accepted:
        raise Unproven(f"typ is {typ!r}")
    offered = provider.offered("token_endpoint_auth_signing_alg_values_supported")
    if client.token_endpoint_auth_method == "private_key_jwt":  # noqa: S105 - a method
        allowed, named_by = [a for a in offered if a in ASYMMETRIC], provider.demands.key_headers

        def named_key(kid: str | None) -> Key | None:
            if kid is None and "x5t#S256" in named_by:
                return client.keys.find_certified(signed.header.get("x5t#S256"))
            return client.keys.find(kid)

        return verify(signed, find_key=named_key, algorithms=allowed, named_by=named_by)
    # RFC 7518 section 3.2: a key at least as long as the hash.
    secret = str(client.client_secret).encode()
    allowed = [a for a in offered if a in SYMMETRIC and len(secret) * 8 >= int(a[2:])]

    def shared_key(_kid: str | None) -> Key:
        key: OctKey = OctKey.import_key(secret)
        return key

    return verify(signed, find_key=shared_key, algorithms=allowed)


def _check_assertion(
    claims: Mapping[str, object], *, client: Client, called: str, provider: ProviderState
) -> None:
    now = provider.now()
    for name in provider.demands.assertion_claims:
        if name not in claims:
            raise Unproven(f"{name} is missing")
    if claims.get("iss") != client.client_id:
        raise Unproven(f"iss is {claims.get('iss')!r}, expected {client.client_id!r}")
    audiences = [provider.issuer, called, provider.url("token_endpoint")]
    if (demanded := provider.demands.assertion_audience) is not None:
        audiences = provider.audiences(demanded, called=called)
    # One string, not a list: another provider in the list could use the assertion here.
    if claims.get("aud") not in audiences:
        raise Unproven(f"aud is {claims.get('aud')!r}, expected one of {', '.join(audiences)}")
    expires, at_most = instant(claims, "exp"), provider.demands.assertion_seconds
    left = provider.demands.assertion_seconds_left or MAX_ASSERTION_SECONDS
    if not now < expires <= now + left:
        raise Unproven(f"exp is {expires - now:.0f} s from now, at most {left}")
    if at_most is not None and expires > instant(claims, "iat") + at_most:
        raise Unproven(f"exp is more than {at_most} s after iat")
    for name in ("iat", "nbf"):
        if name in claims and instant(claims, name) > now + provider.clock_skew:
            raise Unproven(f"{name} is in the future")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise Unproven(f"jti is {jti!r}, expected a string of up to 256 characters")
    if not provider.memory.seen_jti.add(
        f"assertion\n{client.client_id}\n{jti}", True, until=expires
    ):
        raise Unproven("this jti was used before")


def _registered(client_id: object, methods: tuple[str, ...], *, provider: ProviderState) -> Client:
    client = provider.clients.get(client_id) if isinstance(client_id, str) else None
    if client is None:
        raise _rejected(f"no client is registered as {client_id!r}")
    method = client.token_endpoint_auth_method
    if method not in methods:
        raise _rejected(f"authenticated by {' or '.join(methods)}, registered for {method}")
    if method not in provider.offered("token_endpoint_auth_methods_supported"):
        raise _rejected(f"{method} is not among token_endpoint_auth_methods_supported")
    return client


def _rejected(reason: str) -> OAuth2Error:
    return refusal(InvalidClientError, reason, status=401)
