"""A provider of several tenants, as Microsoft Entra ID is: whole logins, and what comes after."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask

from flask_parjar import ConfigError, current_user, step_up_required
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, renewals, store_address, token_site, token_views
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of, is_logged_in
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor, make_site, path_and_query, query
from tests.support.tenants import (
    ADAS,
    ALANS,
    GRACES,
    ISSUER,
    TENANTS,
    issuer_of,
    make_tenants_provider,
)
from tests.support.threads import at_once, switching_often


@pytest.fixture
def provider() -> DevProvider:
    return make_tenants_provider()


def tenants_site(provider: DevProvider, store: str | None = None, **config: Any) -> Flask:
    return token_site(provider, store, **{"PARJAR_TENANTS": TENANTS, **config})


def with_step_up(app: Flask, parjar: Any) -> None:
    token_views(app, parjar)
    app.add_url_rule("/strong", "strong", step_up_required(acr="mfa")(lambda: "in"))


@pytest.mark.parametrize("issuer", [ISSUER, ISSUER.replace("organizations", "common")])
@pytest.mark.parametrize("person, tenant", [("ada", ADAS), ("grace", GRACES)])
def test_a_person_is_of_the_issuer_of_their_tenant(issuer: str, person: str, tenant: str) -> None:
    provider = DevProvider(issuer)
    provider.serve_tenants({person: tenant})
    visitor = Visitor(tenants_site(provider), provider)
    assert visitor.log_in(person=person).location == "/"
    me = visitor.get("/me").json
    assert (me["iss"], me["sub"], me["claims"]["tid"]) == (issuer_of(tenant), person, tenant)


def test_a_person_of_another_tenant_is_refused(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider), provider)
    page = visitor.log_in(person="alan")
    assert (page.status_code, code_of(page)) == (403, "tenant_refused")
    assert not is_logged_in(visitor)
    # The tokens that the provider gave are taken back.
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]


def test_without_the_key_the_template_is_refused_before_the_browser_leaves(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(make_site(provider), provider)
    page = visitor.get("/login")
    assert (page.status_code, code_of(page)) == (502, "metadata_issuer_template")
    assert any("PARJAR_TENANTS" in message for message in caplog.messages)


def test_a_provider_of_one_tenant_is_refused_with_the_key() -> None:
    provider = DevProvider(ISSUER)  # the metadata has this issuer, and no template
    page = Visitor(tenants_site(provider), provider).get("/login")
    assert (page.status_code, code_of(page)) == (502, "metadata_issuer")


def test_metadata_by_hand_has_the_template(provider: DevProvider) -> None:
    config = {"PARJAR_METADATA": dict(provider.metadata)}
    visitor = Visitor(tenants_site(provider, **config), provider)
    visitor.log_in()
    assert visitor.get("/me").json["iss"] == issuer_of(ADAS)
    with pytest.raises(ConfigError):
        tenants_site(provider, PARJAR_METADATA={**provider.metadata, "issuer": ISSUER})


def test_userinfo_of_a_tenant(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider, PARJAR_USERINFO=True), provider)
    visitor.log_in()
    assert visitor.get("/me").json["iss"] == issuer_of(ADAS)


# The session.


def test_a_tenant_that_is_not_allowed_any_more_has_no_sessions(provider: DevProvider) -> None:
    visitors = {}
    for person in ("ada", "grace"):
        visitors[person] = Visitor(tenants_site(provider), provider)
        visitors[person].log_in(person=person)
    fewer = tenants_site(provider, PARJAR_TENANTS=[ADAS])
    other = tenants_site(provider, PARJAR_TENANTS=[GRACES])
    for person, visitor in visitors.items():
        for app, allowed in ((fewer, "ada"), (other, "grace")):
            again = Visitor(app, provider)
            cookie = visitor.client.get_cookie("session")
            assert cookie is not None
            again.client.set_cookie("session", cookie.value)
            assert is_logged_in(again) == (person == allowed)


def test_the_session_of_a_site_with_one_tenant_is_not_one_of_many(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider), provider)
    visitor.log_in()
    single = Visitor(make_site(provider, PARJAR_ISSUER=issuer_of(GRACES), connect=False), provider)
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None
    single.client.set_cookie("session", cookie.value)
    assert not is_logged_in(single)


def test_the_same_sub_in_another_tenant_is_another_person(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider), provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        stored["basket"] = ["a book"]
    provider.serve_tenants({"ada": GRACES})
    visitor.log_in()
    assert visitor.get("/me").json["iss"] == issuer_of(GRACES)
    with visitor.client.session_transaction() as stored:
        assert "basket" not in stored


def test_the_same_sub_in_another_tenant_does_not_step_up(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider, prepare=with_step_up), provider)
    visitor.log_in()
    provider.serve_tenants({"ada": GRACES})
    page = visitor.log_in(visitor.get("/strong").location)
    assert (page.status_code, code_of(page)) == (403, "other_person")
    assert visitor.get("/me").json["iss"] == issuer_of(ADAS)
    provider.serve_tenants({"ada": ADAS})
    assert visitor.log_in(visitor.get("/strong").location).location == "/strong"
    assert visitor.get("/strong").text == "in"


# Tokens.


@pytest.mark.parametrize("store", ["memory", "cookie"])
def test_tokens_of_a_tenant_are_renewed(provider: DevProvider, store: str) -> None:
    visitor = Visitor(tenants_site(provider, store), provider)
    visitor.log_in()
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert renewals(provider) == 1
    assert visitor.get("/me").json["iss"] == issuer_of(ADAS)


@pytest.mark.parametrize("store", ["memory", "cookie"])
def test_a_renewal_without_room_for_the_first_id_token_is_still_of_its_tenant(
    provider: DevProvider, store: str
) -> None:
    """What the tenant is compared with is the session, not a stored token."""
    visitor = Visitor(tenants_site(provider, store), provider)
    visitor.log_in()
    age(visitor, left=-1)
    provider.serve_tenants({"ada": GRACES})
    page = visitor.get("/token", headers=SCRIPT)
    assert page.json["error"] == "token_issuer"
    assert visitor.get("/kept").json is None


# Logout.


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return str(store_address(request.param, redis_process))


def tell(visitor: Visitor, token: str) -> tuple[int, str | None]:
    answer = Visitor(visitor.app, visitor.provider).post(
        "/backchannel-logout", data={"logout_token": token}
    )
    return answer.status_code, None if answer.status_code == 200 else answer.json["code"]


def test_a_logout_token_ends_the_sessions_of_its_tenant_alone(
    provider: DevProvider, store: str
) -> None:
    app = tenants_site(provider, store)
    at_a, at_b = Visitor(app, provider), Visitor(app, provider)
    at_a.log_in()
    provider.serve_tenants({"ada": GRACES})
    at_b.log_in()
    for tid in (GRACES, None):
        assert tell(at_a, provider.logout_token(sub="ada", claims={"tid": tid})) == (200, None)
        assert [is_logged_in(each) for each in (at_a, at_b)] == [True, False]
    provider.serve_tenants({"ada": ADAS})
    assert tell(at_a, provider.logout_token(sub="ada")) == (200, None)
    assert not is_logged_in(at_a)


@pytest.mark.parametrize(
    "claims, code",
    [
        ({"iss": issuer_of(ALANS)}, "token_issuer"),
        ({"iss": issuer_of(ALANS), "tid": ALANS}, "tenant_refused"),
        ({"iss": issuer_of(ALANS), "tid": ADAS}, "token_issuer"),
        ({"iss": issuer_of(GRACES), "tid": ADAS}, "token_issuer"),
        ({"iss": issuer_of("{tenantid}")}, "token_issuer"),
        ({"iss": ISSUER}, "token_issuer"),
        ({"tid": [ADAS]}, "token_issuer"),
        ({"tid": f"{ADAS}/x"}, "token_issuer"),
        ({"iss": None}, "token_issuer"),
    ],
)
def test_a_logout_token_that_proves_no_tenant(
    provider: DevProvider, claims: dict[str, Any], code: str
) -> None:
    visitor = Visitor(tenants_site(provider, "memory"), provider)
    visitor.log_in()
    assert tell(visitor, provider.logout_token(sub="ada", claims=claims)) == (400, code)
    assert is_logged_in(visitor)


def test_a_logout_at_the_provider_and_back(provider: DevProvider) -> None:
    """The hint is the ID token of the tenant; both kinds of logout name the tenant's issuer."""
    visitor = Visitor(tenants_site(provider, "memory"), provider)
    browser = provider.browser()
    visitor.get(path_and_query(browser.sign_in(visitor.leave(), "ada")))
    sid = visitor.get("/me").json["claims"]["sid"]
    for iss in (ISSUER, issuer_of("{tenantid}"), issuer_of(GRACES), issuer_of(ALANS)):
        visitor.get("/frontchannel-logout", query_string={"iss": iss, "sid": sid})
        assert is_logged_in(visitor)
    visitor.get("/frontchannel-logout", query_string={"iss": issuer_of(ADAS), "sid": sid})
    assert not is_logged_in(visitor)
    visitor.get(path_and_query(browser.sign_in(visitor.leave(), "ada")))
    away = visitor.post("/logout", headers=FROM_HERE).location
    assert away.startswith("https://login.example/")
    assert query(away)["id_token_hint"][0].count(".") == 2
    assert browser.get(away).status_code == 200


