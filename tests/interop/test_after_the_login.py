"""After a login at oidc-provider: tokens renewed and revoked, logouts that reach everywhere.

Its refresh tokens rotate, and the second use of one ends all that came of its login.
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

from tests.distributed.site_process import SiteProcess, Visitor, eventually
from tests.interop.provider_process import Call, ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser, ScriptedBrowser
from tests.interop.visited_site import (
    EC,
    FROM_THE_SITE,
    NAVIGATION,
    SECRET,
    SITE,
    knows_nobody,
    log_in,
    new_site,
    part,
    told,
)
from tests.redis_process import RedisProcess

pytestmark = pytest.mark.interop

HOLD = 1  # seconds that access tokens hold, where a test waits for their end
ELSEWHERE = "http://localhost/elsewhere"


def client_metadata(client_id: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client that may refresh."""
    return {
        "client_id": client_id,
        "client_secret": SECRET,
        "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": [f"{SITE}/callback"],
        "post_logout_redirect_uris": [f"{SITE}/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "jwks": {"keys": [EC.as_dict(private=False)]},
        "request_object_signing_alg": "ES256",
        "id_token_signed_response_alg": "ES256",
        **more,
    }


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> ProviderProcess:
    """One process for this module."""
    return oidc_provider(clients=[client_metadata("site")])


@pytest.fixture
def provider(running: ProviderProcess) -> ProviderProcess:
    """The same, its record empty; access tokens hold for an hour."""
    running.forget_calls()
    running.let_access_tokens_hold(seconds=3600)
    return running


def settings(provider: ProviderProcess, **more: Any) -> dict[str, Any]:
    """Return the configuration of a site that asks for a refresh token as the standard says."""
    return {
        "PARJAR_ISSUER": provider.issuer,
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_CLIENT_SECRET": SECRET,
        "PARJAR_CLIENT_AUTH": "client_secret_post",
        "PARJAR_SIGNING_KEY": EC.as_dict(private=True),
        "PARJAR_SCOPES": "openid offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
        **more,
    }


def token(site: FlaskClient) -> str:
    """The access token that the site has for whoever is logged in."""
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


def refreshes(provider: ProviderProcess) -> list[Call]:
    """The renewals that reached the provider."""
    calls = provider.calls("token")
    return [call for call in calls if ("grant_type", "refresh_token") in call.form]


@pytest.mark.parametrize("store", ["memory", "sealed", "redis"])
def test_tokens_are_renewed_and_the_old_refresh_token_is_worth_nothing(
    provider: ProviderProcess, open_browser: OpenBrowser, redis_process: RedisProcess, store: str
) -> None:
    address = redis_process.url if store == "redis" else store
    site = new_site(settings(provider, PARJAR_STORE=address))
    provider.let_access_tokens_hold(seconds=HOLD)
    log_in(site, open_browser(provider))
    tokens = [token(site)]
    at_first = len(refreshes(provider))  # one where the login ended late in its second
    for _ in range(2):
        time.sleep(HOLD + 0.1)
        tokens.append(token(site))
        assert is_live(provider, tokens[-1])
    assert len({*tokens}) == 3
    first, second = refreshes(provider)[at_first:]
    assert first.field("refresh_token") != second.field("refresh_token")
    refused = refresh_by_hand(provider, first.field("refresh_token"))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_live_token_is_not_renewed(provider: ProviderProcess, open_browser: OpenBrowser) -> None:
    site = new_site(settings(provider))
    log_in(site, open_browser(provider))
    assert token(site) == token(site)
    assert is_live(provider, token(site))
    assert refreshes(provider) == []


def test_a_stolen_refresh_token_ends_the_login_when_it_is_used(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = new_site(settings(provider))
    browser = open_browser(provider)
    provider.let_access_tokens_hold(seconds=HOLD)
    log_in(site, browser)
    time.sleep(HOLD + 0.1)
    token(site)
    (renewal,) = refreshes(provider)
    assert refresh_by_hand(provider, renewal.field("refresh_token")).status_code == 400
    time.sleep(HOLD + 0.1)

    answer = site.get("/token", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]) == (401, "refresh_refused")
    assert refreshes(provider)[-1].error is not None
    gone = site.get("/token", headers={"Accept": "application/json"})
    assert gone.get_json()["error"] == "tokens_missing", "it is not asked twice"
    log_in(site, browser)
    assert token(site)


def test_without_prompt_consent_it_gives_no_refresh_token(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    """OpenID Connect Core 11: a provider ignores offline_access unless consent is asked for."""
    site = new_site(settings(provider, PARJAR_AUTHORIZATION_PARAMS={}))
    provider.let_access_tokens_hold(seconds=HOLD)
    log_in(site, open_browser(provider))
    time.sleep(HOLD + 0.1)
    answer = site.get("/token", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]) == (401, "tokens_missing")
    assert refreshes(provider) == []


@pytest.mark.parametrize("store", ["memory", "sealed", "redis"])
def test_a_logout_revokes_the_tokens_and_comes_back_to_our_page(
    provider: ProviderProcess, open_browser: OpenBrowser, redis_process: RedisProcess, store: str
) -> None:
    address = redis_process.url if store == "redis" else store
    site = new_site(settings(provider, PARJAR_STORE=address))
    browser = open_browser(provider)
    with told(site) as heard:
        log_in(site, browser)
    id_token = heard["logged_in"][0]["id_token"]
    access_token = token(site)
    assert is_live(provider, access_token)

    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    assert knows_nobody(site)
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
    assert part(asked["id_token_hint"], 1)["sub"] == "ada"
    assert part(asked["id_token_hint"], 0) == id_token["header"]
    assert parse_qs(urlsplit(back).query)["state"] == [asked["state"]]
    log_in(site, browser)
    assert browser.headings.count("Sign-in") == 2, "the session at the provider had ended"


def test_a_provider_that_is_gone_keeps_nobody_logged_in(
    oidc_provider: StartProvider, open_browser: OpenBrowser
) -> None:
    own = oidc_provider(clients=[client_metadata("site")])
    site = new_site(settings(own, PARJAR_HTTP_TIMEOUT=1))
    log_in(site, open_browser(own))
    own.process.kill()
    own.process.wait()
    assert site.post("/logout", headers=FROM_THE_SITE).status_code == 302
    assert knows_nobody(site)


# The provider's notice, over a real socket, to a process that has never seen the session.


@pytest.fixture
def two_sites(
    oidc_provider: StartProvider, redis_process: RedisProcess, free_port: Callable[[], int]
) -> Iterator[tuple[ProviderProcess, SiteProcess, SiteProcess]]:
    """A provider, the process that its notices reach, and one where people log in."""
    noticed_port, visited_port = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in (noticed_port, visited_port)]
    site = client_metadata(
        "site",
        redirect_uris=[f"{url}/callback" for url in urls],
        post_logout_redirect_uris=[f"{url}/" for url in urls],
        backchannel_logout_uri=f"{urls[0]}/backchannel-logout",
        backchannel_logout_session_required=True,
    )
    elsewhere = client_metadata("elsewhere", post_logout_redirect_uris=[ELSEWHERE])
    provider = oidc_provider(
        clients=[site, elsewhere], features={"backchannelLogout": {"enabled": True}}
    )
    config = settings(provider, SECRET_KEY="of both", PARJAR_STORE=redis_process.url, TRUSTED_FOR=1)
    with ExitStack() as running:
        noticed = running.enter_context(SiteProcess(config, port=noticed_port))
        visited = running.enter_context(SiteProcess(config, port=visited_port))
        yield provider, noticed, visited


