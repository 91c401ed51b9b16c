"""What a hostile reading of the Flask half found: each finding stays here as a test."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest
from flask import Flask, Response, abort, redirect, request, session
from werkzeug.test import EnvironBuilder

from flask_parjar import (
    ConfigError,
    Identity,
    ParJar,
    ProviderUnavailable,
    current_user,
    logged_in,
    login_required,
    login_started,
    provider_called,
)
from flask_parjar.provider.documents import Document
from flask_parjar.slips import sign_slip
from flask_parjar.testing import DevProvider
from tests.site import ISSUER, Visitor, make_site, query


def test_an_environ_handed_to_another_app_carries_no_identity(provider: DevProvider) -> None:
    """Apps that share a WSGI environ do not share who is logged in."""
    other = make_site(DevProvider("https://other.example"), SESSION_COOKIE_NAME="other")

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/elsewhere")
        @login_required
        def elsewhere() -> Response:
            environ = {**request.environ, "PATH_INFO": "/me"}
            return Response.from_app(other.wsgi_app, environ)  # type: ignore[return-value]

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/elsewhere").status_code == 302


def test_the_end_of_a_session_is_seen_in_the_same_request(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/clear")
        def clear() -> str:
            before = bool(current_user)
            session.clear()
            return f"{before} {bool(current_user)}"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/clear").text == "True False"


def test_a_lost_step_up_is_not_begun_again_without_its_wishes(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        def strong() -> Any:
            return parjar.login(prompt="login", acr_values=["mfa"], essential_acr=True, next="/me")

        @app.get("/plain")
        def plain() -> Any:
            return parjar.login(next="/me")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    back = visitor.come_back(visitor.leave("/strong"))
    visitor.client.delete_cookie("session")
    page = visitor.get(back)
    assert (page.status_code, "login_lost" in page.text) == (400, True)
    back = visitor.come_back(visitor.leave("/plain"))
    visitor.client.delete_cookie("session")
    assert visitor.get(back).location.startswith(ISSUER)


@pytest.mark.parametrize(
    "asked",
    [
        "/me?q=m%C3%BCller",
        "/caf%C3%A9",
        "/me?q=a%7Cb",
        "/me?q=%22a%22",
        "/me?f=%7B1%7D",
        "/50%25",
        "/a%2520b",
        "/me?next=https://elsewhere.example/",
    ],
)
def test_every_page_of_the_site_is_found_again(provider: DevProvider, asked: str) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/<path:anything>")
        @login_required
        def page(anything: str) -> str:
            return anything

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    to_login = visitor.get(asked).location
    assert visitor.log_in(to_login).location == asked


@pytest.mark.parametrize("wanted", ["/login-history", "/logins", "/logout-policy", "/callbacks"])
def test_pages_with_names_like_ours_are_pages(visitor: Visitor, wanted: str) -> None:
    assert visitor.log_in(f"/login?next={wanted}").location == wanted


@pytest.mark.parametrize("ours", ["/login", "/%6cogin", "/login/x", "/logout", "/callback?x=1"])
def test_our_own_routes_are_no_place_to_land(visitor: Visitor, ours: str) -> None:
    assert visitor.log_in(f"/login?next={ours}").location == "/"


@pytest.mark.parametrize("length", [str(200 * 2**20), None])
def test_logout_reads_no_large_body(visitor: Visitor, length: str | None) -> None:
    class Endless:
        taken = 0

        def read(self, size: int = -1) -> bytes:
            Endless.taken += max(size, 0)
            return b"x" * max(size, 0)

        readline = read

    environ = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": Endless(),
        "HTTP_SEC_FETCH_SITE": "same-origin",
    }
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        environ["wsgi.input_terminated"] = True
    else:
        environ["CONTENT_LENGTH"] = length
    response = visitor.client.post("/logout", environ_overrides=environ)
    assert (response.status_code, response.location) == (302, "/")
    assert Endless.taken < 2**20


def test_head_and_prefetch_push_nothing_from_a_view_of_one_s_own(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/special")(lambda: parjar.login())

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.client.head("/special")
    visitor.get("/special", headers={"Sec-Purpose": "prefetch"})
    assert provider.calls == []
    response = visitor.get("/special")
    assert (response.status_code, response.headers["Cache-Control"]) == (302, "no-store")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Mode": "cors"},
        {"Accept": "application/json"},
    ],
)
def test_only_a_navigation_begins_a_login(
    visitor: Visitor, provider: DevProvider, headers: dict[str, str]
) -> None:
    response = visitor.get("/login?next=/me", headers=headers)
    assert (response.status_code, response.json["login_url"]) == (401, "/login?next=/me")
    assert provider.calls == []


def test_a_user_loader_may_look_at_the_current_user(provider: DevProvider) -> None:
    calls = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.user_loader
        def load(identity: Identity) -> str:
            calls.append(current_user.subject)
            return identity.subject

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    calls.clear()
    assert visitor.get("/me").status_code == 200
    assert calls == ["ada"]


def test_a_user_loader_that_fails_lets_nobody_in(provider: DevProvider) -> None:
    broken = threading.Event()

    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.user_loader
        def load(identity: Identity) -> str:
            if broken.is_set():
                raise LookupError("no database")
            return "user"

        @app.get("/twice")
        def twice() -> str:
            for _ in range(2):
                with pytest.raises(LookupError):
                    _ = current_user.subject
            return "failed twice"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    broken.set()
    assert visitor.get("/me").status_code == 500
    assert visitor.get("/twice").text == "failed twice"


def test_a_logged_in_receiver_may_refuse(site: Flask, visitor: Visitor) -> None:
    def refuse(sender: Any, **said: Any) -> None:
        abort(403)

    with logged_in.connected_to(refuse):
        assert visitor.log_in().status_code == 403
    assert visitor.get("/me").status_code == 302


def test_a_receiver_that_observes_stops_nobody(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: Any, **said: Any) -> None:
        raise OSError("the metrics are full")

    with provider_called.connected_to(fail), login_started.connected_to(fail):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert "a receiver of the signal provider-called failed" in caplog.text


def test_a_whole_app_behind_a_guard_can_still_log_in(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.before_request(login_required(lambda: None))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/.well-known/jwks.json").status_code == 200
    assert visitor.get("/").location == "/login?next=/"
    assert visitor.log_in("/login?next=/").location == "/"
    assert visitor.get("/").text == "home"


def test_strict_templates(visitor: Visitor) -> None:
    from jinja2 import StrictUndefined

    visitor.app.jinja_env.undefined = StrictUndefined
    assert visitor.get("/callback").status_code == 400


@pytest.mark.parametrize("host", ["[evil", "ex:99999", "ex:abc", "a b", ""])
def test_a_host_that_is_none(site: Flask, provider: DevProvider, host: str) -> None:
    for path in ("/login", "/me", "/logout", "/callback"):
        assert status_at(site, path, HTTP_HOST=host) < 500
    referrer = f"http://{host}/x"
    assert status_at(site, "/save", "POST", HTTP_HOST=host, HTTP_REFERER=referrer) < 500
    assert status_at(site, "/logout", "POST", HTTP_HOST=host, HTTP_ORIGIN=referrer) < 500
    assert "pushed_authorization_request" not in {call.endpoint for call in provider.calls}


def status_at(app: Flask, path: str, method: str = "GET", **environ: str) -> int:
    """The status of one request, without Werkzeug's client, which reads the Host itself."""
    answers: list[str] = []
    made = EnvironBuilder(path=path, method=method).get_environ()
    body = app.wsgi_app(
        {**made, **environ}, lambda status, headers, exc=None: answers.append(status)
    )
    assert b"".join(body) is not None
    return int(answers[0].split()[0])


