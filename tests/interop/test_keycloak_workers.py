"""A site of several workers at Keycloak: one renewal for all, one logout for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.interop.client_site import log_in
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import register, settings, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_THE_SITE
from tests.support.interop_table import shows_at
from tests.support.redis_process import RedisProcess
from tests.support.site_process import Answer, SiteProcess, Visitor

pytestmark = pytest.mark.interop

shows = shows_at("Keycloak")

CLIENT_ID = "of-several-workers"
WORKERS = 2
VISITORS = 4
AT_ONCE = 6  # requests of each visitor
TRUSTED_FOR = 1  # second, in which a worker does not look into the store; five outside the tests


@pytest.fixture(scope="module")
def site(keycloak: KeycloakProcess, redis_process: RedisProcess) -> Iterator[SiteProcess]:
    """Two processes that know nothing of each other but the Redis."""
    config = settings(
        keycloak,
        CLIENT_ID,
        alg="ES256",
        method="private_key_jwt",
        SECRET_KEY="of these workers",
        PARJAR_STORE=redis_process.url,
        TRUSTED_FOR=TRUSTED_FOR,
    )
    with SiteProcess(config, workers=WORKERS) as process:
        register(
            keycloak,
            CLIENT_ID,
            site=process.url,
            backchannel_logout_url=f"{process.url}/backchannel-logout",
            backchannel_logout_session_required="true",
        )
        register(keycloak, "another-site")
        yield process


@dataclass
class Person:
    """Somebody with a browser of their own, who is logged in at the site."""

    visitor: Visitor
    browser: KeycloakBrowser


@pytest.fixture
def new_person(site: SiteProcess) -> Iterator[Callable[..., Person]]:
    """``new_person("ada")`` opens another browser and logs her in."""
    with ExitStack() as opened:

        def new(name: str = "ada") -> Person:
            browser = KeycloakBrowser()
            opened.callback(browser.close)
            visitor = Visitor(site, lambda away: browser.sign_in(away, login=name))
            visitor.log_in()
            return Person(visitor, browser)

        yield new


def ids(keycloak: KeycloakProcess, person: str = "ada") -> set[str]:
    """The sessions that a person has at Keycloak."""
    return {session["id"] for session in keycloak.sessions(person)}


def asked_of_every_worker(visitor: Visitor) -> list[Answer]:
    """The answers to requests for a page, until each worker has given one."""
    answers: list[Answer] = []
    for _ in range(200):
        answers.append(visitor.get("/me"))
        if len({answer.process for answer in answers}) == WORKERS:
            return answers
    raise AssertionError("one worker alone has answered")


@pytest.fixture
def rotation(keycloak: KeycloakProcess) -> Iterator[None]:
    """Each refresh token can be used once; a second use ends the login."""
    with keycloak.realm_with(revokeRefreshToken=True, refreshTokenMaxReuse=0):
        yield


@pytest.mark.usefixtures("rotation")
def test_tokens_that_are_due_in_all_workers_are_renewed_once_each(
    keycloak: KeycloakProcess, new_person: Callable[..., Person]
) -> None:
    keycloak.change_client(CLIENT_ID, {"access.token.lifespan": "1"})
    visitors = [new_person(name).visitor for name in ("ada", "grace") * (VISITORS // 2)]
    time.sleep(1.1)
    keycloak.change_client(CLIENT_ID, {"access.token.lifespan": "300"})
    before = len(keycloak.events(CLIENT_ID, "REFRESH_TOKEN"))

    with ThreadPoolExecutor(VISITORS * AT_ONCE) as pool:
        sent = [
            [pool.submit(visitor.get, "/token") for _ in range(AT_ONCE)] for visitor in visitors
        ]
        answers = [[future.result() for future in futures] for futures in sent]
    assert [answer.text for of_one in answers for answer in of_one if answer.status != 200] == []
    assert len({answer.process for of_one in answers for answer in of_one}) == WORKERS
    tokens = [{answer.json["token"] for answer in of_one} for of_one in answers]
    assert [len(each) for each in tokens] == [1] * VISITORS
    assert len(set.union(*tokens)) == VISITORS
    assert len(keycloak.events(CLIENT_ID, "REFRESH_TOKEN")) == before + VISITORS
    assert keycloak.events(CLIENT_ID, "REFRESH_TOKEN_ERROR") == []


@shows("back-channel logout")
def test_a_session_that_an_administrator_ends_is_over_in_every_worker(
    keycloak: KeycloakProcess, new_person: Callable[..., Person]
) -> None:
    """That session and no other: not that of the same person in another browser."""
    before = ids(keycloak)
    at_work = new_person().visitor
    (session,) = ids(keycloak) - before
    at_home = new_person().visitor
    for visitor in (at_work, at_home):
        assert {each.status for each in asked_of_every_worker(visitor)} == {200}

    keycloak.end_session(session)
    assert session not in ids(keycloak)
    time.sleep(TRUSTED_FOR)
    assert all(each.asks_for_a_login for each in asked_of_every_worker(at_work))
    assert {each.status for each in asked_of_every_worker(at_home)} == {200}


def test_a_person_whom_an_administrator_logs_out_is_so_in_every_worker_and_browser(
    keycloak: KeycloakProcess, new_person: Callable[..., Person]
) -> None:
    visitors = [new_person("grace").visitor, new_person("grace").visitor]
    somebody_else = new_person("ada").visitor
    for visitor in visitors:
        assert {each.status for each in asked_of_every_worker(visitor)} == {200}

    keycloak.end_sessions("grace")
    assert keycloak.sessions("grace") == []
    time.sleep(TRUSTED_FOR)
    for visitor in visitors:
        assert all(each.asks_for_a_login for each in asked_of_every_worker(visitor))
    assert {each.status for each in asked_of_every_worker(somebody_else)} == {200}


def test_a_logout_at_another_site_is_one_in_every_worker(
    keycloak: KeycloakProcess, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    other = site_of(keycloak, "another-site", PARJAR_STORE="memory")
    log_in(other, person.browser)
    assert person.browser.steps == ["username", "password"]
    person.browser.sign_out(other.post("/logout", headers=FROM_THE_SITE).headers["Location"])
    time.sleep(TRUSTED_FOR)
    assert all(each.asks_for_a_login for each in asked_of_every_worker(person.visitor))
