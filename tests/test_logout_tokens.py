"""Logout tokens of the provider: proved, accepted once, and known at every process."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, render_template_string, request
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from flask_parjar import Identity, ParJar, logged_out, login_required
from flask_parjar.flows.session_registry import TRUSTED_FOR
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.support.after_login import (
    BAD_LOGOUT_TOKENS,
    copy_of,
    mint,
    set_clock,
    store_address,
    token_site,
    token_views,
)
from tests.support.clock import Clock, WallClock
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of, is_logged_in
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two, path_and_query, query

ENDPOINT = "/backchannel-logout"


@pytest.fixture
def provider() -> DevProvider:
    """One whose clock, too, is the one that a test may turn."""
    return DevProvider(ISSUER, now=lambda: time.time())


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return store_address(request.param, redis_process)


@pytest.fixture
def site(provider: DevProvider, store: str) -> Flask:
    return token_site(provider, store)


@pytest.fixture
def visitor(site: Flask, provider: DevProvider) -> Visitor:
    somebody = Visitor(site, provider)
    somebody.log_in()
    return somebody


def sid_of(visitor: Visitor) -> str:
    return str(visitor.get("/me").json["claims"]["sid"])


def tell(app: Flask, provider: DevProvider, token: str, path: str = ENDPOINT) -> TestResponse:
    """Bring a logout token, as the provider's server does: without cookies, and no browser."""
    return Visitor(app, provider).post(path, data={"logout_token": token})


def refused_token(response: TestResponse) -> str:
    """The code of a refusal, which must be as the standard wants it."""
    assert response.status_code == 400
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_type == "application/json"
    assert response.json["error"] == "invalid_request" and response.json["error_description"]
    assert "Set-Cookie" not in response.headers
    return str(response.json["code"])


def without_sid(visitor: Visitor) -> None:
    """As if the provider named no sessions."""
    with visitor.client.session_transaction() as stored:
        del stored["_parjar_user"][3]["sid"]
        stored.modified = True


# A good logout token.


