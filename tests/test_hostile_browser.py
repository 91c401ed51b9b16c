"""The hostile browser: what it sends, and what a page of another site makes it send.

Everything goes as a browser does. Whatever comes, the answer is ours and clear, the provider
is asked nothing that it should not be, and no one is logged in, or out, or sent away, against their
will.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlencode

import pytest
from flask import Flask, Response, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import EnvironBuilder, TestResponse

from flask_parjar import LoginOptions, ParJar, current_user
from flask_parjar.testing import DevProvider
from tests.protocol.test_urls import GOOD, LEADS, hostile_paths, stays_on_site
from tests.support.headers import FROM_HERE
from tests.support.pages import code_of, endpoints, is_logged_in, is_logged_out_page
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, query

FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
TWO_CLIENTS = {"work": {"client_id": "w"}, "home": {"client_id": "h"}}
ROUTES = ("/login", "/callback", "/logout", "/.well-known/jwks.json")


def cookie_of(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None
    return str(cookie.value)


def callback_parameters(visitor: Visitor, login_url: str = "/login") -> dict[str, str]:
    back = visitor.come_back(visitor.leave(login_url))
    return {name: values[0] for name, values in query(back).items()}


# Where a login and a logout may lead.

# (Half a surrogate pair cannot be written in UTF-8; Werkzeug keeps it percent-encoded, as a path.)
TO_LOGIN = [f"{lead}evil.example" for lead in LEADS if "\ud800" not in lead]
TO_LOGOUT = TO_LOGIN + [path for path in hostile_paths()[::15] if "\ud800" not in path]


def with_next(path: str, target: str) -> str:
    return f"{path}?next={quote(target, safe='')}"


def test_there_are_several_hundred_payloads() -> None:
    assert len(set(TO_LOGIN)) > 150 and len(set(TO_LOGOUT)) > 400


@pytest.mark.parametrize("part", range(4))
def test_no_login_leads_to_another_site(visitor: Visitor, part: int) -> None:
    for target in TO_LOGIN[part::4]:
        landed = visitor.log_in(with_next("/login", target))
        assert (landed.status_code, landed.location) == (302, "/"), ascii(target)


@pytest.mark.parametrize("target", GOOD)
def test_every_page_of_the_site_can_be_led_to(visitor: Visitor, target: str) -> None:
    landed = visitor.log_in(with_next("/login", target)).location
    assert stays_on_site(landed)
    # Werkzeug writes a Location as browsers do: some characters encoded, nothing behind ? or #.
    assert unquote(landed).rstrip("?#") == unquote(target).rstrip("?#")


@pytest.mark.parametrize("part", range(4))
def test_no_logout_leads_to_another_site(visitor: Visitor, part: int) -> None:
    for target in TO_LOGOUT[part::4]:
        url = with_next("/logout", target)
        form = url.partition("?")[2]
        for response in (
            visitor.post(url, headers=FROM_HERE),
            visitor.get(url, headers=FROM_HERE),
            visitor.post(
                "/logout",
                headers=FROM_HERE,
                data=form,
                content_type="application/x-www-form-urlencoded",
            ),
        ):
            assert is_logged_out_page(response), ascii(target)
            assert "evil" not in response.text, ascii(target)
        asked = visitor.get(url)
        assert asked.status_code == 200
        assert 'name="next" value="/"' in asked.text and 'quiet" href="/"' in asked.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_no_other_route_leads_away(provider: DevProvider, target: str) -> None:
    """The choice of a provider, an error page, a guard, a script's answer, a replay."""
    visitor = Visitor(make_site(provider, PARJAR_PROVIDERS=TWO_CLIENTS), provider)
    choice = visitor.get(with_next("/login", target))
    (work,) = re.findall(r'href="(/login/work[^"]*)"', choice.text)
    assert visitor.log_in(work.replace("&amp;", "&")).location == "/"
    replayed = visitor.come_back(visitor.leave(with_next("/login/work", target)))
    visitor.get(replayed)
    assert visitor.get(replayed).location == "/"
    with provider.fault("par_html"):
        page = visitor.get(with_next("/login/work", target))
    for href in re.findall(r'href="([^"]*)"', page.text):
        assert stays_on_site(href) and href.startswith("/")
    anonymous = Visitor(visitor.app, provider)
    guarded = anonymous.client.get(f"/me?{quote(target, safe='')}").location
    assert guarded.startswith("/login?next=/me?")
    scripted = anonymous.get("/me", headers={"Accept": "application/json", "Referer": target})
    assert scripted.json["login_url"] == "/login?next=/me"
    posted = anonymous.post("/save", headers={"Referer": f"https:{target}/form"})
    assert posted.location == "/login?next=/"


# What a callback is given.

PROTOCOL = (
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
    "id_token",
)
PROTOCOL += ("access_token", "token_type", "expires_in", "session_state")

Parameters = list[tuple[str, str]]
Change = Callable[[Parameters], Parameters]


def replaced(name: str, value: str) -> Change:
    return lambda pairs: [(n, v) for n, v in pairs if n != name] + [(name, value)]


MALFORMED: dict[str, tuple[str, Change]] = {
    **{
        f"{name} twice": ("response_duplicate", lambda q, n=name: [*q, (n, "x"), (n, "x")])
        for name in PROTOCOL
    },
    **{
        f"{name} of 9,000 characters": ("response_malformed", replaced(name, "x" * 9000))
        for name in PROTOCOL
    },
    "an unknown parameter of 9,000 characters": (
        "response_malformed",
        lambda q: [*q, ("x" * 9000, "")],
    ),
    "10,000 parameters": ("response_malformed", lambda q: [*q, *[("x", "")] * 10_000]),
    "10,000 parameters without a name": (
        "response_malformed",
        lambda q: [*q, *[("", "")] * 10_000],
    ),
    "a zero byte in the code": ("response_malformed", replaced("code", "a\0b")),
    "no state": ("state_missing", lambda q: [(n, v) for n, v in q if n != "state"]),
    "an empty state": ("state_missing", replaced("state", "")),
    "state in brackets": (
        "state_missing",
        lambda q: [("state[]" if n == "state" else n, v) for n, v in q],
    ),
    "STATE": ("state_missing", lambda q: [(n.upper(), v) for n, v in q]),
    "nothing at all": ("state_missing", lambda q: []),
    "a state of 5,000 characters": ("state_forged", replaced("state", "x" * 5000)),
    "a state of dots": ("state_forged", replaced("state", "." * 4000)),
    "a state of letters beyond ASCII": ("state_forged", replaced("state", "ß😀\u202e")),
    "a state that is compressed rubbish": ("state_forged", replaced("state", ".eJ" + "A" * 3000)),
}