def leave_elsewhere(provider: ProviderProcess, browser: ScriptedBrowser) -> None:
    """Log out at the provider, by way of another of its clients."""
    query = {"client_id": "elsewhere", "post_logout_redirect_uri": ELSEWHERE}
    left = browser.sign_out(f"{provider.issuer}/session/end?{urlencode(query)}")
    assert left == ELSEWHERE


def test_a_logout_at_the_provider_ends_the_session_whichever_process_is_told(
    two_sites: tuple[ProviderProcess, SiteProcess, SiteProcess], open_browser: OpenBrowser
) -> None:
    """That session and no other: not that of the same person in another browser."""
    provider, noticed, visited = two_sites
    at_work, at_home = open_browser(provider), open_browser(provider)
    worker, resident = Visitor(visited, at_work.sign_in), Visitor(visited, at_home.sign_in)
    for visitor in (worker, resident):
        visitor.log_in()
        assert visitor.get("/token").status == 200

    leave_elsewhere(provider, at_work)
    (notice,) = provider.calls("backchannel_logout")
    assert (notice.status, notice.error) == (200, None)
    assert worker.get("/me", at=noticed).asks_for_a_login
    assert eventually(lambda: worker.get("/me").asks_for_a_login, within=3)
    assert worker.get("/token").asks_for_a_login
    for site in (noticed, visited):
        assert resident.get("/me", at=site).json["subject"] == "ada"
        assert resident.get("/token", at=site).status == 200

    worker.log_in()
    assert worker.get("/me", at=noticed).status == 200, "a notice ends no later login"


def test_a_logout_at_this_site_is_not_hindered_by_the_notice_of_it(
    two_sites: tuple[ProviderProcess, SiteProcess, SiteProcess], open_browser: OpenBrowser
) -> None:
    """Our own logout makes the provider send one: about a session that is closed already."""
    provider, noticed, visited = two_sites
    browser = open_browser(provider)
    visitor = Visitor(visited, browser.sign_in)
    visitor.log_in()
    back = browser.sign_out(visitor.log_out().location)
    assert back.startswith(f"{visited.url}/?state=")
    assert [notice.status for notice in provider.calls("backchannel_logout")] == [200]
    assert visitor.get("/me").asks_for_a_login
    visitor.log_in()
    assert visitor.get("/token").status == 200
