"""The proof: many processes and threads, all tokens due at once, a provider that forgives nothing.

At oidc-provider, whose refresh tokens rotate, and which ends a login when one comes twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.distributed.conftest import KEY
from tests.interop.provider_process import ProviderProcess, missing_oidc_provider
from tests.interop.scripted_browser import ScriptedBrowser
from tests.support.redis_process import RedisProcess
from tests.support.requirements import need
from tests.support.site_process import Answer, SiteProcess, Visitor

pytestmark = [pytest.mark.interop, pytest.mark.distributed]

WORKERS, THREADS = 4, 8
VISITORS = 100
AT_ONCE = 3  # requests of each visitor, as a page with scripts sends them
HOLD = 20  # seconds that renewed tokens hold: longer than one round takes


@pytest.fixture
def at_provider() -> Iterator[ProviderProcess]:
    """oidc-provider; it knows the site on any port of this machine."""
    need(missing_oidc_provider(), required_by="PARJAR_REQUIRE_INTEROP")
    client = {
        "client_id": "site",
        "application_type": "native",  # for these any port of the loopback address is the same
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "request_object_signing_alg": "ES256",
        "id_token_signed_response_alg": "ES256",
        "jwks": {"keys": [KEY.as_dict(private=False)]},
    }
    with ProviderProcess(clients=[client]) as process:
        yield process


@pytest.fixture
def site(at_provider: ProviderProcess, redis: RedisProcess) -> Iterator[SiteProcess]:
    """Four processes of eight threads."""
    config = {
        "SECRET_KEY": "of the tests",
        "PARJAR_ISSUER": at_provider.issuer,
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_SIGNING_KEY": KEY.as_dict(private=True),
        "PARJAR_SCOPES": "openid offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": redis.url,
        "PARJAR_HTTP_TIMEOUT": 15,  # a hundred renewals at once, on a busy machine
    }
    with SiteProcess(config, workers=WORKERS, threads=THREADS) as process:
        yield process


def log_in(visitor: Visitor, person: str) -> str:
    """Log somebody in with a browser of their own; their first access token."""
    browser = ScriptedBrowser()
    visitor.sign_in = lambda away: browser.sign_in(away, login=person)
    try:
        visitor.log_in()
    finally:
        browser.close()
    return str(visitor.get("/token").json["token"])


def ask_all_at_once(pool: ThreadPoolExecutor, visitors: Sequence[Visitor]) -> list[list[Answer]]:
    """Each visitor's answers to requests that they sent at the same time."""
    sent = [[pool.submit(each.get, "/token") for _ in range(AT_ONCE)] for each in visitors]
    return [[future.result() for future in futures] for futures in sent]


def test_a_hundred_tokens_that_end_at_once_are_renewed_once_each_and_no_one_is_logged_out(
    at_provider: ProviderProcess, site: SiteProcess, redis: RedisProcess
) -> None:
    """Whatever process and thread a visitor's requests reach: one renewal, one new token for all.

    A second use of a refresh token would end the login at the provider, and the second round with
    it.
    """
    visitors = [Visitor(site, str) for _ in range(VISITORS)]
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS * THREADS * 2))
        people = [f"visitor-{number}" for number in range(VISITORS)]
        at_provider.set_access_token_lifetime(seconds=4)
        few = stack.enter_context(ThreadPoolExecutor(4))
        before = list(few.map(log_in, visitors, people))
        ends_at = time.time() + 4
        for _ in range(2):
            time.sleep(max(0.0, ends_at - time.time()))
            at_provider.forget_calls()
            ends_at = int(time.time()) + HOLD
            at_provider.set_access_token_lifetime(until=ends_at)

            answers = ask_all_at_once(pool, visitors)
            assert time.time() < ends_at - HOLD / 4, "too slow to tell: tokens became due again"

            failed = [each.text for of_one in answers for each in of_one if each.status != 200]
            assert failed == []
            renewals = at_provider.refreshes()
            assert [call.status for call in renewals] == [200] * VISITORS
            assert len({call.field("refresh_token") for call in renewals}) == VISITORS
            after = [{answer.json["token"] for answer in of_one} for of_one in answers]
            assert [len(tokens) for tokens in after] == [1] * VISITORS
            now = [tokens.pop() for tokens in after]
            assert not {*now} & {*before}
            before = now

            processes = [{answer.json["process"] for answer in of_one} for of_one in answers]
            assert len(set.union(*processes)) == WORKERS
            spread = sum(len(each) > 1 for each in processes)
            assert spread > VISITORS / 4, "the requests of one visitor met in one process"
        shown = list(pool.map(lambda visitor: visitor.get("/me"), visitors))
    assert [answer.json["subject"] for answer in shown] == people
    with redis.client() as client:
        names = [str(name) for name in client.scan_iter(count=1000)]
        values = "\n".join(str(client.get(name)) for name in names)
        assert min(client.ttl(name) for name in names) > 0, "nothing stays there for ever"
    assert len(names) >= 2 * VISITORS
    assert not [token for token in before if token in values], "nothing lies there in clear text"
