"""The bad day: whole logins while the provider is slow, silent, broken, or too much.

The site's calls go over real sockets to `hostile_front`. For each misfortune the bounds are
asserted: how long the visitor waits, how often the provider is asked, how much is held in memory;
and that a clear page comes, nobody is logged in, and nothing is called that should not be.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask, Response
from werkzeug.http import http_date
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ProviderUnavailable
from flask_parjar.flows.login import CompletedLogin, begin_login, complete_login
from flask_parjar.protocol.response import ResponseParameters
from flask_parjar.protocol.transaction import Transaction, new_seed
from flask_parjar.provider import Provider
from flask_parjar.testing import DevProvider
from tests.hostile_front import (
    IDLE,
    Flood,
    Front,
    Spoil,
    drip_a_byte_a_second,
    drip_headers,
    endless_headers,
    hang_after_the_headers,
    hostile_front,
    instead,
    reset,
    reset_within_the_body,
    site_behind,
    slow,
)
from tests.provider.raw_server import always, answer, raw_server
from tests.site import Visitor, make_site

TIMEOUT = 1  # PARJAR_HTTP_TIMEOUT of these sites
#: What a busy machine may add to a bound before a test calls it broken.
SLACK = 1.0
NOW = 1_800_000_000
HOUR = 3600

D, P, T, J, U = "discovery", "pushed_authorization_request", "token", "jwks", "userinfo"
#: Each endpoint, and what the site has called when it gets there.
PLACES = {D: [D], P: [D, P], T: [D, P, T], J: [D, P, T, J], U: [D, P, T, J, U]}


@pytest.fixture
def front() -> Iterator[Front]:
    with hostile_front() as front:
        yield front


def visitor_of(front: Front, **config: object) -> Visitor:
    return Visitor(site_behind(front, **config), front.provider)


def timed(visit: Callable[[], TestResponse]) -> tuple[TestResponse, float]:
    began = time.monotonic()
    response = visit()
    return response, time.monotonic() - began


def log_in_at(place: str, visitor: Visitor) -> tuple[TestResponse, float]:
    """Log in up to the request that meets a spoilt endpoint; how long that one request took."""
    if place in (D, P):
        return timed(lambda: visitor.get("/login?next=/me"))
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    return timed(lambda: visitor.get(back))


def assert_clear(page: TestResponse, code: str, status: int) -> None:
    assert page.status_code == status, page.text
    assert f"<code>{code}</code>" in page.text
    assert "Try again" in page.text and "127.0.0.1" not in page.text
    assert page.headers["Cache-Control"] == "no-store"


def spoilt_login(
    front: Front, place: str, how: Spoil, code: str, status: int, *, calls: list[str] | None = None
) -> tuple[TestResponse, float]:
    """One login that meets one spoilt endpoint, and everything that must be true of it.

    :returns: the page, and how long the visitor waited for it
    """
    front.spoil(place, how)
    visitor = visitor_of(front, PARJAR_USERINFO=place == U)
    page, seconds = log_in_at(place, visitor)
    assert_clear(page, code, status)
    expected = calls or PLACES[place]
    assert front.arrived == expected
    assert visitor.get("/me").status_code == 302
    assert front.arrived == expected
    return page, seconds


# Slow, silent, dripping.


def test_a_slow_provider_is_waited_for(front: Front) -> None:
    visitor = visitor_of(front)
    for place in (D, P, T, J):
        front.spoil(place, slow(0.4))
    away, there = timed(lambda: visitor.get("/login?next=/me"))
    back = visitor.come_back(away.location)
    landed, home = timed(lambda: visitor.get(back))
    assert landed.location == "/me"
    assert front.arrived == PLACES[J]
    assert 0.8 <= there < 0.8 + SLACK and 0.8 <= home < 0.8 + SLACK


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_that_hangs_after_its_headers(front: Front, place: str) -> None:
    _, seconds = spoilt_login(front, place, hang_after_the_headers, "provider_timeout", 503)
    assert TIMEOUT * 0.9 < seconds < TIMEOUT + SLACK


@pytest.mark.parametrize("place, how", [(P, drip_headers), (T, drip_a_byte_a_second)])
def test_an_answer_that_drips(front: Front, place: str, how: Spoil) -> None:
    """Each byte comes in time, and the whole does not."""
    _, seconds = spoilt_login(front, place, how, "provider_timeout", 503)
    assert TIMEOUT * 0.9 < seconds < TIMEOUT + SLACK


def test_a_code_is_spent_once_even_when_its_answer_is_lost(front: Front) -> None:
    """Reload after a time-out: a new login begins, the code is not sent again."""
    visitor = visitor_of(front)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    front.spoil(T, hang_after_the_headers, times=1)
    assert visitor.get(back).status_code == 503
    again = visitor.get(back)
    assert again.location.startswith(f"{front.provider.issuer}/")
    assert front.arrived == [D, P, T, P]
    assert visitor.get(visitor.come_back(again.location)).location == "/me"


# Connections that break.


@pytest.mark.parametrize("how", [reset, reset_within_the_body])
@pytest.mark.parametrize("place", PLACES)
def test_a_connection_that_is_reset(front: Front, place: str, how: Spoil) -> None:
    """One more try for the push, which does no harm twice; for nothing else."""
    calls = [D, P, P] if place == P else None
    _, seconds = spoilt_login(front, place, how, "provider_unreachable", 503, calls=calls)
    assert seconds < SLACK


def test_a_push_whose_connection_was_reset_goes_through_the_second_time(front: Front) -> None:
    front.spoil(P, reset, times=1)
    visitor = visitor_of(front)
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert front.arrived == [D, P, P, T, J]


def test_idle_connections_that_the_provider_closes(front: Front) -> None:
    """They are found out before anything is sent, so that no code is lost to a dead connection."""
    front.close_idle = True
    visitor = visitor_of(front)
    for _ in range(2):
        away = visitor.leave("/login?next=/me")
        time.sleep(IDLE + 0.1)
        assert visitor.get(visitor.come_back(away)).location == "/me"
        time.sleep(IDLE + 0.1)
    assert front.arrived == [D, P, T, J, P, T]
    assert front.connections == 4


def test_connections_that_live_are_kept(front: Front) -> None:
    visitor = visitor_of(front)
    for _ in range(3):
        visitor.log_in()
    assert front.connections == 1


# Too much, and not what was asked for.

_LENGTH = f"Content-Length: {Flood.MEGABYTES * 1024 * 1024}"


_AT_ONCE = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{_LENGTH}"
_IN_CHUNKS = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"


@pytest.mark.parametrize(
    "place, head",
    [
        *((place, _AT_ONCE) for place in PLACES),
        (D, _IN_CHUNKS),
        (T, _IN_CHUNKS),
        (P, f"HTTP/1.1 400 Bad Request\r\n{_LENGTH}"),
        (J, "HTTP/1.1 500 Oh\r\nConnection: close"),
    ],
)
def test_fifty_megabytes(front: Front, place: str, head: str) -> None:
    flood = Flood(head)
    tracemalloc.start()
    try:
        _, seconds = spoilt_login(front, place, flood, "provider_answer", 502)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < TIMEOUT + SLACK
    assert peak < 8 * 1024 * 1024
    time.sleep(0.05)
    assert 0 < flood.sent < 20 * 1024 * 1024


def test_headers_without_end(front: Front) -> None:
    _, seconds = spoilt_login(front, T, endless_headers, "provider_unreachable", 503)
    assert seconds < TIMEOUT + SLACK


@pytest.mark.parametrize("place", PLACES)
def test_a_page_of_a_hotel_s_network(front: Front, place: str) -> None:
    page = instead("200 OK", b"<!doctype html><script>x</script>", Content_Type="text/html")
    assert spoilt_login(front, place, page, "provider_answer", 502)[1] < SLACK


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", PLACES)
def test_a_redirect_to_an_internal_address(front: Front, place: str, status: int) -> None:
    """Metadata services and neighbours on loopback hear nothing, whoever points at them."""
    with raw_server(always(answer(b'{"secret": 1}'))) as inside:
        elsewhere = instead(f"{status} Elsewhere", Location=inside.url)
        assert spoilt_login(front, place, elsewhere, "provider_redirect", 502)[1] < SLACK
        assert inside.connections == 0


# "Not now."

YEAR_2100 = "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize(
    "retry_after, tries, passed_on",
    [
        ("0", 2, "0"),
        ("1", 2, "1"),
        ("3", 1, "3"),
        ("3600", 1, "3600"),
        ("99999999999999999999", 1, None),
        ("-1", 1, None),
        ("0.5", 1, None),
        ("1e1", 1, None),
        ("0x1", 1, None),
        ("\u00b2", 1, None),  # a digit to Python, and to nobody else
        ("soon", 1, None),
        ("", 1, None),
        (YEAR_2100, 1, None),
        (http_date(0), 1, None),
    ],
)
def test_a_push_that_is_put_off(
    front: Front, retry_after: str, tries: int, passed_on: str | None
) -> None:
    """A short wait is waited for, once; a long one is the visitor's to decide."""
    headers = {"Retry_After": retry_after} if retry_after else {}
    busy = instead("503 Busy" if len(retry_after) % 2 else "429 Busy", **headers)
    page, seconds = spoilt_login(front, P, busy, "provider_busy", 503, calls=[D] + [P] * tries)
    assert seconds < (int(retry_after) if tries == 2 else 0) + SLACK
    assert page.headers.get("Retry-After") == passed_on


