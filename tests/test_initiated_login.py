"""Logins that another site begins (OpenID Connect Core section 4): to whom, where to, and how."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, step_up_required
from flask_parjar.protocol.urls import MAX_URL_LENGTH
from flask_parjar.testing import DevProvider
from tests.support.headers import FROM_ANOTHER_SITE, SCRIPT
from tests.support.jwt import read_jwt
from tests.support.pages import code_of, endpoints, is_logged_in
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, make_site_of_two, query
from tests.support.tenants import ADAS, ALANS, GRACES, TENANTS, issuer_of, make_tenants_provider
from tests.support.tenants import ISSUER as ISSUER_OF_TENANTS

WORK, HOME = "https://work.example", "https://home.example"


def ask(visitor: Visitor, *, at: str = "/login", by: str = "GET", **said: Any) -> TestResponse:
    """Be sent to a login by a link or a form of another site."""
    if by == "GET":
        return visitor.get(at, query_string=said, headers=FROM_ANOTHER_SITE)
    answer = visitor.post(at, data=said, headers=FROM_ANOTHER_SITE)
    if answer.status_code != 303:
        return answer
    return visitor.get(answer.location, headers=FROM_ANOTHER_SITE)


def asked_of(provider: DevProvider) -> dict[str, Any]:
    """The claims of the newest request object."""
    pushes = [each for each in provider.calls if each.endpoint == "pushed_authorization_request"]
    claims: dict[str, Any] = read_jwt(pushes[-1].form["request"])[1]
    return claims


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_a_whole_login(visitor: Visitor, provider: DevProvider, by: str) -> None:
    target = "http://localhost/me?tab=1"
    begun = ask(visitor, by=by, iss=ISSUER, login_hint="ada@people.example", target_link_uri=target)
    assert begun.status_code == 302 and begun.location.startswith(f"{ISSUER}/")
    assert asked_of(provider)["login_hint"] == "ada@people.example"
    assert visitor.get(visitor.come_back(begun.location)).location == "/me?tab=1"
    assert is_logged_in(visitor)


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_the_issuer_alone_is_enough(visitor: Visitor, provider: DevProvider, by: str) -> None:
    """Parameters that are not known are ignored, as the standard says."""
    begun = ask(visitor, by=by, iss=ISSUER, login_hint="", unknown="x", scope="all")
    assert {"login_hint", "unknown"}.isdisjoint(asked_of(provider))
    assert asked_of(provider)["scope"] == SCOPES
    assert visitor.get(visitor.come_back(begun.location)).location == "/"


@pytest.mark.parametrize("by", ["GET", "POST"])
@pytest.mark.parametrize(
    "iss",
    ["https://other.example", f"{ISSUER}/", ISSUER.upper(), "", f"{ISSUER}\n", "\x00", "\ud83d"],
)
def test_an_issuer_that_is_not_configured_begins_no_login(
    visitor: Visitor, provider: DevProvider, by: str, iss: str
) -> None:
    said = urlencode({"iss": iss.encode("utf-8", "surrogatepass")})
    headers = {**FROM_ANOTHER_SITE, "Content-Type": "application/x-www-form-urlencoded"}
    page = (
        visitor.get(f"/login?{said}", headers=headers)
        if by == "GET"
        else visitor.post("/login", data=said, headers=headers)
    )
    assert (page.status_code, code_of(page)) == (400, "issuer_unknown")
    assert page.headers.getlist("Set-Cookie") == [] and provider.calls == []
    assert 'href="/login"' in page.text


FOREIGN = [
    "https://evil.example/me",
    "//evil.example/me",
    "http://localhost.evil.example/me",
    "http://localhost@evil.example/me",
    "http://localhost:81/me",
    "https://localhost/me",  # the site is on http
    "javascript:alert(1)",
    "http://localhost//evil.example",
    "/\\evil.example",
    "http://localhost/login?next=/me",
    "http://localhost/logout",
    f"http://localhost/{'x' * 1100}",
]


@pytest.mark.parametrize("by", ["GET", "POST"])
@pytest.mark.parametrize("target", FOREIGN)
def test_a_login_leads_to_no_other_site(visitor: Visitor, by: str, target: str) -> None:
    """The person is logged in, and lands on the site's own page."""
    begun = ask(visitor, by=by, iss=ISSUER, target_link_uri=target)
    assert visitor.get(visitor.come_back(begun.location)).location == "/"


@pytest.mark.parametrize("target", ["/me", "http://localhost/me"])
def test_a_page_of_this_site_is_reached(visitor: Visitor, target: str) -> None:
    begun = ask(visitor, iss=ISSUER, target_link_uri=target)
    assert visitor.get(visitor.come_back(begun.location)).location == "/me"


