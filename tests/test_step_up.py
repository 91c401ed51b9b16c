"""A stronger or a fresher login, asked for by a view: there, back, and never round for ever."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from flask import Flask
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, login_started, step_up_required
from flask_parjar.testing import DevProvider, Stopped
from tests.after_login import SCRIPT, code_of
from tests.site import Visitor, make_site, path_and_query, query

MFA = ["default", ["mfa"], None, True]


def step_up_views(app: Flask, parjar: ParJar) -> None:
    guards = {
        "strong": step_up_required(acr="mfa"),
        "any": step_up_required(acr=["phr", "mfa"]),
        "gold": step_up_required(acr="gold"),
        "fresh": step_up_required(max_age=300),
        "now": step_up_required(max_age=0),
        "both": step_up_required(acr="mfa", max_age=300),
    }
    for name, guard in guards.items():
        app.add_url_rule(f"/{name}", name, guard(lambda: "in"), methods=["GET", "POST"])


@pytest.fixture
def site(provider: DevProvider) -> Flask:
    return make_site(provider, prepare=step_up_views)


@pytest.fixture
def visitor(site: Flask, provider: DevProvider) -> Visitor:
    """Somebody who is logged in, with a password, for a while already."""
    somebody = Visitor(site, provider)
    somebody.log_in()
    change(somebody, by=-10)
    return somebody


def change(visitor: Visitor, *, by: int, auth_time: int = 0) -> None:
    """Let the login have been at another time."""
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][5] += by
        stored["_parjar_user"][3]["auth_time"] += auth_time or by
        for entry in stored.get("_parjar_step_up", []):
            entry[1] += by
        stored.modified = True


def asked_of(provider: DevProvider) -> list[dict[str, Any]]:
    """What the site asked for in its signed requests, to be read while they are made."""
    asked: list[dict[str, Any]] = []

    def hear(sender: Any, **said: Any) -> None:
        claims = said["request_object"]["claims"]
        wanted = ("acr_values", "max_age", "claims", "prompt")
        asked.append({name: claims[name] for name in wanted if name in claims})

    # (blinker holds receivers weakly: this one must live as long as its list)
    login_started.connect(hear, weak=False)
    return asked


def follow(visitor: Visitor, url: str, *, at_most: int = 12) -> tuple[TestResponse, int]:
    """Go where a browser would be sent, through the provider too, with one person before it.

    :returns: the page where it ends, and how many logins it took.
    """
    browser, logins = visitor.provider.browser(), 0
    for _ in range(at_most):
        page = visitor.get(url)
        if page.status_code != 302:
            return page, logins
        url = page.location
        if not url.startswith("/"):
            url, logins = path_and_query(browser.sign_in(url)), logins + 1
    raise AssertionError(f"still under way after {at_most} redirects: {url}")


@pytest.mark.parametrize(
    "path, acr", [("/strong", "mfa"), ("/any", "phr"), ("/both", "mfa")], ids=str
)
def test_a_stronger_login_is_asked_for_and_given(visitor: Visitor, path: str, acr: str) -> None:
    response = visitor.get(f"{path}?a=b%26c")
    assert response.status_code == 302 and response.headers["Cache-Control"] == "no-store"
    assert response.location.startswith(f"/login?next={path}?a%3Db%2526c&step_up=")
    assert visitor.get("/me").json["claims"]["acr"] == "pwd"  # until then they are who they were
    assert visitor.log_in(response.location).location == f"{path}?a=b%26c"
    assert visitor.get("/me").json["claims"]["acr"] == acr
    assert visitor.get(path).text == "in"


def test_whoever_is_strong_enough_is_let_in(visitor: Visitor) -> None:
    assert follow(visitor, "/any")[1] == 1
    assert visitor.get("/any").text == "in"  # phr
    assert visitor.get("/strong").status_code == 302  # which is not mfa: nobody ranks them here


def test_nobody_logs_in_first(site: Flask, provider: DevProvider) -> None:
    nobody = Visitor(site, provider)
    assert nobody.get("/strong").location == "/login?next=/strong"
    page, logins = follow(nobody, "/strong")
    assert (page.text, logins) == ("in", 2)


def test_what_is_asked_of_the_provider(visitor: Visitor, provider: DevProvider) -> None:
    asked = asked_of(provider)
    for path in ("/any", "/fresh", "/both"):
        change(visitor, by=0, auth_time=-1000)
        follow(visitor, path)
    any_acr = {"id_token": {"acr": {"essential": True, "values": ["phr", "mfa"]}}}
    mfa = {"id_token": {"acr": {"essential": True, "values": ["mfa"]}}}
    assert [each.get("claims") for each in asked] == [any_acr, None, mfa]
    assert [each.get("max_age") for each in asked] == [None, 300, 300]


def test_a_login_that_is_too_old(visitor: Visitor) -> None:
    """The clock skew is on the visitor's side, as at the login itself."""
    assert visitor.get("/fresh").text == "in"
    change(visitor, by=0, auth_time=-300)
    assert visitor.get("/fresh").text == "in"
    change(visitor, by=0, auth_time=-60)
    assert visitor.get("/fresh").status_code == 302
    page, logins = follow(visitor, "/fresh")
    assert (page.text, logins) == ("in", 1)
    assert abs(visitor.get("/me").json["claims"]["auth_time"] - time.time()) < 5