@pytest.fixture
def poster(provider: DevProvider) -> Visitor:
    """A visitor of a site whose provider answers by form_post."""
    app = make_site(provider, PARJAR_RESPONSE_MODE="form_post", PARJAR_SCOPES=SCOPES)
    return Visitor(app, provider)


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_parameters_that_are_not_well_formed(provider: DevProvider, mode: str) -> None:
    """Refused before anything is taken: the right answer still finishes the login."""
    somebody = Visitor(make_site(provider, PARJAR_RESPONSE_MODE=mode), provider)
    right = list(callback_parameters(somebody, "/login?next=/me").items())
    provider.calls.clear()
    for case, (code, change) in MALFORMED.items():
        page = bring(somebody, urlencode(change(right)), mode)
        assert (page.status_code, code_of(page)) == (400, code), case
        assert not is_logged_in(somebody), case
    assert provider.calls == []
    assert bring(somebody, urlencode(right), mode).location == "/me"


def bring(visitor: Visitor, encoded: str | bytes, mode: str) -> TestResponse:
    """Bring an answer to the callback as a browser does."""
    if mode == "query":
        text = encoded if isinstance(encoded, str) else encoded.decode("latin-1")
        return visitor.client.get("/callback", query_string=text)
    form = "application/x-www-form-urlencoded"
    return visitor.post("/callback", data=encoded, content_type=form, headers=FROM_HERE)


NOT_UTF_8 = [b"%ff%fe", b"%c0%af", b"%ed%a0%80", b"%f5%80%80%80", b"%80"]


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_parameters_that_are_not_utf_8(provider: DevProvider, mode: str) -> None:
    somebody = Visitor(make_site(provider, PARJAR_RESPONSE_MODE=mode), provider)
    right = callback_parameters(somebody, "/login?next=/me")
    provider.calls.clear()
    for name in PROTOCOL:
        if name in ("error_description", "error_uri"):
            continue  # text for people, that must not hide the error
        rest = urlencode({n: v for n, v in right.items() if n != name})
        for raw in NOT_UTF_8:
            page = bring(somebody, f"{rest}&{name}=".encode() + raw, mode)
            assert (page.status_code, code_of(page)) == (400, "response_malformed"), (name, raw)
    assert provider.calls == [] and not is_logged_in(somebody)
    assert bring(somebody, urlencode(right), mode).location == "/me"


@pytest.mark.parametrize("mode", ["query", "form_post"])
@pytest.mark.parametrize("name", ["error_description", "error_uri", "unknown"])
@pytest.mark.parametrize("raw", NOT_UTF_8)
def test_what_is_not_read_may_be_no_utf_8(
    provider: DevProvider, mode: str, name: str, raw: bytes
) -> None:
    somebody = Visitor(make_site(provider, PARJAR_RESPONSE_MODE=mode), provider)
    right = callback_parameters(somebody, "/login?next=/me")
    answer = bring(somebody, f"{urlencode(right)}&{name}=".encode() + raw, mode)
    assert answer.location == "/me"


@pytest.mark.parametrize("raw", [b"\xff", b"code=\xc3\xa9", b"\xe2\x80\xae=1"])
def test_bytes_beyond_ascii_as_they_are(
    visitor: Visitor, provider: DevProvider, raw: bytes
) -> None:
    """No browser leaves them unencoded; a script may."""
    environ = {"QUERY_STRING": raw.decode("latin-1")}
    page = visitor.client.get("/callback", environ_overrides=environ)
    assert (page.status_code, code_of(page)) == (400, "response_malformed")
    assert provider.calls == []


@pytest.mark.parametrize("encoded", ["state=%", "state=%zz", "%", "&&&", "=", "state;code", "?"])
def test_an_unknown_encoding(visitor: Visitor, provider: DevProvider, encoded: str) -> None:
    page = visitor.client.get("/callback", query_string=encoded)
    assert (page.status_code, code_of(page)) in [(400, "state_missing"), (400, "state_forged")]
    assert provider.calls == []


class Unread:
    """A body that says when somebody reads it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        self.taken += 1
        return b"x"

    readline = read


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": str(10 * 1024 * 1024)},
        {"CONTENT_LENGTH": str(32 * 1024 + 1)},
        {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        {"CONTENT_LENGTH": "x"},
        {"CONTENT_LENGTH": "-1"},
    ],
)
def test_a_form_of_unknown_or_immense_size_is_not_read(
    poster: Visitor, provider: DevProvider, environ: dict[str, Any]
) -> None:
    """Not for the callback, and not for the error page either."""
    body = Unread()
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "wsgi.input": body}
    page = poster.client.post("/callback", environ_overrides={**form, **environ})
    assert page.status_code == 400
    assert code_of(page) in ("response_malformed", "state_missing")
    assert body.taken == 0 and provider.calls == []


class Counted(io.BytesIO):
    """A body that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.taken += count
        return count

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.taken += len(line)
        return line


FORMS = {
    "application/x-www-form-urlencoded": b"state=" + b"x" * 400_000,
    "multipart/form-data; boundary=x": (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        + b"x" * 400_000
        + b"\r\n--x--\r\n"
    ),
}


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize(
    "path, status",
    [
        ("/callback/work", 400),
        ("/callback/home", 405),
        ("/callback/unknown", 404),
        ("/backchannel-logout/work", 400),
        ("/backchannel-logout/unknown", 400),
        ("/logout", 200),
    ],
)
def test_no_route_of_named_providers_reads_a_large_form(
    provider: DevProvider, path: str, status: int, content_type: str
) -> None:
    """Also where there is no such provider."""
    sections = {**TWO_CLIENTS, "work": {"client_id": "w", "response_mode": "form_post"}}
    site = make_site(provider, PARJAR_PROVIDERS=sections)
    form = FORMS[content_type]
    body = Counted(form)
    environ = {"wsgi.input": body, "CONTENT_LENGTH": str(len(form)), "CONTENT_TYPE": content_type}
    answer = site.test_client().post(path, headers=FROM_HERE, environ_overrides=environ)
    assert body.taken == 0
    assert answer.status_code == status
    assert provider.calls == []


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="state"'),
        ("multipart/form-data", b"no boundary"),
        ("application/json", b'{"state": "x", "code": "y"}'),
        ("text/plain", b"hello"),
        ("", b"\x00\xff"),
        ("application/x-www-form-urlencoded; charset=utf-16", "state=x".encode("utf-16")),
    ],
)
def test_a_body_that_is_no_form(
    poster: Visitor, provider: DevProvider, content_type: str, body: bytes
) -> None:
    page = poster.post("/callback", data=body, content_type=content_type, headers=FROM_HERE)
    assert page.status_code == 400
    assert code_of(page) in ("state_missing", "response_malformed")
    assert provider.calls == []


