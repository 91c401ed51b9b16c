"""Calls to an API in somebody's name: where the token goes, and what the API may ask for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

from flask_parjar import ParJar
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.after_login import SCRIPT, age, code_of, renewals, token_site, token_views
from tests.site import Visitor

WANTS_MFA = (
    'Bearer error="insufficient_user_authentication", '
    'error_description="A different authentication level is required", acr_values="mfa phr"'
)
WANTS_FRESH = 'Bearer error="insufficient_user_authentication", max_age="0"'


class Api:
    """An API behind a socket of its own, which is satisfied with a token that it has not refused.

    ``seen`` are the Authorization headers that came, in order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.forget()
        self.app = Flask("api")
        self.app.before_request(self._note)
        for name, view in {
            "hello": self.hello,
            "strong": lambda: self._challenge(WANTS_MFA),
            "fresh": lambda: self._challenge(WANTS_FRESH),
            "expired": self.expired,
            "moved": lambda: redirect("/v1/hello"),
            "moved-strong": lambda: redirect("/v1/strong"),
            "away": lambda: redirect(self.elsewhere),
            "slow": self.slow,
        }.items():
            self.app.add_url_rule(f"/v1/{name}", name, view, methods=["GET", "POST"])

    def forget(self) -> None:
        """Be as new."""
        self.seen: list[str | None] = []
        self.satisfiable = True
        self.elsewhere = ""
        self._refused: set[str | None] = set()

    def hello(self) -> Response:
        return jsonify(method=request.method, body=request.get_data(as_text=True))

    def expired(self) -> Response:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return Response("expired", status=401, headers=headers)

    def _note(self) -> None:
        self.seen.append(request.headers.get("Authorization"))

    def _challenge(self, header: str) -> Any:
        token = request.headers.get("Authorization")
        if self.satisfiable and self._refused and token not in self._refused:
            return "satisfied"
        self._refused.add(token)
        return Response("no", status=401, headers={"WWW-Authenticate": header})

    def slow(self) -> str:
        time.sleep(1.5)
        return "at last"


@pytest.fixture(scope="module")
def two_apis() -> Iterator[list[Api]]:
    """Two that run, each at a port of its own."""
    apis = [Api(), Api()]
    servers = [make_server("127.0.0.1", 0, each.app, threaded=True) for each in apis]
    with running(servers[0]), running(servers[1]):
        for each, server in zip(apis, servers, strict=True):
            each.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield apis


@pytest.fixture
def api(two_apis: list[Api]) -> Api:
    two_apis[0].forget()
    return two_apis[0]


@pytest.fixture
def other_api(two_apis: list[Api]) -> Api:
    two_apis[1].forget()
    return two_apis[1]


