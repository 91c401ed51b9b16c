"""After a login at Glewlwyd: tokens renewed and revoked, logouts at the provider that reach us.

It keeps no record that we could read, so old refresh tokens are brought back as a thief would: in
the copied cookies of a site that keeps its tokens there.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.distributed.site_process import SiteProcess, Visitor, eventually
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import (
    WITH_ROTATION,
    WITH_SESSIONS,
    GlewlwydProcess,
    StartGlewlwyd,
)
from tests.interop.test_glewlwyd import glewlwyd_client, settings
from tests.interop.visited_site import (
    FROM_THE_SITE,
    endpoints,
    knows_nobody,
    log_in,
    new_site,
    told,
)
from tests.redis_process import RedisProcess

pytestmark = pytest.mark.interop

HOLD = 1  # seconds that access tokens hold


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Where the site's two processes will listen."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def provider(glewlwyd: StartGlewlwyd, ports: tuple[int, int]) -> GlewlwydProcess:
    """One that rotates refresh tokens and has short access tokens, and one with sessions."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    noticed = glewlwyd_client(
        "noticed",
        "ES256",
        "private_key_jwt",
        redirect_uri=[f"{url}/callback" for url in urls],
        post_logout_redirect_uris=[f"{url}/" for url in urls],
        backchannel_logout_uri=f"{urls[0]}/backchannel-logout",
        backchannel_logout_session_required="1",
    )
    return glewlwyd(
        clients=[glewlwyd_client("renewing", "ES256", "private_key_jwt"), noticed],
        plugins={
            "rotating": {**WITH_ROTATION, "access-token-duration": HOLD},
            "sessions": {**WITH_ROTATION, **WITH_SESSIONS},
        },
    )


def renewing(provider: GlewlwydProcess, **more: Any) -> dict[str, Any]:
    """The configuration of a site whose tokens lie in its visitors' cookies."""
    return settings(
        provider,
        plugin="rotating",
        PARJAR_CLIENT_ID="renewing",
        PARJAR_STORE="sealed",
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


def test_tokens_are_renewed(provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser) -> None:
    site = new_site(renewing(provider))
    with told(site) as heard:
        log_in(site, glewlwyd_browser)
        tokens = [token(site)]
        for _ in range(2):
            time.sleep(HOLD + 0.1)
            tokens.append(token(site))
    assert len({*tokens}) == 3
    assert endpoints(heard)[-2:] == [("token", 200)] * 2
    assert all(token.count(".") == 2 for token in tokens)


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


def test_a_logout_revokes_the_refresh_token(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    site = new_site(renewing(provider))
    with told(site) as heard:
        log_in(site, glewlwyd_browser)
        thief = with_cookies_of(site, new_site(renewing(provider)))
        assert site.post("/logout", headers=FROM_THE_SITE).headers["Location"] == "/"
    assert endpoints(heard)[-2:] == [("revocation", 200)] * 2
    assert knows_nobody(site)
    time.sleep(HOLD + 0.1)
    assert token(thief) == "refresh_refused"


@pytest.fixture
def two_sites(
    provider: GlewlwydProcess, ports: tuple[int, int], redis_process: RedisProcess
) -> Iterator[tuple[SiteProcess, SiteProcess]]:
    """The process that Glewlwyd's notices reach, and one where people log in."""
    config = settings(
        provider,
        plugin="sessions",
        PARJAR_CLIENT_ID="noticed",
        PARJAR_STORE=redis_process.url,
        SECRET_KEY="of both",
        TRUSTED_FOR=1,
    )
    with ExitStack() as running:
        noticed, visited = [running.enter_context(SiteProcess(config, port=port)) for port in ports]
        yield noticed, visited


def test_a_logout_there_ends_the_session_whichever_process_is_told(
    two_sites: tuple[SiteProcess, SiteProcess], provider: GlewlwydProcess
) -> None:
    """Its notice has ``typ: JWT`` and no ``exp``, both of which the final standard wants."""
    noticed, visited = two_sites
    at_work, at_home = GlewlwydBrowser(), GlewlwydBrowser()
    worker, resident = Visitor(visited, at_work.sign_in), Visitor(visited, at_home.sign_in)
    other = Visitor(visited, at_work.sign_in)  # a second browser profile, the same session there
    for visitor in (worker, resident, other):
        visitor.log_in()
        assert visitor.get("/token").status == 200
    back = at_work.sign_out(other.log_out().location)
    assert back.startswith(f"{visited.url}/?state=")
    assert eventually(lambda: worker.get("/me", at=noticed).asks_for_a_login, within=3)
    assert eventually(lambda: worker.get("/me").asks_for_a_login, within=3)
    assert worker.get("/token").asks_for_a_login
    for site in (noticed, visited):
        assert resident.get("/me", at=site).status == 200
    worker.log_in()
    assert worker.get("/me", at=noticed).status == 200