# Methods, and browsers that ask ahead.


@pytest.mark.parametrize("path", ROUTES)
def test_methods_that_no_route_has(visitor: Visitor, provider: DevProvider, path: str) -> None:
    visitor.log_in()
    before = cookie_of(visitor)
    provider.calls.clear()
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "QUERY", "HACK"):
        response = visitor.client.open(path, method=method, headers=FROM_HERE)
        assert response.status_code == 405, method
        assert "Set-Cookie" not in response.headers
    assert provider.calls == [] and cookie_of(visitor) == before
    assert is_logged_in(visitor)


@pytest.mark.parametrize(
    "override", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"]
)
def test_a_header_is_no_method(visitor: Visitor, override: str) -> None:
    visitor.log_in()
    page = visitor.get("/logout", headers={**FROM_ELSEWHERE, override: "POST"})
    assert page.status_code == 200 and is_logged_in(visitor)
    page = visitor.client.get("/logout?_method=POST", headers=FROM_ELSEWHERE)
    assert page.status_code == 200 and is_logged_in(visitor)


AHEAD = [
    ("HEAD", {}),
    ("GET", {"Sec-Purpose": "prefetch"}),
    ("GET", {"Sec-Purpose": "prefetch;prerender"}),
    ("GET", {"Sec-Purpose": "prefetch;anonymous-client-ip"}),
    ("GET", {"Purpose": "prefetch"}),
    ("GET", {"Purpose": "prerender"}),
    ("POST", {"Sec-Purpose": "prefetch"}),
]


@pytest.mark.parametrize("method, headers", AHEAD)
def test_a_prefetch_changes_nothing(
    provider: DevProvider, method: str, headers: dict[str, str]
) -> None:
    """On every route that there is: nothing is pushed, taken, put into the session, or ended."""
    visitor = Visitor(make_site(provider, PARJAR_PROVIDERS=TWO_CLIENTS), provider)
    visitor.log_in("/login/work")
    back = visitor.come_back(visitor.leave("/login/work?next=/me"))
    provider.calls.clear()
    before = cookie_of(visitor)
    rules = [r for r in visitor.app.url_map.iter_rules() if r.endpoint.startswith("parjar.")]
    assert len(rules) == 7
    for rule in rules:
        path = rule.rule.replace("<provider>", "work")
        url = back if "callback" in path else path
        response = visitor.client.open(url, method=method, headers={**FROM_HERE, **headers})
        if (method, rule.endpoint) == ("POST", "parjar.backchannel_logout"):
            assert (
                response.status_code == 400
            )  # no logout token, and nothing else looks at a browser
        else:
            assert response.status_code in ((200, 405) if method == "HEAD" else (200, 405, 503))
        assert response.location is None and "Set-Cookie" not in response.headers
    assert provider.calls == [] and cookie_of(visitor) == before
    assert is_logged_in(visitor)
    assert visitor.get(back).location == "/me"


# Replays.


