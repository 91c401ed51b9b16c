"""Sites behind gunicorn, on a Redis of the test's own, with a provider on a socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from flask_parjar.testing import ClientMetadata, DevProvider
from tests.support.redis_process import RedisProcess
from tests.support.site_process import SiteProcess, Visitor

KEY = ECKey.generate_key("P-256", {"kid": "site"})

StartSite = Callable[..., SiteProcess]
NewVisitor = Callable[..., Visitor]


def log_in_until_the_token_expires(provider: DevProvider, visitor: Visitor) -> str:
    """Log in, and wait until the access token has expired; return that token."""
    provider.access_token_seconds = 1
    visitor.log_in()
    token = str(visitor.get("/token").json["token"])
    time.sleep(1.1)
    provider.access_token_seconds = 60
    return token


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis of this test's own, running."""
    with RedisProcess(tmp_path) as process:
        yield process


@pytest.fixture
def provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    """A provider on a socket: its refresh tokens rotate, and it ends a login that reuses one."""
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    with provider.running():
        yield provider


@pytest.fixture
def start_site(provider: DevProvider, redis: RedisProcess) -> Iterator[StartSite]:
    """``start_site(workers=1, port=0, SECRET_KEY=…)`` starts one; all end with the test."""
    with ExitStack() as running:
        callbacks: list[str] = []

        def start(*, workers: int = 1, port: int = 0, **more: Any) -> SiteProcess:
            config = {
                "SECRET_KEY": "of the tests",
                "PARJAR_ISSUER": provider.issuer,
                "PARJAR_CLIENT_ID": "site",
                "PARJAR_SIGNING_KEY": KEY.as_dict(private=True),
                "PARJAR_SCOPES": "openid profile offline_access",
                "PARJAR_STORE": redis.url,
                "PARJAR_HTTP_TIMEOUT": 2,
                **more,
            }
            site = running.enter_context(SiteProcess(config, workers=workers, port=port))
            callbacks.append(f"{site.url}/callback")
            provider.register(
                ClientMetadata(
                    client_id="site",
                    redirect_uris=callbacks,
                    jwks={"keys": [KEY.as_dict(private=False)]},
                )
            )
            return site

        yield start


@pytest.fixture
def new_visitor(provider: DevProvider) -> NewVisitor:
    """``new_visitor(site, person="ada")`` is a browser in which no one is logged in."""

    def new(site: SiteProcess, person: str = "ada") -> Visitor:
        return Visitor(site, lambda away: provider.sign_in(away, person))

    return new
