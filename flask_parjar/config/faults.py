"""Faults that single values do not show: of keys beside each other, and of several providers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import ProviderUnavailable
from ..protocol.client import SIGNED_RESPONSE_MODES, ClientConfig
from ..protocol.issuer import OF_MANY_TENANTS, AcceptedIssuer, find_template
from ..protocol.keys import PublicKey, is_same_key
from ..protocol.metadata import ProviderMetadata
from ..protocol.mutual_tls import CERTIFICATE_AUTHS
from ..protocol.request_level import DEFAULT_LEVEL, REQUEST_LEVELS
from ..protocol.urls import check_endpoint
from .values import WRITE_TEXT

_MIN_HMAC_SECRET = 32

_METADATA_PATH = re.compile(r"/\.well-known/(openid-configuration|oauth-authorization-server)")


def faults_of_secret_keys(secret_key: object, fallbacks: object) -> list[str]:
    """The faults of Flask's own keys. Those that are not text fail only at the first login.

    No value is shown, and none is repaired: 8 as bytes would be eight zero bytes.
    """
    faults: list[str] = []
    if secret_key is not None and not isinstance(secret_key, str | bytes):
        faults.append(f"SECRET_KEY is of the type {type(secret_key).__name__}: {WRITE_TEXT}")
    elif not secret_key:
        faults.append("SECRET_KEY is not set: write 32 or more random bytes; it signs the session")
    if not isinstance(fallbacks, list | tuple):
        found = "one string" if isinstance(fallbacks, str | bytes) else type(fallbacks).__name__
        faults.append(f"SECRET_KEY_FALLBACKS is {found}: write a list of former keys")
    elif not all(isinstance(each, str | bytes) for each in fallbacks):
        faults.append(f"SECRET_KEY_FALLBACKS holds a key that is no text: {WRITE_TEXT}")
    elif not all(fallbacks):
        faults.append("SECRET_KEY_FALLBACKS holds an empty key: leave it out")
    return faults


def faults_of_pages(app_wide: Mapping[str, Any]) -> Iterator[str]:
    """The faults of pages that the browser is redirected to: routes of ours redirect it again."""
    prefix = app_wide.get("url_prefix") or ""
    for key in ("after_login", "after_logout"):
        page = app_wide.get(key) or ""
        path = unquote(re.split("[?#]", page, maxsplit=1)[0])
        for route in ("login", "callback", "logout"):
            if f"{path}/".startswith(f"{prefix}/{route}/"):
                yield (
                    f"PARJAR_{key.upper()} is {page!r}, a route of Flask-ParJar, which would "
                    "redirect the browser without end: write a page of your site"
                )


def fault_of_url(key: str, values: Mapping[str, Any]) -> str | None:
    """What is wrong with a URL whose scheme PARJAR_INSECURE_HTTP decides on, or None."""
    url = values[key]
    if key == "ISSUER" and "{" in str(url):
        return f"write {' or '.join(OF_MANY_TENANTS)} in place of the braces, and set TENANTS"
    try:
        check_endpoint(url, allow_http=values.get("INSECURE_HTTP", False))
    except ValueError as exc:
        return str(exc)
    if key != "ISSUER":
        return None
    if "?" in url:
        return "an issuer has no query"
    issuer = _METADATA_PATH.sub("", url)
    return None if issuer == url else f"this is the URL of its metadata; write the issuer: {issuer}"


def faults_between_keys(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The faults of keys that are valid alone but not together."""
    faults: list[tuple[str, str]] = []
    auth, secret = values.get("CLIENT_AUTH"), values.get("CLIENT_SECRET")
    signing = values.get("SIGNING_KEY")
    needs_key = auth == "private_key_jwt" or (auth is None and secret is None)
    level = REQUEST_LEVELS.get(values.get("REQUEST", DEFAULT_LEVEL))
    if "SIGNING_KEY" not in values and level is not None and level.signed:
        faults.append(
            ("SIGNING_KEY", "is required: a private key as PEM or JWK, or the path of one")
        )
    elif needs_key and not {"SIGNING_KEY", "ASSERTION_KEY", "CLIENT_ASSERTION"} & values.keys():
        faults.append(("SIGNING_KEY", "is required by private_key_jwt, or write a CLIENT_SECRET"))
    if str(auth).startswith("client_secret_") and "CLIENT_SECRET" not in values:
        faults.append(("CLIENT_SECRET", f"is required by {auth}"))
    if auth == "client_secret_jwt" and secret and len(secret.encode()) < _MIN_HMAC_SECRET:
        faults.append(
            ("CLIENT_SECRET", f"needs {_MIN_HMAC_SECRET} bytes or more for client_secret_jwt")
        )
    alg = values.get("SIGNING_ALG")
    if alg is not None and signing and alg not in signing[0].algorithms:
        faults.append(
            (
                "SIGNING_ALG",
                f"is {alg}: the signing key can only " + ", ".join(signing[0].algorithms),
            )
        )
    if values.get("TENANTS") and values.get("ISSUER") and find_template(values["ISSUER"]) is None:
        faults.append(
            (
                "TENANTS",
                f"needs an ISSUER with {' or '.join(OF_MANY_TENANTS)} in it; where it is that of "
                "one tenant, leave TENANTS out",
            )
        )
    return [*faults, *_faults_of_encryption(values)]