def test_a_stolen_callback_is_useless_in_another_browser(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """From a history, a log, a Referer: used already, or not yet."""
    used = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.get(used)
    fresh = visitor.come_back(visitor.leave("/login?next=/me"))
    thief = Visitor(site, provider)
    provider.calls.clear()
    for callback in (used, fresh):
        assert thief.get(callback).location.startswith(f"{ISSUER}/")
    assert endpoints(provider) == ["pushed_authorization_request"] * 2
    assert not is_logged_in(thief)
    assert visitor.get(fresh).location == "/me"  # and its owner lost nothing by it


def test_a_callback_is_no_way_back_in_after_a_logout(
    visitor: Visitor, provider: DevProvider
) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.get(back)
    visitor.post("/logout", headers=FROM_HERE)
    provider.calls.clear()
    assert visitor.get(back).location.startswith(f"{ISSUER}/")
    assert endpoints(provider) == ["pushed_authorization_request"]
    assert not is_logged_in(visitor)


def test_a_callback_with_the_whole_browser_of_that_moment(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    """A copy of cookie and callback: the login was claimed, and the code is not sent again."""
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    copy = Visitor(site, provider)
    copy.client.set_cookie("session", cookie_of(visitor))
    assert visitor.get(back).location == "/me"
    provider.calls.clear()
    answer = copy.get(back)
    assert (answer.status_code, answer.location) == (302, "/me")
    assert endpoints(provider) == []
    assert not is_logged_in(copy)


# Session cookies that no one of ours made.


def _foreign(app: Flask, **content: Any) -> str:
    """A session of this content, as another app with another key would sign it."""
    other = Flask("other")
    other.secret_key = "of somebody else"
    serializer = SecureCookieSessionInterface().get_signing_serializer(other)
    assert serializer is not None
    return str(serializer.dumps(content))


def _another_salt(app: Flask, **content: Any) -> str:
    return str(URLSafeTimedSerializer(str(app.secret_key), salt="another").dumps(content))


Spoiled = Callable[[str], str]
COOKIES: dict[str, Spoiled] = {
    "empty": lambda value: "",
    "one character": lambda value: "x",
    "dots": lambda value: "...",
    "half": lambda value: value[: len(value) // 2],
    "without its last character": lambda value: value[:-1],
    "without its signature": lambda value: value.rpartition(".")[0],
    "without its content": lambda value: value[value.index(".", 1) :],
    "one letter changed": lambda value: value[:9] + ("a" if value[9] != "a" else "b") + value[10:],
    "twice": lambda value: value * 2,
    "beyond ASCII": lambda value: "é😀" + value,
    "a quoted string": lambda value: f'"{value}\\"',
    "100,000 characters": lambda value: "x" * 100_000,
    "a bomb": lambda value: ".eJ" + "z" * 50_000 + "." + value.rpartition(".")[2],
    "JSON": lambda value: '{"_parjar_user": ["default"]}',
}


@pytest.mark.parametrize("case", COOKIES)
def test_a_spoilt_cookie_is_a_fresh_start(
    site: Flask, visitor: Visitor, provider: DevProvider, case: str
) -> None:
    visitor.log_in()
    back = visitor.come_back(visitor.leave("/login?next=/reports"))
    assert_fresh_start(site, provider, COOKIES[case](cookie_of(visitor)), back)


@pytest.mark.parametrize("sign", [_foreign, _another_salt])
def test_a_session_signed_with_another_key(
    site: Flask, visitor: Visitor, provider: DevProvider, sign: Callable[..., str]
) -> None:
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        content = dict(stored)
    back = visitor.come_back(visitor.leave("/login?next=/reports"))
    assert_fresh_start(site, provider, sign(site, **content), back)


def assert_fresh_start(site: Flask, provider: DevProvider, cookie: str, back: str) -> None:
    """With this cookie no one is logged in anywhere, nothing breaks, and a login works."""
    header = {"Cookie": f"session={cookie}".encode().decode("latin-1")}

    def get(path: str, **more: Any) -> TestResponse:
        return site.test_client(use_cookies=False).get(path, headers={**header, **more})

    assert get("/").text == "home"
    assert get("/me").location == "/login?next=/me"
    assert get("/me", Accept="application/json").status_code == 401
    assert get("/logout").status_code == 200
    assert is_logged_out_page(get("/logout", **FROM_HERE))
    provider.calls.clear()
    assert get(back).location.startswith(f"{ISSUER}/")
    assert "token" not in endpoints(provider)
    begun = get("/login?next=/me")
    assert begun.location.startswith(f"{ISSUER}/")
    visitor = Visitor(site, provider)
    visitor.client.set_cookie("session", begun.headers["Set-Cookie"].split("=", 1)[1].split(";")[0])
    assert visitor.get(visitor.come_back(begun.location)).location == "/me"


def test_two_cookies_of_the_name_are_a_fresh_start_too(site: Flask, visitor: Visitor) -> None:
    visitor.log_in()
    value = cookie_of(visitor)
    for header in (f"session=x; session={value}", "session=x; " * 500, "; ;=;session"):
        response = site.test_client(use_cookies=False).get("/me", headers={"Cookie": header})
        assert response.status_code == 302


# Sessions that the app itself signed, with something else under our names.

_RECORD = ["default", ISSUER, "ada", {}, ["openid"], 4_000_000_000, "flask-parjar"]
_ENTRY = ["s" * 43, 4_000_000_000, "default", ISSUER, "http://localhost/callback"]
GARBAGE: list[Any] = [
    *(None, True, False, 0, -1, 1.5, "", "x", [], {}, {"a": 1}, [None], [[]], [{}], ["x"] * 5),
    *([["x"]], ["x"] * 6, [["x"] * 5], [["x"] * 6], [1, 2, 3, 4, 5, 6], [[1, 2, 3, 4, 5]]),
    *([[[[[[]]]]]], "default", [_RECORD], [_ENTRY, 1], {"0": _ENTRY}, _RECORD[:6], [_ENTRY[:4]]),
]
_NO_WORD = (None, True, 1, [], {}, ["default"])
RECORDS = [
    *([*_RECORD[:n], wrong, *_RECORD[n + 1 :]] for n in (0, 1, 2) for wrong in (*_NO_WORD, "")),
    *([*_RECORD[:n], "x", *_RECORD[n + 1 :]] for n in (0, 1, 6)),
    *([*_RECORD[:3], wrong, *_RECORD[4:]] for wrong in (None, True, [], "x", [["a", 1]])),
    *([*_RECORD[:4], wrong, *_RECORD[5:]] for wrong in (None, "openid", {}, [1], ["openid", None])),
    *([*_RECORD[:5], wrong, _RECORD[6]] for wrong in (None, True, "4000000000", [], 1e300, 10**30)),
    *([*_RECORD, wrong, "shared"] for wrong in _NO_WORD),
    [*_RECORD, "handle"],
    [*_RECORD, "handle", "shared"],  # where there is no store
    [*_RECORD, "handle", "shared", "more"],
]
ENTRIES = [
    *([*_ENTRY[:n], wrong, *_ENTRY[n + 1 :]] for n in range(5) for wrong in (None, True, [], {})),
    ["é" * 43, *_ENTRY[1:]],
    [_ENTRY[0], "4000000000", *_ENTRY[2:]],
    *([*_ENTRY, wrong] for wrong in (None, [], "x", {"scopes": "x"}, {"scopes": [1]})),
    *([*_ENTRY, wrong] for wrong in ({"max_age": "1"}, {"max_age": []}, {"acr_values": {"a": 1}})),
    [*_ENTRY, {}, {}],
]


def planted(site: Flask, provider: DevProvider, **content: Any) -> Visitor:
    visitor = Visitor(site, provider)
    with visitor.client.session_transaction() as stored:
        stored.update(content)
    return visitor


def test_a_user_of_another_form_is_not_logged_in(site: Flask, provider: DevProvider) -> None:
    for value in [*GARBAGE, *RECORDS]:
        somebody = planted(site, provider, _parjar_user=value)
        assert somebody.get("/me").status_code == 302, value
        assert somebody.get("/reports").status_code == 302, value
        assert somebody.get("/me", headers={"Accept": "application/json"}).status_code == 401
        assert is_logged_out_page(somebody.post("/logout", headers=FROM_HERE)), value
    assert planted(site, provider, _parjar_user=_RECORD).get("/me").status_code == 200


def test_pending_logins_of_another_shape_are_ignored(
    site: Flask, visitor: Visitor, provider: DevProvider
) -> None:
    lost = visitor.come_back(visitor.leave("/login?next=/me"))
    provider.calls.clear()
    for value in [*GARBAGE, *([entry] for entry in ENTRIES)]:
        somebody = planted(site, provider, _parjar_logins=value)
        assert somebody.get(lost).location.startswith(f"{ISSUER}/"), value
    assert set(endpoints(provider)) == {"pushed_authorization_request"}


@pytest.mark.parametrize("value", GARBAGE[::5], ids=repr)
def test_a_login_works_all_the_same(site: Flask, provider: DevProvider, value: Any) -> None:
    somebody = planted(site, provider, _parjar_user=value, _parjar_logins=value)
    assert somebody.log_in("/login?next=/me").location == "/me"
    assert somebody.get("/me").json["sub"] == "ada"


def test_a_good_login_among_garbage_is_found(visitor: Visitor) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    with visitor.client.session_transaction() as stored:
        stored["_parjar_logins"] = [None, ENTRIES[0], *stored["_parjar_logins"], "x"]
    assert visitor.get(back).location == "/me"


# Host names and proxies.

PROXY_HEADERS = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Scheme": "https",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Uri": "//evil.example",
    "X-Forwarded-User": "grace",
    "X-Original-URL": "/logout",
    "X-Rewrite-URL": "/logout",
    "X-Original-Host": "evil.example",
    "X-Script-Name": "/evil",
    "X-Host": "evil.example",
    "X-Real-IP": "127.0.0.1",
    "Front-End-Https": "on",
    "Forwarded": 'host=evil.example;proto=https;for="[::1]"',
    "Remote-User": "grace",
}


@pytest.mark.parametrize("header", PROXY_HEADERS)
def test_headers_of_proxies_are_not_believed(
    visitor: Visitor, provider: DevProvider, header: str
) -> None:
    """Whether there is a proxy, the app knows (ProxyFix); a library cannot."""
    headers = {header: PROXY_HEADERS[header]}
    assert visitor.get("/me", headers=headers).location == "/login?next=/me"
    away = visitor.get("/login?next=/me", headers=headers)
    back = provider.sign_in(away.location)
    assert back.startswith("http://localhost/callback?")
    landed = visitor.client.get(back, headers=headers)
    assert landed.location == "/me"
    assert "Secure" not in landed.headers["Set-Cookie"]
    assert visitor.get("/me").json["sub"] == "ada"
    out = visitor.post("/logout", headers={**headers, "Origin": "http://localhost"}).location
    assert query(out)["post_logout_redirect_uri"] == ["http://localhost/"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:8080"])
def test_a_foreign_host_ends_at_the_provider(
    visitor: Visitor, provider: DevProvider, host: str
) -> None:
    """It refuses a redirect_uri that is not registered; the browser never leaves."""
    page = visitor.client.get("/login?next=/me", headers={"Host": host})
    assert (page.status_code, code_of(page)) == (502, "push_refused")
    assert "evil.example" not in page.text and "8080" not in page.text


def test_a_configured_callback_owes_nothing_to_the_host(provider: DevProvider) -> None:
    app = make_site(
        provider,
        PARJAR_REDIRECT_URI="https://www.example/callback",
        PARJAR_POST_LOGOUT_REDIRECT_URI="https://www.example/bye",
    )
    visitor = Visitor(app, provider)
    evil = {"Host": "evil.example"}
    away = visitor.client.get("/login", headers=evil).location
    assert provider.sign_in(away).startswith("https://www.example/callback?")
    visitor.log_in()
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    cookie = f"session={cookie_of(visitor)}"
    out = app.test_client(use_cookies=False).post("/logout", headers={**headers, "Cookie": cookie})
    assert query(out.location)["post_logout_redirect_uri"] == ["https://www.example/bye"]


# Markup from outside.

MARK = "zqx"
MARKUP = (
    f"\"'><script>{MARK}()</script><img src=x onerror={MARK}()>"
    "{{7777*7777}}<a href=//evil.example>"
)


class _Tags(HTMLParser):
    """What a browser would make of a page: its tags, with all that could run or lead away."""

    def __init__(self) -> None:
        super().__init__()
        self.suspicious: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if tag in ("img", "iframe", "svg", "object", "embed", "base", "meta") and tag != "meta":
            self.suspicious.append(tag)
        for name, value in attrs:
            link = name in ("href", "src", "action", "formaction") and not (
                (value or "").startswith("/") and stays_on_site(value or "")
            )
            if name.startswith("on") or name == "srcdoc" or link:
                self.suspicious.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip() != 'document.getElementById("answer").submit()':
            self.suspicious.append(data)
        self._script = False


def assert_only_text(page: TestResponse, *, mentioned: bool = True) -> None:
    """Untrusted text stands on the page as text, or not at all."""
    reader = _Tags()
    reader.feed(page.text)
    assert reader.suspicious == []
    assert (MARK in page.text) is mentioned
    assert "60481729" not in re.sub(r"<style>.*?</style>", "", page.text, flags=re.S)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert "base-uri 'none'" in policy and "frame-ancestors 'none'" in policy


def test_the_reader_knows_markup() -> None:
    for hostile in (
        MARKUP,
        "<a href=javascript:x>",
        "<p onclick=x>",
        '<form action="//evil.example">',
    ):
        reader = _Tags()
        reader.feed(hostile)
        assert reader.suspicious


@pytest.fixture
def talkative(provider: DevProvider) -> Iterator[Visitor]:
    """A site in debug mode, whose error pages show all they know."""
    app = make_site(provider, PARJAR_SCOPES=SCOPES)
    app.debug = True
    yield Visitor(app, provider)


def answering(provider: DevProvider, path: str, status: int, **members: Any) -> None:
    """Let the provider answer so at one of its endpoints."""

    @provider.app.after_request
    def answer(response: Response) -> Response:
        if request.path == path:
            response.status_code = status
            response.set_data(json.dumps(members))
            response.content_type = "application/json"
        return response


@pytest.mark.parametrize(
    "path, status",
    [("/par", 400), ("/par", 401), ("/token", 400), ("/token", 401), ("/userinfo", 403)],
)
def test_a_refusal_in_markup(provider: DevProvider, path: str, status: int) -> None:
    app = make_site(provider, PARJAR_USERINFO=True)
    app.debug = True
    answering(provider, path, status, error=MARKUP, error_description=MARKUP, error_uri=MARKUP)
    visitor = Visitor(app, provider)
    page = visitor.get("/login") if path == "/par" else visitor.log_in()
    assert page.status_code >= 400
    assert_only_text(page)


def test_metadata_in_markup(talkative: Visitor, provider: DevProvider) -> None:
    provider.metadata["issuer"] = MARKUP
    assert_only_text(talkative.get("/login"))


def test_metadata_lists_in_markup(talkative: Visitor, provider: DevProvider) -> None:
    provider.metadata["code_challenge_methods_supported"] = [MARKUP]
    assert_only_text(talkative.get("/login"))


@pytest.mark.parametrize("claim", ["iss", "aud", "azp", "acr", "nonce", "exp"])
def test_claims_in_markup(provider: DevProvider, claim: str) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        def strong() -> Any:
            return parjar.login(LoginOptions(acr_values=["pwd"], essential_acr=True))

    app = make_site(provider, prepare=prepare)
    app.debug = True
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/strong"))
    spoil_claim(provider, claim, MARKUP)
    page = visitor.get(back)
    assert page.status_code == 502
    assert_only_text(page, mentioned=claim in ("iss", "aud", "azp", "acr"))


def spoil_claim(provider: DevProvider, claim: str, value: object) -> None:
    """Let the provider's ID tokens say something else; it signs them all the same."""
    act = provider._state.faults.act

    def then(seam: Any, subject: Any) -> None:
        act(seam, subject)
        if seam == "id_token":
            subject.claims[claim] = value

    provider._state.faults.act = then  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["error", "error_description", "iss", "code", "error_uri"])
def test_a_callback_in_markup(talkative: Visitor, name: str) -> None:
    parameters = callback_parameters(talkative)
    if name.startswith("error"):
        parameters |= {"error": "server_error"}
    page = talkative.client.get("/callback", query_string={**parameters, name: MARKUP})
    assert page.status_code >= 400
    assert_only_text(page, mentioned=name in ("error", "error_description", "iss"))


def test_a_state_in_markup(talkative: Visitor) -> None:
    page = talkative.client.get("/callback", query_string={"state": MARKUP, "code": "x"})
    assert_only_text(page, mentioned=False)


def test_a_provider_s_name_in_markup(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_PROVIDERS=TWO_CLIENTS)
    app.debug = True
    for path in ("/login/", "/callback/"):
        page = app.test_client().get(path + quote(MARKUP.replace("/", ""), safe=""))
        assert page.status_code == 404
        assert_only_text(page)


def test_return_paths_in_markup(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_PROVIDERS=TWO_CLIENTS)
    app.debug = True
    client = app.test_client()
    for target in (MARKUP, f"/{MARKUP}", f"javascript:{MARK}()", f"//evil.example/{MARK}"):
        assert_only_text(client.get(with_next("/login", target)))
        assert_only_text(client.get(with_next("/logout", target)), mentioned=False)
    harmless = client.get(with_next("/logout", f"/a?b='{MARK}'&c=&lt;"))
    assert_only_text(harmless)
    assert f'value="/a?b=&#39;{MARK}&#39;&amp;c=&amp;lt;"' in harmless.text
    visitor = Visitor(app, provider)
    visitor.log_in("/login/work")
    refused = visitor.get(f"/acme?{quote_plus(MARKUP)}")
    assert refused.status_code == 403
    assert_only_text(refused)


def test_a_host_in_markup(talkative: Visitor) -> None:
    for host in (f"{MARK}<script>", f'{MARK}"onload=x', f"{MARK}.example"):
        page = talkative.client.get("/login", headers={"Host": host})
        assert page.status_code in (400, 502)
        reader = _Tags()
        reader.feed(page.text)
        assert reader.suspicious == []


def test_a_form_that_is_bounced_in_markup(poster: Visitor) -> None:
    """The page that posts an answer once more shows it as values, and nothing else of it."""
    right = callback_parameters(poster)
    strange = {"code": MARKUP, "state": right["state"], "error_description": MARKUP, MARKUP: MARKUP}
    page = poster.app.test_client().post("/callback", data=strange, headers=FROM_ELSEWHERE)
    assert page.status_code == 200
    assert_only_text(page)
    assert page.text.count("<input") == 4  # with the mark that it was posted once more


def test_a_name_in_markup(provider: DevProvider) -> None:
    """A claim comes as it is, and Jinja escapes it; what we make of it in a page is escaped too."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/hello")
        def hello() -> str:
            from flask import render_template_string

            return render_template_string("<p>{{ current_user.name }}</p>")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    provider.people["ada"].claims["name"] = MARKUP  # type: ignore[index]
    visitor.log_in()
    assert visitor.get("/me").json["name"] == MARKUP
    reader = _Tags()
    reader.feed(visitor.get("/hello").text)
    assert reader.suspicious == []


def test_json_is_json(talkative: Visitor) -> None:
    for path in (with_next("/login", MARKUP), f"/callback?state={quote(MARKUP)}&code=x", "/me"):
        answer = talkative.get(path, headers={"Accept": "application/json"})
        if answer.status_code != 302:
            assert answer.content_type == "application/json"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "<" not in answer.json.get("message", "")


# Mix-up: two providers, and two tenants of one provider.


@pytest.fixture
def two_providers() -> tuple[Flask, DevProvider, DevProvider]:
    return _two("https://honest.example", "https://attacker.example")


@pytest.fixture
def two_tenants() -> tuple[Flask, DevProvider, DevProvider]:
    return _two("https://op.example/a", "https://op.example/b")


def _two(first: str, second: str) -> tuple[Flask, DevProvider, DevProvider]:
    """A site with two providers, ``a`` and ``b``."""
    a, b = DevProvider(first), DevProvider(second)
    sections = {
        "a": {"issuer": first, "client_id": "client"},
        "b": {"issuer": second, "client_id": "client"},
    }
    app = make_site(a, connect=False, PARJAR_PROVIDERS=sections)
    for each in (a, b):
        each.connect(app)
    return app, a, b


@pytest.fixture(params=["two_providers", "two_tenants"])
def pair(request: pytest.FixtureRequest) -> tuple[Flask, DevProvider, DevProvider]:
    pair: tuple[Flask, DevProvider, DevProvider] = request.getfixturevalue(request.param)
    return pair


def test_each_login_stays_with_its_provider(pair: tuple[Flask, DevProvider, DevProvider]) -> None:
    app, a, b = pair
    at_a, at_b = Visitor(app, a), Visitor(app, b)
    at_b.client = at_a.client  # one browser
    away_a, away_b = at_a.leave("/login/a?next=/me"), at_b.leave("/login/b?next=/me")
    assert away_a.startswith(f"{a.issuer}/") and away_b.startswith(f"{b.issuer}/")
    back_b, back_a = at_b.come_back(away_b, "grace"), at_a.come_back(away_a)
    assert at_b.get(back_b).location == "/me"
    assert (at_b.get("/me").json["iss"], at_b.get("/me").json["sub"]) == (b.issuer, "grace")
    assert at_a.get(back_a).location == "/me"
    assert (at_a.get("/me").json["iss"], at_a.get("/me").json["sub"]) == (a.issuer, "ada")
    for provider in (a, b):
        assert endpoints(provider).count("token") == 1


def test_an_answer_of_one_provider_is_none_of_the_other(
    pair: tuple[Flask, DevProvider, DevProvider],
) -> None:
    """Whatever is swapped, no code reaches a token endpoint that did not give it."""
    app, a, b = pair
    at_a, at_b = Visitor(app, a), Visitor(app, b)
    at_b.client = at_a.client
    from_a = query(at_a.come_back(at_a.leave("/login/a")))
    from_b = query(at_b.come_back(at_b.leave("/login/b")))
    one, other = ({n: v[0] for n, v in each.items()} for each in (from_a, from_b))
    swapped = [
        ("/callback/b", one, "state_mismatch"),
        ("/callback/a", other, "state_mismatch"),
        ("/callback/b", {**other, "state": one["state"]}, "state_mismatch"),
        ("/callback/a", {**other, "state": one["state"]}, "issuer_mismatch"),
        ("/callback/b", {**one, "state": other["state"]}, "issuer_mismatch"),
    ]
    for provider in (a, b):
        provider.calls.clear()
    for path, parameters, code in swapped:
        page = at_a.get(f"{path}?{urlencode(parameters)}")
        assert (page.status_code, code_of(page)) == (400, code)
    assert endpoints(a) + endpoints(b) == []
    assert not is_logged_in(at_a)


def test_a_token_of_one_provider_is_none_of_the_other(
    pair: tuple[Flask, DevProvider, DevProvider],
) -> None:
    """The attacker's token endpoint hands out what the honest one, or the other tenant, signed."""
    app, a, b = pair
    victim, attacker = Visitor(app, b), Visitor(app, a)
    stolen: list[bytes] = []

    @a.app.after_request
    def steal(response: Response) -> Response:
        if request.path.endswith("/token"):
            stolen.append(response.get_data())
        return response

    attacker.log_in("/login/a")

    @b.app.after_request
    def hand_out(response: Response) -> Response:
        if request.path.endswith("/token"):
            response.set_data(stolen[0])
        return response

    page = victim.log_in("/login/b")
    assert (page.status_code, code_of(page)) == (502, "token_key")
    assert not is_logged_in(victim)


def test_the_keys_of_one_issuer_prove_nothing_of_another(
    pair: tuple[Flask, DevProvider, DevProvider],
) -> None:
    """An account key is issuer and subject: a provider cannot speak of the other's people."""
    app, a, b = pair
    victim = Visitor(app, b)
    spoil_claim(b, "iss", a.issuer)
    page = victim.log_in("/login/b")
    assert (page.status_code, code_of(page)) == (502, "token_issuer")
    assert not is_logged_in(victim)


def test_the_parameters_of_a_callback_choose_no_issuer(visitor: Visitor) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    extra = {"issuer": "https://evil.example", "client_id": "x", "provider": "x", "aud": "x"}
    assert visitor.get(f"{back}&{urlencode(extra)}").location == "/me"
    assert visitor.get("/me").json["iss"] == ISSUER


# What a page of another site can make a browser do.


@pytest.fixture
def victim(provider: DevProvider) -> Visitor:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/put")
        def put() -> str:
            session["cart"] = request.args["cart"]
            return "put"

        @app.get("/whoami")
        def whoami() -> str:
            return f"{current_user.subject or 'anonymous'} {session.get('cart')}"

    return Visitor(make_site(provider, prepare=prepare, PARJAR_SCOPES=SCOPES), provider)


def test_login_csrf(victim: Visitor, provider: DevProvider) -> None:
    """An attacker's answer makes no one the attacker: not a visitor, not somebody half way, and not
    somebody who is logged in."""
    attacker = Visitor(victim.app, provider)
    stolen = attacker.come_back(attacker.leave("/login?next=/reports"), "grace")
    half_way = victim.come_back(victim.leave("/login?next=/me"))
    provider.calls.clear()
    assert victim.get(stolen, headers=FROM_ELSEWHERE).location.startswith(f"{ISSUER}/")
    assert victim.get("/whoami").text == "anonymous None"
    assert victim.get(half_way).location == "/me"
    assert victim.get(stolen, headers=FROM_ELSEWHERE).location == "/"
    assert victim.get("/whoami").text == "ada None"
    assert endpoints(provider).count("token") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Accept": "application/json"},
    ],
)
def test_an_image_or_a_script_begins_no_login_at_the_callback(
    visitor: Visitor, provider: DevProvider, headers: dict[str, str]
) -> None:
    """With the state of an attacker's own login, as with the login's own address."""
    attacker = Visitor(visitor.app, provider)
    state = query(attacker.come_back(attacker.leave("/login?next=/me")))["state"][0]
    provider.calls.clear()
    for _ in range(2):
        answer = visitor.get(f"/callback?state={state}", headers=headers)
        assert provider.calls == []
        assert (answer.status_code, answer.location) == (401, None)
        assert answer.json["login_url"] == "/login"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("age, begins", [(3600, True), (30 * 86400, False)])