def test_a_push_that_is_put_off_for_a_second_goes_through(front: Front) -> None:
    front.spoil(P, instead("503 Busy", Retry_After="1"), times=1)
    visitor = visitor_of(front)
    page, seconds = timed(lambda: visitor.get("/login"))
    assert (page.status_code, front.arrived) == (302, [D, P, P])
    assert 1 <= seconds < 1 + SLACK


@pytest.mark.parametrize("place", [D, T, J, U])
def test_nothing_else_is_asked_again_at_once(front: Front, place: str) -> None:
    busy = instead("503 Busy", Retry_After="0")
    assert spoilt_login(front, place, busy, "provider_busy", 503)[1] < SLACK


# The documents.


def test_documents_that_cannot_be_had_at_start(front: Front) -> None:
    """The site starts, says so for a while without asking for each visitor, and recovers."""
    front.spoil(D, reset)
    visitor = visitor_of(front)
    assert visitor.get("/").text == "home"
    assert front.arrived == []
    for _ in range(20):
        assert_clear(visitor.get("/login"), "provider_unreachable", 503)
    assert 1 <= len(front.arrived) <= 2
    front.heal()
    assert _soon(lambda: visitor.get("/login").status_code == 302)
    assert visitor.log_in("/login?next=/me").location == "/me"