def test_a_mounted_app_stays_inside_itself(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_AFTER_LOGIN="/home", PARJAR_AFTER_LOGOUT="/bye")
    provider.connect(app, base_urls=["http://localhost/app"])
    visitor = Visitor(app, provider, base_url="http://localhost/app")
    response = visitor.get("/login")
    back = provider.sign_in(response.location)
    assert visitor.get(back.partition("/app")[2]).location == "/app/home"
    assert visitor.get("/me").status_code == 200
    out = visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert query(out.location)["post_logout_redirect_uri"] == ["http://localhost/app/bye"]
    assert 'href="/app/bye"' in visitor.get("/callback").text
    assert visitor.get("/me").location == "/app/login?next=/app/me"


def test_a_back_channel_error_is_not_for_visitors(visitor: Visitor, provider: DevProvider) -> None:
    with provider.fault("par_error_invalid_client"):
        page = visitor.get("/login")
    assert "client_refused" in page.text and "invalid_client" not in page.text
    visitor.app.debug = True
    with provider.fault("par_error_invalid_client"):
        assert "invalid_client" in visitor.get("/login").text


def test_one_string_is_no_list_of_former_keys(provider: DevProvider) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY_FALLBACKS is one string"):
        make_site(provider, SECRET_KEY_FALLBACKS="old")


