"""The link to the login: the page that shows it is the page that it comes back to."""

from __future__ import annotations

import html
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, render_template_string, request
from jinja2 import ChoiceLoader, DictLoader
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_parjar import LoginRequired, ParJar
from flask_parjar.testing import DevProvider
from tests.support.pages import code_of
from tests.support.site import Visitor, make_site, make_site_of_two
from tests.test_docs import blocks

PAGES = ["/page/plain", "/page/caf%C3%A9", "/page/a%20b", "/page/50%25", "/page/x?tab=2&q=a%26b"]


def page_with_a_link(app: Flask, parjar: ParJar) -> None:
    @app.get("/page/<path:name>")
    def page(name: str) -> str:
        return parjar.login_url()

    @app.get("/link")
    def link() -> str:
        wanted: Any = request.args
        return parjar.login_url(**wanted.to_dict())


@pytest.mark.parametrize("page", PAGES)
def test_the_login_comes_back_to_the_page_with_the_link(provider: DevProvider, page: str) -> None:
    visitor = Visitor(make_site(provider, prepare=page_with_a_link), provider)
    link = visitor.get(page).text
    assert link.startswith("/login?")
    assert visitor.log_in(link).location == page


@pytest.mark.parametrize("page", PAGES)
def test_the_link_of_an_app_below_a_path_stays_there(provider: DevProvider, page: str) -> None:
    app = make_site(provider, prepare=page_with_a_link, connect=False)
    provider.connect(app, base_urls=["http://localhost/shop"])
    outside = Flask("outside")
    below = {"/shop": app.wsgi_app}
    app.wsgi_app = DispatcherMiddleware(outside, below)  # type: ignore[method-assign]
    visitor = Visitor(app, provider)
    link = visitor.get(f"/shop{page}").text
    assert link.startswith("/shop/login?")
    assert visitor.log_in(link).location == f"/shop{page}"


@pytest.mark.parametrize(
    "target, landed",
    [
        ("/me", "/me"),
        ("/page/x?tab=2&q=a%26b", "/page/x?tab=2&q=a%26b"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
    ],
)
def test_a_link_may_lead_to_another_page_of_the_site(
    provider: DevProvider, target: str, landed: str
) -> None:
    visitor = Visitor(make_site(provider, prepare=page_with_a_link), provider)
    link = visitor.get(f"/link?next={quote(target, safe='')}").text
    assert link.startswith("/login")
    assert visitor.log_in(link).location == landed


def test_a_link_may_name_the_provider() -> None:
    app, _, home = make_site_of_two(prepare=page_with_a_link)
    visitor = Visitor(app, home)
    link = visitor.get("/link?provider=home&next=/me").text
    away = visitor.leave(link)
    assert away.startswith("https://home.example/")
    assert visitor.get(visitor.come_back(away)).location == "/me"


@pytest.mark.parametrize("page", PAGES)
def test_the_link_in_the_documented_template_comes_back(provider: DevProvider, page: str) -> None:
    (block,) = blocks("protecting", "html+jinja")

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/page/<path:name>")
        def show(name: str) -> str:
            return render_template_string(block.text)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    (href,) = re.findall(r'href="([^"]*)"', visitor.get(page).text)
    assert visitor.log_in(html.unescape(href)).location == page
    assert "Hello Ada Lovelace" in visitor.get(page).text


def test_a_page_of_ours_may_have_the_link_in_the_frame_of_the_site(provider: DevProvider) -> None:
    """No answer of a provider is in it, as the address of such a page has one."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        frame = "<nav>{{ login_url() }}</nav>{% block main %}{% endblock %}"
        ours = app.jinja_loader
        own = DictLoader({"parjar/page.html": frame})
        app.jinja_loader = ChoiceLoader([own, *([] if ours is None else [ours])])

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    page = visitor.get("/callback?code=secret&state=forged")
    assert page.status_code == 400 and "state_forged" in page.text
    assert "<nav>/login</nav>" in page.text


def test_the_link_of_a_form_comes_back_to_the_page_with_the_form(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.post("/form")(parjar.login_url)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    link = visitor.post("/form", headers={"Referer": "http://localhost/form?id=1"}).text
    assert visitor.log_in(link).location == "/form?id=1"
    assert visitor.post("/form").text == "/login"


def test_a_path_that_is_not_quoted_is_quoted(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, prepare=page_with_a_link), provider)
    link = visitor.get(f"/link?next={quote('/page/café au lait', safe='')}").text
    assert visitor.log_in(link).location == "/page/caf%C3%A9%20au%20lait"


def test_a_link_to_a_provider_that_there_is_not(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, prepare=page_with_a_link), provider)
    assert visitor.get("/link?provider=default&next=/me").text == "/login?next=/me"
    assert code_of(visitor.get("/link?provider=home")) == "provider_unknown"


# A way back that is dropped.


@pytest.mark.parametrize(
    "asked, path",
    [
        (f"/me?q={'x' * 1100}", "/me"),
        (f"/login?next={quote('/me?q=' + 'x' * 1100, safe='')}", "/me"),
        ("/open/https://other.example/x?q=xxxxx", "/open/"),
        (f"/login?next={quote('/open/https://other.example/x?q=xxxxx', safe='')}", "/open/"),
    ],
    ids=["guard, long", "login, long", "guard, two slashes", "login, two slashes"],
)
def test_a_way_back_that_is_dropped_is_in_the_log(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, asked: str, path: str
) -> None:
    """With the page that was asked for, and without its query."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/open/<path:name>")
        def open_(name: str) -> str:
            raise LoginRequired

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.leave()  # what is fetched and said once is over
    caplog.clear()
    with caplog.at_level(logging.INFO, "flask_parjar"):
        assert visitor.get(asked).status_code == 302
    lines = [each.getMessage() for each in caplog.records if each.name == "flask_parjar"]
    assert [line for line in lines if path in line]
    assert "xxxxx" not in caplog.text
