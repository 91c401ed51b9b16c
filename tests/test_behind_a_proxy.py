"""A proxy ends TLS and tells the app nothing; only PARJAR_REDIRECT_URI says where the site is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_parjar.testing import DevProvider
from tests.support.pages import code_of
from tests.support.site import ISSUER, Visitor, make_site, query

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SITE = "https://your.site"
MODERN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


class SilentProxy:
    """What nginx does without a ``proxy_set_header``: the app sees plain http and another Host."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        inner = {
            "HTTP_HOST": "127.0.0.1:8000",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "wsgi.url_scheme": "http",
        }
        return self._app({**environ, **inner}, start)


def site_behind_it(provider: DevProvider, **config: Any) -> Flask:
    app = make_site(
        provider,
        PARJAR_REDIRECT_URI=f"{SITE}/callback",
        PARJAR_POST_LOGOUT_REDIRECT_URI=f"{SITE}/",
        **config,
    )
    app.wsgi_app = SilentProxy(app.wsgi_app)  # type: ignore[method-assign]
    return app


@pytest.fixture
def visitor(provider: DevProvider) -> Visitor:
    """Somebody at that site, not logged in."""
    return Visitor(site_behind_it(provider), provider, base_url=SITE)


def test_a_login_works(visitor: Visitor) -> None:
    assert visitor.get("/me?tab=2").location == "/login?next=/me?tab%3D2"
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert visitor.get("/me").json["sub"] == "ada"


# Where the site's own pages are told from those of others.


def test_a_protected_form_comes_back_to_its_page(visitor: Visitor) -> None:
    headers = {**MODERN, "Origin": SITE, "Referer": f"{SITE}/form?id=1"}
    assert visitor.post("/save", headers=headers).location == "/login?next=/form?id%3D1"


def test_a_script_gets_a_login_url_that_leads_back_to_its_page(visitor: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Referer": f"{SITE}/app"}
    answer = visitor.get("/me", headers=headers)
    assert (answer.status_code, answer.json["login_url"]) == (401, "/login?next=/app")


@pytest.mark.parametrize(
    "spelling", ["https://Your.Site/callback", "https://your.site:443/callback"]
)
def test_the_configured_callback_names_the_site_in_any_spelling(
    provider: DevProvider, spelling: str
) -> None:
    app = make_site(provider, connect=False, PARJAR_REDIRECT_URI=spelling)
    answer = app.test_client().post("/save", headers={"Referer": f"{SITE}/form"})
    assert answer.location == "/login?next=/form"


@pytest.mark.parametrize("referrer", ["https://your.site.evil.example/x", "http://your.site/x"])
def test_a_page_of_another_site_is_not_come_back_to(visitor: Visitor, referrer: str) -> None:
    assert visitor.post("/save", headers={"Referer": referrer}).location == "/login?next=/"


@pytest.mark.parametrize(
    "method, headers",
    [
        ("post", MODERN),
        ("post", {"Origin": SITE, "Referer": f"{SITE}/"}),
        ("post", {"Referer": f"{SITE}/"}),
        ("get", {"Referer": f"{SITE}/"}),
    ],
)
def test_a_page_of_the_site_logs_out(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    """Also where the browser sends no Fetch Metadata."""
    visitor.log_in()
    left = getattr(visitor, method)("/logout", headers=headers)
    assert left.status_code == 302
    assert query(left.location)["post_logout_redirect_uri"] == [f"{SITE}/"]
    assert visitor.get("/me").status_code == 302


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://your.site", "https://your.site:8443", "https://op.example"],
)
def test_a_page_of_another_site_does_not_log_out(visitor: Visitor, origin: str) -> None:
    visitor.log_in()
    left = visitor.post("/logout", headers={"Origin": origin, "Referer": f"{origin}/"})
    assert (left.status_code, code_of(left)) == (403, "cross_site")
    assert visitor.get("/me").status_code == 200


# A form that is posted once more from our own page.


def form_of(page: TestResponse) -> tuple[str, dict[str, str]] | None:
    """Where a page posts by itself, and what; None where it is no such page."""
    form = re.search(r"<form([^>]*)>(.*?)</form>", page.text, re.DOTALL)
    if page.status_code != 200 or form is None:
        return None
    action = re.search(r'action="([^"]*)"', form[1])
    fields = re.findall(r'<input[^>]* name="([^"]*)" value="([^"]*)"', form[2])
    return (
        urljoin("/callback", unescape(action[1]) if action else ""),
        {unescape(name): unescape(value) for name, value in fields},
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(MODERN, id="Fetch Metadata"),
        *(pytest.param({"Origin": origin}, id=origin) for origin in (SITE, "null")),
    ],
)
def test_a_lost_answer_is_posted_once_more_and_not_for_ever(
    provider: DevProvider, headers: dict[str, str]
) -> None:
    """The browser has lost its cookie; the login begins once more, as it does with a query."""
    app = site_behind_it(provider, PARJAR_RESPONSE_MODE="form_post")
    away = Visitor(app, provider, base_url=SITE).leave("/login?next=/me")
    answer = {name: values[0] for name, values in query(provider.sign_in(away)).items()}
    lost = Visitor(app, provider, base_url=SITE)
    form = form_of(lost.post("/callback", data=answer, headers={"Origin": ISSUER}))
    assert form is not None
    action, fields = form
    assert fields.items() >= answer.items()
    again = lost.post(action, data=fields, headers=headers)
    assert form_of(again) is None
    assert again.location.startswith(f"{ISSUER}/")


def test_a_form_is_posted_once_more_and_not_for_ever_at_a_site_that_does_not_know_its_origin(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser without Fetch Metadata: its Origin is this site, and looks like another one."""
    app = make_site(provider, PARJAR_RESPONSE_MODE="form_post")
    app.wsgi_app = SilentProxy(app.wsgi_app)  # type: ignore[method-assign]
    lost, answer = Visitor(app, provider, base_url=SITE), {"code": "x", "state": "of a login"}
    form = form_of(lost.post("/callback", data=answer, headers={"Origin": ISSUER}))
    assert form is not None
    action, fields = form
    again = lost.post(action, data=fields, headers={"Origin": SITE})
    assert form_of(again) is None
    assert (again.status_code, code_of(again)) == (400, "login_lost")
    assert SITE in caplog.text and "PARJAR_REDIRECT_URI" in caplog.text