def test_a_state_that_is_old_enough_begins_no_login(
    monkeypatch: pytest.MonkeyPatch, age: int, begins: bool
) -> None:
    """An hour later the browser is sent on once more; a month later it is shown a page."""
    provider = DevProvider(ISSUER, now=lambda: time.time())
    site = make_site(provider)
    attacker, visitor = Visitor(site, provider), Visitor(site, provider)
    state = query(attacker.come_back(attacker.leave("/login?next=/me")))["state"][0]
    provider.calls.clear()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + age)
    answer = visitor.get(f"/callback?state={state}&code=x", headers=FROM_ELSEWHERE)
    if begins:
        assert answer.location.startswith(f"{ISSUER}/")
    else:
        assert "pushed_authorization_request" not in endpoints(provider)
        assert (answer.status_code, code_of(answer)) == (400, "login_expired")


def test_login_csrf_by_a_form(poster: Visitor, provider: DevProvider) -> None:
    attacker = Visitor(poster.app, provider)
    stolen = callback_parameters(attacker)
    provider.calls.clear()
    bounced = poster.post("/callback", data=stolen, headers=FROM_ELSEWHERE)
    assert bounced.status_code == 200  # a page of ours, which posts it once more from here
    again = poster.post("/callback", data=stolen, headers=FROM_HERE)
    assert again.location.startswith(f"{ISSUER}/")
    assert endpoints(provider) == ["pushed_authorization_request"]
    assert not is_logged_in(poster)


