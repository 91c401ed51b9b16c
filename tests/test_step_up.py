"""A stronger or a fresher login, asked for by a view: there, back, and never round for ever."""

from __future__ import annotations

import hashlib
import random
import time
from typing import Any

import pytest
from flask import Flask, request, session
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, login_started, step_up_required
from flask_parjar.testing import DevProvider, Person, Stopped
from flask_parjar.web.step_up import StepUp, StepUpAttempt, read_step_up, remember_attempt
from tests.support.after_login import token_site, token_views
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two, path_and_query, query
from tests.support.untrusted import bounded, json_values

MFA = ["default", ["mfa"], None, True, True]


def step_up_views(app: Flask, parjar: ParJar) -> None:
    guards = {
        "strong": step_up_required(acr="mfa"),
        "any": step_up_required(acr=["phr", "mfa"]),
        "gold": step_up_required(acr="gold"),
        "fresh": step_up_required(max_age=300),
        "now": step_up_required(max_age=0),
        "both": step_up_required(acr="mfa", max_age=300),
        "anybody": step_up_required(acr="mfa", same_person=False),
    }
    for name, guard in guards.items():
        app.add_url_rule(f"/{name}", name, guard(lambda: "in"), methods=["GET", "POST"])


@pytest.fixture
def site(provider: DevProvider) -> Flask:
    """A site whose provider does not list its levels, so that any may be asked for."""
    del provider.metadata["acr_values_supported"]
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


class Asked(list[dict[str, Any]]):
    """What sites asked for in their signed requests, from now on.

    blinker holds receivers weakly, so it listens as long as the test has it.
    """

    def __init__(self) -> None:
        login_started.connect(self.hear)

    def hear(self, sender: Any, **said: Any) -> None:
        claims = said["request_object"]["claims"]
        wanted = ("acr_values", "max_age", "claims", "prompt")
        self.append({name: claims[name] for name in wanted if name in claims})


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


def test_a_login_that_is_strong_enough_is_let_in(visitor: Visitor) -> None:
    assert follow(visitor, "/any")[1] == 1
    assert visitor.get("/any").text == "in"  # phr
    assert visitor.get("/strong").status_code == 302  # which is not mfa: no one ranks them here


def test_a_visitor_without_a_login_logs_in_first(site: Flask, provider: DevProvider) -> None:
    anonymous = Visitor(site, provider)
    assert anonymous.get("/strong").location == "/login?next=/strong"
    page, logins = follow(anonymous, "/strong")
    assert (page.text, logins) == ("in", 2)


def test_parameters_of_a_step_up(visitor: Visitor, provider: DevProvider) -> None:
    asked = Asked()
    for path in ("/any", "/fresh", "/both"):
        change(visitor, by=0, auth_time=-1000)
        follow(visitor, path)
    assert not any("acr_values" in each for each in asked)
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


@pytest.mark.parametrize("ahead, let_in", [(50, True), (120, False), (7 * 86400, False)])
def test_a_login_that_is_still_to_come(visitor: Visitor, ahead: int, let_in: bool) -> None:
    """Within the clock skew it counts; beyond, it would be young for ever."""
    change(visitor, by=0, auth_time=ahead)
    assert visitor.get("/fresh").status_code == (200 if let_in else 302)


def test_a_login_whose_time_is_in_milliseconds(visitor: Visitor, provider: DevProvider) -> None:
    with provider.fault("id_token_auth_time_milliseconds"):
        visitor.log_in()  # a plain login, which asks for no time
        change(visitor, by=-10)
        asked = visitor.get("/fresh")
        assert asked.status_code == 302
        page = visitor.log_in(asked.location)
    assert (code_of(page), page.status_code) == ("token_auth_time", 502)
    assert follow(visitor, "/fresh")[0].text == "in"


def test_a_login_of_this_moment(visitor: Visitor, provider: DevProvider) -> None:
    change(visitor, by=0, auth_time=-61)
    asked = Asked()
    page, logins = follow(visitor, "/now")
    assert (page.text, logins) == ("in", 1)
    assert asked == [{"max_age": 0}]


def test_userinfo_makes_no_login_strong_or_fresh(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, prepare=step_up_views, PARJAR_USERINFO=True), provider)
    for fault in ("userinfo_sign_in", "id_token_acr_missing", "id_token_auth_time_missing"):
        provider.fault(fault)
    visitor.log_in()
    for path in ("/strong", "/any", "/fresh", "/both"):
        assert visitor.get(path).status_code == 302