def test_a_login_of_this_moment(visitor: Visitor, provider: DevProvider) -> None:
    change(visitor, by=0, auth_time=-61)
    asked = asked_of(provider)
    page, logins = follow(visitor, "/now")
    assert (page.text, logins) == ("in", 1)
    assert asked == [{"max_age": 0}]


def test_a_login_whose_age_nobody_knows_is_old(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, prepare=step_up_views), provider)
    with provider.fault("id_token_auth_time_missing"):
        visitor.log_in()
        response = visitor.get("/fresh")
        assert response.status_code == 302
        page = visitor.log_in(response.location)
    assert (code_of(page), page.status_code) == ("token_auth_time", 502)


# Where the provider cannot comply.


def test_a_level_that_the_provider_does_not_know(visitor: Visitor, provider: DevProvider) -> None:
    for _ in range(2):
        page, logins = follow(visitor, "/gold")
        assert (page.status_code, code_of(page)) == (400, "provider_refused")
        assert logins == 1
    assert visitor.get("/me").status_code == 200  # they are who they were


@pytest.mark.parametrize(
    "path, fault, code",
    [
        ("/strong", "id_token_acr_other", "token_acr"),
        ("/strong", "id_token_acr_missing", "token_acr"),
        ("/fresh", "id_token_auth_time_old", "token_auth_time"),
        ("/fresh", "id_token_auth_time_missing", "token_auth_time"),
        ("/now", "id_token_auth_time_old", "token_auth_time"),
        ("/both", "id_token_acr_other", "token_acr"),
    ],
)
def test_a_provider_that_does_not_comply(
    visitor: Visitor, provider: DevProvider, path: str, fault: str, code: str
) -> None:
    change(visitor, by=0, auth_time=-1000)
    with provider.fault(fault):
        page, logins = follow(visitor, path)
    assert (page.status_code, code_of(page), logins) == (502, code, 1)
    assert visitor.get(path).status_code == 302  # it may be asked again, by the person's own click
    assert follow(visitor, path)[0].text == "in"


def test_a_plain_login_after_a_stronger_one_has_not_failed(visitor: Visitor) -> None:
    """It was not asked for what the view wants: so that may be tried."""
    visitor.log_in(visitor.get("/strong").location)
    visitor.log_in()  # a plain one, with a password
    assert visitor.get("/strong").status_code == 302