def test_a_logout_token_about_a_session_ends_that_one(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other, grace = Visitor(site, provider), Visitor(site, provider)
    other.log_in()
    grace.log_in(person="grace")
    assert sid_of(visitor) != sid_of(other)
    answer = tell(site, provider, provider.logout_token(sub="ada", sid=sid_of(visitor)))
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [is_logged_in(each) for each in (visitor, other, grace)] == [False, True, True]
    assert tell(site, provider, provider.logout_token(sid=sid_of(other))).status_code == 200
    assert [is_logged_in(each) for each in (other, grace)] == [False, True]


def test_a_logout_token_about_a_person_ends_all_of_theirs(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other, nameless, grace = (Visitor(site, provider) for _ in range(3))
    other.log_in()
    nameless.log_in()
    without_sid(nameless)
    grace.log_in(person="grace")
    assert tell(site, provider, provider.logout_token(sub="ada")).status_code == 200
    everybody = (visitor, other, nameless, grace)
    assert [is_logged_in(each) for each in everybody] == [False, False, False, True]


def test_a_session_without_a_name_is_ended_by_its_person(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """A logout token with both ends the session it names, and those that no one could name."""
    nameless, other = Visitor(site, provider), Visitor(site, provider)
    nameless.log_in()
    without_sid(nameless)
    other.log_in()
    tell(site, provider, provider.logout_token(sub="ada", sid=sid_of(visitor)))
    assert [is_logged_in(each) for each in (visitor, nameless, other)] == [False, False, True]


def test_a_later_login_is_another_matter(
    visitor: Visitor, site: Flask, provider: DevProvider, wall_clock: WallClock
) -> None:
    tell(site, provider, provider.logout_token(sub="ada"))
    assert not is_logged_in(visitor)
    wall_clock.turn(1)  # a login within the second of the token would be ended with the others
    visitor.log_in()
    assert is_logged_in(visitor)
    with visitor.client.session_transaction() as stored:
        assert stored["_parjar_user"][5] >= int(time.time()) - 5


def test_ending_a_session_deletes_its_tokens(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    copy = copy_of(visitor)
    tell(site, provider, provider.logout_token(sub="ada"))
    assert visitor.get("/token").location == "/login?next=/token"
    script = copy.get("/token", headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (401, "login_required")
    with visitor.client.session_transaction() as stored:
        assert "_parjar_user" not in stored


def test_the_signal_says_who_and_which(
    visitor: Visitor, site: Flask, provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[Any, Identity]] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append((sender, identity))

    sid = sid_of(visitor)
    tokens = [provider.logout_token(sub="ada"), provider.logout_token(sid=sid)]
    with logged_out.connected_to(hear), caplog.at_level(logging.DEBUG, "flask_parjar"):
        for token in tokens:
            tell(site, provider, token)
        tell(site, provider, tokens[0])
    said = [(sender, i.subject, i.issuer, i.provider, dict(i.claims)) for sender, i in heard]
    assert said == [
        (site, "ada", ISSUER, "default", {}),
        (site, "", ISSUER, "default", {"sid": sid}),
    ]
    levels = [r.levelno for r in caplog.records if "'default'" in r.getMessage()]
    assert levels.count(logging.INFO) == 2
    assert all(token not in caplog.text and token[-20:] not in caplog.text for token in tokens)


def test_the_provider_s_own_logout_tokens(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """The whole way: somebody logs out at the provider, an administrator ends sessions."""
    browser = provider.browser()
    second = Visitor(site, provider)
    away = second.leave()
    assert second.get(path_and_query(browser.sign_in(away))).status_code == 302
    third = Visitor(site, provider)  # the same browser at another client, as it were
    assert third.get(path_and_query(browser.sign_in(third.leave()))).status_code == 302
    assert sid_of(second) == sid_of(third)
    leaving = second.post("/logout", headers=FROM_HERE).location
    assert is_logged_in(third)
    browser.sign_out(leaving)
    assert not is_logged_in(third)
    assert is_logged_in(visitor)
    provider.end_session("ada")
    assert not is_logged_in(visitor)


def test_named_providers_have_an_endpoint_each(store: str) -> None:
    app, work, home = make_site_of_two(PARJAR_STORE=store)
    at_work, at_home = Visitor(app, work), Visitor(app, home)
    at_work.log_in("/login/work")
    at_home.log_in("/login/home")
    token = work.logout_token(client_id="work", sub="ada")
    assert refused_token(tell(app, work, token, f"{ENDPOINT}/home")) in (
        "token_issuer",
        "token_key",
    )
    assert refused_token(tell(app, work, token, f"{ENDPOINT}/unknown")) == "provider_unknown"
    assert tell(app, work, token, ENDPOINT).status_code == 404
    assert is_logged_in(at_work)
    assert tell(app, work, token, f"{ENDPOINT}/work").status_code == 200
    assert [is_logged_in(each) for each in (at_work, at_home)] == [False, True]  # both are "ada"


# Its time, and that of the logins.


@pytest.fixture
def turn_the_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let it be that many seconds later than it is, by the clock on the wall."""
    real = time.time

    def turn(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return turn


@pytest.mark.parametrize("seconds", [2, 100])
def test_a_token_that_comes_late_ends_no_login_that_is_newer_than_it(
    visitor: Visitor, site: Flask, provider: DevProvider, seconds: int
) -> None:
    """The provider had it in a queue; it counts from when it was issued, by that clock."""
    token = provider.logout_token(sub="ada", claims={"iat": int(time.time()) - seconds})
    assert tell(site, provider, token).status_code == 200
    assert is_logged_in(visitor)


def test_a_token_that_comes_late_ends_what_is_older_than_it(
    visitor: Visitor, site: Flask, provider: DevProvider, turn_the_clock: Callable[[float], None]
) -> None:
    turn_the_clock(60)
    token = provider.logout_token(sub="ada")
    turn_the_clock(120)
    assert tell(site, provider, token).status_code == 200
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("behind", [-30, 30])
def test_a_provider_whose_clock_differs_ends_what_began_before_its_token(
    store: str, turn_the_clock: Callable[[float], None], behind: int
) -> None:
    provider = DevProvider(ISSUER, now=lambda: time.time() - behind)
    provider.clock_skew = 60
    visitor = Visitor(token_site(provider, store), provider)
    visitor.log_in()
    turn_the_clock(3)
    token = provider.logout_token(sub="ada")
    assert tell(visitor.app, provider, token).status_code == 200
    assert not is_logged_in(visitor)


def test_a_machine_whose_clock_is_ahead_keeps_no_later_login_out(
    visitor: Visitor, site: Flask, provider: DevProvider, turn_the_clock: Callable[[float], None]
) -> None:
    """It takes the token; for a login after that the other machines' clocks count."""
    clock = set_clock(site)
    token = provider.logout_token(sub="ada")
    turn_the_clock(150)
    assert tell(site, provider, token).status_code == 200
    turn_the_clock(3)
    assert not is_logged_in(visitor)
    visitor.log_in()
    clock.now += 5
    assert is_logged_in(visitor)


def test_a_login_in_the_second_of_a_token_that_has_come_is_newer(
    visitor: Visitor, site: Flask, provider: DevProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, real, began = set_clock(site), time.time, time.time()
    # Slowly enough that all of this lies within one second.
    monkeypatch.setattr(time, "time", lambda: int(began) + 1 + (real() - began) / 100)
    tell(site, provider, provider.logout_token(sub="ada"))
    assert not is_logged_in(visitor)
    visitor.log_in()
    assert is_logged_in(visitor)
    clock.now += 5
    assert is_logged_in(visitor)


# More than once.


@contextlib.contextmanager
def logouts_heard() -> Iterator[list[str]]:
    """Whom the site says to be logged out."""
    heard: list[str] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append(identity.subject)

    with logged_out.connected_to(hear):
        yield heard


def test_a_token_that_comes_again_is_answered_as_at_first_and_ends_nothing_more(
    visitor: Visitor, site: Flask, provider: DevProvider, turn_the_clock: Callable[[float], None]
) -> None:
    """The answer was lost on its way, so the provider sends the token once more."""
    token = provider.logout_token(sub="ada")
    with logouts_heard() as heard:
        assert tell(site, provider, token).status_code == 200
        assert not is_logged_in(visitor)
        turn_the_clock(2)
        visitor.log_in()
        assert tell(site, provider, token).status_code == 200
    assert heard == ["ada"]
    assert is_logged_in(visitor)


def test_a_token_that_comes_many_times_at_once_is_accepted_once(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        site = token_site(provider, own.url)
        Visitor(site, provider).log_in()

        def tell_at_once(tokens: list[str]) -> None:
            """Redis answers when all have asked it, and not before."""
            calls = [
                threading.Thread(target=tell, args=[site, provider, token]) for token in tokens
            ]
            own.pause()
            for call in calls:
                call.start()
            time.sleep(0.1)
            own.resume()
            for call in calls:
                call.join()

        # (So that each has a connection of its own the next time.)
        tell_at_once([provider.logout_token(sub="grace") for _ in range(6)])
        with logouts_heard() as heard:
            tell_at_once([provider.logout_token(sub="ada")] * 6)
    assert heard == ["ada"]


# Several clients.


@pytest.mark.parametrize("whom", ["sub", "sid"])
def test_a_token_for_one_client_ends_no_session_of_another(
    provider: DevProvider, store: str, whom: str
) -> None:
    """Two clients at one provider: each is told of its own sessions."""
    sections = {"shop": {"client_id": "shop"}, "office": {"client_id": "office"}}
    app = make_site(provider, PARJAR_PROVIDERS=sections, PARJAR_STORE=store)
    visitor = Visitor(app, provider)
    visitor.log_in("/login/office")
    about = {whom: "ada" if whom == "sub" else sid_of(visitor)}
    token = provider.logout_token(client_id="shop", **about)
    assert tell(app, provider, token, f"{ENDPOINT}/shop").status_code == 200
    assert is_logged_in(visitor)
    token = provider.logout_token(client_id="office", **about)
    assert tell(app, provider, token, f"{ENDPOINT}/office").status_code == 200
    assert not is_logged_in(visitor)


# Behind a server.


@pytest.fixture
def served(provider: DevProvider) -> Iterator[tuple[Visitor, str]]:
    """Somebody who is logged in at a site behind a socket, and where the site takes tokens."""
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    server = make_server("127.0.0.1", 0, visitor.app, threaded=True)
    with running(server):
        yield visitor, f"http://127.0.0.1:{server.server_port}{ENDPOINT}"


def in_chunks(url: str, pieces: Iterator[bytes]) -> requests.Response:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return requests.post(url, data=pieces, headers=form, timeout=5)


def test_a_token_in_chunks_is_accepted(served: tuple[Visitor, str], provider: DevProvider) -> None:
    """Some HTTP clients send every form so: RFC 9112 section 7.1."""
    visitor, url = served
    body = f"logout_token={provider.logout_token(sub='ada')}".encode()
    answer = in_chunks(url, iter([body[:50], body[50:]]))
    assert answer.status_code == 200
    assert not is_logged_in(visitor)


def test_chunks_that_are_no_form_hold_no_token(
    served: tuple[Visitor, str], provider: DevProvider
) -> None:
    visitor, url = served
    body = f"logout_token={provider.logout_token(sub='ada')}".encode()
    headers = {"Content-Type": "text/plain"}
    answer = requests.post(url, data=iter([body]), headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (400, "logout_token_missing")
    assert is_logged_in(visitor)


@pytest.mark.parametrize("reads_forms", [False, True])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_token_in_chunks_is_read_as_any_other_form(
    provider: DevProvider, reads_forms: bool, content_type: str
) -> None:
    """Also if the app looks into every form first."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        if reads_forms:
            app.before_request(lambda: str(request.form) and None)

    visitor = Visitor(token_site(provider, "memory", prepare=prepare), provider)
    visitor.log_in()
    answer = visitor.client.post(
        ENDPOINT,
        content_type=content_type,
        input_stream=io.BytesIO(f"logout_token={provider.logout_token(sub='ada')}".encode()),
        environ_overrides={"wsgi.input_terminated": True},
    )
    is_form = content_type != "text/plain"
    assert answer.status_code == 200 if is_form else refused_token(answer) == "logout_token_missing"
    assert is_logged_in(visitor) is not is_form


class Endless(io.RawIOBase):
    """A form that goes on for ever; counts what is read of it."""

    read_so_far = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b"x" * len(buffer)
        self.read_so_far += len(buffer)
        assert self.read_so_far < 10_000_000
        return len(buffer)


def test_of_chunks_without_end_little_is_read(visitor: Visitor) -> None:
    """A server that undoes the chunks says so in the environment."""
    endless = Endless()
    answer = visitor.client.post(
        ENDPOINT,
        content_type="application/x-www-form-urlencoded",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": endless, "wsgi.input_terminated": True},
    )
    assert refused_token(answer) == "logout_token_missing"
    assert endless.read_so_far < 1_000_000
    assert is_logged_in(visitor)


# Bad ones.


@pytest.mark.parametrize("name", BAD_LOGOUT_TOKENS)
def test_a_bad_logout_token_ends_nothing(provider: DevProvider, name: str) -> None:
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    visitor.log_in()
    answer = tell(visitor.app, provider, mint(provider, BAD_LOGOUT_TOKENS[name]))
    assert refused_token(answer) == BAD_LOGOUT_TOKENS[name].code
    assert is_logged_in(visitor)


@pytest.mark.parametrize(
    "token, code",
    [
        ("x", "token_malformed"),
        ("a.b.c", "token_malformed"),
        ("e30.e30.", "token_algorithm"),
        ("x" * 30_000, "token_malformed"),
        ("", "logout_token_missing"),
    ],
)
def test_text_that_is_no_logout_token_ends_nothing(
    provider: DevProvider, token: str, code: str
) -> None:
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    visitor.log_in()
    assert refused_token(tell(visitor.app, provider, token)) == code
    assert is_logged_in(visitor)


def test_an_id_token_is_no_logout_token(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """Nor the other way round: see the fault ``id_token_is_logout_token``."""
    id_token = visitor.get("/kept").json["id_token"]
    assert refused_token(tell(site, provider, id_token)) == "token_kind"
    assert is_logged_in(visitor)


def test_a_logout_token_of_another_provider(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """Of the same name, with keys of its own."""
    impostor = DevProvider(ISSUER)
    impostor.connect(make_site(impostor))
    code = refused_token(tell(site, provider, impostor.logout_token(sub="ada")))
    assert code in ("token_key", "token_signature")
    assert is_logged_in(visitor)


def test_a_logout_token_by_a_new_key_is_accepted(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    provider.rotate_keys()
    assert tell(site, provider, provider.logout_token(sub="ada")).status_code == 200
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("alg", ["RS256", "EdDSA"])
@pytest.mark.parametrize("names_session", [True, False])
def test_a_logout_token_has_the_algorithm_of_the_login_that_it_ends(
    visitor: Visitor, site: Flask, provider: DevProvider, alg: str, names_session: bool
) -> None:
    """The provider lists several, and has one of them registered for this client."""
    sid = sid_of(visitor) if names_session else None
    token = provider.logout_token(sub="ada", sid=sid, header={"alg": alg})
    assert refused_token(tell(site, provider, token)) == "token_algorithm"
    assert is_logged_in(visitor)
    assert tell(site, provider, provider.logout_token(sub="ada", sid=sid)).status_code == 200
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("names_session", [True, False])
def test_a_logout_token_for_one_client_ends_no_session_of_another(
    store: str, provider: DevProvider, names_session: bool
) -> None:
    """Two clients of one site, at one provider; ``aud`` says whose session it is."""
    sections = {name: {"client_id": f"client {name}"} for name in ("work", "home")}
    site = token_site(provider, store, PARJAR_PROVIDERS=sections)
    visitor = Visitor(site, provider)
    visitor.log_in("/login/home")
    names = {"sub": "ada", "sid": sid_of(visitor) if names_session else None}
    for name, remains in (("work", True), ("home", False)):
        token = provider.logout_token(client_id=f"client {name}", **names)
        assert tell(site, provider, token, f"{ENDPOINT}/{name}").status_code == 200
        assert is_logged_in(visitor) is remains


def test_invalid_logout_tokens_do_not_make_us_fetch_keys(
    site: Flask, provider: DevProvider
) -> None:
    """Anybody reaches this endpoint: an unknown key is looked for once in a while."""
    Visitor(site, provider).log_in()
    provider.calls.clear()
    for n in range(5):
        token = provider.logout_token(sub="ada", header={"kid": f"unknown {n}"})
        assert refused_token(tell(site, provider, token)) == "token_key"
    assert [call.endpoint for call in provider.calls] == ["jwks"]


def test_a_replay_ends_nothing(
    visitor: Visitor, site: Flask, provider: DevProvider, wall_clock: WallClock
) -> None:
    """It is answered as at first: nothing that the sender can do about it is wrong."""
    token = provider.logout_token(sub="grace")
    with logouts_heard() as heard:
        for _ in range(3):
            assert tell(site, provider, token).status_code == 200
        grace = Visitor(site, provider)
        wall_clock.turn(1)
        grace.log_in(person="grace")
        assert tell(site, provider, token).status_code == 200
    assert is_logged_in(grace) and is_logged_in(visitor)
    assert heard == ["grace"]


def test_a_second_token_of_the_same_name_is_no_replay(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """A provider that uses one jti again must not lose a logout by it."""
    for person in ("grace", "ada"):
        token = provider.logout_token(sub=person, claims={"jti": "one and the same"})
        assert tell(site, provider, token).status_code == 200
    assert not is_logged_in(visitor)


def test_a_refused_logout_token_is_not_remembered(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """A person who spoils a logout token on its way must not keep the honest one out."""
    claims = {"jti": "one and the same"}
    spoilt = provider.logout_token(sub="ada", claims={**claims, "aud": "another"})
    assert refused_token(tell(site, provider, spoilt)) == "token_audience"
    assert tell(site, provider, provider.logout_token(sub="ada", claims=claims)).status_code == 200
    assert not is_logged_in(visitor)


def test_an_unreadable_body(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    token = provider.logout_token(sub="ada")
    client = site.test_client()
    bodies: list[dict[str, Any]] = [
        {},
        {"data": {"other": token}},
        {"data": {"logout_token": [token, token]}},
        {"data": {"logout_token": token, "padding": "x" * 33_000}},
        {"json": {"logout_token": token}},
        {"query_string": {"logout_token": token}},
        {"data": token, "content_type": "application/logout+jwt"},
        {"data": f"logout_token={token}", "content_type": "text/plain"},
    ]
    for body in bodies:
        assert refused_token(client.post(ENDPOINT, **body)) == "logout_token_missing", body.keys()
    endless = client.post(
        ENDPOINT,
        input_stream=io.BytesIO(f"logout_token={token}".encode()),
        content_type="application/x-www-form-urlencoded",
        headers={"Transfer-Encoding": "chunked"},
    )
    assert refused_token(endless) == "logout_token_missing"
    assert is_logged_in(visitor)
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        answer = client.open(ENDPOINT, method=method, query_string={"logout_token": token})
        assert answer.status_code == 405, method
    assert is_logged_in(visitor)
    assert client.post(ENDPOINT, data={"logout_token": token}).status_code == 200
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("where", [None, "cookie"])
def test_a_store_that_cannot_keep_a_logout_token_says_so(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, where: str | None
) -> None:
    """Better than a 200 that ends nothing: the provider's log shows it."""
    visitor = Visitor(make_site(provider, PARJAR_STORE=where), provider)
    visitor.log_in()
    answer = tell(visitor.app, provider, provider.logout_token(sub="ada"))
    assert refused_token(answer) == "logout_tokens_unsupported"
    assert is_logged_in(visitor)
    assert "PARJAR_STORE" in caplog.text


def test_a_browser_s_cookies_are_not_looked_at(visitor: Visitor, provider: DevProvider) -> None:
    """A form of another site, posted by the victim's browser, is proved like any other."""
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = visitor.post(ENDPOINT, data={"logout_token": "x"}, headers=foreign)
    assert refused_token(answer) == "token_malformed"
    assert is_logged_in(visitor)


# Several processes.


def two_processes(provider: DevProvider, address: str) -> tuple[Flask, Flask]:
    key = provider.config()["PARJAR_SIGNING_KEY"]
    first, second = (
        token_site(provider, address, PARJAR_SIGNING_KEY=key, PARJAR_HTTP_TIMEOUT=1)
        for _ in range(2)
    )
    return first, second


@pytest.fixture
def redis_address(redis_process: RedisProcess) -> str:
    return store_address("redis", redis_process)


def test_a_logout_token_reaches_the_other_process(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    clock = set_clock(second)
    visitor = Visitor(second, provider)
    visitor.log_in()
    elsewhere = copy_of(visitor, first)
    assert is_logged_in(elsewhere)
    assert tell(first, provider, provider.logout_token(sub="ada")).status_code == 200
    assert not is_logged_in(copy_of(elsewhere))  # where it arrived, at once
    clock.now += 4.9
    assert is_logged_in(visitor)
    clock.now += 0.1
    assert not is_logged_in(visitor)


def test_a_logout_reaches_the_other_process(provider: DevProvider, redis_address: str) -> None:
    first, second = two_processes(provider, redis_address)
    clock = set_clock(second)
    visitor = Visitor(first, provider)
    visitor.log_in()
    thief = copy_of(visitor, second)
    assert is_logged_in(thief)
    visitor.post("/logout", headers=FROM_HERE)
    clock.now += 5
    assert not is_logged_in(thief)


def test_a_replay_at_the_other_process(provider: DevProvider, redis_address: str) -> None:
    first, second = two_processes(provider, redis_address)
    token = provider.logout_token(sub="ada")
    with logouts_heard() as heard:
        for app in (first, second):
            assert tell(app, provider, token).status_code == 200
    assert heard == ["ada"]


def test_a_process_that_started_later_knows_what_was_ended(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    visitor = Visitor(first, provider)
    visitor.log_in()
    copy = copy_of(visitor, second)
    tell(first, provider, provider.logout_token(sid=sid_of(visitor)))
    assert not is_logged_in(copy)


# While the store is away.


def test_a_logout_token_that_could_not_be_kept_may_come_again(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(token_site(provider, own.url, PARJAR_HTTP_TIMEOUT=1), provider)
        visitor.log_in()
        token = provider.logout_token(sub="ada")
        own.pause()
        answer = tell(visitor.app, provider, token)
        assert answer.status_code == 503
        assert answer.json["error"] == answer.json["code"] == "store_unreachable"
        assert answer.headers["Cache-Control"] == "no-store"
        own.resume()
        assert tell(visitor.app, provider, token).status_code == 200
        assert not is_logged_in(visitor)


def test_a_logout_token_while_the_provider_s_keys_are_unreachable(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    visitor = Visitor(first, provider)
    visitor.log_in()
    token = provider.logout_token(sub="ada")
    with provider.fault("metadata_500"):  # the second one has read nothing yet
        answer = tell(second, provider, token)
    assert (answer.status_code, answer.json["error"]) == (502, "provider_failed")
    assert is_logged_in(visitor)


def outage(app: Flask, process: RedisProcess) -> Clock:
    clock = set_clock(app)
    process.stop()
    return clock


def test_sessions_outlive_a_short_outage_and_not_a_long_one(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        app = token_site(provider, own.url)
        clock = set_clock(app)
        visitor, other = Visitor(app, provider), Visitor(app, provider)
        visitor.log_in()
        other.log_in(person="grace")
        fresh = copy_of(visitor, token_site(provider, own.url))
        own.stop()
        clock.now += 59
        assert is_logged_in(visitor)
        clock.now += 1
        for each in (visitor, fresh):  # (another process has never seen it)
            page = each.get("/me")
            assert (page.status_code, code_of(page)) == (503, "store_unreachable")
            script = each.get("/me", headers=SCRIPT)
            assert (script.status_code, script.json["error"]) == (503, "store_unreachable")
        assert visitor.get("/").text == "home"  # what is for everybody stays


GREETING = "{% if current_user %}Hello {{ current_user.name }}{% else %}Log in{% endif %}"


def pages_with_a_greeting(app: Flask, parjar: ParJar) -> None:
    @app.get("/shop")
    def shop() -> str:
        return render_template_string(GREETING)

    @app.errorhandler(404)
    def not_found(error: Exception) -> tuple[str, int]:
        return render_template_string(GREETING), 404


def test_pages_that_no_guard_protects_are_shown_while_the_store_is_away(
    provider: DevProvider, tmp_path: Path
) -> None:
    """For the while they greet no one; a guard goes on refusing, and no session is lost by it."""
    with RedisProcess(tmp_path) as own:
        key = provider.config()["PARJAR_SIGNING_KEY"]
        config = {"PARJAR_SIGNING_KEY": key, "prepare": pages_with_a_greeting}
        address = f"{own.url}?socket_timeout=0.2"
        first, second = (token_site(provider, address, **config) for _ in range(2))
        visitor = Visitor(first, provider)
        visitor.log_in()
        elsewhere = copy_of(visitor, second)  # a process that has not seen the session yet
        clock = set_clock(second)
        own.pause()
        missing = elsewhere.get("/missing")
        assert (missing.status_code, missing.text) == (404, "Log in")
        shop = elsewhere.get("/shop")
        assert (shop.status_code, shop.text) == (200, "Log in")
        page = elsewhere.get("/me")
        assert (page.status_code, code_of(page)) == (503, "store_unreachable")
        assert elsewhere.client.get_cookie("session") is not None
        own.resume()
        clock.now += TRUSTED_FOR
        assert elsewhere.get("/shop").text == "Hello Ada Lovelace"


def test_after_a_restart_every_user_logs_in_again(provider: DevProvider, tmp_path: Path) -> None:
    """An empty store knows no one: closed rather than open."""
    with RedisProcess(tmp_path) as own:
        app = token_site(provider, own.url)
        clock = set_clock(app)
        visitor = Visitor(app, provider)
        visitor.log_in()
        own.stop()
        own.start()
        clock.now += 5
        assert not is_logged_in(visitor)
        assert visitor.log_in().location == "/"
        assert is_logged_in(visitor)


# By the browser.


def front(visitor: Visitor, **asked: str) -> TestResponse:
    response = visitor.client.get("/frontchannel-logout", query_string=asked)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert f"frame-ancestors {ISSUER}" in policy and "default-src 'none'" in policy
    assert "X-Frame-Options" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"
    assert "ada" not in response.text
    return response


def test_a_browser_that_asks_ahead_of_its_user_is_not_logged_out(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    asked = {"iss": ISSUER, "sid": sid_of(visitor)}
    visitor.client.head("/frontchannel-logout", query_string=asked)
    assert is_logged_in(visitor)
    front(visitor, **asked)
    assert not is_logged_in(visitor)


def test_a_logout_works_while_redis_is_away(provider: DevProvider, tmp_path: Path) -> None:
    """By the button and by a frame, also where a guard stands before the whole app."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        app.before_request(login_required(lambda: None))

    with RedisProcess(tmp_path) as redis:
        app = token_site(provider, redis.url, prepare=prepare, PARJAR_HTTP_TIMEOUT=1)
        clock = set_clock(app)
        by_button, by_frame = Visitor(app, provider), Visitor(app, provider)
        for visitor in (by_button, by_frame):
            visitor.log_in()
        asked = {"iss": ISSUER, "sid": sid_of(by_frame)}
        redis.stop()
        clock.now += 61
        assert by_button.get("/me").status_code == 503
        left = by_button.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
        assert left.status_code == 302
        front(by_frame, **asked)
        for visitor in (by_button, by_frame):
            assert visitor.client.get_cookie("session") is None


def test_tokens_of_a_person_without_an_account_are_deleted(provider: DevProvider) -> None:
    banned: set[str] = set()

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        parjar.user_loader(lambda user: None if user.subject in banned else user)

    visitor = Visitor(token_site(provider, "cookie", prepare=prepare), provider)
    visitor.log_in()
    banned.add("ada")
    provider.calls.clear()
    visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    revoked = [call for call in provider.calls if call.endpoint == "revocation"]
    assert len(revoked) == 2
    assert visitor.client.get_cookie("session_parjar_tokens_0") is None


@pytest.mark.parametrize("where", [None, "cookie", "memory"])
def test_a_frame_of_the_provider_logs_this_browser_out(
    provider: DevProvider, where: str | None
) -> None:
    visitor = Visitor(token_site(provider, where), provider)
    visitor.log_in()
    sid = sid_of(visitor)
    heard: list[str] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append(identity.subject)

    with logged_out.connected_to(hear):
        for asked in (
            {},
            {"iss": ISSUER},
            {"sid": sid},
            {"iss": ISSUER, "sid": ""},
            {"iss": ISSUER, "sid": sid[:-1]},
            {"iss": ISSUER, "sid": f"{sid}x"},
            {"iss": "https://evil.example", "sid": sid},
            {"iss": f"{ISSUER}/", "sid": sid},
        ):
            front(visitor, **asked)
            assert is_logged_in(visitor), asked
        assert heard == []
        front(visitor, iss=ISSUER, sid=sid)
        assert not is_logged_in(visitor)
        front(visitor, iss=ISSUER, sid=sid)
    assert heard == ["ada"]


def test_a_session_that_has_no_name_is_not_ended_by_a_frame(visitor: Visitor) -> None:
    without_sid(visitor)
    for asked in ({"iss": ISSUER}, {"iss": ISSUER, "sid": ""}, {"iss": ISSUER, "sid": "None"}):
        front(visitor, **asked)
        assert is_logged_in(visitor)


def test_a_copy_is_dead_after_a_frame(visitor: Visitor) -> None:
    copy = copy_of(visitor)
    front(visitor, iss=ISSUER, sid=sid_of(visitor))
    assert not is_logged_in(copy)


def test_the_frames_of_the_provider_s_page(provider: DevProvider) -> None:
    """For a site that has nowhere to keep a logout token of the other kind."""
    visitor, browser = Visitor(make_site(provider), provider), provider.browser()
    visitor.get(path_and_query(browser.sign_in(visitor.leave())))
    sid = sid_of(visitor)
    browser.sign_out(f"{ISSUER}/end-session")
    assert is_logged_in(visitor)
    (frame,) = browser.frames
    assert query(frame) == {"iss": [ISSUER], "sid": [sid]}
    assert visitor.get(path_and_query(frame)).status_code == 200
    assert not is_logged_in(visitor)


def test_a_frame_of_a_named_provider(store: str) -> None:
    work = DevProvider("https://work.example:8443/tenant")
    sections = {"work": {"issuer": work.issuer}, "home": {"issuer": "https://home.example"}}
    app = make_site(
        work, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections, PARJAR_STORE=store
    )
    work.connect(app)
    visitor = Visitor(app, work)
    visitor.log_in("/login/work")
    asked = {"iss": work.issuer, "sid": sid_of(visitor)}
    other = visitor.client.get("/frontchannel-logout/home", query_string=asked)
    assert "frame-ancestors https://home.example" in other.headers["Content-Security-Policy"]
    assert is_logged_in(visitor)
    assert visitor.client.get("/frontchannel-logout/x", query_string=asked).status_code == 404
    answer = visitor.client.get("/frontchannel-logout/work", query_string=asked)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "frame-ancestors https://work.example:8443" in policy
    assert not is_logged_in(visitor)


# What ends a session besides.


def test_a_copied_cookie_is_dead_after_the_logout(visitor: Visitor) -> None:
    copy, other = copy_of(visitor), Visitor(visitor.app, visitor.provider)
    other.log_in()
    assert is_logged_in(copy)
    visitor.post("/logout", headers=FROM_HERE)
    assert not is_logged_in(copy)
    assert copy.get("/token").status_code == 302
    assert is_logged_in(other)  # the same person's other session


def test_memory_is_refused_where_there_are_several_processes(provider: DevProvider) -> None:
    several = {"wsgi.multiprocess": True}
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    back = visitor.come_back(visitor.leave())
    page = visitor.get(back, environ_overrides=several)
    assert (page.status_code, code_of(page)) == (500, "store_unshared")
    assert not is_logged_in(visitor)
    form = {"logout_token": provider.logout_token(sub="ada")}
    answer = visitor.post(ENDPOINT, data=form, environ_overrides=several)
    assert (answer.status_code, answer.json["error"]) == (500, "store_unshared")
    visitor.log_in()
    assert is_logged_in(visitor)


def test_other_stores_serve_several_processes(provider: DevProvider, redis_address: str) -> None:
    for where in (None, "cookie", redis_address):
        visitor = Visitor(make_site(provider, PARJAR_STORE=where), provider)
        back = visitor.come_back(visitor.leave())
        answer = visitor.get(back, environ_overrides={"wsgi.multiprocess": True})
        assert answer.location == "/"