def test_a_login_of_unknown_age_is_old(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, prepare=step_up_views), provider)
    with provider.fault("id_token_auth_time_missing"):
        visitor.log_in()
        response = visitor.get("/fresh")
        assert response.status_code == 302
        page = visitor.log_in(response.location)
    assert (code_of(page), page.status_code) == ("token_auth_time", 502)


# Where the provider cannot comply.


def test_a_level_that_the_provider_does_not_reach(visitor: Visitor) -> None:
    """As ``unmet_authentication_requirements`` says (OpenID Connect Core Error Code, section 2)."""
    for _ in range(2):
        page, logins = follow(visitor, "/gold")
        assert (page.status_code, code_of(page), logins) == (403, "step_up_failed", 1)
        assert "unmet_authentication_requirements" in page.text
    assert visitor.get("/me").status_code == 200  # they are who they were


def pushes(provider: DevProvider) -> int:
    return sum(call.endpoint == "pushed_authorization_request" for call in provider.calls)


@pytest.mark.parametrize("path", ["/gold", "/gold-now"])
def test_a_level_that_is_not_listed_is_refused_before_the_browser_leaves(
    provider: DevProvider, path: str
) -> None:
    """A provider that lists its levels may leave the person on a page of its own."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        step_up_views(app, parjar)

        @app.get("/gold-now")
        def gold_now() -> Any:
            return parjar.login(LoginOptions(acr_values=["gold"], essential_acr=True))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    change(visitor, by=-10)
    provider.calls.clear()
    page = visitor.get(path)
    if path == "/gold":
        page = visitor.get(page.location)
    assert (page.status_code, code_of(page)) == (502, "acr_unsupported")
    assert pushes(provider) == 0
    assert visitor.get("/me").status_code == 200  # they are who they were


@pytest.mark.parametrize(
    "path, listed", [("/gold", ["pwd", "gold"]), ("/any", ["pwd", "mfa"]), ("/gold", None)]
)
def test_a_level_is_asked_for_where_it_may_be_known(
    provider: DevProvider, path: str, listed: list[str] | None
) -> None:
    """Of several levels one that is listed is enough; a provider may list none at all."""
    provider.metadata["acr_values_supported"] = listed
    visitor = Visitor(make_site(provider, prepare=step_up_views), provider)
    visitor.log_in()
    change(visitor, by=-10)
    provider.calls.clear()
    visitor.leave(visitor.get(path).location)
    assert pushes(provider) == 1


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


def test_the_same_step_up_again_at_once_has_failed(visitor: Visitor) -> None:
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
    assert code_of(page) == "step_up_failed"
    assert visitor.get("/strong").text == "in"


# Where somebody else comes back.


@pytest.mark.parametrize("store", [None, "cookie", "memory"])
@pytest.mark.parametrize("path", ["/strong", "/now"])
def test_another_person_is_refused_and_nothing_changes(
    provider: DevProvider, store: str | None, path: str
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        step_up_views(app, parjar)
        token_views(app, parjar)

    visitor = Visitor(token_site(provider, store, prepare=prepare), provider)
    visitor.log_in()
    change(visitor, by=-100)
    with visitor.client.session_transaction() as stored:
        stored["basket"] = ["a book"]
    who, kept = visitor.get("/me").json, visitor.get("/kept").json
    asked = visitor.get(path).location
    provider.calls.clear()
    page = visitor.log_in(asked, "grace")
    assert (page.status_code, code_of(page)) == (403, "other_person")
    assert visitor.get("/me").json == who and who["sub"] == "ada"
    assert visitor.get("/kept").json == kept
    with visitor.client.session_transaction() as stored:
        assert stored["basket"] == ["a book"]
    # What the provider gave for the other person is taken back, and nothing else.
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]
    tokens = {kept["access_token"], kept["refresh_token"]} if kept else set()
    assert not tokens & {form["token"] for form in revoked}
    again = visitor.get(path).location
    assert visitor.log_in(again).location == path
    assert visitor.get(path).text == "in"


def test_a_person_who_chose_the_wrong_account_may_choose_again(
    visitor: Visitor, provider: DevProvider
) -> None:
    """The other one is signed in at the provider now, and would come back without a question."""
    browser, asked = provider.browser(), Asked()

    def sign_in(url: str, person: str) -> TestResponse:
        return visitor.get(path_and_query(browser.sign_in(visitor.leave(url), person)))

    page = sign_in(visitor.get("/strong").location, "grace")
    assert code_of(page) == "other_person"
    assert 'href="/strong"' in page.text and 'href="/login' not in page.text
    back = sign_in(visitor.get("/strong").location, "ada")
    assert (back.location, visitor.get("/strong").text) == ("/strong", "in")
    assert [each.get("prompt") for each in asked] == [None, "login"]
    change(visitor, by=-10)
    assert follow(visitor, "/any?again")[0].text == "in"
    assert code_of(follow(visitor, "/gold")[0]) == "step_up_failed"
    assert "prompt" not in asked[-1]  # that was for once


def test_a_plain_login_after_it_is_open_to_anyone(visitor: Visitor, provider: DevProvider) -> None:
    assert code_of(visitor.log_in(visitor.get("/strong").location, "grace")) == "other_person"
    asked = Asked()
    assert visitor.log_in("/login?next=/me", "grace").location == "/me"
    assert (asked, visitor.get("/me").json["sub"]) == ([{}], "grace")


def test_a_view_may_let_another_person_step_up(visitor: Visitor) -> None:
    assert visitor.log_in(visitor.get("/anybody").location, "grace").location == "/anybody"
    assert visitor.get("/anybody").text == "in"
    assert visitor.get("/me").json["sub"] == "grace"


def test_a_login_that_the_app_begins_itself_is_open_to_anyone(provider: DevProvider) -> None:
    """Only a step-up is for who is there."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/again")
        def again() -> Any:
            return parjar.login(LoginOptions(max_age=0, prompt="login"), next="/me")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    for url, person in (("/login", "ada"), ("/again", "grace"), ("/login", "alan")):
        visitor.log_in(url, person)
        assert visitor.get("/me").json["sub"] == person


