"""Mutual TLS at oidc-provider, which asks for certificates on its own TLS sockets (RFC 8705)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from flask_parjar import ParJar
from flask_parjar.protocol.mutual_tls import parse_certificate
from tests.interop import oidc_client
from tests.interop.client_site import KEYS, SITE, account, log_in, new_site
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.certificates import Pair, PairFiles, make_pair
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.raw_server import RawServer, answer, raw_server, read_request

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

PUSH = "pushed_authorization_request"
OF_CLIENTS = (PUSH, "token", "userinfo", "revocation")
HOLD = 1  # seconds that access tokens hold
ROOT = make_pair("root of the tests", authority=True)
ISSUED = make_pair("site", issuer=ROOT)
SELF_SIGNED = make_pair("site")
SUBJECT = "O=Tests,CN=site"

#: The clients: how each authenticates, whether its tokens are bound, and its certificate.
CLIENTS: dict[str, tuple[str, bool, Pair]] = {
    "by-authority": ("tls_client_auth", True, ISSUED),
    "self-signed": ("self_signed_tls_client_auth", True, SELF_SIGNED),
    "bound": ("private_key_jwt", True, ISSUED),
    "not-bound": ("tls_client_auth", False, ISSUED),
}


def registration(client_id: str) -> dict[str, Any]:
    method, bound, pair = CLIENTS[client_id]
    grants = ["authorization_code", "refresh_token"]
    more: dict[str, Any] = {"grant_types": grants}
    if method == "tls_client_auth":
        more["tls_client_auth_subject_dn"] = SUBJECT
    more["tls_client_certificate_bound_access_tokens"] = bound
    metadata = oidc_client.client_metadata(client_id, "ES256", method, **more)
    certificate = parse_certificate(pair.pem, pair.key_pem)
    if method == "self_signed_tls_client_auth":
        metadata["jwks"] = {"keys": [*metadata["jwks"]["keys"], dict(certificate.public_jwk)]}
    return metadata


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[bool, ProviderProcess]:
    """The provider by whether it has aliases on another port."""
    return {
        aliases: oidc_provider(
            clients=[registration(each) for each in CLIENTS],
            features={"introspection": {"enabled": True}},
            https=True,
            mtls={"authorities": ROOT.pem, "aliases": aliases},
        )
        for aliases in (False, True)
    }


def settings_of(
    provider: ProviderProcess, files: PairFiles, client_id: str, **more: Any
) -> dict[str, Any]:
    method, bound, _ = CLIENTS[client_id]
    given: dict[str, Any] = {
        "PARJAR_CLIENT_ID": client_id,
        "PARJAR_BOUND_TOKENS": bound,
        "PARJAR_USERINFO": True,
        "PARJAR_SCOPES": "openid profile offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
        "PARJAR_HTTP_TIMEOUT": 20,
        **files.config,
    }
    return oidc_client.settings(provider, "ES256", method, **{**given, **more})


def site_of(
    provider: ProviderProcess, files: PairFiles, client_id: str, **more: Any
) -> FlaskClient:
    """A site that keeps tokens; ``/call?url=`` calls an API."""
    site = new_site(settings_of(provider, files, client_id, **more))

    @site.application.get("/call")
    def call() -> Any:
        from flask import request

        url = request.args["url"]
        answered = ParJar().api(request.args.get("api", url)).get(url)
        return {"status": answered.status_code, "body": answered.json()}

    return site


def userinfo_of(provider: ProviderProcess) -> str:
    metadata = provider.metadata
    aliases = metadata.get("mtls_endpoint_aliases", {})
    return str(aliases.get("userinfo_endpoint", metadata["userinfo_endpoint"]))


def binding_of(
    provider: ProviderProcess, files: PairFiles, client_id: str, token: str
) -> dict[str, Any]:
    """What the provider says of a token: whether it is active, and its ``cnf``."""
    metadata = provider.metadata
    aliases = metadata.get("mtls_endpoint_aliases", {})
    url = aliases.get("introspection_endpoint", metadata["introspection_endpoint"])
    answered = requests.post(
        url,
        data={"token": token, "client_id": client_id},
        cert=(str(files.certificate), str(files.key)),
        verify=str(provider.ca_bundle),
        timeout=20,
    )
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


def token(site: FlaskClient) -> str:
    answered = site.get("/token", headers=NAVIGATION)
    assert answered.status_code == 200, answered.headers.get("Location")
    return answered.text


@pytest.mark.parametrize("aliases", [False, True])
@pytest.mark.parametrize(
    "client_id",
    [
        pytest.param("by-authority", marks=shows("mutual TLS, tls_client_auth")),
        pytest.param("self-signed", marks=shows("mutual TLS, self_signed_tls_client_auth")),
        pytest.param("bound", marks=shows("mutual TLS, bound tokens with private_key_jwt")),
        "not-bound",
    ],
)
def test_from_the_login_to_the_logout(
    running: dict[bool, ProviderProcess],
    open_browser: OpenBrowser,
    tmp_path: Path,
    client_id: str,
    aliases: bool,
) -> None:
    provider = running[aliases]
    _, bound, pair = CLIENTS[client_id]
    files = PairFiles(tmp_path, pair)
    by_authority = tmp_path / "other"
    by_authority.mkdir()
    asker = PairFiles(by_authority, ISSUED)
    provider.forget_calls()
    provider.set_access_token_lifetime(seconds=HOLD)
    site = site_of(provider, files, client_id)
    log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"
    time.sleep(HOLD + 0.1)
    provider.set_access_token_lifetime(seconds=3600)
    access_token = token(site)
    assert len(provider.refreshes()) == 1

    described = binding_of(provider, asker, "by-authority", access_token)
    assert described["active"] is True
    assert described.get("cnf") == ({"x5t#S256": pair.thumbprint} if bound else None)
    url = userinfo_of(provider)
    called = site.get(f"/call?url={url}").get_json()
    assert (called["status"], called["body"]["sub"]) == (200, "ada")
    assert provider.calls("userinfo")[-1].certificate == (pair.thumbprint if bound else None)
    without = requests.get(
        url,
        headers={"Authorization": f"Bearer {access_token}"},
        verify=str(provider.ca_bundle),
        timeout=20,
    )
    assert without.status_code == (401 if bound else 200)

    site.post("/logout", headers=FROM_THE_SITE)
    assert binding_of(provider, asker, "by-authority", access_token) == {"active": False}
    calls = provider.calls()
    of_clients = [call for call in calls if call.endpoint in OF_CLIENTS[:2] + OF_CLIENTS[3:]]
    assert {call.endpoint for call in of_clients} == {PUSH, "token", "revocation"}
    assert {call.certificate for call in of_clients} == {pair.thumbprint}
    assert calls[[each.endpoint for each in calls].index("userinfo")].certificate is not None
    for call in calls:
        if call.endpoint in ("discovery", "jwks", "authorization", "end_session"):
            assert call.certificate is None, call.endpoint


@pytest.fixture
def foreign(certificate_authority: Any) -> Iterator[tuple[RawServer, list[bool]]]:
    """An API elsewhere that asks for a certificate, and remembers whether it saw one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=ROOT.pem)
    seen: list[bool] = []

    def script(connection: Any) -> None:
        while read_request(connection):
            seen.append(connection.getpeercert(binary_form=True) is not None)
            connection.sendall(answer(b'{"sub": "elsewhere"}'))

    with raw_server(script, context) as server:
        yield server, seen


