"""What a provider must know of this app, by the registered names (RFC 7591)."""

from __future__ import annotations

from typing import Any

from flask import Flask

from ..protocol.agreement import Agreement
from ..protocol.client import ClientConfig
from ..protocol.client_auth import ClientAssertion
from ..protocol.jwe import DEFAULT_ENC
from ..web.own_urls import url_at
from .site import is_on_this_machine, runtime_of, with_both_names

#: The level at which a provider takes nothing else than what this app sends.
_PUSHES = "require_pushed_authorization_requests"  # RFC 9126 section 6
_SIGNS = "require_signed_request_object"  # RFC 9101 section 10.5


def client_metadata(
    app: Flask, client: ClientConfig, *, agreement: Agreement | None, site: str
) -> dict[str, Any]:
    """The client metadata to register.

    :param agreement: None where the provider's metadata is not known: then an algorithm is named
        only where our configuration leaves no choice.
    :param site: the URL of the app.

    RFC 7591 section 2, OpenID Connect Dynamic Client Registration section 2, RFC 9126 section 6,
    RFC 9101 section 10.5, RFC 9449 section 5.2, RFC 8705 sections 2.1.2 and 3.4, OpenID Connect
    RP-Initiated Logout 1.0 section 3.1, Back-Channel Logout 1.0 section 2.2, Front-Channel Logout
    1.0 section 2.
    """
    metadata: dict[str, Any] = {
        "client_name": app.name,
        "application_type": "web",
        "redirect_uris": _urls(app, "parjar.callback", client, site, client.redirect_uri),
        "initiate_login_uri": _login_url(app, client, site),
        "response_types": ["code"],
        "grant_types": _grant_types(app, client),
        "scope": " ".join(client.scopes),
        **_client_auth(client, agreement),
        **_keys(app, client, site),
        **_requests(client, agreement),
        **_tokens(client, agreement),
        **_logout(app, client, site),
    }
    return {name: value for name, value in metadata.items() if value is not None}


def _urls(
    app: Flask, endpoint: str, client: ClientConfig, site: str, configured: str | None
) -> list[str]:
    if configured is not None:
        return [configured]
    return [url_at(app, endpoint, client.name, site=each) for each in with_both_names(site)]


def _login_url(app: Flask, client: ClientConfig, site: str) -> str | None:
    """Where others begin a login; None on plain http, where the standard allows none."""
    url = url_at(app, "parjar.login", client.name, site=site)
    return url if url.startswith("https:") else None


def _grant_types(app: Flask, client: ClientConfig) -> list[str]:
    keeps_tokens = runtime_of(app).settings.store is not None
    more = ["refresh_token"] if keeps_tokens or "offline_access" in client.scopes else []
    return ["authorization_code", *more]


def _client_auth(client: ClientConfig, agreement: Agreement | None) -> dict[str, Any]:
    method = client.possible_client_auths[0]
    alg = None
    if agreement is None:
        key = client.assertion_key(method)
        if key is not None and len(key.algorithms) == 1:
            alg = key.algorithms[0]
    elif isinstance(agreement.client_auth, ClientAssertion):
        alg = agreement.client_auth.alg
    return {
        "token_endpoint_auth_method": method,
        "token_endpoint_auth_signing_alg": alg,
        "tls_client_auth_subject_dn": (
            client.certificate.subject
            if method == "tls_client_auth" and client.certificate is not None
            else None
        ),
    }


def _keys(app: Flask, client: ClientConfig, site: str) -> dict[str, Any]:
    """Where the provider finds our keys: at a URL, unless it is one that only we can open."""
    if not client.own_keys:
        return {}
    if is_on_this_machine(site):
        return {"jwks": {"keys": client.public_jwks}}
    return {"jwks_uri": url_at(app, "parjar.jwks", client.name, site=site)}


def _requests(client: ClientConfig, agreement: Agreement | None) -> dict[str, Any]:
    level, signing = client.request_level, agreement.request_signing if agreement else None
    alg = client.signing_alg
    if signing is not None:
        alg = signing.alg
    elif alg is None and client.signing_keys and len(client.signing_keys[0].algorithms) == 1:
        alg = client.signing_keys[0].algorithms[0]
    encryption = agreement.request_encryption if agreement else None
    enc = encryption.enc if encryption else client.request_encryption_enc
    encrypts = client.request_encryption_alg is not None
    return {
        _PUSHES: level.pushed,
        _SIGNS: level.signed,
        "request_object_signing_alg": alg if level.signed else None,
        "request_object_encryption_alg": client.request_encryption_alg,
        "request_object_encryption_enc": (enc or DEFAULT_ENC) if encrypts else None,
        "dpop_bound_access_tokens": client.dpop,
        "tls_client_certificate_bound_access_tokens": client.bound_tokens or None,
    }


def _tokens(client: ClientConfig, agreement: Agreement | None) -> dict[str, Any]:
    """The protection of what the provider sends, where it is not the usual one."""
    id_token, userinfo = client.id_token_encryption, client.userinfo_encryption
    return {
        "id_token_signed_response_alg": _id_token_alg(client, agreement),
        "id_token_encrypted_response_alg": id_token.alg if id_token else None,
        "id_token_encrypted_response_enc": id_token.encs[0] if id_token else None,
        "userinfo_encrypted_response_alg": userinfo.alg if userinfo else None,
        "userinfo_encrypted_response_enc": userinfo.encs[0] if userinfo else None,
    }


def _id_token_alg(client: ClientConfig, agreement: Agreement | None) -> str | None:
    """The algorithm of ID tokens, unless it may be the usual one, RS256."""
    accepted = agreement.id_token_algs if agreement else client.id_token_algs
    return accepted[0] if accepted and (client.id_token_algs or "RS256" not in accepted) else None


def _logout(app: Flask, client: ClientConfig, site: str) -> dict[str, Any]:
    """The URLs of a logout. One of the two channels: most providers call only one of them."""
    settings = runtime_of(app).settings
    after = client.post_logout_redirect_uri
    page = settings.after_logout or "/"
    pages = [after] if after else [f"{each}{page}" for each in with_both_names(site)]
    shared = runtime_of(app).store is not None
    channel = "backchannel" if shared else "frontchannel"
    return {
        "post_logout_redirect_uris": pages if client.provider_logout else None,
        f"{channel}_logout_uri": url_at(app, f"parjar.{channel}_logout", client.name, site=site),
        f"{channel}_logout_session_required": True,
    }
