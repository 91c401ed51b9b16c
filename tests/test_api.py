"""Calls to an API in somebody's name: where the token goes, and what the API may ask for."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

from flask_parjar import ParJar, login_started
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.support.after_login import age, copy_of, renewals, token_site, token_views
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of
from tests.support.raw_server import answer, raw_server, read_request
from tests.support.site import Visitor
from tests.support.threads import switching_often

WANTS_MFA = (
    'Bearer error="insufficient_user_authentication", '
    'error_description="A different authentication level is required", acr_values="mfa phr"'
)
WANTED_CLAIMS = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
WANTS_FRESH = 'Bearer error="insufficient_user_authentication", max_age="0"'
WANTS_NOTHING = 'Basic realm="as in: x, Bearer error=insufficient_user_authentication"'


def wants_claims(claims: object) -> str:
    """The challenge of Microsoft Entra ID."""
    text = base64.b64encode(json.dumps(claims).encode()).decode()
    return f'Bearer realm="", error="insufficient_claims", claims="{text}"'


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
            "claims": lambda: self._challenge(wants_claims(self.claims)),
            "restless": self.restless,
            "restless-claims": self.restless_claims,
            "quoted": lambda: self._challenge(WANTS_NOTHING),
            "expired": self.expired,
            "revoked": self.revoked,
            "locked": lambda: Response("locked", status=401),
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
        self.claims: object = WANTED_CLAIMS
        self.elsewhere = ""
        self.wants = 1000
        #: Done once, while a call waits.
        self.meanwhile: Callable[[], object] | None = None
        self._refused: set[str | None] = set()

    def hello(self) -> Response:
        return jsonify(method=request.method, body=request.get_data(as_text=True))

    def expired(self) -> Response:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return Response("expired", status=401, headers=headers)

    def revoked(self) -> Response:
        """Refuse the first token that comes, and no other."""
        token = request.headers.get("Authorization")
        if not self._refused:
            self._refused.add(token)
        return self.expired() if token in self._refused else self.hello()

    def _note(self) -> None:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        self.seen.append(request.headers.get("Authorization"))

    def _challenge(self, header: str) -> Any:
        token = request.headers.get("Authorization")
        if self.satisfiable and self._refused and token not in self._refused:
            return "satisfied"
        self._refused.add(token)
        return Response("no", status=401, headers={"WWW-Authenticate": header})

    def restless(self) -> Any:
        """Each time it wants something else, so many times."""
        if len(self.seen) > self.wants:
            return "satisfied"
        self.satisfiable = False
        max_age = 300 - len(self.seen)
        return self._challenge(
            f'Bearer error="insufficient_user_authentication", max_age="{max_age}"'
        )

    def restless_claims(self) -> Any:
        """Each time it wants other claims."""
        self.satisfiable = False
        nbf = {"essential": True, "value": str(len(self.seen))}
        return self._challenge(wants_claims({"access_token": {"nbf": nbf}}))

    def slow(self) -> str:
        time.sleep(0.5)
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


def api_views(api: Api) -> Callable[[Flask, ParJar], None]:
    """The views of a site that calls the API; it calls what the query says."""

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

    return prepare


@pytest.fixture
def visitor(provider: DevProvider, api: Api) -> Visitor:
    """Somebody who is logged in at that site."""
    app = token_site(provider, "memory", prepare=api_views(api))
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
    for path in ("away", f"{there}/hello"):
        assert call(visitor, path).status_code == 200
    assert other_api.seen == [None, None]


@pytest.mark.parametrize("way", ["the API sends away", "the call goes elsewhere"])
def test_a_redirect_of_another_origin_chooses_no_call_with_the_token(
    visitor: Visitor, api: Api, other_api: Api, way: str
) -> None:
    """An open redirect of the API leads anywhere, and from there back to any of its addresses."""
    api.elsewhere = f"{other_api.url}/away"
    other_api.elsewhere = f"{api.url}/hello"
    call(visitor, "away" if way == "the API sends away" else f"{other_api.url}/away")
    assert other_api.seen == [None]
    assert api.seen[-1] is None
    api.seen.clear()
    assert call(visitor, "hello").status_code == 200
    assert api.seen == [bearer(visitor)]  # the next call of the site is its own again


@pytest.mark.parametrize(
    "path",
    [
        "../hello",
        "../../admin/delete?x=",
        "ada/../../hello",
        "%2e%2e/hello",
        "../usersx",
        "/admin",
        "/v1/hello",
        "//{other}/v1/hello",
    ],
)
def test_a_relative_url_does_not_leave_the_address_of_the_api(
    visitor: Visitor, api: Api, other_api: Api, path: str
) -> None:
    """It may contain untrusted text."""
    visitor.app.testing = True
    written = path.format(other=other_api.url.split("/")[2])
    with pytest.raises(ValueError):
        call(visitor, written, base=f"{api.url}/users")
    assert (api.seen, other_api.seen) == ([], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_stands_before_an_api_on_this_machine(
    visitor: Visitor, api: Api, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Plain http is allowed there because the token does not leave the machine."""
    arrived: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        arrived.append(read_request(connection).partition(b"\r\n")[0])
        connection.sendall(answer(b"{}", headers="Content-Type: application/json\r\n"))

    with raw_server(proxy) as server:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, server.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        call(visitor, "hello", base=api.url.replace("127.0.0.1", host))
    assert arrived == []
    assert api.seen == [bearer(visitor)]


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


