"""The bad day: whole logins while the provider is slow, silent, broken, or too much.

The site's calls go over real sockets to `hostile_front`. For each misfortune the bounds are
asserted: how long the visitor waits, how often the provider is asked, how much is held in memory;
and that a clear page comes, no one is logged in, and nothing is called that should not be.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask, Response
from werkzeug.http import http_date
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, ProviderUnavailable, TokenRejected
from flask_parjar.flows.login import CompletedLogin, begin_login, complete_login, verify_response
from flask_parjar.protocol.response import ResponseParameters
from flask_parjar.protocol.transaction import Transaction, new_seed
from flask_parjar.provider import Provider
from flask_parjar.provider.backoff import PAUSE
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import wsgi_pool
from tests.support.after_login import TOKEN_SCOPES, age, set_provider_clock, token_views
from tests.support.clock import Clock, WallClock
from tests.support.framing import MALFORMED, chunked
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.hostile_front import (
    IDLE,
    Flood,
    Front,
    Spoil,
    around,
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
from tests.support.pages import code_of
from tests.support.raw_server import always, answer, raw_server
from tests.support.site import ISSUER, Visitor, make_site
from tests.support.threads import at_once, switching_often

#: Seconds that a site waits where it waits in vain: less than PARJAR_HTTP_TIMEOUT can be.
TIMEOUT = 0.8
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


def timed(ask: Callable[[], TestResponse]) -> tuple[TestResponse, float]:
    began = time.monotonic()
    response = ask()
    return response, time.monotonic() - began


def wait_less(app: Flask) -> None:
    """Let a site wait for `TIMEOUT` seconds from now on."""
    for each in app.extensions["parjar"].providers.values():
        each.http.timeout = TIMEOUT


def log_in_at(place: str, visitor: Visitor) -> tuple[TestResponse, float]:
    """Log in up to the request that meets a spoilt endpoint; how long that one request took."""
    if place in (D, P):
        return timed(lambda: visitor.get("/login?next=/me"))
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    return timed(lambda: visitor.get(back))


def assert_clear(page: TestResponse, code: str, status: int) -> None:
    assert page.status_code == status, page.text
    assert f"<code>{code}</code>" in page.text
    assert 'href="/login' in page.text or 'href="/me"' in page.text
    assert "127.0.0.1" not in page.text
    assert page.headers["Cache-Control"] == "no-store"


def spoilt_login(
    front: Front, place: str, how: Spoil, code: str, status: int, *, calls: list[str] | None = None
) -> tuple[TestResponse, float]:
    """One login that meets one spoilt endpoint, and everything that must be true of it.

    :returns: the page, and how long the visitor waited for it
    """
    front.spoil(place, how)
    visitor = visitor_of(front, PARJAR_USERINFO=place == U)
    if code == "provider_timeout":
        wait_less(visitor.app)
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
        front.spoil(place, slow(0.15))
    away, there = timed(lambda: visitor.get("/login?next=/me"))
    back = visitor.come_back(away.location)
    landed, home = timed(lambda: visitor.get(back))
    assert landed.location == "/me"
    assert front.arrived == PLACES[J]
    assert 0.3 <= there < 0.3 + SLACK and 0.3 <= home < 0.3 + SLACK


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
    assert visitor.get(visitor.come_back(again.location)).location == "/"


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


# What cannot be read.

UNREADABLE = {
    "no JSON": b"{'a': 1}",
    "no object": b"[]",
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "not UTF-8": '{"a": "\xe9"}'.encode("latin-1"),
    "a member twice": b'{"a": 1, "a": 2}',
    "too deep": b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
}


def test_the_log_says_why_an_answer_could_not_be_read(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = visitor_of(front)
    told = set()
    for body in UNREADABLE.values():
        front.spoil(P, instead("200 OK", body, Content_Type="application/json"))
        caplog.clear()
        assert visitor.get("/login").status_code == 502
        told.add(caplog.messages[-1])
    assert len(told) == len(UNREADABLE)


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
    assert seconds < 1 + SLACK
    assert peak < 8 * 1024 * 1024
    time.sleep(0.05)
    assert 0 < flood.sent < 20 * 1024 * 1024


def test_headers_without_end(front: Front) -> None:
    _, seconds = spoilt_login(front, T, endless_headers, "provider_unreachable", 503)
    assert seconds < 1 + SLACK


@pytest.mark.parametrize("place", PLACES)
def test_a_page_of_a_hotel_s_network(front: Front, place: str) -> None:
    page = instead("200 OK", b"<!doctype html><script>x</script>", Content_Type="text/html")
    assert spoilt_login(front, place, page, "provider_answer", 502)[1] < SLACK


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", PLACES)
def test_a_redirect_to_an_internal_address(front: Front, place: str, status: int) -> None:
    """Metadata services and neighbours on loopback hear nothing, no matter who points at them."""
    with raw_server(always(answer(b'{"secret": 1}'))) as inside:
        elsewhere = instead(f"{status} Elsewhere", Location=inside.url)
        assert spoilt_login(front, place, elsewhere, "provider_redirect", 502)[1] < SLACK
        assert inside.connections == 0


def test_a_logout_waits_once_for_a_provider_that_hangs(front: Front) -> None:
    """And not for each token; those of the logins before are revoked by it too."""
    app = site_behind(front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES)
    visitor = Visitor(app, front.provider)
    for _ in range(4):
        visitor.log_in()
    wait_less(app)
    front.spoil("revocation", hang_after_the_headers)
    page, seconds = timed(lambda: visitor.post("/logout", headers=FROM_HERE))
    assert page.status_code == 302
    assert visitor.get("/me").status_code == 302
    assert front.arrived.count("revocation") == 1
    assert seconds < TIMEOUT + SLACK


def test_an_administrator_waits_once_for_a_provider_that_hangs(front: Front) -> None:
    """All sessions end, and the tokens are left to expire."""

    def end_sessions(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule("/end", view_func=lambda: str(parjar.end_sessions("ada")))

    app = site_behind(
        front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES, prepare=end_sessions
    )
    visitors = [Visitor(app, front.provider) for _ in range(3)]
    for each in visitors:
        each.log_in()
    wait_less(app)
    front.spoil("revocation", hang_after_the_headers)
    page, seconds = timed(lambda: visitors[0].get("/end"))
    assert page.text == "3"
    assert [each.get("/me").status_code for each in visitors] == [302] * 3
    assert front.arrived.count("revocation") == 1
    assert seconds < TIMEOUT + SLACK


def test_a_logout_tries_each_token_at_a_provider_that_breaks_connections(front: Front) -> None:
    visitor = visitor_of(front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES)
    visitor.log_in()
    front.spoil("revocation", reset)
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    assert front.arrived.count("revocation") == 2


# One person's answer, and another's.

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def without_id_token(how: Spoil) -> Spoil:
    """A renewal without an ID token (Core 12.2): then nothing in it says whose it is."""

    def renewed(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        def bare() -> bytes:
            head, _, body = honest().partition(b"\r\n\r\n")
            members = json.loads(body)
            members.pop("id_token", None)
            kind = b"Content-Type: application/json\r\n"
            status = head.split(b"\r\n")[0].split(b" ", 1)[1].decode()
            return answer(json.dumps(members).encode(), status=status, headers=kind.decode())

        return how(connection, bare)

    return renewed


def two_people_whose_tokens_are_due(front: Front) -> tuple[Visitor, Visitor]:
    """Ada and Grace in two browsers, at a site where both have used the same connection."""
    app = site_behind(front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES, prepare=token_views)
    ada, grace = Visitor(app, front.provider), Visitor(app, front.provider)
    ada.log_in(person="ada")
    grace.log_in(person="grace")
    assert front.connections == 1
    for each in (ada, grace):
        age(each, left=-1)
    return ada, grace


def owner(front: Front, token: str) -> str | None:
    """Whose userinfo an access token opens at the provider."""
    got = front.provider.app.test_client().get(
        "/userinfo",
        base_url=front.provider.issuer,
        headers={"Authorization": f"Bearer {token}"},
    )
    return got.json["sub"] if got.status_code == 200 else None


def late_answer(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    """Comes when the site has given up."""
    whole = honest()
    time.sleep(1.1)
    connection.sendall(whole)
    return True


def half_an_answer(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    connection.sendall(honest()[:-20])
    return False


def as_more_than_its_length(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
    """The length is that of another, shorter answer."""
    head, _, body = honest().partition(b"\r\n\r\n")
    connection.sendall(answer(b"{}") + head + b"\r\n\r\n" + body)
    return True


@pytest.mark.parametrize(
    "how, ada_s",
    [
        (around(EARLY_HINTS, late=0.1), "ada"),
        (around(b"HTTP/1.1 102 Processing\r\n\r\n" * 3, late=0.1), "ada"),
        (around(b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY_HINTS), "ada"),
        (around(EARLY_HINTS * 2, EARLY_HINTS, late=0.1), "ada"),
        (around(after=b"HTTP/1.1 200 OK\r\n"), "ada"),
        (as_more_than_its_length, None),
        (around(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", late=0.1), None),
        (around(b"HTTP/1.1 204 No Content\r\n\r\n"), None),
        (around(chunked(body=b"2\r\n{}\r\n0\r\n\r\n")), None),
        (around(MALFORMED["Content-Length '+7'"]), None),
        (half_an_answer, None),
        (late_answer, None),
    ],
    ids=["103", "102", "100 and 103", "103 around", "a half beside", "two", "101", "204"]
    + ["in chunks and beside", "malformed", "half", "late"],
)
def test_a_renewal_brings_no_token_of_another(front: Front, how: Spoil, ada_s: str | None) -> None:
    """Each browser gets a token of its own or none, whatever the provider sent to the other."""
    ada, grace = two_people_whose_tokens_are_due(front)
    pause = set_provider_clock(ada.app)
    front.spoil(T, without_id_token(how), times=1)
    first = ada.get("/token", headers=SCRIPT)
    front.spoil(T, without_id_token(around()))
    pause.now += 5  # the pause after a failure is over
    other = grace.get("/token")
    assert (other.status_code, owner(front, other.text)) == (200, "grace")
    assert (owner(front, first.text) if first.status_code == 200 else None) == ada_s


def within_the_head(*pieces: bytes, seconds: float = 0.0) -> Spoil:
    """An answer that ends before its body begins, or does not end at all."""

    def how(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        honest()
        for piece in pieces:
            connection.sendall(piece)
        time.sleep(seconds)
        return False

    return how


OK = b"HTTP/1.1 200 OK\r\n"


def try_again_after(front: Front, how: Spoil) -> TestResponse:
    """The second try for a token, a minute after a renewal whose answer was spoilt."""
    app = site_behind(front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES, prepare=token_views)
    ada = Visitor(app, front.provider)
    ada.log_in()
    wait_less(app)
    pause = set_provider_clock(app)
    age(ada, left=-1)
    front.spoil(T, how, times=1)
    front.arrived.clear()
    assert ada.get("/token", headers=SCRIPT).status_code in (502, 503)
    pause.now += 60
    return ada.get("/token", headers=SCRIPT)


@pytest.mark.parametrize(
    "how",
    [
        half_an_answer,
        within_the_head(OK),
        within_the_head(OK, b"Content-Ty"),
        within_the_head(OK, b"Content-Type: application/json\r\n", seconds=2),
        within_the_head(OK, b"Content-Length: -5\r\n\r\n"),
        within_the_head(OK, b"Content-Encoding: gzip\r\n\r\n"),
        instead("200 OK", b"<html>", Content_Type="text/html"),
        instead("201 Created", b'{"access_token": "new"}', Content_Type="application/json"),
        instead("204 No Content"),
    ],
    ids=["half a body", "no header", "half a header", "slow", "a length", "gzip", "HTML"]
    + ["201", "204"],
)
def test_after_a_success_a_refresh_token_is_not_sent_again(front: Front, how: Spoil) -> None:
    """The provider has used it, however little of the answer arrived."""
    page = try_again_after(front, how)
    assert (page.status_code, page.json["error"]) == (401, "tokens_missing")
    assert front.arrived.count(T) == 1


@pytest.mark.parametrize(
    "how",
    [
        reset,
        within_the_head(b"HTTP/1.1 2"),
        within_the_head(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        within_the_head(seconds=2),
    ],
    ids=["reset", "half a status", "103", "slow"],
)
def test_without_an_answer_a_refresh_token_is_sent_again(front: Front, how: Spoil) -> None:
    """FAPI 2.0 Security Profile 5.3.2.1 wants the second try to work, so it may."""
    try_again_after(front, how)
    assert front.arrived.count(T) == 2


def test_an_early_hint_at_every_endpoint_does_no_harm(front: Front) -> None:
    for place in PLACES:
        front.spoil(place, around(EARLY_HINTS, late=0.05))
    visitor = visitor_of(front, PARJAR_USERINFO=True)
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert front.arrived == PLACES[U]
    assert front.connections == 1


@pytest.mark.parametrize("place", PLACES)
def test_a_malformed_answer(front: Front, place: str) -> None:
    how = around(MALFORMED["Transfer-Encoding 'gzip, chunked'"])
    assert spoilt_login(front, place, how, "provider_answer", 502)[1] < SLACK


def test_another_protocol_that_was_not_asked_for(front: Front) -> None:
    how = around(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    assert spoilt_login(front, T, how, "provider_failed", 502)[1] < SLACK


def test_threads_that_renew_at_a_provider_that_does_everything_wrong(front: Front) -> None:
    ways = itertools.cycle(
        [
            around(),
            around(EARLY_HINTS, late=0.02),
            around(after=EARLY_HINTS),
            around(EARLY_HINTS, b"HTTP/1.1 200 OK\r\n"),
            half_an_answer,
            around(b"HTTP/1.1 204 No Content\r\n\r\n"),
        ]
    )
    lock = threading.Lock()

    def wrong(connection: socket.socket, honest: Callable[[], bytes]) -> bool:
        with lock:
            how = next(ways)
        return without_id_token(how)(connection, honest)

    app = site_behind(front, PARJAR_STORE="memory", PARJAR_SCOPES=TOKEN_SCOPES, prepare=token_views)
    people = [(Visitor(app, front.provider), person) for person in ("ada", "grace") * 6]
    for visitor, person in people:
        visitor.log_in(person=person)
        age(visitor, left=-1)
    front.spoil(T, wrong)
    heard: list[tuple[str, str | None]] = []

    def renew(visitor: Visitor, person: str) -> None:
        got = visitor.get("/token", headers=SCRIPT)
        if got.status_code == 200:
            heard.append((person, owner(front, got.text)))

    with switching_often():
        at_once([partial(renew, *each) for each in people])
    assert len(heard) >= 4
    assert [pair for pair in heard if pair[0] != pair[1]] == []


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
        ("\u00b2", 1, None),  # a digit to Python, and to no one else
        ("soon", 1, None),
        ("", 1, None),
        (YEAR_2100, 1, None),
        (http_date(0), 1, None),
    ],
)
def test_a_push_with_retry_after(
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


def test_a_push_that_times_out_is_not_waited_for_by_the_next_login(front: Front) -> None:
    """Each would hold a thread of the site for the whole time-out, and anybody can begin one."""
    app = site_behind(front)
    Visitor(app, front.provider).leave()  # the documents are known
    front.arrived.clear()
    wait_less(app)
    front.spoil(P, hang_after_the_headers)
    assert_clear(app.test_client().get("/login"), "provider_timeout", 503)
    asked = len(front.arrived)
    page, seconds = timed(lambda: app.test_client().get("/login"))
    assert page.status_code == 503
    assert len(front.arrived) == asked
    assert seconds < TIMEOUT / 2
    assert 0 < int(page.headers["Retry-After"]) <= PAUSE


def test_after_the_pause_one_login_tries_whether_a_push_is_answered(front: Front) -> None:
    app = site_behind(front)
    wait_less(app)
    pause = set_provider_clock(app)
    front.spoil(P, hang_after_the_headers, times=1)
    assert_clear(app.test_client().get("/login"), "provider_timeout", 503)
    pause.now += PAUSE - 1
    assert app.test_client().get("/login").status_code == 503
    pause.now += 1
    for _ in range(2):
        assert app.test_client().get("/login").status_code == 302


def test_a_push_that_fails_at_once_makes_no_pause(front: Front) -> None:
    app = site_behind(front)
    front.spoil(P, instead("500 Oops"), times=1)
    assert [app.test_client().get("/login").status_code for _ in range(2)] == [502, 302]


# Refused for a reason that only the site's operators can mend.


def refusal(error: str, description: str = "") -> Spoil:
    body = {"error": error, "error_description": description}
    return instead(
        "400 Bad Request", json.dumps(body).encode(), Content_Type="application/json; charset=utf-8"
    )


@pytest.mark.parametrize(
    "error, description",
    [
        ("invalid_request", "DPoP proof is missing"),
        ("invalid_request", "Client Certification missing for MTLS HoK Token Binding"),
        ("invalid_scope", ""),
        ("invalid_target", ""),
        ("unsupported_grant_type", ""),
        ("an_error_of_its_own", ""),
    ],
)
def test_a_refusal_that_is_not_about_the_code(front: Front, error: str, description: str) -> None:
    """Another try does not help here, as it does where a code is too old, or was used."""
    spoilt_login(front, T, refusal(error, description), "exchange_refused", 502)


@pytest.mark.parametrize(
    "error",
    ["invalid_grant", "invalid_code", "access_denied", "interaction_required", "login_required"]
    + ["consent_required"],
)
def test_a_refusal_for_which_another_login_helps(front: Front, error: str) -> None:
    spoilt_login(front, T, refusal(error), "code_refused", 400)


@pytest.mark.parametrize("place", [P, T])
@pytest.mark.parametrize(
    "error, code, status",
    [
        ("temporarily_unavailable", "provider_busy", 503),
        ("server_error", "provider_failed", 502),
    ],
)
def test_a_refusal_for_now(front: Front, place: str, error: str, code: str, status: int) -> None:
    """Some providers say so with the status 400."""
    spoilt_login(front, place, refusal(error), code, status)


#: How a provider without request objects answers to one: it looks for the parameters in the form,
#: or takes the push for a request of a browser.
NO_REQUEST_OBJECTS = [
    refusal("invalid_request", "Redirect URI is required"),
    refusal("Redirect URI is required"),
    refusal("invalid_request", "missing the 'response_type' parameter"),
    instead("302 Found", Location="/login"),
]
UNSIGNED = re.compile(r"PARJAR_REQUEST\b")
LISTS_THEM = {
    "request_parameter_supported": True,
    "require_signed_request_object": True,
    "request_object_signing_alg_values_supported": ["ES256"],
}


@pytest.mark.parametrize("how", NO_REQUEST_OBJECTS)
def test_a_push_to_a_provider_that_may_not_take_request_objects(
    front: Front, caplog: pytest.LogCaptureFixture, how: Spoil
) -> None:
    """The log names the setting by which a push goes unsigned."""
    for member in LISTS_THEM:
        del front.provider.metadata[member]
    front.spoil(P, how)
    page, _ = log_in_at(P, visitor_of(front))
    assert page.status_code == 502
    assert UNSIGNED.search(caplog.text)


@pytest.mark.parametrize("how", NO_REQUEST_OBJECTS)
@pytest.mark.parametrize("member", LISTS_THEM)
def test_a_push_to_a_provider_that_supports_request_objects(
    front: Front, caplog: pytest.LogCaptureFixture, how: Spoil, member: str
) -> None:
    """Then the fault is another, and the log gives no advice to sign no more."""
    for each in LISTS_THEM:
        del front.provider.metadata[each]
    front.provider.metadata[member] = LISTS_THEM[member]
    front.spoil(P, how)
    page, _ = log_in_at(P, visitor_of(front))
    assert page.status_code == 502
    assert not UNSIGNED.search(caplog.text)


# The documents.


def test_documents_that_cannot_be_had_at_start(front: Front) -> None:
    """The site starts, says so for a while without asking for each visitor, and recovers."""
    front.spoil(D, reset)
    visitor = visitor_of(front)
    pause = set_provider_clock(visitor.app)
    assert visitor.get("/").text == "home"
    assert front.arrived == []
    for _ in range(20):
        assert_clear(visitor.get("/login"), "provider_unreachable", 503)
    assert 1 <= len(front.arrived) <= 2
    front.heal()
    pause.now += 2
    assert visitor.get("/login").status_code == 302
    assert visitor.log_in("/login?next=/me").location == "/me"


def test_keys_that_cannot_be_had_at_start(front: Front) -> None:
    front.spoil(J, instead("500 Oh"))
    visitor = visitor_of(front)
    pause = set_provider_clock(visitor.app)
    assert_clear(visitor.log_in(), "provider_failed", 502)
    assert visitor.get("/me").status_code == 302
    front.heal()
    pause.now += 2
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert visitor.get("/me").status_code == 200


def test_no_request_queues_behind_an_outage(front: Front, wall_clock: WallClock) -> None:
    """Who comes while an attempt is under way shares its failure, and does not start the next.

    The attempt lasts past a full second, so that the second visitor's clock shows another one.
    """
    app = site_behind(front)
    wait_less(app)
    front.spoil(D, hang_after_the_headers)
    wall_clock.turn((0.8 - time.time()) % 1)
    waits: list[float] = []

    def ask() -> None:
        page, seconds = timed(lambda: app.test_client().get("/login"))
        assert_clear(page, "provider_timeout", 503)
        waits.append(seconds)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
        time.sleep(0.04)
    for thread in threads:
        thread.join()
    assert len(waits) == len(threads)
    assert max(waits) < TIMEOUT + 0.5
    assert front.arrived == [D]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


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
        secret=new_seed(),
        state="any",
        provider="default",
        issuer=provider.client.issuer,
        redirect_uri="http://localhost/callback",
        started_at=now,
        next="/",
        scopes=provider.client.scopes,
    )
    outgoing = begin_login(provider, transaction, LoginOptions(), now=now)
    back = front.provider.sign_in(outgoing.url)
    parameters = ResponseParameters.parse(parse_qsl(urlsplit(back).query))
    response = verify_response(provider, transaction, parameters, now=now)
    return complete_login(provider, transaction, response, clock=lambda: now)


def test_the_last_good_documents_serve_for_a_day(
    front_in_time: Front, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    front, app = front_in_time, site_behind(front_in_time)
    pause = set_provider_clock(app)
    provider = provider_of(app)
    log_in_now(front, provider, clock.now)
    front.arrived.clear()
    front.spoil(D, reset)
    front.spoil(J, instead("200 OK", b"<html>"))
    for later in (700, HOUR, 23 * HOUR):
        pause.now = clock.now = NOW + later
        assert log_in_now(front, provider, clock.now).identity.subject == "ada"
    assert front.arrived.count(D) <= 3 * 2 and front.arrived.count(J) <= 3
    for document in ("metadata", "keys"):
        assert any(
            document in message and front.provider.issuer in message for message in caplog.messages
        )

    pause.now = clock.now = NOW + 25 * HOUR
    for read in (provider.metadata, provider.agreement):
        with pytest.raises(ProviderUnavailable) as caught:
            read(clock.now)
        assert caught.value.error_code == "provider_unreachable"
    front.heal()
    clock.now += 120
    pause.now += 120
    assert log_in_now(front, provider, clock.now).identity.subject == "ada"


def test_one_request_waits_for_a_renewal_and_the_others_do_not(
    front_in_time: Front, clock: Clock
) -> None:
    front = front_in_time
    app = site_behind(front)
    provider = provider_of(app)
    provider.metadata(NOW)
    wait_less(app)
    front.spoil(D, hang_after_the_headers)
    waits: list[float] = []

    def read() -> None:
        began = time.monotonic()
        provider.metadata(NOW + 700)
        waits.append(time.monotonic() - began)

    at_once([read] * 16)
    assert len([wait for wait in waits if wait < TIMEOUT / 2]) == 15
    assert max(waits) < TIMEOUT + SLACK
    assert front.arrived == [D, D]


def test_a_rotation_while_the_keys_cannot_be_had(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """The login fails and says so; as soon as the keys are back, the next one works."""
    visitor = visitor_of(front)
    pause = set_provider_clock(visitor.app)
    visitor.log_in()
    visitor.client.delete_cookie("session")
    front.provider.rotate_keys()
    front.spoil(J, reset)
    front.arrived.clear()
    assert_clear(visitor.log_in(), "token_key", 502)
    assert visitor.get("/me").status_code == 302
    assert front.arrived == [P, T, J]
    assert any(
        all(value in message for value in ("keys", front.provider.issuer, "provider_unreachable"))
        for message in caplog.messages
    )
    front.heal()
    pause.now += 2
    assert visitor.log_in("/login?next=/me").location == "/me"


@pytest.mark.parametrize("keys", [None, hang_after_the_headers])
def test_a_flood_of_unknown_kids(front: Front, keys: Spoil | None) -> None:
    """32 visitors at once, a token of an unknown key for each: one fetch in a second."""
    app = site_behind(front)
    Visitor(app, front.provider).log_in()
    visitors = [Visitor(app, front.provider) for _ in range(32)]
    backs = [visitor.come_back(visitor.leave()) for visitor in visitors]
    if keys is not None:
        front.spoil(J, keys)
    front.arrived.clear()
    callbacks = [partial(each.get, back) for each, back in zip(visitors, backs, strict=True)]
    with front.provider.fault("id_token_kid_unknown"):
        pages = at_once([partial(timed, callback) for callback in callbacks])
    for page, seconds in pages:
        assert_clear(page, "token_key", 502)
        assert seconds < (2 if keys else 1) + SLACK
    assert front.arrived.count(J) <= 2
    assert all(visitor.get("/me").status_code == 302 for visitor in visitors)
    if keys is None:
        assert Visitor(app, front.provider).log_in("/login?next=/me").location == "/me"


def test_a_flood_that_goes_on(front_in_time: Front, clock: Clock) -> None:
    """Five minutes of unknown keys, a login every five seconds: soon one fetch in 30 seconds."""
    front = front_in_time
    provider = provider_of(site_behind(front))
    log_in_now(front, provider, clock.now)
    front.arrived.clear()
    with front.provider.fault("id_token_kid_unknown"):
        for clock.now in range(NOW, NOW + 300, 5):
            with pytest.raises(TokenRejected) as caught:
                log_in_now(front, provider, clock.now)
            assert caught.value.error_code == "token_key"
    assert front.arrived.count(T) == 60
    assert front.arrived.count(J) <= 14


# Clocks that differ.

CLOCKS_DIFFER = re.compile(r"\b(\d+) s (ahead|behind)\b")


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
def test_a_clock_difference_of_half_a_minute_is_accepted(ahead: int) -> None:
    provider = provider_whose_clock_is(ahead)
    provider.clock_skew = 60  # as we are to the provider, so the provider is to us
    visitor = Visitor(make_site(provider), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"


@pytest.mark.parametrize("ahead, direction", [(600, "ahead"), (-600, "behind")])
@pytest.mark.parametrize("auth", ["private_key_jwt", "client_secret_basic"])
def test_a_clock_difference_of_ten_minutes_is_logged(
    ahead: int, direction: str, auth: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider refuses what we sign; its ``Date`` says why."""
    provider = provider_whose_clock_is(ahead)
    app = make_site(provider, PARJAR_CLIENT_AUTH=auth, PARJAR_CLIENT_SECRET="of both")
    page = app.test_client().get("/login")
    assert_clear(page, "push_refused" if "secret" in auth else "client_refused", 502)
    told = CLOCKS_DIFFER.search(caplog.text)
    assert told is not None and told[2] == direction
    assert 598 <= int(told[1]) <= 602
    assert [call.endpoint for call in provider.calls] == [D, P]
    app.debug = True
    assert CLOCKS_DIFFER.search(app.test_client().get("/login").text)