def test_keys_that_cannot_be_had_at_start(front: Front) -> None:
    front.spoil(J, instead("500 Oh"))
    visitor = visitor_of(front)
    assert_clear(visitor.log_in(), "provider_failed", 502)
    assert visitor.get("/me").status_code == 302
    front.heal()
    assert _soon(lambda: visitor.log_in("/login?next=/me").location == "/me")
    assert visitor.get("/me").status_code == 200


def _soon(works: Callable[[], bool], *, seconds: float = 4) -> bool:
    """Whether something works before long: failures are remembered for a second or two."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if works():
            return True
        time.sleep(0.1)
    return False


def test_nobody_queues_behind_an_outage(front: Front) -> None:
    """Who comes while an attempt is under way shares its failure, and does not start the next.

    The attempt lasts past a full second, so that the second visitor's clock shows another one.
    """
    app = site_behind(front)
    front.spoil(D, hang_after_the_headers)
    time.sleep((0.4 - time.time()) % 1)
    waits: list[float] = []

    def visit() -> None:
        page, seconds = timed(lambda: app.test_client().get("/login"))
        assert_clear(page, "provider_timeout", 503)
        waits.append(seconds)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
        time.sleep(0.12)
    for thread in threads:
        thread.join()
    assert len(waits) == len(threads)
    assert max(waits) < TIMEOUT + 0.5
    assert front.arrived == [D]


class Clock:
    """The time of provider and site, which a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def front_in_time(clock: Clock) -> Iterator[Front]:
    with hostile_front(now=clock) as front:
        yield front


