"""After a login at oidc-provider: renewal and revocation of tokens, and logouts.

Its refresh tokens rotate. The second use of one revokes all tokens of that login.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from tests.interop import oidc_client
from tests.interop.client_site import (
    SECRET,
    SITE,
    asks_for_a_login,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser, ScriptedBrowser
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt
from tests.support.redis_process import RedisProcess
from tests.support.site_process import SiteProcess, Visitor, eventually

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

HOLD = 1  # seconds that access tokens hold, where a test waits for their end
ELSEWHERE = "http://localhost/elsewhere"


def may_refresh(client_id: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client that may refresh."""
    grants = {"grant_types": ["authorization_code", "refresh_token"]}
    return oidc_client.client_metadata(client_id, "ES256", "client_secret_post", **grants, **more)


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> ProviderProcess:
    """One process for this module."""
    return oidc_provider(clients=[may_refresh("site")])


@pytest.fixture
def provider(running: ProviderProcess) -> ProviderProcess:
    """The same, its record empty; access tokens hold for an hour."""
    running.forget_calls()
    running.set_access_token_lifetime(seconds=3600)
    return running


def settings(provider: ProviderProcess, **more: Any) -> dict[str, Any]:
    """Return the configuration of a site that asks for a refresh token as the standard says."""
    given = {
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_SCOPES": "openid offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
    }
    return oidc_client.settings(provider, "ES256", "client_secret_post", **{**given, **more})


def token(site: FlaskClient) -> str:
    """The access token that the site has for the person who is logged in."""
    answer = site.get("/token", headers=NAVIGATION)
    assert answer.status_code == 200, answer.headers.get("Location")
    return answer.text


def is_live(provider: ProviderProcess, access_token: str) -> bool:
    """Whether the provider's userinfo endpoint takes a token."""
    headers = {"Authorization": f"Bearer {access_token}"}
    answer = requests.get(f"{provider.issuer}/me", headers=headers, timeout=10)
    return answer.status_code == 200