@pytest.fixture
def visitor(provider: DevProvider, api: Api) -> Visitor:
    """Somebody at a site that calls the API; it calls what the query says."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)

        @app.route("/call", methods=["GET", "POST"])
        def call() -> Any:
            options = json.loads(request.args.get("options", "{}"))
            path = request.args["path"]
            with parjar.api(request.args.get("base", api.url)) as session:
                answer = session.request(request.args.get("method", "GET"), path, **options)
            kind = answer.headers["Content-Type"]
            return Response(answer.text, status=answer.status_code, content_type=kind)

    app = token_site(provider, "memory", prepare=prepare, PARJAR_HTTP_TIMEOUT=1)
    somebody = Visitor(app, provider)
    somebody.log_in()
    return somebody


def call(visitor: Visitor, path: str, **query: str) -> Any:
    return visitor.client.get("/call", query_string={"path": path, **query})


def bearer(visitor: Visitor) -> str:
    return f"Bearer {visitor.get('/token').text}"


@pytest.mark.parametrize("path", ["hello", "/v1/hello", "moved", "../v1/hello", "hello?a=b"])
def test_the_token_goes_along(visitor: Visitor, api: Api, path: str) -> None:
    answer = call(visitor, path)
    assert (answer.status_code, answer.json["method"]) == (200, "GET")
    assert {*api.seen} == {bearer(visitor)}


def test_it_is_a_session_as_requests_has_it(visitor: Visitor, api: Api) -> None:
    answer = call(visitor, "hello", method="POST", options='{"json": {"a": 1}}')
    assert answer.json == {"method": "POST", "body": '{"a": 1}'}
    mine = '{"headers": {"Authorization": "Basic eDp5", "X-Mine": "1"}}'
    assert call(visitor, "hello", options=mine).status_code == 200
    assert {*api.seen} == {bearer(visitor)}


def test_a_token_that_is_due_is_renewed_first(
    visitor: Visitor, api: Api, provider: DevProvider
) -> None:
    before = bearer(visitor)
    age(visitor, left=-1)
    assert call(visitor, "moved").status_code == 200
    assert {*api.seen} == {bearer(visitor)} != {before}
    assert renewals(provider) == 1


def test_no_other_origin_is_given_the_token(visitor: Visitor, api: Api, other_api: Api) -> None:
    there = other_api.url
    api.elsewhere = f"{there}/hello"
    for path in ("away", f"{there}/hello", f"//{there.partition('//')[2]}/hello"):
        assert call(visitor, path).status_code == 200
    assert other_api.seen == [None, None, None]
    # And back from there it is put on again.
    other_api.elsewhere = f"{api.url}/hello"
    api.seen.clear()
    call(visitor, f"{there}/away")
    assert api.seen == [bearer(visitor)] and other_api.seen[-1] is None


@pytest.mark.parametrize("trick", ["{base}@{other}/v1/hello", "http://{other}/{base}/hello"])
def test_an_address_that_only_begins_alike_is_another(
    visitor: Visitor, api: Api, other_api: Api, trick: str
) -> None:
    other = other_api.url.split("/")[2]
    base = "http://127.0.0.1:1" if "@" in trick else api.url
    call(visitor, trick.format(base=base, other=other))
    (seen,) = other_api.seen
    assert seen is None or seen.startswith("Basic ")  # (what the address itself says)


@pytest.mark.parametrize(
    "base",
    [
        "http://api.example",
        "http://10.0.0.1/v1",
        "http://localhost.evil.example",
        "http://0.0.0.0:1",
        "ftp://api.example",
        "/v1",
        "",
        "api.example/v1",
    ],
)
def test_a_token_does_not_travel_in_clear_text(visitor: Visitor, base: str) -> None:
    visitor.app.testing = True
    with pytest.raises(ValueError):
        call(visitor, "hello", base=base)


def test_where_plain_http_was_allowed(provider: DevProvider, visitor: Visitor) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/base")(lambda: parjar.api("http://api.internal/v1").base_url)

    app = token_site(provider, "memory", prepare=prepare, PARJAR_INSECURE_HTTP=True)
    somebody = Visitor(app, provider)
    somebody.log_in()
    assert somebody.get("/base").text == "http://api.internal/v1"


def test_nobody_calls_nothing(visitor: Visitor, provider: DevProvider, api: Api) -> None:
    nobody = Visitor(visitor.app, provider)
    page = nobody.get("/call?path=hello")
    assert (page.status_code, page.location) == (302, "/login?next=/call?path%3Dhello")
    assert api.seen == []


def test_a_call_ends(visitor: Visitor) -> None:
    visitor.app.testing = True
    with pytest.raises(requests.Timeout):
        call(visitor, "slow")
    assert call(visitor, "slow", options='{"timeout": 5}').text == "at last"


def test_an_answer_that_is_none_of_ours_is_the_app_s(visitor: Visitor) -> None:
    answer = call(visitor, "expired")
    assert (answer.status_code, answer.text) == (401, "expired")
    assert call(visitor, "nothing-there").status_code == 404


# Step-up (RFC 9470).


@pytest.mark.parametrize("path", ["strong", "moved-strong"])
def test_an_api_that_wants_a_stronger_login_gets_it(visitor: Visitor, path: str) -> None:
    asked = visitor.get(f"/call?path={path}&x=1")
    assert asked.status_code == 302
    assert asked.location.startswith(f"/login?next=/call?path%3D{path}%26x%3D1&step_up=")
    assert visitor.get("/me").json["claims"]["acr"] == "pwd"
    back = visitor.log_in(asked.location)
    assert back.location == f"/call?path={path}&x=1"
    assert visitor.get("/me").json["claims"]["acr"] == "mfa"
    assert visitor.get(back.location).text == "satisfied"


def test_an_api_that_wants_a_fresher_login_gets_it(visitor: Visitor) -> None:
    asked = visitor.get("/call?path=fresh")
    assert visitor.get(visitor.log_in(asked.location).location).text == "satisfied"


def test_a_script_is_told_where(visitor: Visitor, api: Api) -> None:
    answer = visitor.get(
        "/call?path=strong", headers={**SCRIPT, "Referer": "http://localhost/page?a=b"}
    )
    assert (answer.status_code, answer.json["error"]) == (401, "step_up_required")
    assert answer.json["login_url"].startswith("/login?next=/page?a%3Db&step_up=")
    assert visitor.log_in(answer.json["login_url"]).location == "/page?a=b"
    assert call(visitor, "strong").text == "satisfied"


def test_an_api_that_is_never_satisfied(visitor: Visitor, api: Api) -> None:
    """One login, and then a page that says so; a minute later it may be tried again."""
    api.satisfiable = False
    asked = visitor.get("/call?path=strong")
    back = visitor.log_in(asked.location)
    for _ in range(3):
        page = visitor.get(back.location)
        assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    script = visitor.get(back.location, headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (403, "step_up_failed")
    # What the API wants besides is another wish.
    assert visitor.get("/call?path=fresh").status_code == 302
    visitor.log_in(asked.location)
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][5] -= 61
        for entry in stored["_parjar_step_up"]:
            entry[1] -= 61
        stored.modified = True
    assert visitor.get(back.location).status_code == 302


def test_the_challenge_of_another_origin_is_its_own_affair(
    visitor: Visitor, other_api: Api
) -> None:
    answer = call(visitor, f"{other_api.url}/strong")
    assert (answer.status_code, answer.text) == (401, "no")