def test_the_certificate_is_presented_to_no_other_server(
    oidc_provider: StartProvider,
    open_browser: OpenBrowser,
    tmp_path: Path,
    foreign: tuple[RawServer, list[bool]],
) -> None:
    """Not at discovery and JWKS, not at another provider, not at an API of another origin.

    Both providers ask for a certificate on all their connections.
    """
    mtls = {"authorities": ROOT.pem, "aliases": False}
    grants = {"grant_types": ["authorization_code", "refresh_token"]}
    uris = {name: [f"{SITE}/callback/{name}"] for name in ("work", "home")}
    metadata = {**registration("bound"), "redirect_uris": uris["work"]}
    work = oidc_provider(clients=[metadata], https=True, mtls=mtls)
    other = oidc_client.client_metadata("bound", "ES256", "private_key_jwt", **grants)
    other["redirect_uris"] = uris["home"]
    home = oidc_provider(clients=[other], https=True, mtls=mtls)
    files = PairFiles(tmp_path, ISSUED)
    section = {
        "client_id": "bound",
        "client_auth": "private_key_jwt",
        "signing_key": KEYS["ES256"].as_dict(private=True),
    }
    own = {"bound_tokens": True, "client_cert": str(files.certificate)}
    site = site_of(
        work,
        files,
        "bound",
        PARJAR_ISSUER=None,
        PARJAR_BOUND_TOKENS=None,
        PARJAR_CLIENT_CERT=None,
        PARJAR_CLIENT_CERT_KEY=None,
        PARJAR_PROVIDERS={
            "work": {**section, **own, "client_cert_key": str(files.key), "issuer": work.issuer},
            "home": {**section, "issuer": home.issuer},
        },
    )
    log_in(site, open_browser(home), "/login/home")
    log_in(site, open_browser(work), "/login/work")
    server, seen = foreign
    url = f"{server.url}me"
    assert site.get(f"/call?url={url}&api={work.issuer}").get_json()["body"]["sub"] == "elsewhere"
    assert site.get(f"/call?url={work.issuer}/me").get_json()["body"]["sub"] == "ada"

    assert seen == [False]
    assert {call.certificate for call in home.calls()} == {None}
    assert {call.endpoint for call in home.calls()} >= {PUSH, "token", "userinfo", "jwks"}
    by_endpoint = {call.endpoint: call.certificate for call in work.calls()}
    for endpoint, certificate in by_endpoint.items():
        expected = ISSUED.thumbprint if endpoint in OF_CLIENTS else None
        assert (endpoint, certificate) == (endpoint, expected)
    assert {urlsplit(work.issuer).scheme, urlsplit(home.issuer).scheme} == {"https"}