def refresh_by_hand(provider: ProviderProcess, refresh_token: str) -> requests.Response:
    """Use a refresh token as a thief would who has the client's secret too."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    form |= {"client_id": "site", "client_secret": SECRET}
    return requests.post(f"{provider.issuer}/token", data=form, timeout=10)


@pytest.mark.parametrize("store", ["memory", "cookie", "redis"])
@shows("refresh tokens")
@shows("rotated refresh tokens")
def test_a_used_refresh_token_is_refused(
    provider: ProviderProcess, open_browser: OpenBrowser, redis_process: RedisProcess, store: str
) -> None:
    address = redis_process.url if store == "redis" else store
    site = new_site(settings(provider, PARJAR_STORE=address))
    provider.set_access_token_lifetime(seconds=HOLD)
    log_in(site, open_browser(provider))
    tokens = [token(site)]
    at_first = len(provider.refreshes())  # one where the login ended late in its second
    for _ in range(2):
        time.sleep(HOLD + 0.1)
        tokens.append(token(site))
        assert is_live(provider, tokens[-1])
    assert len({*tokens}) == 3
    first, second = provider.refreshes()[at_first:]
    assert first.field("refresh_token") != second.field("refresh_token")
    refused = refresh_by_hand(provider, first.field("refresh_token"))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_live_token_is_not_renewed(provider: ProviderProcess, open_browser: OpenBrowser) -> None:
    site = new_site(settings(provider))
    log_in(site, open_browser(provider))
    assert token(site) == token(site)
    assert is_live(provider, token(site))
    assert provider.refreshes() == []


def test_a_stolen_refresh_token_ends_the_login_when_it_is_used(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider))
    browser = open_browser(provider)
    provider.set_access_token_lifetime(seconds=HOLD)
    log_in(site, browser)
    time.sleep(HOLD + 0.1)
    token(site)
    (renewal,) = provider.refreshes()
    assert refresh_by_hand(provider, renewal.field("refresh_token")).status_code == 400
    time.sleep(HOLD + 0.1)

    answer = site.get("/token", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]) == (401, "refresh_refused")
    assert provider.refreshes()[-1].error is not None
    gone = site.get("/token", headers={"Accept": "application/json"})
    assert gone.get_json()["error"] == "tokens_missing", "it is not asked twice"
    log_in(site, browser)
    assert token(site)


def test_without_prompt_consent_it_gives_no_refresh_token(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    """OpenID Connect Core 11: a provider ignores offline_access unless consent is asked for."""
    site = new_site(settings(provider, PARJAR_AUTHORIZATION_PARAMS={}))
    provider.set_access_token_lifetime(seconds=HOLD)
    log_in(site, open_browser(provider))
    time.sleep(HOLD + 0.1)
    answer = site.get("/token", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]) == (401, "tokens_missing")
    assert provider.refreshes() == []


@pytest.mark.parametrize("store", ["memory", "cookie", "redis"])
@shows("revocation")
def test_a_logout_revokes_the_tokens_and_comes_back_to_our_page(
    provider: ProviderProcess, open_browser: OpenBrowser, redis_process: RedisProcess, store: str
) -> None:
    address = redis_process.url if store == "redis" else store
    site = new_site(settings(provider, PARJAR_STORE=address))
    browser = open_browser(provider)
    with signals_of(site) as signals:
        log_in(site, browser)
    id_token = signals["logged_in"][0]["id_token"]
    access_token = token(site)
    assert is_live(provider, access_token)

    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert asks_for_a_login(site)
    refresh, access = provider.calls("revocation")
    assert (refresh.status, access.status) == (200, 200)
    assert refresh.field("token_type_hint") == "refresh_token"
    assert (access.field("token_type_hint"), access.field("token")) == (
        "access_token",
        access_token,
    )
    assert refresh_by_hand(provider, refresh.field("token")).json()["error"] == "invalid_grant"
    assert not is_live(provider, access_token)

    back = browser.sign_out(away)
    assert urlsplit(back)._replace(query="").geturl() == f"{SITE}/"
    assert site.get(back.removeprefix(SITE), headers=NAVIGATION).text == "home"
    asked = {name: value for name, value in provider.calls("end_session")[0].query}
    assert asked.keys() == {"client_id", "id_token_hint", "post_logout_redirect_uri", "state"}
    assert read_jwt(asked["id_token_hint"])[1]["sub"] == "ada"
    assert read_jwt(asked["id_token_hint"])[0] == id_token["header"]
    assert parse_qs(urlsplit(back).query)["state"] == [asked["state"]]
    log_in(site, browser)
    assert browser.headings.count("Sign-in") == 2, "the session at the provider had ended"


def test_a_logout_works_while_the_provider_does_not_answer(
    oidc_provider: StartProvider, open_browser: OpenBrowser
) -> None:
    own = oidc_provider(clients=[may_refresh("site")])
    site = new_site(settings(own, PARJAR_HTTP_TIMEOUT=1))
    log_in(site, open_browser(own))
    own.process.kill()
    own.process.wait()
    assert site.post("/logout", headers=FROM_THE_SITE).status_code == 302
    assert asks_for_a_login(site)


# A logout token of the provider, over a socket, to a process that has never seen the session.


@pytest.fixture
def two_sites(
    oidc_provider: StartProvider, redis_process: RedisProcess, free_port: Callable[[], int]
) -> Iterator[tuple[ProviderProcess, SiteProcess, SiteProcess]]:
    """A provider, the process that it sends logout tokens to, and one where people log in."""
    ports = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    client = may_refresh(
        "site",
        redirect_uris=[f"{url}/callback" for url in urls],
        post_logout_redirect_uris=[f"{url}/" for url in urls],
        backchannel_logout_uri=f"{urls[0]}/backchannel-logout",
        backchannel_logout_session_required=True,
    )
    elsewhere = may_refresh("elsewhere", post_logout_redirect_uris=[ELSEWHERE])
    provider = oidc_provider(
        clients=[client, elsewhere], features={"backchannelLogout": {"enabled": True}}
    )
    config = settings(provider, SECRET_KEY="of both", PARJAR_STORE=redis_process.url, TRUSTED_FOR=1)
    with ExitStack() as running:
        receiver, site = [running.enter_context(SiteProcess(config, port=port)) for port in ports]
        yield provider, receiver, site


def leave_elsewhere(provider: ProviderProcess, browser: ScriptedBrowser) -> None:
    """Log out at the provider, by way of another of its clients."""
    query = {"client_id": "elsewhere", "post_logout_redirect_uri": ELSEWHERE}
    left = browser.sign_out(f"{provider.issuer}/session/end?{urlencode(query)}")
    assert left == ELSEWHERE


@shows("back-channel logout")
def test_a_logout_at_the_provider_ends_the_session_in_all_processes(
    two_sites: tuple[ProviderProcess, SiteProcess, SiteProcess], open_browser: OpenBrowser
) -> None:
    """That session and no other: not that of the same person in another browser."""
    provider, receiver, site = two_sites
    at_work, at_home = open_browser(provider), open_browser(provider)
    worker, resident = Visitor(site, at_work.sign_in), Visitor(site, at_home.sign_in)
    for visitor in (worker, resident):
        visitor.log_in()
        assert visitor.get("/token").status == 200

    leave_elsewhere(provider, at_work)
    (sent,) = provider.calls("backchannel_logout")
    assert (sent.status, sent.error) == (200, None)
    assert worker.get("/me", at=receiver).asks_for_a_login
    assert eventually(lambda: worker.get("/me").asks_for_a_login, within=3)
    assert worker.get("/token").asks_for_a_login
    for process in (receiver, site):
        assert resident.get("/me", at=process).json["subject"] == "ada"
        assert resident.get("/token", at=process).status == 200

    worker.log_in()
    assert worker.get("/me", at=receiver).status == 200, "a logout token ends no later login"


def test_a_logout_token_about_our_own_logout_changes_nothing(
    two_sites: tuple[ProviderProcess, SiteProcess, SiteProcess], open_browser: OpenBrowser
) -> None:
    """Our own logout makes the provider send one, about a session that has ended already."""
    provider, receiver, site = two_sites
    browser = open_browser(provider)
    visitor = Visitor(site, browser.sign_in)
    visitor.log_in()
    back = browser.sign_out(visitor.log_out().location)
    assert back.startswith(f"{site.url}/?state=")
    assert [sent.status for sent in provider.calls("backchannel_logout")] == [200]
    assert visitor.get("/me").asks_for_a_login
    visitor.log_in()
    assert visitor.get("/token").status == 200