@pytest.mark.parametrize("date", ["yesterday", "Tue, 99 Foo 99999 99:99:99 GMT", ""])
def test_an_invalid_date_header_is_ignored(date: str, caplog: pytest.LogCaptureFixture) -> None:
    provider = provider_whose_clock_is(600, date=date)
    page = make_site(provider).test_client().get("/login")
    assert_clear(page, "client_refused", 502)
    assert not CLOCKS_DIFFER.search(caplog.text)


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
    assert "PARJAR_CLOCK_SKEW" in caplog.text
    assert visitor.get("/me").status_code == 302


# An issuer that is not the provider's.


@pytest.fixture
def running_provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    with provider.running():
        yield provider


def test_an_issuer_where_no_metadata_are_found(
    running_provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names what was asked for, and the key that decides it."""
    issuer = f"{running_provider.issuer}/realms/wrong"
    app = make_site(running_provider, connect=False, PARJAR_ISSUER=issuer)
    page = app.test_client().get("/login")
    assert (page.status_code, code_of(page)) == (502, "metadata_missing")
    assert f"{issuer}/.well-known/openid-configuration" in caplog.text
    assert "PARJAR_ISSUER" in caplog.text
    assert issuer not in page.text


@pytest.mark.parametrize(
    "second, code",
    [
        ((404, "text/html", b"<h1>Not found</h1>"), "metadata_missing"),
        ((421, "text/plain", b"not here"), "metadata_missing"),
        ((403, "text/html", b"<h1>Forbidden</h1>"), "provider_failed"),
        ((200, "text/html", b"<h1>An app of one page</h1>"), "provider_answer"),
        ((503, "application/json", b"{}"), "provider_busy"),
    ],
)
def test_both_urls_of_the_metadata_are_logged(
    caplog: pytest.LogCaptureFixture, second: tuple[int, str, bytes], code: str
) -> None:
    provider = DevProvider(ISSUER)
    app = make_site(provider)

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        is_first = environ["PATH_INFO"].endswith("/openid-configuration")
        status, kind, body = (404, "text/plain", b"realm unknown\n") if is_first else second
        start_response(f"{status} Some", [("Content-Type", kind), ("Retry-After", "7")])
        return [body]

    app.extensions["parjar"].providers["default"].http.mount(ISSUER, wsgi_pool(answer, ISSUER))
    page = app.test_client().get("/login")
    assert page.headers.get("Retry-After") == ("7" if code == "provider_busy" else None)
    (message,) = caplog.messages
    assert f"login failed: {code}: " in message and "PARJAR_ISSUER" in message
    assert f"{ISSUER}/.well-known/openid-configuration" in message
    assert "says 'realm unknown'" in message and "<h1>" not in message


def test_a_provider_that_says_what_it_is_called(
    running_provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses to answer to another name; the beginning of what it says is in the log."""
    issuer = running_provider.issuer.replace("127.0.0.1", "localhost")
    app = make_site(running_provider, connect=False, PARJAR_ISSUER=issuer)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        page = app.test_client().get("/login")
    assert page.status_code == 502
    assert running_provider.issuer in caplog.text
    assert "PARJAR_ISSUER" in caplog.text
    assert running_provider.issuer not in page.text