def test_without_a_login_no_api_is_called(
    visitor: Visitor, provider: DevProvider, api: Api
) -> None:
    anonymous = Visitor(visitor.app, provider)
    page = anonymous.get("/call?path=hello")
    assert (page.status_code, page.location) == (302, "/login?next=/call?path%3Dhello")
    assert api.seen == []


def test_a_call_ends(visitor: Visitor) -> None:
    visitor.app.testing = True
    (provider,) = visitor.app.extensions["parjar"].providers.values()
    provider.http.timeout = 0.2  # less than PARJAR_HTTP_TIMEOUT can be
    with pytest.raises(requests.Timeout):
        call(visitor, "slow")
    assert call(visitor, "slow", options='{"timeout": 5}').text == "at last"


def test_other_answers_of_an_api_are_left_to_the_view(visitor: Visitor) -> None:
    answer = call(visitor, "expired")
    assert (answer.status_code, answer.text) == (401, "expired")
    assert call(visitor, "nothing-there").status_code == 404


# A token that the API has done with (RFC 6750 section 3.1).


@pytest.mark.parametrize("options", ["{}", '{"json": {"a": 1}}'])
@pytest.mark.parametrize("ends", [True, False])
def test_a_token_that_the_api_calls_invalid_is_renewed_and_sent_once_more(
    visitor: Visitor, api: Api, provider: DevProvider, ends: bool, options: str
) -> None:
    if not ends:  # a provider that does not say when its tokens end
        with provider.fault("token_expires_in_missing"):
            visitor.log_in()
    before = bearer(visitor)
    answer = call(visitor, "revoked", method="POST", options=options)
    assert (answer.status_code, renewals(provider)) == (200, 1)
    assert api.seen == [before, bearer(visitor)]
    assert answer.json["body"] == ('{"a": 1}' if "json" in options else "")


def test_many_calls_with_one_token_that_is_invalid_renew_it_once(
    api: Api, provider: DevProvider
) -> None:
    app = token_site(provider, "memory", prepare=api_views(api), PARJAR_HTTP_TIMEOUT=20)
    visitor = Visitor(app, provider)
    visitor.log_in()
    before = bearer(visitor)
    browsers = [copy_of(visitor) for _ in range(8)]
    with switching_often(), provider.fault("refresh_slow"), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda each: call(each, "revoked"), browsers))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert renewals(provider) == 1
    assert {*api.seen} == {before, bearer(visitor)}


