"""The same registration in the words of a provider's own pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..protocol.client import ClientConfig

#: Rows of a table: where to write something, and what.
Rows = Iterator[tuple[str, str]]

#: Keycloak's names of the ways to authenticate a client.
_AUTHENTICATORS = {
    "private_key_jwt": "client-jwt",
    "client_secret_basic": "client-secret",
    "client_secret_post": "client-secret",
    "client_secret_jwt": "client-secret-jwt",
}

#: Keycloak's names of attributes, by the registered ones.
_ATTRIBUTES = {
    "token_endpoint_auth_signing_alg": "token.endpoint.auth.signing.alg",
    "request_object_signing_alg": "request.object.signature.alg",
    "request_object_encryption_alg": "request.object.encryption.alg",
    "request_object_encryption_enc": "request.object.encryption.enc",
    "id_token_signed_response_alg": "id.token.signed.response.alg",
    "id_token_encrypted_response_alg": "id.token.encrypted.response.alg",
    "id_token_encrypted_response_enc": "id.token.encrypted.response.enc",
    "userinfo_encrypted_response_alg": "user.info.encrypted.response.alg",
    "userinfo_encrypted_response_enc": "user.info.encrypted.response.enc",
    "backchannel_logout_uri": "backchannel.logout.url",
}


def keycloak_client(client: ClientConfig, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A client as Keycloak's admin console and its admin API import it (tried with 26.7.3).

    A client secret is not in it: Keycloak makes one, or takes the one that you write there. Its
    front-channel logout is off: it shows a page with a frame for each site, and works only if both
    are on one domain.
    """
    method = metadata["token_endpoint_auth_method"]
    return {
        "clientId": client.client_id,
        "name": metadata["client_name"],
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": method == "none",
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "frontchannelLogout": False,
        "clientAuthenticatorType": _AUTHENTICATORS.get(method, "client-secret"),
        "redirectUris": metadata["redirect_uris"],
        "attributes": dict(_attributes(client, metadata)),
    }


def _attributes(client: ClientConfig, metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, attribute in _ATTRIBUTES.items():
        if name in metadata:
            yield attribute, metadata[name]
    if client.pkce:
        yield "pkce.code.challenge.method", "S256"
    if metadata["require_pushed_authorization_requests"]:
        yield "require.pushed.authorization.requests", "true"
    if metadata["require_signed_request_object"]:
        # With "request only" the pushed request is accepted and the browser is then refused.
        yield "request.object.required", "request or request_uri"
    if metadata["dpop_bound_access_tokens"]:
        yield "dpop.bound.access.tokens", "true"
    if "jwks_uri" in metadata:
        yield "use.jwks.url", "true"
        yield "jwks.url", metadata["jwks_uri"]
    elif "jwks" in metadata:
        yield "use.jwks.string", "true"
        yield "jwks.string", json.dumps(metadata["jwks"])
    if "backchannel_logout_uri" in metadata:
        yield "backchannel.logout.session.required", "true"
    method = metadata["token_endpoint_auth_method"]
    if method in ("client_secret_basic", "client_secret_post"):
        yield "client.secret.authentication.allowed.method", method
    if "post_logout_redirect_uris" in metadata:
        yield "post.logout.redirect.uris", "##".join(metadata["post_logout_redirect_uris"])


def _words_of_auth0(metadata: Mapping[str, Any]) -> Rows:
    if "initiate_login_uri" in metadata:
        yield "Settings, Application Login URI", metadata["initiate_login_uri"]
    yield "Settings, Allowed Callback URLs", ", ".join(metadata["redirect_uris"])
    if "post_logout_redirect_uris" in metadata:
        pages = ", ".join(metadata["post_logout_redirect_uris"])
        yield "Settings, Allowed Logout URLs", pages
    if "backchannel_logout_uri" in metadata:
        yield "Settings, Back-Channel Logout URI", metadata["backchannel_logout_uri"]
    method = metadata["token_endpoint_auth_method"]
    words = {
        "private_key_jwt": "Private Key JWT",
        "client_secret_basic": "Client Secret (Basic)",
        "client_secret_post": "Client Secret (Post)",
    }
    yield "Credentials, Authentication Method", str(words.get(method, method))
    if method == "private_key_jwt":
        yield "Credentials, Add New Key", "the public key as PEM: flask parjar keys public --pem"
    if metadata["require_pushed_authorization_requests"]:
        yield "Authorization Requests, Require Pushed Authorization Requests", "on"
    if metadata["require_signed_request_object"]:
        yield "Authorization Requests, Require JWT-Secured Authorization Requests", "on"
        alg = metadata.get("request_object_signing_alg", "that of your key")
        yield "Authorization Requests, its key", f"the public key as PEM, {alg}"
        yield "PARJAR_SIGNING_KEY here", "a key with the kid that Auth0 shows: keys new --kid"


def _words_of_entra(metadata: Mapping[str, Any]) -> Rows:
    yield (
        "App registrations, Authentication, Web, Redirect URIs",
        " ".join([*metadata["redirect_uris"], *metadata.get("post_logout_redirect_uris", [])]),
    )
    if "frontchannel_logout_uri" in metadata:
        yield "Authentication, Front-channel logout URL", metadata["frontchannel_logout_uri"]
    if metadata["token_endpoint_auth_method"] == "private_key_jwt":  # noqa: S105 - a method
        yield (
            "Certificates & secrets, Certificates",
            "the certificate of your key; and PARJAR_KEY_HEADERS = x5t#S256 here",
        )
    else:
        yield "Certificates & secrets, Client secrets", "its value is PARJAR_CLIENT_SECRET"
    if (
        metadata["require_pushed_authorization_requests"]
        or metadata["require_signed_request_object"]
    ):
        yield "PARJAR_REQUEST here", "plain: Entra takes neither pushed nor signed requests"


def _words_of_any(metadata: Mapping[str, Any]) -> Rows:
    for name, value in metadata.items():
        if isinstance(value, list):
            yield name, " ".join(value)
        elif isinstance(value, dict):
            yield name, "your public keys: flask parjar jwks"
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


#: Who has pages of its own, and their words. Keycloak's client is JSON: see `keycloak_client`.
WORDS: Mapping[str | None, Callable[[Mapping[str, Any]], Rows]] = {
    None: _words_of_any,
    "auth0": _words_of_auth0,
    "entra": _words_of_entra,
}
PROVIDERS = ("auth0", "entra", "keycloak")