def test_after_a_logout_a_step_up_is_open_to_anyone(
    visitor: Visitor, provider: DevProvider
) -> None:
    wanted = visitor.get("/strong").location
    visitor.post("/logout", headers=FROM_HERE)
    assert visitor.get("/me").status_code == 302
    assert visitor.log_in(wanted, "grace").location == "/strong"
    assert visitor.get("/me").json["sub"] == "grace"


def test_the_same_name_at_another_provider_is_another_person() -> None:
    """A step-up goes to the provider of who is logged in, whatever a path or an old link says."""
    app, work, home = make_site_of_two(prepare=step_up_views)
    visitor = Visitor(app, work)
    visitor.log_in("/login/work")
    at_work = visitor.get("/strong").location
    for url in (at_work, at_work.replace("/login?", "/login/home?")):
        assert visitor.leave(url).startswith("https://work.example/")
    visitor.provider = home
    visitor.log_in("/login/home")
    assert visitor.leave(at_work).startswith("https://home.example/")
    assert visitor.log_in(at_work).location == "/strong"
    assert visitor.get("/me").json["iss"] == "https://home.example"


def test_a_login_cannot_be_for_two_people(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        step_up_views(app, parjar)

        @parjar.login_options
        def choose() -> LoginOptions:
            sub = request.args.get("sub", "ada")
            return LoginOptions(claims={"id_token": {"sub": {"value": sub}}})

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    change(visitor, by=-10)
    wanted = visitor.get("/strong").location
    provider.calls.clear()
    page = visitor.get(f"{wanted}&sub=grace")
    assert (page.status_code, code_of(page), provider.calls) == (403, "other_person", [])
    assert 'href="/login?next=/strong"' in page.text
    assert code_of(visitor.log_in(wanted, "grace")) == "other_person"
    assert visitor.log_in(visitor.get("/strong").location).location == "/strong"


def test_many_abandoned_step_ups_keep_the_cookie_small() -> None:
    """Even where the longest name of a person stands in each of them."""
    longest = Person("ada", {"sub": "".join(random.Random(7).choices("0123456789abcdef", k=255))})
    provider = DevProvider(ISSUER, people=[longest])
    visitor = Visitor(make_site(provider, prepare=step_up_views), provider)
    visitor.log_in()
    change(visitor, by=-1000)
    before = len(visitor.client.get_cookie("session").value)
    for _ in range(10):
        for path in ("/strong", "/any", "/fresh", "/both"):
            visitor.leave(visitor.get(path).location)
    assert len(visitor.client.get_cookie("session").value) < before + 900
    assert follow(visitor, "/strong")[0].text == "in"


# Signed values.


class LongAgo(TimestampSigner):
    """Signs as ten minutes, and a little, ago."""

    def get_timestamp(self) -> int:
        return int(time.time()) - 601


def step_up_value(
    content: Any, *, key: str = "of the tests", purpose: str = "step_up", signer: Any = None
) -> str:
    serializer = URLSafeTimedSerializer(
        key,
        salt=f"flask_parjar.{purpose}",
        signer=signer or TimestampSigner,
        signer_kwargs={"digest_method": hashlib.sha256},
    )
    return str(serializer.dumps(content))


BAD_VALUES = {
    "empty": "",
    "text": "x",
    "too long": "x" * 5000,
    "not ours": step_up_value(MFA, key="of somebody else"),
    "for another purpose": step_up_value(MFA, purpose="state"),
    "too old": step_up_value(MFA, signer=LongAgo),
    "changed": step_up_value(MFA).swapcase(),
    "of another shape": step_up_value(["default", ["mfa"]]),
    "of an older shape": step_up_value(MFA[:4]),
    "unsigned": "WyJkZWZhdWx0IixbIm1mYSJdLG51bGwsdHJ1ZV0",
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_signed_step_up_that_does_not_count_leads_to_a_plain_login(
    visitor: Visitor, provider: DevProvider, name: str
) -> None:
    asked = Asked()
    response = visitor.client.get(
        "/login", query_string={"next": "/me", "step_up": BAD_VALUES[name]}
    )
    assert response.status_code == 302
    assert asked == [{}]
    with visitor.client.session_transaction() as stored:
        assert "_parjar_step_up" not in stored
    assert visitor.get(visitor.come_back(response.location)).location == "/me"


def test_a_good_step_up_value_counts(visitor: Visitor, provider: DevProvider) -> None:
    asked = Asked()
    visitor.client.get("/login", query_string={"step_up": step_up_value(MFA)})
    essential = {"id_token": {"acr": {"essential": True, "values": ["mfa"]}}}
    assert asked == [{"claims": essential}]


def test_the_signed_step_up_of_another_visitor_does_no_harm(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other = Visitor(site, provider)
    assert other.log_in(visitor.get("/strong").location, "grace").location == "/strong"
    assert (other.get("/me").json["sub"], visitor.get("/me").json["sub"]) == ("grace", "ada")


def test_two_demands_that_contradict_each_other_end(provider: DevProvider) -> None:
    """A view that wants one, and what it calls that wants another: each login undoes the other."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        view = step_up_required(acr="mfa")(step_up_required(acr="phr")(lambda: "in"))
        app.add_url_rule("/torn", "torn", view)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    page, logins = follow(visitor, "/torn", at_most=30)
    assert (page.status_code, code_of(page)) == (403, "step_up_failed")
    assert logins <= 4


@pytest.mark.parametrize(
    "remembered", [None, "x", [], [1], {"a": 1}, 7, ["x", 1, 2], [["x", "y"]], [[1]]]
)
def test_attempts_of_another_shape_are_ignored(visitor: Visitor, remembered: Any) -> None:
    with visitor.client.session_transaction() as stored:
        stored["_parjar_step_up"] = remembered
    assert visitor.get("/login").status_code == 302
    with visitor.client.session_transaction() as stored:
        stored["_parjar_step_up"] = remembered
    assert visitor.get("/strong").status_code == 302
    assert follow(visitor, "/strong")[0].text == "in"


# What is written of an attempt.


def test_an_attempt_is_a_pair_in_the_cookie() -> None:
    assert StepUpAttempt("digest", 7).to_cookie() == ["digest", 7]
    assert StepUpAttempt.from_cookie(["digest", 7]) == ("digest", 7)
    assert StepUpAttempt.from_cookie(("digest", 7)) == ("digest", 7)


@pytest.mark.parametrize(
    "value", [None, "ab", {}, [], ["x"], ["x", 7, 1], [1, 7], [None, 7], ["x", "7"], ["x", True]]
)
def test_a_value_of_another_shape_is_no_attempt(value: object) -> None:
    assert StepUpAttempt.from_cookie(value) is None


@bounded
@given(st.text(), st.integers(-(10**14), 10**14), json_values)
def test_an_attempt_is_read_as_it_was_written(digest: str, began_at: int, other: Any) -> None:
    assert StepUpAttempt.from_cookie(StepUpAttempt(digest, began_at).to_cookie()) == (
        digest,
        began_at,
    )
    for value in (other, [digest, other], [other, began_at]):
        read = StepUpAttempt.from_cookie(value)
        assert read is None or StepUpAttempt.from_cookie(read.to_cookie()) == read


def test_to_read_a_step_up_changes_no_session(site: Flask) -> None:
    now = int(time.time())
    with site.test_request_context():
        read = read_step_up(step_up_value(MFA), now=now)
        assert read == StepUp("default", ("mfa",), None, essential=True)
        assert read_step_up(step_up_value(MFA), now=now + 700) is None
        assert read_step_up("x", now=now) is None
        assert not session and not session.modified
        remember_attempt(read, now=now)
        assert session["_parjar_step_up"] == [[read.digest, now]]


# Who asks, and how.


def test_a_form_comes_back_to_its_page(visitor: Visitor) -> None:
    response = visitor.post("/strong", headers={"Referer": "http://localhost/form?id=1"})
    assert response.location.startswith("/login?next=/form?id%3D1&step_up=")
    assert visitor.log_in(response.location).location == "/form?id=1"
    elsewhere = visitor.post("/gold", headers={"Referer": "https://evil.example/form"})
    assert elsewhere.location.startswith("/login?next=/&step_up=")


def test_a_script_gets_json(visitor: Visitor) -> None:
    response = visitor.get("/strong", headers=SCRIPT)
    assert response.status_code == 401
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json["error"] == "step_up_required"
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
def test_a_prefetch_uses_nothing_up(
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
    """That of the user who is logged in, without a choice in between."""
    app, work, home = make_site_of_two(prepare=step_up_views)
    visitor = Visitor(app, home)
    visitor.log_in("/login/home")
    asked = visitor.get("/strong").location
    away = visitor.leave(asked)
    assert away.startswith("https://home.example/")
    assert visitor.get(visitor.come_back(away)).location == "/strong"
    assert visitor.get("/strong").text == "in"
    assert work.calls == []


def test_options_of_every_login_are_kept_in_a_step_up(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        step_up_views(app, parjar)

        @parjar.login_options
        def choose() -> LoginOptions:
            return LoginOptions(acr_values=("mfa",), max_age=3600, prompt="login")

    del provider.metadata["acr_values_supported"]  # so that "gold" may be asked for
    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    change(visitor, by=-1000)
    asked = Asked()
    follow(visitor, "/fresh")
    follow(visitor, "/gold")
    assert [each["max_age"] for each in asked] == [300, 3600]
    assert [each["prompt"] for each in asked] == ["login", "login"]
    assert asked[0]["acr_values"] == "mfa"
    assert asked[1]["claims"]["id_token"]["acr"]["values"] == ["gold"]


def test_claims_of_every_login_are_kept_in_a_step_up(provider: DevProvider) -> None:
    """One claim of one parameter is asked for otherwise, and what is asked for is proved."""
    claims = {
        "userinfo": {"https://id.example/fiscal_number": None},
        "id_token": {"phone_number": {"essential": True}, "auth_time": {"essential": True}},
    }
    params = {"claims": claims, "acr_values": "pwd", "organization": "acme"}
    app = make_site(provider, prepare=step_up_views, PARJAR_AUTHORIZATION_PARAMS=params)
    visitor = Visitor(app, provider)
    visitor.log_in()
    change(visitor, by=-10)
    with provider.fault("id_token_auth_time_missing"):
        assert code_of(follow(visitor, "/strong")[0]) == "token_auth_time"
    asked = Asked()
    assert follow(visitor, "/strong")[0].text == "in"
    acr = {"essential": True, "values": ["mfa"]}
    assert asked == [{"claims": {**claims, "id_token": {**claims["id_token"], "acr": acr}}}]
    assert visitor.get("/me").json["claims"]["phone_number"]


def test_a_provider_that_reads_no_claims(provider: DevProvider) -> None:
    provider.metadata["claims_parameter_supported"] = False
    del provider.metadata["acr_values_supported"]
    visitor = Visitor(make_site(provider, prepare=step_up_views), provider)
    visitor.log_in()
    change(visitor, by=-10)
    asked = Asked()
    assert follow(visitor, "/any")[0].text == "in"
    assert asked == [{"acr_values": "phr mfa"}]
    change(visitor, by=-10)
    page, logins = follow(visitor, "/gold")  # it gives what it has, and that is not enough
    assert (page.status_code, code_of(page), logins) == (502, "token_acr", 1)


def test_a_step_up_needs_a_demand() -> None:
    for wrong in ({}, {"acr": []}, {"acr": None}, {"acr": ""}, {"acr": ["mfa", ""]}):
        with pytest.raises(TypeError):
            step_up_required(**wrong)


@pytest.mark.parametrize(
    "wanted", [{"max_age": "300"}, {"max_age": -1}, {"max_age": True}, {"acr": "mfa phr"}]
)
def test_a_step_up_that_no_login_could_ask_for_is_a_mistake(wanted: Any) -> None:
    with pytest.raises(ValueError):
        step_up_required(**wanted)
