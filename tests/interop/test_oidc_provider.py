"""Logins at oidc-provider, an independent provider that requires PAR, JAR and PKCE.

Each algorithm with each client authentication, over http and https. What is asserted of the
requests is asserted of what the provider received.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.interop.client_site import (
    EC,
    KEYS,
    OKP,
    SECRET,
    SITE,
    account,
    asks_for_a_login,
    begin,
    come_back,
    log_in,
    new_site,
)
from tests.interop.oidc_client import client_id_for, client_metadata, settings
from tests.interop.provider_process import Call, ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.headers import FROM_ANOTHER_SITE, FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import each_shows, shows_at
from tests.support.jwt import read_jwt
from tests.support.recipes import recipe

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

# What each way to authenticate adds to `client_id` and `request` in the body, and its header.
ASSERTION = {"client_assertion", "client_assertion_type"}
METHODS: dict[str, tuple[set[str], str | None]] = {
    "private_key_jwt": (ASSERTION, None),
    "client_secret_basic": (set(), "basic"),
    "client_secret_post": ({"client_secret"}, None),
    "client_secret_jwt": (ASSERTION, None),
    "none": (set(), None),
}
ODD_SECRET = "p%40ss:w+rd / 100% = $?&;#0123456789"


CLIENTS = [
    client_metadata(client_id_for(alg, way), alg, way) for alg in KEYS for way in METHODS
] + [
    client_metadata("my-site", "ES256", "private_key_jwt"),
    client_metadata("odd: id/+%", "ES256", "client_secret_basic", client_secret=ODD_SECRET),
    client_metadata("unconfirmed", "ES256", "private_key_jwt", jwks={"keys": []}),
    client_metadata("of-two", "ES256", "private_key_jwt", redirect_uris=[f"{SITE}/callback/work"]),
]


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[str, ProviderProcess]:
    """The provider, once by http and once by https, both with all the clients of this module."""
    return {
        "http": oidc_provider(clients=CLIENTS),
        "https": oidc_provider(clients=CLIENTS, https=True),
    }


@pytest.fixture
def provider(running: dict[str, ProviderProcess]) -> ProviderProcess:
    """The one by http, its record empty."""
    running["http"].forget_calls()
    return running["http"]


def only(calls: list[Call]) -> Call:
    """Return the one call there is."""
    (call,) = calls
    return call


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("method", each_shows(shows, [*METHODS]))
@pytest.mark.parametrize("alg", each_shows(shows, [*KEYS]))
@shows("signed and pushed request")
def test_a_login_of_the_matrix(
    running: dict[str, ProviderProcess],
    open_browser: OpenBrowser,
    alg: str,
    method: str,
    scheme: str,
) -> None:
    provider = running[scheme]
    provider.forget_calls()
    client_id = client_id_for(alg, method)
    site = new_site(settings(provider, alg, method))

    location = log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"
    assert account(site)["issuer"] == provider.issuer

    # The push carries three kinds of thing and no more.
    fields, header = METHODS[method]
    push = only(provider.calls("pushed_authorization_request"))
    assert push.method == "POST"
    assert sorted(name for name, _ in push.form) == sorted({"client_id", "request"} | fields)
    assert push.field("client_id") == client_id
    assert push.authorization == header
    assert push.query == []
    assert push.headers["accept"] == "application/json"

    # The request object is ours, for this provider, with every parameter inside it.
    token = push.field("request")
    assert read_jwt(token)[0] == {"typ": "oauth-authz-req+jwt", "alg": alg, "kid": KEYS[alg].kid}
    claims = read_jwt(token)[1]
    assert (claims["iss"], claims["client_id"], claims["aud"]) == (
        client_id,
        client_id,
        provider.issuer,
    )
    assert claims["redirect_uri"] == f"{SITE}/callback"

    # The redirect carries two parameters and no more, and the same two arrived.
    authorization = only(provider.calls("authorization"))
    assert [name for name, _ in authorization.query] == ["client_id", "request_uri"]
    assert authorization.query[0] == ("client_id", client_id)
    assert authorization.query == parse_qsl(urlsplit(location).query)
    assert authorization.form == []

    # The code was exchanged with the same authentication, a new assertion where it is one.
    exchange = only(provider.calls("token"))
    grant = {"grant_type", "code", "redirect_uri", "code_verifier"}
    assert {name for name, _ in exchange.form} - {"client_id"} == grant | fields
    assert exchange.authorization == header
    if fields == ASSERTION:
        assertions = [read_jwt(call.field("client_assertion"))[1] for call in (push, exchange)]
        assert [assertion["aud"] for assertion in assertions] == [provider.issuer] * 2
        assert assertions[0]["jti"] != assertions[1]["jti"]


def test_a_second_login_asks_the_provider_for_no_document(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider, "ES256", "private_key_jwt"))
    log_in(site, open_browser(provider))
    provider.forget_calls()
    log_in(site, open_browser(provider))
    assert [call.endpoint for call in provider.calls()] == [
        "pushed_authorization_request",
        "authorization",
        "token",
    ]


def test_the_settings_of_the_documentation_log_people_in(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    """Without a secret ``private_key_jwt`` is chosen."""
    site = new_site(recipe("Your own provider", issuer=provider.issuer, key=EC))
    log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"


def test_with_a_secret_client_secret_basic_is_chosen(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    config = settings(provider, "ES256", "client_secret_basic")
    del config["PARJAR_CLIENT_AUTH"]
    log_in(new_site(config), open_browser(provider))
    assert only(provider.calls("pushed_authorization_request")).authorization == "basic"


def test_an_assertion_with_the_endpoint_as_audience_is_accepted(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    config = settings(provider, "ES256", "private_key_jwt", PARJAR_ASSERTION_AUDIENCE="endpoint")
    log_in(new_site(config), open_browser(provider))
    for endpoint, path in (("pushed_authorization_request", "/request"), ("token", "/token")):
        assertion = only(provider.calls(endpoint)).field("client_assertion")
        assert read_jwt(assertion)[1]["aud"] == provider.issuer + path


def test_special_characters_in_id_and_secret_survive_the_basic_header(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(
        settings(
            provider,
            "ES256",
            "client_secret_basic",
            PARJAR_CLIENT_ID="odd: id/+%",
            PARJAR_CLIENT_SECRET=ODD_SECRET,
        )
    )
    log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"


@pytest.mark.parametrize("scheme", ["http", "https"])
@shows("userinfo")
def test_userinfo_gives_name_and_email_and_a_granted_scope_opens_its_page(
    running: dict[str, ProviderProcess], open_browser: OpenBrowser, scheme: str
) -> None:
    provider = running[scheme]
    provider.forget_calls()
    config = settings(
        provider,
        "ES256",
        "private_key_jwt",
        PARJAR_USERINFO=True,
        PARJAR_SCOPES="openid profile email reports:read",
    )
    site = new_site(config)
    log_in(site, open_browser(provider))
    assert (account(site)["name"], account(site)["email"]) == ("Ada", "ada@example.com")
    assert site.get("/reports", headers=NAVIGATION).text == "the reports"
    userinfo = only(provider.calls("userinfo"))
    assert (userinfo.authorization, userinfo.query, userinfo.form) == ("bearer", [], [])


def test_a_page_is_denied_without_its_scope(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider, "ES256", "private_key_jwt"))
    log_in(site, open_browser(provider))
    assert site.get("/reports", headers=NAVIGATION).status_code == 403


def test_two_providers_in_one_app(
    provider: ProviderProcess, oidc_provider: StartProvider, open_browser: OpenBrowser
) -> None:
    home = oidc_provider(
        clients=[
            client_metadata(
                "at-home", "EdDSA", "client_secret_post", redirect_uris=[f"{SITE}/callback/home"]
            )
        ],
        https=True,
    )
    config = {
        "PARJAR_PROVIDERS": {
            "work": {
                "issuer": provider.issuer,
                "client_id": "of-two",
                "client_auth": "private_key_jwt",
                "signing_key": EC.as_dict(private=True),
            },
            "home": {
                "issuer": home.issuer,
                "client_id": "at-home",
                "client_auth": "client_secret_post",
                "client_secret": SECRET,
                "signing_key": OKP.as_dict(private=True),
                "signing_alg": "EdDSA",
            },
        },
        "PARJAR_CA_BUNDLE": str(home.ca_bundle),
    }
    site = new_site(config)
    log_in(site, open_browser(provider), "/login/work")
    assert (account(site)["provider"], account(site)["issuer"]) == ("work", provider.issuer)
    log_in(site, open_browser(home), "/login/home")
    assert (account(site)["provider"], account(site)["issuer"]) == ("home", home.issuer)

    # Both under way at once in one browser: each finishes at its own provider, in any order.
    at_work, at_home = begin(site, "/login/work"), begin(site, "/login/home")
    from_home = open_browser(home).sign_in(at_home)
    from_work = open_browser(provider).sign_in(at_work)
    assert come_back(site, from_home).status_code == 302
    assert account(site)["provider"] == "home"
    assert come_back(site, from_work).status_code == 302
    assert account(site)["provider"] == "work"

    for process, client_id in ((provider, "of-two"), (home, "at-home")):
        pushes = process.calls("pushed_authorization_request")
        assert [push.field("client_id") for push in pushes] == [client_id] * 2
        assert len(process.calls("token")) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
@shows("logout at the provider")
def test_logging_out_ends_both_sessions(
    running: dict[str, ProviderProcess], open_browser: OpenBrowser, scheme: str
) -> None:
    provider = running[scheme]
    browser = open_browser(provider)
    site = new_site(settings(provider, "ES256", "private_key_jwt"))
    log_in(site, browser)
    log_in(site, browser)
    assert browser.headings == ["Sign-in", "Authorize"], "the second login was silent"

    answer = site.post("/logout", headers=FROM_THE_SITE)
    assert answer.status_code in (302, 303), answer.text
    assert asks_for_a_login(site)
    location = answer.headers["Location"]
    assert location.startswith(f"{provider.issuer}/session/end?")
    back = browser.sign_out(location)
    assert urlsplit(back)._replace(query="").geturl() == f"{SITE}/"

    log_in(site, browser)
    assert browser.headings[-2:] == ["Sign-in", "Authorize"], "the provider's session had ended"


def test_another_site_cannot_log_anyone_out(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider, "ES256", "private_key_jwt"))
    log_in(site, open_browser(provider))
    foreign = FROM_ANOTHER_SITE | {"Origin": "https://elsewhere.example"}
    site.post("/logout", headers=foreign)
    site.get("/logout", headers=FROM_ANOTHER_SITE)
    assert account(site)["subject"] == "ada"
    assert provider.calls("end_session") == []


@shows("refused consent")
def test_a_person_who_cancels_sees_a_page_and_is_not_logged_in(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider, "ES256", "private_key_jwt"))
    callback = open_browser(provider).cancel_sign_in(begin(site))
    answer = come_back(site, callback)
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    assert asks_for_a_login(site)
    assert provider.calls("token") == []


def test_an_unknown_signing_key_stops_the_login_before_the_redirect(
    provider: ProviderProcess,
) -> None:
    site = new_site(settings(provider, "ES256", "private_key_jwt", PARJAR_CLIENT_ID="unconfirmed"))
    answer = site.get("/login", headers=NAVIGATION)
    assert answer.status_code == 502
    assert "Location" not in answer.headers
    push = only(provider.calls("pushed_authorization_request"))
    assert push.error is not None
    assert push.error["error"] == "invalid_client"


def test_a_certificate_of_an_unknown_authority_stops_the_login_before_anything_is_sent(
    running: dict[str, ProviderProcess],
) -> None:
    provider = running["https"]
    provider.forget_calls()
    config = settings(provider, "ES256", "private_key_jwt")
    del config["PARJAR_CA_BUNDLE"]
    answer = new_site(config).get("/login", headers=NAVIGATION)
    assert answer.status_code in (502, 503)
    assert provider.calls() == []
