"""Clients of the tests at Keycloak, in its own names, and what a site sets to be one of them."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient

from tests.interop.client_site import KEYS, SECRET, SITE, new_site
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.recipes import recipe

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")

#: Keycloak's names of the ways to authenticate a client.
AUTHENTICATORS = {
    "private_key_jwt": "client-jwt",
    "client_secret_basic": "client-secret",
    "client_secret_post": "client-secret",
    "client_secret_jwt": "client-secret-jwt",
}

#: Seconds. The first token of a new client can take Keycloak longer than PARJAR_HTTP_TIMEOUT.
TIMEOUT = 20


def jwks_of(alg: str) -> str:
    """Return the public keys of the site as one string, which is how Keycloak takes them."""
    return json.dumps({"keys": [KEYS[alg].as_dict(private=False) | {"use": "sig", "alg": alg}]})


def keycloak_client(
    client_id: str, *, alg: str, method: str, site: str = SITE, **attributes: str
) -> dict[str, Any]:
    """Return the registration of a client that must push, sign and use PKCE.

    :param attributes: further ones, with ``_`` for each dot.
    """
    more = {name.replace("_", "."): value for name, value in attributes.items()}
    return {
        "clientId": client_id,
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": False,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "consentRequired": False,
        "frontchannelLogout": False,
        "clientAuthenticatorType": AUTHENTICATORS[method],
        "secret": SECRET,
        "redirectUris": [f"{site}/callback"],
        "attributes": _demands(alg, method) | {"post.logout.redirect.uris": f"{site}/"} | more,
    }


def _demands(alg: str, method: str) -> dict[str, str]:
    demands = {
        "require.pushed.authorization.requests": "true",
        "pkce.code.challenge.method": "S256",
        # With "request only" the pushed request is accepted and the browser is then refused.
        "request.object.required": "request or request_uri",
        # Without it Keycloak takes unsigned request objects.
        "request.object.signature.alg": alg,
        "id.token.signed.response.alg": alg,
        "use.jwks.string": "true",
        "jwks.string": jwks_of(alg),
    }
    signing = {"private_key_jwt": alg, "client_secret_jwt": "HS256"}
    if method in signing:
        demands["token.endpoint.auth.signing.alg"] = signing[method]
    else:
        demands["client.secret.authentication.allowed.method"] = method
    return demands


def settings(
    keycloak: KeycloakProcess, client_id: str, *, alg: str, method: str, **more: Any
) -> dict[str, Any]:
    """Return the configuration of a site that is a client of these tests: that of the page."""
    config = recipe(
        "A client in your own realm",
        issuer=keycloak.issuer,
        key=KEYS[alg],
        PARJAR_CLIENT_ID=client_id,
        PARJAR_CLIENT_AUTH=method,
        PARJAR_SIGNING_ALG=alg,
        PARJAR_HTTP_TIMEOUT=TIMEOUT,
    )
    if method.startswith("client_secret"):
        config["PARJAR_CLIENT_SECRET"] = SECRET
    return config | more


def register(
    keycloak: KeycloakProcess, client_id: str, *, site: str = SITE, **attributes: str
) -> None:
    """Register a client with an ES256 key that authenticates with it."""
    keycloak.add_client(
        keycloak_client(client_id, alg="ES256", method="private_key_jwt", site=site, **attributes)
    )


def site_of(keycloak: KeycloakProcess, client_id: str, **more: Any) -> FlaskClient:
    """Return a site that is such a client."""
    return new_site(settings(keycloak, client_id, alg="ES256", method="private_key_jwt", **more))