@pytest.mark.parametrize(
    "headers", [FROM_ELSEWHERE, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_a_form_of_another_site_that_claims_to_be_ours_replaces_no_session(
    poster: Visitor, provider: DevProvider, headers: dict[str, str]
) -> None:
    """Its request brings no Lax cookie, so a login that begins here would have a new session."""
    form = {**callback_parameters(Visitor(poster.app, provider)), "parjar_posted_again": "1"}
    provider.calls.clear()
    without_cookies = poster.app.test_client()
    answer = without_cookies.post("/callback", data=form, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "login_lost")
    assert "Set-Cookie" not in answer.headers and provider.calls == []


def test_a_session_that_an_attacker_planted(victim: Visitor, provider: DevProvider) -> None:
    """Session fixation: what is in it is gone after the login, and the attacker's copy stays
    no one's."""
    attacker = Visitor(victim.app, provider)
    attacker.get("/put?cart=poisoned")
    planted = cookie_of(attacker)
    victim.client.set_cookie("session", planted)
    assert victim.get("/whoami").text == "anonymous poisoned"
    victim.log_in()
    assert victim.get("/whoami").text == "ada None"
    assert cookie_of(victim) != planted
    assert attacker.get("/whoami").text == "anonymous poisoned"


def test_an_attacker_s_own_session_is_no_part_of_the_victim_s(
    victim: Visitor, provider: DevProvider
) -> None:
    """The planted session is one in which the attacker is logged in."""
    attacker = Visitor(victim.app, provider)
    attacker.log_in(person="grace")
    attacker.get("/put?cart=poisoned")
    victim.client.set_cookie("session", cookie_of(attacker))
    assert victim.get("/whoami").text == "grace poisoned"
    victim.log_in(person="ada")
    assert victim.get("/whoami").text == "ada None"
    assert attacker.get("/whoami").text == "grace poisoned"


@pytest.mark.parametrize(
    "method, headers",
    [
        ("POST", {"Origin": "https://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}),
        ("POST", {"Referer": "https://evil.example/?http://localhost/"}),
        ("POST", {"Referer": "http://localhost.evil.example/"}),
        ("POST", {"Referer": "http://localhost@evil.example/"}),
        ("POST", {"Origin": "https://localhost"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}),
        ("GET", {"Sec-Fetch-Site": "SAME-ORIGIN", "Sec-Fetch-Mode": "navigate"}),
        ("GET", {"Referer": "//localhost/"}),
        ("GET", {}),
    ],
)
def test_logout_csrf(
    visitor: Visitor, provider: DevProvider, method: str, headers: dict[str, str]
) -> None:
    visitor.log_in()
    provider.calls.clear()
    response = visitor.client.open("/logout?next=/bye", method=method, headers=headers)
    assert response.status_code in (200, 403) and response.location is None
    assert is_logged_in(visitor)
    assert provider.calls == []


def test_nothing_of_ours_can_be_framed_or_kept(visitor: Visitor, provider: DevProvider) -> None:
    """Each answer of each route, and of a guard: no cache, by cookie, no frame, no guessing."""
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    wrong = f"{back}&code=again"
    answers = {
        "login": visitor.get("/login"),
        "login, prefetched": visitor.get("/login", headers={"Sec-Purpose": "prefetch"}),
        "login, HEAD": visitor.client.head("/login"),
        "login, OPTIONS": visitor.client.options("/login"),
        "login by a script": visitor.get("/login", headers={"Accept": "application/json"}),
        "callback, wrong": visitor.get(wrong),
        "callback, by POST": visitor.post(back),
        "callback, HEAD": visitor.client.head(back),
        "callback, right": visitor.get(back),
        "callback, again": visitor.get(back),
        "logout, asked": visitor.get("/logout"),
        "logout, from elsewhere": visitor.post("/logout", headers=FROM_ELSEWHERE),
        "refused": visitor.get("/acme?org=no"),
        "logout": visitor.post("/logout", headers=FROM_HERE),
        "logout, again": visitor.post("/logout", headers=FROM_HERE),
        "callback, lost": visitor.get(back),
        "guard": visitor.get("/me"),
        "guard, script": visitor.get("/me", headers={"Accept": "application/json"}),
    }
    with provider.fault("par_503"):
        answers["login, provider away"] = visitor.get("/login")
    for name, response in answers.items():
        if name == "refused":  # ada is at "engines": a page of the app that a guard answers for
            assert response.status_code == 403
        assert response.headers["Cache-Control"] == "no-store", name
        assert "Cookie" in response.headers["Vary"], name
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"], name
        assert response.headers["X-Content-Type-Options"] == "nosniff", name
        assert response.headers["Referrer-Policy"] == "same-origin", name
        assert response.status_code < 500 or response.status_code == 503, name
        assert "Access-Control-Allow-Origin" not in response.headers


def test_the_public_keys_are_the_same_for_everyone(visitor: Visitor) -> None:
    """So they may be cached, and they carry no cookie."""
    visitor.log_in()
    response = visitor.get("/.well-known/jwks.json")
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Vary" not in response.headers and "Set-Cookie" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["[evil", "ex:99999", "ex:abc", "a b", ""])
def test_a_malformed_host_causes_no_server_error_and_no_login(
    site: Flask, provider: DevProvider, host: str
) -> None:
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