@pytest.mark.parametrize(
    "slip", [1, [], None, "text", ["a", "b", "c"], ["a", "default", "https://evil.example/", True]]
)
def test_a_slip_of_another_shape_is_not_ours(
    site: Flask, visitor: Visitor, provider: DevProvider, slip: Any
) -> None:
    with site.app_context():
        state = sign_slip(slip, purpose="state")
    page = visitor.client.get("/callback", query_string={"state": state, "code": "x"})
    assert (page.status_code, "state_forged" in page.text) == (400, True)


def test_the_claims_of_a_request_are_its_own(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/change")
        def change() -> str:
            current_user.claims["org"] = "acme"  # type: ignore[index]
            session["touched"] = True
            return "changed"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    visitor.get("/change")
    assert visitor.get("/acme").status_code == 403


def test_host_matching_is_refused_with_words(provider: DevProvider) -> None:
    app = Flask(__name__, host_matching=True, static_host="x")
    app.config.update(SECRET_KEY="s", **provider.config())
    with pytest.raises(RuntimeError, match="host_matching"):
        ParJar(app)


@pytest.mark.parametrize("prefix", ["/a?x=1", "/a#b", "/a%20b", "/", "a"])
def test_a_prefix_that_no_route_can_have(provider: DevProvider, prefix: str) -> None:
    with pytest.raises(ConfigError, match="PARJAR_URL_PREFIX"):
        make_site(provider, PARJAR_URL_PREFIX=prefix)


def test_pages_made_for_somebody_are_kept_by_nobody(visitor: Visitor) -> None:
    assert "Cache-Control" not in visitor.get("/").headers
    visitor.log_in()
    assert visitor.get("/me").headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in visitor.get("/me").headers["Vary"]


def test_a_page_that_says_itself_who_may_keep_it(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/cached")
        @login_required
        def cached() -> Response:
            return Response("x", headers={"Cache-Control": "private, max-age=5"})

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/cached").headers["Cache-Control"] == "private, max-age=5"


def test_an_error_handler_that_says_no_status(provider: DevProvider) -> None:
    answers: list[Any] = ["text", {"json": 1}, ("text", 418), redirect("/")]

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.error_handler(lambda error: answers[0])

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    for status in (400, 400, 418, 302):
        assert visitor.get("/callback").status_code == status
        answers.pop(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_worker_forked_in_mid_fetch_fetches_itself() -> None:
    started = threading.Event()

    def fetch(now: int) -> tuple[str, int]:
        started.set()
        time.sleep(0.5)
        return "value", 60

    document = Document(fetch)
    thread = threading.Thread(target=document.get, args=(1,))
    thread.start()
    started.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if document.get(1) == "value" else 1)
    deadline = time.monotonic() + 5
    done = (0, 0)
    while done == (0, 0) and time.monotonic() < deadline:
        done = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    thread.join()
    assert done == (child, 0)


def test_one_time_out_for_all_the_addresses_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with four addresses that swallow packets costs one time-out, and not four."""
    import socket

    from flask_parjar.provider import Http

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        one = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [one] * 4)  # the resolver
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable) as caught:
            Http(timeout=1).send("GET", f"http://op.example:{port}/")
        took = time.monotonic() - began
        for each in waiting:
            each.close()
    assert caught.value.code == "provider_timeout"
    assert 0.9 < took < 2