def test_the_same_wish_again_at_once_has_failed(visitor: Visitor) -> None:
    """As where a proxy, or the app's own claims, make of the answer something else."""
    asked = visitor.get("/strong").location
    visitor.log_in(asked)
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][3]["acr"] = "pwd"
        stored.modified = True
    page = visitor.get("/strong")
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    script = visitor.get("/strong", headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (403, "step_up_failed")
    assert "login_url" not in script.json
    assert visitor.get("/any").status_code == 302  # another wish is another matter
    change(visitor, by=-61)
    assert visitor.get("/strong").status_code == 302


def test_an_abandoned_login_has_not_failed(visitor: Visitor, provider: DevProvider) -> None:
    for _ in range(3):
        asked = visitor.get("/strong")
        assert asked.status_code == 302
        away = visitor.leave(asked.location)
    with pytest.raises(Stopped):  # they looked at the provider's page, and went back
        visitor.come_back("https://op.example/authorize?client_id=flask-parjar")
    refused = provider.sign_in(away, approve=False)
    page = visitor.get(path_and_query(refused))
    assert (page.status_code, code_of(page)) == (403, "access_denied")
    assert follow(visitor, "/strong")[0].text == "in"


def test_two_tabs_step_up_side_by_side(visitor: Visitor) -> None:
    first, second = (visitor.leave(visitor.get(path).location) for path in ("/strong", "/gold"))
    assert visitor.get(visitor.come_back(first)).location == "/strong"
    page = visitor.get(visitor.come_back(second))
    assert code_of(page) == "provider_refused"
    assert visitor.get("/strong").text == "in"


# Slips.


class LongAgo(TimestampSigner):
    """Signs as ten minutes, and a little, ago."""

    def get_timestamp(self) -> int:
        return int(time.time()) - 601


def slip(
    content: Any, *, key: str = "of the tests", purpose: str = "step_up", signer: Any = None
) -> str:
    serializer = URLSafeTimedSerializer(
        key,
        salt=f"flask_parjar.{purpose}",
        signer=signer or TimestampSigner,
        signer_kwargs={"digest_method": hashlib.sha256},
    )
    return str(serializer.dumps(content))


BAD_SLIPS = {
    "empty": "",
    "text": "x",
    "too long": "x" * 5000,
    "not ours": slip(MFA, key="of somebody else"),
    "for another purpose": slip(MFA, purpose="state"),
    "too old": slip(MFA, signer=LongAgo),
    "changed": slip(MFA).swapcase(),
    "of another shape": slip(["default", ["mfa"]]),
    "unsigned": "WyJkZWZhdWx0IixbIm1mYSJdLG51bGwsdHJ1ZV0",
}


@pytest.mark.parametrize("name", BAD_SLIPS)
def test_a_slip_that_does_not_count_leads_to_a_plain_login(
    visitor: Visitor, provider: DevProvider, name: str
) -> None:
    asked = asked_of(provider)
    response = visitor.client.get(
        "/login", query_string={"next": "/me", "step_up": BAD_SLIPS[name]}
    )
    assert response.status_code == 302
    assert asked == [{}]
    with visitor.client.session_transaction() as stored:
        assert "_parjar_step_up" not in stored
    assert visitor.get(visitor.come_back(response.location)).location == "/me"


def test_a_good_slip_counts(visitor: Visitor, provider: DevProvider) -> None:
    asked = asked_of(provider)
    visitor.client.get("/login", query_string={"step_up": slip(MFA)})
    essential = {"id_token": {"acr": {"essential": True, "values": ["mfa"]}}}
    assert asked == [{"acr_values": "mfa", "claims": essential}]


def test_the_slip_of_another_visitor_does_no_harm(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other = Visitor(site, provider)
    assert other.log_in(visitor.get("/strong").location, "grace").location == "/strong"
    assert (other.get("/me").json["sub"], visitor.get("/me").json["sub"]) == ("grace", "ada")


def test_two_wishes_that_nobody_can_grant_together_end(provider: DevProvider) -> None:
    """A view that wants one, and what it calls that wants another: each login undoes the other."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        view = step_up_required(acr="mfa")(step_up_required(acr="phr")(lambda: "in"))
        app.add_url_rule("/torn", "torn", view)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    page, logins = follow(visitor, "/torn", at_most=30)
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    assert logins <= 4


@pytest.mark.parametrize("remembered", [None, "x", [], [1], {"a": 1}, 7, ["x", 1, 2]])
def test_a_memory_of_another_shape_is_none(visitor: Visitor, remembered: Any) -> None:
    with visitor.client.session_transaction() as stored:
        stored["_parjar_step_up"] = remembered
    assert visitor.get("/strong").status_code == 302
    assert follow(visitor, "/strong")[0].text == "in"


# Who asks, and how.


def test_a_form_comes_back_to_its_page(visitor: Visitor) -> None:
    response = visitor.post("/strong", headers={"Referer": "http://localhost/form?id=1"})
    assert response.location.startswith("/login?next=/form?id%3D1&step_up=")
    assert visitor.log_in(response.location).location == "/form?id=1"
    elsewhere = visitor.post("/gold", headers={"Referer": "https://evil.example/form"})
    assert elsewhere.location.startswith("/login?next=/&step_up=")


def test_a_script_is_told_with_json(visitor: Visitor) -> None:
    response = visitor.get("/strong", headers=SCRIPT)
    assert response.status_code == 401
    assert response.headers["Cache-Control"] == "no-store"
    assert (response.json["error"], response.json["message"]) == (
        "step_up_required",
        "Please confirm who you are to go on.",
    )
    assert query(response.json["login_url"])["next"] == ["/strong"]
    assert visitor.log_in(response.json["login_url"]).location == "/strong"
    assert visitor.get("/strong", headers=SCRIPT).status_code == 200


@pytest.mark.parametrize(
    "method, headers",
    [
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("HEAD", {}),
    ],
)
def test_who_asks_ahead_uses_nothing_up(
    visitor: Visitor, provider: DevProvider, method: str, headers: dict[str, str]
) -> None:
    asked = visitor.get("/strong").location
    provider.calls.clear()
    ahead = visitor.client.open(asked, method=method, headers=headers)
    assert ahead.status_code == (200 if method == "HEAD" else 503)
    assert "Set-Cookie" not in ahead.headers and provider.calls == []
    assert visitor.log_in(asked).location == "/strong"
    assert visitor.get("/strong").text == "in"


def test_an_image_begins_no_login(visitor: Visitor) -> None:
    asked = visitor.get("/strong").location
    answer = visitor.get(asked, headers={"Sec-Fetch-Mode": "no-cors"})
    assert (answer.status_code, answer.json["error"]) == (401, "login_required")
    assert "Set-Cookie" not in answer.headers


def test_a_named_provider_is_asked_again() -> None:
    """That of whoever is logged in, without a choice in between."""
    work, home = DevProvider("https://work.example"), DevProvider("https://home.example")
    sections = {
        name: {"issuer": each.issuer, "client_id": name}
        for name, each in (("work", work), ("home", home))
    }
    app = make_site(
        work, prepare=step_up_views, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections
    )
    work.connect(app)
    home.connect(app)
    visitor = Visitor(app, home)
    visitor.log_in("/login/home")
    asked = visitor.get("/strong").location
    away = visitor.leave(asked)
    assert away.startswith("https://home.example/")
    assert visitor.get(visitor.come_back(away)).location == "/strong"
    assert visitor.get("/strong").text == "in"
    assert work.calls == []


def test_what_the_app_chooses_for_each_login_stays(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        step_up_views(app, parjar)

        @parjar.login_options
        def choose() -> LoginOptions:
            return LoginOptions(acr_values=("mfa",), max_age=3600, prompt="login")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    change(visitor, by=-1000)
    asked = asked_of(provider)
    follow(visitor, "/fresh")
    follow(visitor, "/gold")
    assert [each["max_age"] for each in asked] == [300, 3600]
    assert [each["prompt"] for each in asked] == ["login", "login"]
    assert asked[0]["acr_values"] == "mfa"
    assert asked[1]["claims"]["id_token"]["acr"]["values"] == ["gold"]


def test_a_wish_is_needed() -> None:
    for wrong in ({}, {"acr": []}, {"acr": None}, {"acr": ""}, {"acr": ["mfa", ""]}):
        with pytest.raises(TypeError, match="say what is wanted"):
            step_up_required(**wrong)