def test_a_form_of_another_site_ends_no_session(visitor: Visitor, provider: DevProvider) -> None:
    """Browsers send no SameSite=Lax cookie with it, so its answer may not set one."""
    visitor.log_in()
    away = visitor.leave("/login?next=/me")
    without_cookies = Visitor(visitor.app, provider)
    answer = without_cookies.post("/login", data={"iss": ISSUER}, headers=FROM_ANOTHER_SITE)
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (303, [])
    calls = len(provider.calls)
    begun = visitor.get(answer.location, headers=FROM_ANOTHER_SITE)
    assert begun.status_code == 302 and len(provider.calls) > calls
    assert is_logged_in(visitor)
    assert visitor.get(visitor.come_back(away)).location == "/me"  # that of before goes on too


@pytest.mark.parametrize("by", ["GET", "POST"])
@pytest.mark.parametrize("name", ["iss", "login_hint", "target_link_uri"])
@pytest.mark.parametrize("said", ["twice", "too long"])
def test_what_is_repeated_or_too_long_is_refused(
    visitor: Visitor, provider: DevProvider, by: str, name: str, said: str
) -> None:
    once: dict[str, Any] = {"iss": ISSUER, "login_hint": "ada", "target_link_uri": "/me"}
    once[name] = [once[name]] * 2 if said == "twice" else "x" * (MAX_URL_LENGTH + 1)
    page = ask(visitor, by=by, **once)
    assert (page.status_code, code_of(page)) == (400, "initiation_malformed")
    assert provider.calls == []


def test_a_form_that_makes_a_url_too_long_for_servers_is_refused(visitor: Visitor) -> None:
    said = {"iss": ISSUER, "login_hint": "é" * 600}
    assert visitor.post("/login", data=said, headers=FROM_ANOTHER_SITE).status_code == 303
    page = ask(visitor, by="POST", **{**said, "login_hint": "é" * 700})
    assert (page.status_code, code_of(page)) == (400, "initiation_malformed")


def test_a_hint_of_any_text_is_passed_on(visitor: Visitor, provider: DevProvider) -> None:
    hint = 'Ada "the first" <ada@people.example> é\u200c😀 & more' + "x" * 1000
    ask(visitor, by="POST", iss=ISSUER, login_hint=hint)
    assert asked_of(provider)["login_hint"] == hint


@pytest.mark.parametrize(
    "body",
    [{}, {"next": "/me"}, {"iss": ISSUER, "more": "x" * 40_000}],
    ids=["empty", "without iss", "too long"],
)
def test_a_form_without_an_issuer_or_too_long_is_refused(
    visitor: Visitor, provider: DevProvider, body: dict[str, str]
) -> None:
    page = ask(visitor, by="POST", **body)
    assert (page.status_code, code_of(page)) == (400, "initiation_malformed")
    assert provider.calls == []