def test_a_person_who_signs_out_at_the_provider_is_logged_out_here(provider: DevProvider) -> None:
    visitor = Visitor(tenants_site(provider, "memory"), provider)
    visitor.log_in()
    provider.end_session("ada")
    assert not is_logged_in(visitor)


def test_the_command_lists_and_ends_the_sessions_of_every_tenant(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = tenants_site(provider, store_address("redis", redis_process))
    visitors = [Visitor(app, provider) for _ in range(2)]
    for visitor, person in zip(visitors, ("ada", "grace"), strict=True):
        visitor.log_in(person=person)
    listed = app.test_cli_runner().invoke(args=["parjar", "sessions"]).output.splitlines()
    assert sorted(line.split()[-2:] for line in listed[:2]) == [
        [issuer_of(GRACES), "grace"],
        [issuer_of(ADAS), "ada"],
    ]
    assert listed[2] == "2 sessions open"
    end = ["parjar", "sessions", "grace", "--end", "--issuer"]
    for issuer, ended in ((issuer_of(ADAS), 0), (ISSUER, 0), (issuer_of(GRACES), 1)):
        output = app.test_cli_runner().invoke(args=[*end, issuer]).output
        assert int(output.splitlines()[-1].split()[0]) == ended


# Many at once.


def test_several_tenants_in_many_threads_are_not_mixed_up(provider: DevProvider) -> None:
    """Two apps, as two workers of one site; eight threads; each person is of their own tenant."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    apps = [
        tenants_site(provider, "memory", PARJAR_SIGNING_KEY=key, PARJAR_HTTP_TIMEOUT=60)
        for _ in range(2)
    ]
    expected = {"ada": (issuer_of(ADAS), 200), "grace": (issuer_of(GRACES), 200), "alan": ("", 302)}
    turns, wrong, done = itertools.count(), list[object](), list[int]()

    def work() -> None:
        while (turn := next(turns)) < 96:
            person = tuple(expected)[turn % 3]
            visitor = Visitor(apps[turn % 2], provider)
            visitor.log_in(person=person)
            me = visitor.get("/me")
            found = ("" if me.json is None else me.json["iss"], me.status_code)
            token = visitor.get("/token").status_code
            if (found, token) != (expected[person], expected[person][1]):
                wrong.append((person, found, token))
            done.append(turn)

    with switching_often():
        at_once([work] * 8)
    assert wrong == []
    assert len(done) == 96


def test_two_providers_with_tenants_in_one_site() -> None:
    """Each has its own list: a tenant of one is no tenant of the other."""
    first = make_tenants_provider()
    second = DevProvider("https://other.example/common")
    second.serve_tenants({"ada": ADAS, "grace": GRACES})
    sections = {
        "first": {"issuer": ISSUER, "client_id": "a", "tenants": [ADAS]},
        "second": {"issuer": second.issuer, "client_id": "b", "tenants": GRACES},
    }
    app = make_site(first, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections)
    found = {}
    for name, provider in (("first", first), ("second", second)):
        provider.connect(app)
        for person in ("ada", "grace"):
            visitor = Visitor(app, provider)
            visitor.log_in(f"/login/{name}", person)
            me = visitor.get("/me")
            found[name, person] = None if me.json is None else me.json["iss"]
    assert found == {
        ("first", "ada"): issuer_of(ADAS),
        ("first", "grace"): None,
        ("second", "ada"): None,
        ("second", "grace"): f"https://other.example/{GRACES}",
    }


def test_the_issuer_is_that_of_the_tenant_for_the_user_loader(provider: DevProvider) -> None:
    seen: list[str] = []

    def prepare(app: Flask, parjar: Any) -> None:
        @parjar.user_loader
        def load(identity: Any) -> str:
            seen.append(identity.issuer)
            return str(identity.issuer)

        app.add_url_rule("/user", view_func=lambda: str(current_user.user), endpoint="user")

    visitor = Visitor(tenants_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/user").text == issuer_of(ADAS)
    assert {*seen} == {issuer_of(ADAS)}
