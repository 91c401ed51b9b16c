"""Clients at Keycloak that one of its own FAPI 2.0 profiles binds, through a client policy."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_parjar import ParJar
from tests.interop.client_site import HTTPS_SITE, new_site
from tests.interop.keycloak_client import keycloak_client, settings
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.pages import code_of

#: The profiles as Keycloak ships them, with what PARJAR_PROFILE says of the same rules.
PROFILES = {
    "fapi-2-security-profile": "fapi2-security",
    "fapi-2-message-signing": "fapi2-message-signing",
    "fapi-2-dpop-security-profile": "fapi2-security",
    "fapi-2-dpop-message-signing": "fapi2-message-signing",
}


def make_policies(keycloak: KeycloakProcess) -> None:
    """Make a policy for each profile: it binds the clients that have a role of the same name.

    So the other clients of the realm are not touched.
    """
    policies = [
        {
            "name": profile,
            "enabled": True,
            "conditions": [{"condition": "client-roles", "configuration": {"roles": [profile]}}],
            "profiles": [profile],
        }
        for profile in PROFILES
    ]
    keycloak.admin("PUT", "/client-policies/policies", {"policies": policies})


def register_bound(
    keycloak: KeycloakProcess,
    client_id: str,
    profile: str,
    *,
    alg: str = "ES256",
    save: bool = True,
    authenticator: str = "client-jwt",
    **more: Any,
) -> dict[str, str]:
    """Register a client, give it the role of a policy, and save it once more.

    :param authenticator: Keycloak's name of how the client authenticates.
    :param save: whether it is saved again, so that the profile is applied to its settings.
    :param more: attributes, with ``_`` for each dot; None leaves one out.
    :return: the attributes that Keycloak set by itself when the client was saved.
    """
    client = keycloak_client(client_id, alg=alg, method="private_key_jwt", site=HTTPS_SITE)
    changes = {name.replace("_", "."): value for name, value in more.items()}
    attributes = {**client["attributes"], **changes}
    given = {name: value for name, value in attributes.items() if value is not None}
    chosen = {"clientAuthenticatorType": authenticator, "attributes": given}
    keycloak.add_client({**client, **chosen})
    (added,) = keycloak.admin("GET", "/clients", clientId=client_id)
    keycloak.admin("POST", f"/clients/{added['id']}/roles", {"name": profile})
    if save:
        keycloak.admin("PUT", f"/clients/{added['id']}", added)
    saved: dict[str, str] = keycloak.admin("GET", f"/clients/{added['id']}")["attributes"]
    before = added["attributes"]
    return {name: value for name, value in saved.items() if before.get(name) != value}


def userinfo_of(issuer: str) -> str:
    """Return the URL of the userinfo endpoint of an issuer."""
    return f"{issuer}/protocol/openid-connect/userinfo"


def text_of(site: FlaskClient, path: str) -> str:
    """Open a page of the site that must be there."""
    answer = site.get(path, headers=NAVIGATION)
    assert answer.status_code == 200, (answer.status_code, answer.text)
    return answer.text


def log_out(site: FlaskClient) -> None:
    """Log out at the site."""
    answer = site.post("/logout", headers={**FROM_THE_SITE, "Origin": HTTPS_SITE})
    assert answer.status_code == 302


def refused(page: TestResponse) -> tuple[int, str | None]:
    """Return the status and the error code of a page."""
    return page.status_code, code_of(page)


def bound_site(
    keycloak: KeycloakProcess, client_id: str, *, alg: str = "ES256", **more: Any
) -> FlaskClient:
    """A site on https that is such a client; ``/call`` asks userinfo, as an API."""
    given = {
        "PREFERRED_URL_SCHEME": "https",  # of the requests of Flask's test client
        "SESSION_COOKIE_SECURE": True,
        "PARJAR_USERINFO": True,
        "PARJAR_STORE": "memory",
    }
    config = {**settings(keycloak, client_id, alg=alg, method="private_key_jwt"), **given, **more}
    site = new_site(config)
    userinfo = userinfo_of(config["PARJAR_ISSUER"])

    @site.application.get("/headers")
    def headers() -> dict[str, str]:
        return ParJar().authorization_headers("GET", userinfo)

    @site.application.get("/renew")
    def renew() -> str:
        return ParJar().access_token(fresh=True)

    @site.application.get("/call")
    def call() -> str:
        answer = ParJar().api(userinfo).get("")
        answer.raise_for_status()
        return answer.headers["Content-Type"]

    return site