def test_a_renewed_certificate_goes_on_with_the_tokens_of_the_one_before(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, tmp_path: Path
) -> None:
    """A refresh uses the new certificate, and binds the new access token to it."""
    provider = running[True]
    provider.set_access_token_lifetime(seconds=HOLD)
    files = PairFiles(tmp_path, ISSUED)
    site = site_of(provider, files, "bound")
    log_in(site, open_browser(provider))
    time.sleep(HOLD + 0.1)
    provider.set_access_token_lifetime(seconds=3600)
    renewed = make_pair("site", issuer=ROOT)
    files.write(renewed)
    access_token = token(site)
    described = binding_of(provider, files, "by-authority", access_token)
    assert described["cnf"] == {"x5t#S256": renewed.thumbprint}
    assert site.get(f"/call?url={userinfo_of(provider)}").get_json()["status"] == 200


def test_another_certificate_than_the_registered_one_is_refused(
    running: dict[bool, ProviderProcess], tmp_path: Path
) -> None:
    """That the provider looks at the certificate is what makes the tests above worth something."""
    provider = running[True]
    for client_id, pair in (
        ("by-authority", SELF_SIGNED),
        ("by-authority", make_pair("another", issuer=ROOT)),
        ("self-signed", make_pair("site")),
    ):
        files = PairFiles(tmp_path, pair)
        site = site_of(provider, files, client_id)
        answered = site.get("/login", headers=NAVIGATION)
        assert (answered.status_code, "client_refused" in answered.text) == (502, True)
        refused = provider.calls(PUSH)[-1]
        assert (refused.status, refused.certificate) == (401, pair.thumbprint)