@pytest.mark.parametrize(
    "fault, code, status",
    [
        ("refresh_503", "provider_busy", 503),
        ("refresh_invalid_grant", "refresh_refused", 401),
        ("token_error_invalid_client", "client_refused", 502),
    ],
)
def test_a_token_that_is_invalid_and_cannot_be_renewed_now(
    visitor: Visitor, api: Api, provider: DevProvider, fault: str, code: str, status: int
) -> None:
    with provider.fault(fault):
        answer = visitor.get("/call?path=revoked", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (status, code)
    assert len(api.seen) == 1


def test_a_token_that_was_renewed_meanwhile_is_not_renewed_again(
    visitor: Visitor, api: Api, provider: DevProvider
) -> None:
    """By another request, while the API was thinking about the old one."""
    other = copy_of(visitor)

    def meanwhile() -> None:
        age(other, left=60)
        other.get("/token")

    api.meanwhile = meanwhile
    assert call(visitor, "revoked").status_code == 200
    assert renewals(provider) == 1
    assert api.seen[-1] == bearer(other)


def test_a_session_that_has_ended_meanwhile(visitor: Visitor, api: Api) -> None:
    other = copy_of(visitor)
    api.meanwhile = lambda: other.post("/logout", headers=FROM_HERE)
    answer = visitor.get("/call?path=revoked", headers=SCRIPT)
    assert answer.status_code == 401
    assert answer.json["error"] in ("tokens_missing", "login_required")
    assert len(api.seen) == 1


def test_a_token_that_is_invalid_for_ever_is_renewed_once(
    visitor: Visitor, api: Api, provider: DevProvider
) -> None:
    answer = call(visitor, "expired")
    assert renewals(provider) == 1 and len(api.seen) == 2
    assert (answer.status_code, answer.text) == (401, "expired")


def test_a_token_that_cannot_be_renewed_is_sent_once(
    visitor: Visitor, api: Api, provider: DevProvider
) -> None:
    app = token_site(provider, "memory", prepare=api_views(api), PARJAR_SCOPES="openid")
    somebody = Visitor(app, provider)
    somebody.log_in()
    answer = call(somebody, "expired")
    assert (answer.status_code, answer.text) == (401, "expired")
    assert len(api.seen) == 1 and renewals(provider) == 0


def test_no_other_refusal_has_the_token_renewed(
    visitor: Visitor, api: Api, other_api: Api, provider: DevProvider
) -> None:
    """Nor that of another origin, which has never seen the token."""
    assert call(visitor, "locked").status_code == 401
    assert call(visitor, f"{other_api.url}/expired").status_code == 401
    assert (len(api.seen), len(other_api.seen), renewals(provider)) == (1, 1, 0)


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


def test_a_script_gets_the_login_url(visitor: Visitor, api: Api) -> None:
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


def test_another_person_than_the_api_was_asked_for_is_refused(
    visitor: Visitor, provider: DevProvider
) -> None:
    asked, token = visitor.get("/call?path=strong"), visitor.get("/token").text
    page = visitor.log_in(asked.location, "grace")
    assert (page.status_code, code_of(page)) == (403, "other_person")
    assert visitor.get("/me").json["sub"] == "ada"
    assert visitor.get("/token").text == token


def test_an_api_may_want_four_things_one_after_the_other(visitor: Visitor, api: Api) -> None:
    api.wants = 4
    page = visitor.get("/call?path=restless")
    for _ in range(4):
        page = visitor.get(visitor.log_in(page.location).location)
    assert page.text == "satisfied"


def test_an_api_that_wants_something_else_each_time_comes_to_an_end(visitor: Visitor) -> None:
    page, logins = visitor.get("/call?path=restless"), 0
    while page.status_code == 302 and logins < 10:
        page, logins = visitor.get(visitor.log_in(page.location).location), logins + 1
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    assert logins == 4


# The claims challenge of Microsoft Entra ID.


def asked_for(app: Flask) -> list[dict[str, Any]]:
    """What a site asks for in its signed requests, from now on."""
    asked: list[dict[str, Any]] = []

    def hear(sender: Flask, **said: Any) -> None:
        asked.append(said["request_object"]["claims"])

    login_started.connect(hear, app, weak=False)
    return asked


def test_an_api_that_wants_other_claims_gets_them(visitor: Visitor) -> None:
    asked = asked_for(visitor.app)
    page = visitor.get("/call?path=claims&x=1")
    assert page.location.startswith("/login?next=/call?path%3Dclaims%26x%3D1&step_up=")
    before = visitor.get("/token").text
    back = visitor.log_in(page.location)
    assert [each["claims"] for each in asked] == [WANTED_CLAIMS]
    assert visitor.get(back.location).text == "satisfied"
    assert visitor.get("/token").text != before


def test_claims_of_an_api_are_merged_with_those_of_the_site(
    provider: DevProvider, api: Api
) -> None:
    configured = {
        "access_token": {"xms_cc": {"values": ["cp1"]}},
        "id_token": {"acr": {"essential": True, "values": ["mfa"]}},
    }
    params = {"claims": configured}
    app = token_site(provider, "memory", prepare=api_views(api), PARJAR_AUTHORIZATION_PARAMS=params)
    visitor = Visitor(app, provider)
    visitor.log_in()
    asked = asked_for(app)
    visitor.log_in(visitor.get("/call?path=claims").location)
    assert asked[0]["claims"] == {
        "access_token": {**configured["access_token"], **WANTED_CLAIMS["access_token"]},
        "id_token": configured["id_token"],
    }
    assert visitor.get("/call?path=claims").text == "satisfied"


def test_an_acr_that_an_api_wants_by_claims_is_checked(visitor: Visitor, api: Api) -> None:
    api.claims = {"id_token": {"acr": {"essential": True, "values": ["phr"]}}}
    asked = visitor.get("/call?path=claims").location
    with visitor.provider.fault("id_token_acr_other"):
        assert code_of(visitor.log_in(asked)) == "token_acr"
    assert visitor.log_in(asked).location == "/call?path=claims"
    assert visitor.get("/me").json["claims"]["acr"] == "phr"


def test_an_api_does_not_choose_who_logs_in(visitor: Visitor, api: Api) -> None:
    api.claims = {"id_token": {"sub": {"value": "grace"}}}
    page = visitor.get(visitor.get("/call?path=claims").location)
    assert (page.status_code, code_of(page)) == (403, "other_person")
    assert visitor.get("/me").json["sub"] == "ada"


@pytest.mark.parametrize(
    "claims", [{}, [], "c1", {"access_token": {"a": "x" * 1024}}, {"id_token": {"acr": 7}}]
)
def test_claims_that_cannot_be_read_are_a_plain_refusal(
    visitor: Visitor, api: Api, claims: object
) -> None:
    api.claims = claims
    answer = visitor.get("/call?path=claims")
    assert (answer.status_code, answer.text) == (401, "no")


def test_an_api_that_wants_the_same_claims_for_ever(visitor: Visitor, api: Api) -> None:
    api.satisfiable = False
    back = visitor.log_in(visitor.get("/call?path=claims").location)
    page = visitor.get(back.location)
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")


def test_an_api_that_wants_other_claims_each_time_comes_to_an_end(visitor: Visitor) -> None:
    page, logins = visitor.get("/call?path=restless-claims"), 0
    while page.status_code == 302 and logins < 10:
        page, logins = visitor.get(visitor.log_in(page.location).location), logins + 1
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    assert logins == 4


def test_the_longest_claims_come_through(visitor: Visitor, api: Api) -> None:
    api.claims = {"access_token": {"acrs": {"value": '"' * 480}}}
    page = visitor.get("/call?path=claims")
    assert page.status_code == 302
    asked = asked_for(visitor.app)
    visitor.log_in(page.location)
    assert asked[0]["claims"] == api.claims


def test_a_challenge_in_a_quoted_text_is_ignored(visitor: Visitor) -> None:
    answer = visitor.get("/call?path=quoted")
    assert (answer.status_code, answer.text) == (401, "no")


def test_the_challenge_of_another_origin_is_its_own_affair(
    visitor: Visitor, other_api: Api
) -> None:
    answer = call(visitor, f"{other_api.url}/strong")
    assert (answer.status_code, answer.text) == (401, "no")
