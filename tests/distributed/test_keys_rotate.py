"""Our keys are rotated while four processes log people in: no login is lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from flask_parjar.cli import parjar_cli
from flask_parjar.testing import ClientMetadata, DevProvider, KeyCache
from tests.support.jwt import read_jwt
from tests.support.site_process import SiteProcess, Visitor, eventually

pytestmark = pytest.mark.distributed

WORKERS = 4
LOGINS = 200
ROTATIONS = 3
CACHED = 4  # seconds, in place of 60
AT_ONCE = 4
#: What `--after` is given: the time of the provider's cache, and the second in which each process
#: looks at the file again, before it publishes what is new.
PUBLISHED_BEFORE = CACHED + 2


def keys(*arguments: str) -> None:
    """``flask parjar keys …``, as an operator types it on the machine of the site."""
    result = CliRunner().invoke(parjar_cli, ["keys", *arguments])
    assert result.exit_code == 0, result.output


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keys("new", str(path))
    return path


@pytest.fixture
def provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    """It keeps our keys as long as its cache says, and fetches none for a ``kid`` it lacks."""
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    provider.key_cache = KeyCache(seconds=CACHED, unknown_kid_seconds=None)
    with provider.running():
        yield provider


@pytest.fixture
def site(provider: DevProvider, key_file: Path) -> Iterator[SiteProcess]:
    config = {
        "SECRET_KEY": "of the tests",
        "PARJAR_ISSUER": provider.issuer,
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_SIGNING_KEY": str(key_file),
        "PARJAR_HTTP_TIMEOUT": 15,
    }
    with SiteProcess(config, workers=WORKERS) as site:
        provider.register(
            ClientMetadata(
                client_id="site",
                redirect_uris=[f"{site.url}/callback"],
                jwks_uri=f"{site.url}/.well-known/jwks.json",
            )
        )
        yield site


def test_three_rotations_lose_no_login(
    site: SiteProcess, provider: DevProvider, key_file: Path
) -> None:
    """200 people log in at four processes, and the keys are rotated three times meanwhile.

    A real provider keeps our keys for 60 seconds, or for a day. Here the time is scaled: the
    provider keeps them for 4 seconds, and a key is rotated when it has been published for 6. In
    one point it is stricter than most: it never fetches them again because of a ``kid`` that it
    does not know, so a key that is used too early is refused.
    """

    def rotate() -> None:
        for _ in range(ROTATIONS):
            time.sleep(PUBLISHED_BEFORE + 0.5)
            keys("rotate", str(key_file), "--after", str(PUBLISHED_BEFORE))

    def log_in(number: int) -> str:
        visitor = Visitor(site, lambda away: provider.sign_in(away, "ada"))
        visitor.log_in()
        page = visitor.get("/me")
        assert page.json["subject"] == "ada"
        time.sleep(0.6)  # so that all of them take longer than the rotations
        return page.process

    with ThreadPoolExecutor(AT_ONCE + 1) as threads:
        rotating = threads.submit(rotate)
        processes = Counter(threads.map(log_in, range(LOGINS)))
        rotating.result()
    assert sum(processes.values()) == LOGINS
    assert len(processes) == WORKERS, "each process had a part in it"
    pushes = [call for call in provider.calls if call.endpoint == "pushed_authorization_request"]
    kids = [read_jwt(call.form["request"])[0]["kid"] for call in pushes]
    assert len(kids) == LOGINS, "no push was refused and sent again"
    assert len(set(kids)) == ROTATIONS + 1
    assert min(Counter(kids).values()) >= 5, "each key signed while people logged in"
    assert "Traceback" not in site.log


def test_a_key_that_the_provider_does_not_have_yet_is_refused(
    site: SiteProcess, provider: DevProvider, key_file: Path
) -> None:
    """What the test above would see if keys were used too early."""
    visitor = Visitor(site, lambda away: provider.sign_in(away, "ada"))
    visitor.log_in()  # the provider has the active key and the next one
    for _ in range(2):
        keys("rotate", str(key_file), "--after", "0")
    assert eventually(lambda: visitor.get("/login").status == 502, within=3)
    assert eventually(lambda: visitor.get("/login").status == 302, within=CACHED + 3)
