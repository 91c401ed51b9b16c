"""After a login at Glewlwyd: renewal and revocation of tokens, and logouts at the provider.

Glewlwyd does not show us what it received. So an old refresh token comes back as a thief would
bring it: in the copied cookies of a site that keeps its tokens there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.interop.client_site import asks_for_a_login, endpoints, log_in, new_site, signals_of
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_client import glewlwyd_client, settings
from tests.interop.glewlwyd_process import (
    WITH_ROTATION,
    WITH_SESSIONS,
    GlewlwydProcess,
    StartGlewlwyd,
)
from tests.support.headers import FROM_THE_SITE
from tests.support.interop_table import shows_at
from tests.support.ports import find_free_port
from tests.support.redis_process import RedisProcess
from tests.support.site_process import SiteProcess, Visitor, eventually

pytestmark = pytest.mark.interop
shows = shows_at("Glewlwyd")

HOLD = 1  # seconds that access tokens hold


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Where the site's two processes will listen."""
    return find_free_port(), find_free_port()


@pytest.fixture(scope="module")
def provider(glewlwyd: StartGlewlwyd, ports: tuple[int, int]) -> GlewlwydProcess:
    """One that rotates refresh tokens and has short access tokens, and one with sessions."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    two_processes = glewlwyd_client(
        "two-processes",
        "ES256",
        "private_key_jwt",
        redirect_uri=[f"{url}/callback" for url in urls],
        post_logout_redirect_uris=[f"{url}/" for url in urls],
        backchannel_logout_uri=f"{urls[0]}/backchannel-logout",
        backchannel_logout_session_required="1",
    )
    return glewlwyd(
        clients=[glewlwyd_client("renewing", "ES256", "private_key_jwt"), two_processes],
        plugins={
            "rotating": {**WITH_ROTATION, "access-token-duration": HOLD},
            "sessions": {**WITH_ROTATION, **WITH_SESSIONS},
        },
    )


def renewing(provider: GlewlwydProcess, **more: Any) -> dict[str, Any]:
    """The configuration of a site that keeps tokens in cookies."""
    return settings(
        provider,
        plugin="rotating",
        PARJAR_CLIENT_ID="renewing",
        PARJAR_STORE="cookie",
        **more,
    )


def token(site: FlaskClient) -> str:
    """The access token that the site has, or the code of the error."""
    answer = site.get("/token", headers={"Accept": "application/json"})
    return answer.text if answer.status_code == 200 else str(answer.get_json()["error"])


def with_cookies_of(site: FlaskClient, other: FlaskClient) -> FlaskClient:
    """Copy all cookies of a browser into another."""
    for name in ("session", "session_parjar_tokens_0", "session_parjar_tokens_1"):
        cookie = site.get_cookie(name)
        if cookie is not None:
            other.set_cookie(name, cookie.value)
    return other


@shows("refresh tokens")
def test_tokens_are_renewed(provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser) -> None:
    site = new_site(renewing(provider))
    with signals_of(site) as signals:
        log_in(site, glewlwyd_browser)
        tokens = [token(site)]
        for _ in range(2):
            time.sleep(HOLD + 0.1)
            tokens.append(token(site))
    assert len({*tokens}) == 3
    assert endpoints(signals)[-2:] == [("token", 200)] * 2
    assert all(token.count(".") == 2 for token in tokens)


@shows("rotated refresh tokens")
def test_an_old_refresh_token_is_refused_and_ends_the_login(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(renewing(provider))
    log_in(site, glewlwyd_browser)
    thief = with_cookies_of(site, new_site(renewing(provider)))
    time.sleep(HOLD + 0.1)
    assert token(site).count(".") == 2
    assert token(thief) == "refresh_refused"
    time.sleep(HOLD + 0.1)
    assert token(site) == "refresh_refused"
    log_in(site, glewlwyd_browser)
    assert token(site).count(".") == 2


@shows("revocation")
def test_a_logout_revokes_the_refresh_token(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(renewing(provider))
    with signals_of(site) as signals:
        log_in(site, glewlwyd_browser)
        thief = with_cookies_of(site, new_site(renewing(provider)))
        assert site.post("/logout", headers=FROM_THE_SITE).status_code == 200
    # The access token holds one second: where the login was slow, only the refresh token is left.
    assert endpoints(signals)[-1] == ("revocation", 200)
    assert asks_for_a_login(site)
    time.sleep(HOLD + 0.1)
    assert token(thief) == "refresh_refused"


@pytest.fixture
def two_sites(
    provider: GlewlwydProcess, ports: tuple[int, int], redis_process: RedisProcess
) -> Iterator[tuple[SiteProcess, SiteProcess]]:
    """The process that Glewlwyd sends logout tokens to, and one where people log in."""
    config = settings(
        provider,
        plugin="sessions",
        PARJAR_CLIENT_ID="two-processes",
        PARJAR_STORE=redis_process.url,
        SECRET_KEY="of both",
        TRUSTED_FOR=1,
    )
    with ExitStack() as running:
        receiver, site = [running.enter_context(SiteProcess(config, port=port)) for port in ports]
        yield receiver, site


@shows("back-channel logout")
def test_a_logout_at_the_provider_ends_the_session_in_all_processes(
    two_sites: tuple[SiteProcess, SiteProcess], provider: GlewlwydProcess
) -> None:
    """Its logout token has ``typ: JWT`` and no ``exp``, against the final standard."""
    receiver, site = two_sites
    at_work, at_home = GlewlwydBrowser(), GlewlwydBrowser()
    worker, resident = Visitor(site, at_work.sign_in), Visitor(site, at_home.sign_in)
    other = Visitor(site, at_work.sign_in)  # a second browser profile, the same session there
    for visitor in (worker, resident, other):
        visitor.log_in()
        assert visitor.get("/token").status == 200
    back = at_work.sign_out(other.log_out().location)
    assert back.startswith(f"{site.url}/?state=")
    assert eventually(lambda: worker.get("/me", at=receiver).asks_for_a_login, within=3)
    assert eventually(lambda: worker.get("/me").asks_for_a_login, within=3)
    assert worker.get("/token").asks_for_a_login
    for process in (receiver, site):
        assert resident.get("/me", at=process).status == 200
    worker.log_in()
    assert worker.get("/me", at=receiver).status == 200