def test_without_an_issuer_the_other_parameters_mean_nothing(
    visitor: Visitor, provider: DevProvider
) -> None:
    begun = ask(visitor, login_hint="ada", target_link_uri="/me")
    assert "login_hint" not in asked_of(provider)
    assert visitor.get(visitor.come_back(begun.location)).location == "/"


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}])
def test_a_prefetch_begins_no_login(
    visitor: Visitor, provider: DevProvider, headers: dict[str, str]
) -> None:
    said = {"iss": ISSUER}
    assert visitor.get("/login", query_string=said, headers=headers).status_code == 503
    assert visitor.client.head("/login", query_string=said).status_code == 200
    assert visitor.post("/login", data=said, headers=headers).status_code == 503
    assert provider.calls == []


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_a_script_is_told_to_open_the_login(
    visitor: Visitor, provider: DevProvider, by: str
) -> None:
    answer = visitor.client.open("/login", method=by, query_string={"iss": ISSUER}, headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (401, "login_required")
    assert provider.calls == []


def test_the_options_of_the_app_count_too(provider: DevProvider) -> None:
    """What another site says of a person goes before what the app guesses."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.login_options
        def choose() -> LoginOptions:
            return LoginOptions(login_hint="alan", ui_locales=request.args.get("locale", "de"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    ask(visitor, iss=ISSUER, login_hint="ada")
    assert (asked_of(provider)["login_hint"], asked_of(provider)["ui_locales"]) == ("ada", "de")
    ask(visitor, iss=ISSUER)
    assert asked_of(provider)["login_hint"] == "alan"


def test_a_step_up_beside_it_does_not_count(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/strong")(step_up_required(acr="mfa")(lambda: "strong"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    (step_up,) = query(visitor.get("/strong").location)["step_up"]
    ask(visitor, iss=ISSUER, step_up=step_up)
    assert "acr_values" not in asked_of(provider)


# Several providers, and several tenants.


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_the_issuer_chooses_the_provider(by: str) -> None:
    app, work, home = make_site_of_two()
    for provider in (work, home):
        visitor = Visitor(app, provider)
        begun = ask(visitor, by=by, iss=provider.issuer, target_link_uri="/me")
        assert begun.location.startswith(f"{provider.issuer}/")
        assert visitor.get(visitor.come_back(begun.location)).location == "/me"
        name = "work" if provider is work else "home"
        assert visitor.get("/me").json["provider"] == name


@pytest.mark.parametrize("by", ["GET", "POST"])
def test_the_login_of_a_provider_has_its_issuer_alone(by: str) -> None:
    app, work, home = make_site_of_two()
    visitor = Visitor(app, work)
    begun = ask(visitor, at="/login/work", by=by, iss=WORK)
    assert begun.location.startswith(f"{WORK}/")
    other = ask(visitor, at="/login/work", by=by, iss=HOME)
    assert (other.status_code, code_of(other)) == (400, "issuer_unknown")
    assert 'href="/login/work"' in other.text
    unknown = ask(visitor, at="/login/nothing", by=by, iss=WORK)
    assert (unknown.status_code, code_of(unknown)) == (404, "provider_unknown")
    assert home.calls == []


def two_clients(provider: DevProvider, **more: Any) -> Flask:
    sections = {"staff": {"client_id": "s"}, "guests": {"client_id": "g"}}
    return make_site(provider, PARJAR_PROVIDERS=sections, **more)


def test_of_two_clients_at_one_issuer_the_person_chooses(provider: DevProvider) -> None:
    visitor = Visitor(two_clients(provider), provider)
    page = ask(visitor, by="POST", iss=ISSUER, login_hint="a&b", target_link_uri="/me")
    links = [html.unescape(link) for link in re.findall(r'href="(/login[^"]*)"', page.text)]
    assert [link.partition("?")[0] for link in links] == ["/login/staff", "/login/guests"]
    begun = visitor.get(links[1])
    assert (asked_of(provider)["client_id"], asked_of(provider)["login_hint"]) == ("g", "a&b")
    assert visitor.get(visitor.come_back(begun.location)).location == "/me"


def test_the_app_may_choose_among_the_clients_of_an_issuer(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.login_options(lambda: LoginOptions(provider="guests"))

    visitor = Visitor(two_clients(provider, prepare=prepare), provider)
    assert ask(visitor, iss=ISSUER).location.startswith(f"{ISSUER}/")
    assert asked_of(provider)["client_id"] == "g"


def test_the_app_does_not_choose_another_issuer() -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.login_options(lambda: LoginOptions(provider="home"))

    app, work, home = make_site_of_two(prepare=prepare)
    assert ask(Visitor(app, work), iss=WORK).location.startswith(f"{WORK}/")
    assert home.calls == []


@pytest.mark.parametrize(
    "iss",
    [ISSUER_OF_TENANTS, issuer_of("{tenantid}"), issuer_of(ADAS), issuer_of(GRACES)],
)
def test_the_issuer_of_a_tenant_that_is_allowed(iss: str) -> None:
    provider = make_tenants_provider()
    visitor = Visitor(make_site(provider, PARJAR_TENANTS=TENANTS), provider)
    begun = ask(visitor, iss=iss)
    assert visitor.get(visitor.come_back(begun.location)).location == "/"
    assert visitor.get("/me").json["iss"] == issuer_of(ADAS)


@pytest.mark.parametrize("iss", [issuer_of(ALANS), issuer_of("common"), issuer_of("")])
def test_the_issuer_of_another_tenant(iss: str) -> None:
    provider = make_tenants_provider()
    page = ask(Visitor(make_site(provider, PARJAR_TENANTS=TENANTS), provider), iss=iss)
    assert (page.status_code, code_of(page)) == (400, "issuer_unknown")
    assert endpoints(provider) == []


def test_an_app_below_a_path(provider: DevProvider) -> None:
    app = make_site(provider, connect=False)
    provider.connect(app, base_urls=["http://localhost/shop"])
    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        Flask("outside"), {"/shop": app.wsgi_app}
    )
    visitor = Visitor(app, provider)
    said = {"iss": ISSUER, "target_link_uri": "http://localhost/shop/me"}
    begun = ask(visitor, at="/shop/login", by="POST", **said)
    assert visitor.get(visitor.come_back(begun.location)).location == "/shop/me"