def provider_of(app: Flask) -> Provider:
    provider: Provider = app.extensions["parjar"].providers["default"]
    return provider


def log_in_now(front: Front, provider: Provider, now: int) -> CompletedLogin:
    """A login as the views make it, at a time of our choice."""
    transaction = Transaction(
        seed=new_seed(),
        state="any",
        provider="default",
        issuer=provider.client.issuer,
        redirect_uri="http://localhost/callback",
        started_at=now,
        next="/",
        scopes=provider.client.scopes,
    )
    outgoing = begin_login(provider, transaction, LoginOptions(), now=now)
    back = front.provider.sign_in(outgoing.browser.url)
    parameters = ResponseParameters.parse(parse_qsl(urlsplit(back).query))
    return complete_login(provider, transaction, parameters, now=now)


def test_the_last_good_documents_serve_for_a_day(
    front_in_time: Front, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    front = front_in_time
    provider = provider_of(site_behind(front))
    log_in_now(front, provider, clock.now)
    front.arrived.clear()
    front.spoil(D, reset)
    front.spoil(J, instead("200 OK", b"<html>"))
    for later in (700, HOUR, 23 * HOUR):
        clock.now = NOW + later
        assert log_in_now(front, provider, clock.now).identity.subject == "ada"
    assert front.arrived.count(D) <= 3 * 2 and front.arrived.count(J) <= 3
    assert f"metadata of {front.provider.issuer} not renewed" in caplog.text
    assert f"keys of {front.provider.issuer} not renewed" in caplog.text

    clock.now = NOW + 25 * HOUR
    for read in (provider.metadata, provider.agreement):
        with pytest.raises(ProviderUnavailable) as caught:
            read(clock.now)
        assert caught.value.code == "provider_unreachable"
    front.heal()
    clock.now += 120
    assert log_in_now(front, provider, clock.now).identity.subject == "ada"


def test_one_visitor_waits_for_a_renewal_and_the_others_do_not(
    front_in_time: Front, clock: Clock
) -> None:
    front = front_in_time
    provider = provider_of(site_behind(front))
    provider.metadata(NOW)
    front.spoil(D, hang_after_the_headers)
    waits: list[float] = []

    def read() -> None:
        began = time.monotonic()
        provider.metadata(NOW + 700)
        waits.append(time.monotonic() - began)

    _all_at_once([read] * 16)
    assert len([wait for wait in waits if wait < TIMEOUT / 2]) == 15
    assert max(waits) < TIMEOUT + SLACK
    assert front.arrived == [D, D]


def test_a_rotation_while_the_keys_cannot_be_had(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """The login fails and says so; as soon as the keys are back, the next one works."""
    visitor = visitor_of(front)
    visitor.log_in()
    visitor.client.delete_cookie("session")
    front.provider.rotate_keys()
    front.spoil(J, reset)
    front.arrived.clear()
    assert_clear(visitor.log_in(), "token_key", 502)
    assert visitor.get("/me").status_code == 302
    assert front.arrived == [P, T, J]
    assert f"keys of {front.provider.issuer} cannot be fetched anew: provider_unreac" in caplog.text
    front.heal()
    assert _soon(lambda: visitor.log_in("/login?next=/me").location == "/me")


@pytest.mark.parametrize("keys", [None, hang_after_the_headers])
def test_a_flood_of_unknown_kids(front: Front, keys: Spoil | None) -> None:
    """32 visitors at once, a token of an unknown key for each: one fetch, and nobody waits long."""
    app = site_behind(front)
    Visitor(app, front.provider).log_in()
    visitors = [Visitor(app, front.provider) for _ in range(32)]
    backs = [visitor.come_back(visitor.leave()) for visitor in visitors]
    if keys is not None:
        front.spoil(J, keys)
    front.arrived.clear()
    pages: list[tuple[TestResponse, float]] = []
    with front.provider.fault("id_token_kid_unknown"):
        _all_at_once(
            [
                lambda visitor=visitor, back=back: pages.append(  # type: ignore[misc]
                    timed(lambda: visitor.get(back))
                )
                for visitor, back in zip(visitors, backs, strict=True)
            ]
        )
    assert len(pages) == 32
    for page, seconds in pages:
        assert_clear(page, "token_key", 502)
        assert seconds < TIMEOUT * (2 if keys else 1) + SLACK
    assert front.arrived.count(J) == 1
    assert all(visitor.get("/me").status_code == 302 for visitor in visitors)
    if keys is None:
        assert Visitor(app, front.provider).log_in("/login?next=/me").location == "/me"


def test_a_flood_that_goes_on(front_in_time: Front, clock: Clock) -> None:
    """Five minutes of unknown keys, a login each second: a fetch in thirty seconds."""
    front = front_in_time
    provider = provider_of(site_behind(front))
    log_in_now(front, provider, clock.now)
    front.arrived.clear()
    with front.provider.fault("id_token_kid_unknown"):
        for clock.now in range(NOW, NOW + 300, 5):
            with pytest.raises(Exception, match="cannot be trusted"):
                log_in_now(front, provider, clock.now)
    assert front.arrived.count(T) == 60
    assert front.arrived.count(J) <= 10


def _all_at_once(jobs: list[Callable[[], object]]) -> None:
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        barrier.wait()
        job()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Clocks that differ.


def provider_whose_clock_is(ahead: int, *, date: str | None = None) -> DevProvider:
    """A provider whose tokens and ``Date`` headers show another time than ours.

    :param date: what its ``Date`` headers say in place of that
    """
    provider = DevProvider("https://op.example", now=lambda: time.time() + ahead)

    @provider.app.after_request
    def say_the_time(response: Response) -> Response:
        response.headers["Date"] = http_date(time.time() + ahead) if date is None else date
        return response

    return provider


@pytest.mark.parametrize("ahead", [30, -30])
def test_half_a_minute_is_no_matter(ahead: int) -> None:
    provider = provider_whose_clock_is(ahead)
    provider.clock_skew = 60  # as we are to the provider, so the provider is to us
    visitor = Visitor(make_site(provider), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"


@pytest.mark.parametrize("ahead, direction", [(600, "ahead of"), (-600, "behind")])
@pytest.mark.parametrize("auth", ["private_key_jwt", "client_secret_basic"])
def test_ten_minutes_are_told_of(
    ahead: int, direction: str, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider refuses what we sign; its ``Date`` says why."""
    provider = provider_whose_clock_is(ahead)
    app = make_site(provider, PARJAR_CLIENT_AUTH=auth, PARJAR_CLIENT_SECRET="of both")
    page = app.test_client().get("/login")
    assert_clear(page, "push_refused" if "secret" in auth else "client_refused", 502)
    told = re.search(r"the provider's clock is (\d+) s (.+) ours, so one of the two", caplog.text)
    assert told is not None and told[2] == direction
    assert 598 <= int(told[1]) <= 602
    assert [call.endpoint for call in provider.calls] == [D, P]
    app.debug = True
    assert "so one of the two is wrong" in app.test_client().get("/login").text


@pytest.mark.parametrize("date", ["yesterday", "Tue, 99 Foo 99999 99:99:99 GMT", ""])
def test_a_date_that_is_none_says_nothing(date: str, caplog: pytest.LogCaptureFixture) -> None:
    provider = provider_whose_clock_is(600, date=date)
    page = make_site(provider).test_client().get("/login")
    assert_clear(page, "client_refused", 502)
    assert "the provider's clock is" not in caplog.text


@pytest.mark.parametrize(
    "fault", ["id_token_iat_future", "id_token_expired", "id_token_nbf_future"]
)
def test_a_token_out_of_its_time_speaks_of_the_clock(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = DevProvider("https://op.example")
    visitor = Visitor(make_site(provider), provider)
    with caplog.at_level(logging.WARNING), provider.fault(fault):
        page = visitor.log_in()
    assert page.status_code == 502
    assert "Is the clock of this machine right?" in caplog.text
    assert visitor.get("/me").status_code == 302