def _faults_of_encryption(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of keys about encryption that are valid alone but not together."""
    decrypting = values.get("ENCRYPTION_KEY") or ()
    for name in ("ID_TOKEN_ENCRYPTION", "USERINFO_ENCRYPTION", "RESPONSE_ENCRYPTION"):
        registered = values.get(name)
        if registered is None:
            continue
        if "ENCRYPTION_KEY" not in values:
            yield "ENCRYPTION_KEY", f"is required by {name}: a private key as PEM or JWK"
        elif decrypting and not any(key.fits(registered.alg) for key in decrypting):
            yield name, f"is {registered.alg}: no key of ENCRYPTION_KEY fits it"
    if "RESPONSE_ENCRYPTION" in values and (
        values.get("RESPONSE_MODE") not in SIGNED_RESPONSE_MODES
    ):
        yield (
            "RESPONSE_ENCRYPTION",
            (f"needs RESPONSE_MODE beside it: {', '.join(SIGNED_RESPONSE_MODES)}"),
        )
    level = REQUEST_LEVELS.get(values.get("REQUEST", DEFAULT_LEVEL))
    if "REQUEST_ENCRYPTION_ALG" in values and level is not None and not level.signed:
        yield "REQUEST_ENCRYPTION_ALG", "needs signed requests: see PARJAR_REQUEST"
    if "REQUEST_ENCRYPTION_ENC" in values and "REQUEST_ENCRYPTION_ALG" not in values:
        yield "REQUEST_ENCRYPTION_ENC", "needs REQUEST_ENCRYPTION_ALG beside it"


def faults_beside_assertion(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of keys that do not go with PARJAR_CLIENT_ASSERTION."""
    if "CLIENT_ASSERTION" not in values:
        return
    for other in ("CLIENT_SECRET", "ASSERTION_KEY"):
        if other in values:
            yield other, "and CLIENT_ASSERTION are both set: leave one of them out"
    if values.get("CLIENT_AUTH") not in (None, "private_key_jwt"):
        yield "CLIENT_AUTH", "is not private_key_jwt, as it must be with CLIENT_ASSERTION"


def faults_without_pkce(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of a client that sends no code challenge: ``nonce`` alone protects its code.

    That is enough for clients that authenticate, and for no others.

    RFC 9700 section 2.1.1.
    """
    if values.get("PKCE", True) is False and values.get("CLIENT_AUTH") == "none":
        yield (
            "PKCE",
            "is off, and CLIENT_AUTH is none: a client that does not authenticate needs it",
        )


def faults_of_metadata(values: Mapping[str, Any]) -> list[str]:
    """The faults of metadata in the configuration: the operator can correct all of them."""
    try:
        metadata = ProviderMetadata.parse(
            values["METADATA"],
            expected_issuer=AcceptedIssuer(
                values["ISSUER"], values.get("TENANTS", frozenset())
            ).published,
            allow_http=values.get("INSECURE_HTTP", False),
        )
    except ProviderUnavailable as exc:
        return [exc.detail]
    if not (values.get("CLIENT_AUTH") in CERTIFICATE_AUTHS or values.get("BOUND_TOKENS")):
        return list(metadata.ignored)  # the aliases are not used
    aliases = metadata.faulty_aliases.items()
    return [*metadata.ignored, *(f"mtls_endpoint_aliases: {name}: {why}" for name, why in aliases)]


def faults_of_kids(providers: Mapping[str, ClientConfig]) -> list[str]:
    """Different keys with one ``kid``: we publish all keys in one set, and one would hide another.

    RFC 7517 section 4.5.
    """
    by_kid: dict[str | None, PublicKey] = {}
    clashes: dict[str | None, None] = {}  # each kid once, in order
    for key in (key for client in providers.values() for key in client.own_keys):
        if not is_same_key(by_kid.setdefault(key.kid, key), key):
            clashes[key.kid] = None
    return [
        "PARJAR_SIGNING_KEY, PARJAR_ASSERTION_KEY or PARJAR_ENCRYPTION_KEY: different keys have "
        f"the kid {kid!r:.80}, and all keys are published in one set: give each its own kid"
        for kid in clashes
    ]


def faults_of_labels(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """Providers that look the same in the page where people choose one."""
    seen: dict[str, str] = {}
    for name, client in providers.items():
        label = client.label or name
        other = seen.setdefault(label, name)
        if other != name:
            yield (
                f"PARJAR_PROVIDERS: {other!r} and {name!r} are both shown as {label!r:.80}: give "
                "each a label of its own"
            )


def faults_of_uses(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """A key that signs and decrypts: each use could harm the other (RFC 7517 section 4.2)."""
    signing = [k for each in providers.values() for k in each.signing_keys + each.assertion_keys]
    for client in providers.values():
        for key in client.encryption_keys:
            if any(is_same_key(key, other) for other in signing):
                yield (
                    f"PARJAR_ENCRYPTION_KEY of provider {client.name!r}: the key with the kid "
                    f"{key.kid!r:.80} signs too: sign with one key and decrypt with another"
                )


def faults_of_audiences(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """One assertion key at several providers, with another audience than the issuer.

    A malicious provider can name an endpoint of an honest one in its metadata, get an assertion for
    it, and use that there (draft-ietf-oauth-rfc7523bis section 4).
    """
    for client in providers.values():
        for other in providers.values():
            elsewhere = other.issuer != client.issuer and asserts_elsewhere(client)
            if elsewhere and _assert_with_one_key(client, other):
                yield (
                    f"PARJAR_ASSERTION_AUDIENCE of provider {client.name!r} is "
                    f"{client.assertion_audience!r:.80}, and provider {other.name!r} has the "
                    "same key: one of the two could use client assertions at the other. Write "
                    "issuer, or give each an ASSERTION_KEY of its own"
                )


def _assert_with_one_key(client: ClientConfig, other: ClientConfig) -> bool:
    """Whether the client assertions of two clients are made with the same key or secret."""
    keys = client.first_assertion_key, other.first_assertion_key
    if keys[0] is None or keys[1] is None:
        return False
    if keys[0] is client.secret_key and keys[1] is other.secret_key:
        return client.client_secret == other.client_secret
    return is_same_key(keys[0], keys[1])


def asserts_elsewhere(client: ClientConfig) -> bool:
    """Whether the client sends assertions with another audience than the issuer."""
    return (
        client.assertion_audience not in ("issuer", client.issuer)
        and client.first_assertion_key is not None
    )
