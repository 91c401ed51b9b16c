"""Guards: who is let in, and what the others are told."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, render_template_string, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from flask_parjar import (
    AccessDenied,
    LoginRequired,
    ParJar,
    ParJarError,
    claims_required,
    current_user,
    login_required,
    scopes_required,
    step_up_required,
)
from flask_parjar.testing import DevProvider, Person
from flask_parjar.web.own_urls import OWN_ENDPOINTS
from tests.support.headers import SCRIPT
from tests.support.pages import code_of
from tests.support.site import ISSUER, SCOPES, Visitor, make_site


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "text/html,*/*;q=0.8"},
        {"Sec-Fetch-Mode": "navigate", "Accept": "application/json"},
    ],
)
def test_a_navigation_is_sent_to_the_login(visitor: Visitor, headers: dict[str, str]) -> None:
    response = visitor.get("/me?tab=a%26b", headers=headers)
    assert (response.status_code, response.location) == (302, "/login?next=/me?tab%3Da%2526b")
    assert response.headers["Cache-Control"] == "no-store"
    assert visitor.log_in(response.location).location == "/me?tab=a%26b"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Mode": "same-origin", "Accept": "text/html"},
        {"Accept": "*/*"},  # curl, requests, and fetch of a browser without Fetch Metadata
        {"Accept": "text/html, */*", "HX-Request": "true"},
        # As htmx asks where there is no Fetch Metadata, such as on plain http.
        {"HX-Request": "true", "Accept": "*/*"},
    ],
)
def test_a_script_gets_json(visitor: Visitor, headers: dict[str, str]) -> None:
    response = visitor.get("/me", headers=headers)
    assert response.status_code == 401
    assert response.json == {
        "error": "login_required",
        "message": str(LoginRequired()),
        "login_url": "/login?next=/me",
    }
    assert response.headers["Cache-Control"] == "no-store"


def test_htmx_is_sent_to_the_login(visitor: Visitor) -> None:
    """It shows no answer with this status, but goes where this header says."""
    headers = {"HX-Request": "true", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    page = "http://localhost/page"
    response = visitor.get("/me", headers={**headers, "HX-Current-URL": page, "Referer": page})
    assert (response.status_code, response.json["login_url"]) == (401, "/login?next=/page")
    assert response.headers.get("HX-Redirect") == "/login?next=/page"


@pytest.mark.parametrize(
    "page, referrer, back",
    [
        ("http://localhost/page?tab=2#top", "", "/login?next=/page?tab%3D2"),
        ("https://evil.example/page", "", "/login"),
        ("https://evil.example/page", "http://localhost/form", "/login?next=/form"),
        ("http://localhost//evil.example", "", "/login"),
        ("http://[broken", "", "/login"),
        ("/page", "", "/login"),  # htmx sends the whole URL
        ("", "http://localhost/form", "/login?next=/form"),
    ],
)
def test_htmx_comes_back_to_a_page_of_this_site(
    visitor: Visitor, page: str, referrer: str, back: str
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": page, "Referer": referrer}
    response = visitor.post("/save", headers=headers)
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, back)


def test_htmx_is_sent_nowhere_where_no_login_helps(visitor: Visitor) -> None:
    visitor.log_in()
    response = visitor.get("/acme", headers={"HX-Request": "true", "Accept": "*/*"})
    assert (response.status_code, response.json["error"]) == (403, "insufficient_claims")
    assert "HX-Redirect" not in response.headers


def test_a_link_of_htmx_to_the_login_becomes_a_navigation(visitor: Visitor) -> None:
    response = visitor.get("/login?next=/me", headers={"HX-Request": "true", "Accept": "*/*"})
    assert response.headers["HX-Redirect"] == "/login?next=/me"
    assert "HX-Redirect" not in visitor.get("/me", headers=SCRIPT).headers


def test_a_protected_post_comes_back_to_a_page(visitor: Visitor) -> None:
    form = visitor.post("/save", headers={"Referer": "http://localhost/form?id=1"})
    assert form.location == "/login?next=/form?id%3D1"
    for referrer in ("https://evil.example/form", "", "http://[broken"):
        response = visitor.post("/save", headers={"Referer": referrer})
        assert response.location == "/login?next=/"
    script = visitor.post("/save", headers={"Accept": "application/json"})
    assert (script.status_code, script.json["login_url"]) == (401, "/login")


def test_scopes(provider: DevProvider) -> None:
    with_it = Visitor(make_site(provider, PARJAR_SCOPES=SCOPES), provider)
    assert with_it.get("/reports").status_code == 302
    with_it.log_in()
    assert with_it.get("/reports").text == "reports"
    without = Visitor(make_site(provider), provider)
    without.log_in()
    page = without.get("/reports")
    assert (page.status_code, "insufficient_scope" in page.text) == (403, True)
    script = without.get("/reports", headers={"Accept": "application/json"})
    assert (script.status_code, script.json["error"]) == (403, "insufficient_scope")


def test_a_scope_that_was_not_granted_does_not_count(
    visitor: Visitor, provider: DevProvider
) -> None:
    with provider.fault("token_scope_narrower"):
        visitor.log_in()
    assert visitor.get("/reports").status_code == 403


def test_a_missing_scope_means_all_that_was_asked(visitor: Visitor, provider: DevProvider) -> None:
    with provider.fault("token_scope_missing"):
        visitor.log_in()
    assert visitor.get("/reports").status_code == 200


@pytest.mark.parametrize(
    "wanted, let_in",
    [
        ({"org": "engines"}, True),
        ({"org": "acme"}, False),
        ({"org": "engines", "family_name": "Lovelace"}, True),
        ({"org": "engines", "family_name": "Hopper"}, False),
        ({"amr": "pwd"}, True),
        ({"amr": ["pwd"]}, True),
        ({"amr": "otp"}, False),
        ({"email_verified": True}, True),
        ({"email_verified": 1}, False),
        ({"nothing": None}, False),
    ],
)
def test_claims(provider: DevProvider, wanted: Any, let_in: bool) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/guarded")(claims_required(**wanted)(lambda: "in"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/guarded").status_code == 302
    visitor.log_in()
    page = visitor.get("/guarded")
    assert page.status_code == (200 if let_in else 403)
    assert ("insufficient_claims" in page.text) is not let_in


@pytest.mark.parametrize(
    "wanted, let_in",
    [
        ({("realm_access", "roles"): "admin"}, True),
        ({("realm_access", "roles"): ["staff", "admin"]}, True),
        ({("realm_access", "roles"): "owner"}, False),
        ({("realm_access", "groups"): "admin"}, False),
        ({("org", "roles"): "admin"}, False),  # a text has no members
        ({("nothing", "roles"): None}, False),
        ({"https://my.site/roles": "admin"}, True),
        ({"https://my.site/roles": "admin", ("realm_access", "roles"): "owner"}, False),
    ],
)
def test_claims_within_claims_and_claims_whose_name_is_a_url(
    provider: DevProvider, wanted: Any, let_in: bool
) -> None:
    claims = {
        "org": "engines",
        "realm_access": {"roles": ["staff", "admin"]},
        "https://my.site/roles": ["admin"],
    }
    provider.people["ada"] = Person("ada", claims)

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/guarded")(claims_required(wanted)(lambda: "in"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/guarded").status_code == (200 if let_in else 403)


def test_a_claim_that_did_not_fit_is_not_called_missing(provider: DevProvider) -> None:
    """Where it lies elsewhere than in the cookie it fits, and opens the page."""
    many = ["admins", *(f"a-group-of-many-{number}" for number in range(100))]
    provider.people["ada"] = Person("ada", {"groups": many})
    provider.people["grace"] = Person("grace", {})

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/guarded")(claims_required(groups="admins")(lambda: "in"))

    app = make_site(provider, prepare=prepare)
    ada, grace = Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    grace.log_in(person="grace")
    app.debug = True  # so that the page tells the developer
    hers = grace.get("/guarded")
    assert hers.status_code == 403 and "groups" in hers.text
    page = ada.get("/guarded")
    assert page.status_code == 403 and "missing: groups; did not fit" in page.text
    assert "missing: groups<" in hers.text
    assert ada.get("/me").json["claims"].keys() == grace.get("/me").json["claims"].keys()


def test_a_claim_without_a_value_is_a_mistake() -> None:
    with pytest.raises(TypeError) as caught:
        claims_required("org")  # type: ignore[arg-type]
    assert "@claims_required(org=" in str(caught.value)


#: What a provider may tell of somebody's roles: under a URL as a name, and inside another claim.
ROLES = {
    "https://my.site/roles": ["admin", "editor"],
    "realm_access": {"roles": ["admin"], "since": 2020},
}


@pytest.mark.parametrize(
    "wanted, more, let_in",
    [
        ({"https://my.site/roles": "admin"}, {}, True),
        ({"https://my.site/roles": "owner"}, {}, False),
        ({("realm_access", "roles"): "admin"}, {}, True),
        ({("realm_access", "since"): 2020}, {}, True),
        ({("realm_access", "roles"): "owner"}, {}, False),
        ({("realm_access", "nothing"): "admin"}, {}, False),
        ({("realm_access", "roles", "admin"): "admin"}, {}, False),
        ({("nothing", "roles"): "admin"}, {}, False),
        ({"https://my.site/roles": "admin", ("realm_access", "roles"): "admin"}, {}, True),
        ({"https://my.site/roles": "admin", ("realm_access", "roles"): "owner"}, {}, False),
        ({"https://my.site/roles": "admin"}, {"email": "eve@people.example"}, True),
        ({"https://my.site/roles": "admin"}, {"email": "ada@people.example"}, False),
    ],
)
def test_claims_of_any_name_and_inside_other_claims(
    provider: DevProvider, wanted: Any, more: Any, let_in: bool
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/guarded")(claims_required(wanted, **more)(lambda: "in"))

    provider.people["eve"] = Person("eve", {**ROLES, "email": "eve@people.example"})
    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/guarded").status_code == 302
    visitor.log_in(person="eve")
    assert visitor.get("/guarded").status_code == (200 if let_in else 403)


def test_scopes_in_one_string_are_several(provider: DevProvider) -> None:
    """As in PARJAR_SCOPES."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/guarded")(scopes_required("openid reports:read")(lambda: "in"))

    for scopes, status in ((SCOPES, 200), ("openid", 403)):
        visitor = Visitor(make_site(provider, prepare=prepare, PARJAR_SCOPES=scopes), provider)
        visitor.log_in()
        assert visitor.get("/guarded").status_code == status


@pytest.mark.parametrize(
    "wanted", [{}, ["org"], {"": "acme"}, {(): "acme"}, {("org", 7): "acme"}, {("org", ""): 1}]
)
def test_a_claim_that_has_no_name_is_a_mistake(wanted: Any) -> None:
    with pytest.raises(TypeError):
        claims_required(wanted)


@pytest.mark.parametrize("scopes", [("",), (" ",), ("openid", ""), ("openid", 7)])
def test_a_scope_that_has_no_name_is_a_mistake(scopes: Any) -> None:
    with pytest.raises(TypeError):
        scopes_required(*scopes)


def test_guards_without_a_demand_are_a_mistake() -> None:
    for wrong in (scopes_required, claims_required):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):

        @scopes_required  # type: ignore[arg-type]
        def view() -> str:
            return "never"


# One provider of several.

#: A guard for people of one provider; all of them are met by Mallory, but for the provider.
OF_STAFF: dict[str, Callable[[str], Any]] = {
    "login": lambda name: login_required(provider=name),
    "scopes": lambda name: scopes_required("openid", provider=name),
    "claims": lambda name: claims_required(groups="admins", provider=name),
    "step up": lambda name: step_up_required(acr="pwd", provider=name),
}


def staff_and_partners(guard: Any) -> tuple[Flask, Visitor, Visitor]:
    """A site with two providers, each of which has a Mallory who is an admin there."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule("/desk", "desk", guard(lambda: "desk"), methods=["GET", "POST"])

    names = {"staff": "https://staff.example", "partners": "https://partners.example"}
    providers = [DevProvider(issuer) for issuer in names.values()]
    sections = {name: {"issuer": issuer, "client_id": name} for name, issuer in names.items()}
    app = make_site(
        providers[0],
        prepare=prepare,
        connect=False,
        PARJAR_ISSUER=None,
        PARJAR_PROVIDERS=sections,
    )
    for each in providers:
        each.people["mallory"] = Person("mallory", {"name": "Mallory", "groups": ["admins"]})
        each.connect(app)
    at_staff, at_partners = (Visitor(app, each) for each in providers)
    return app, at_staff, at_partners


@pytest.mark.parametrize("kind", OF_STAFF)
def test_a_guard_may_be_for_the_people_of_one_provider(kind: str) -> None:
    """Another provider's word for the same claim, scope or strength opens nothing."""
    _, staff, partner = staff_and_partners(OF_STAFF[kind]("staff"))
    partner.log_in("/login/partners", "mallory")
    assert partner.get("/me").json["provider"] == "partners"
    for answer in (
        partner.get("/desk"),
        partner.post("/desk"),
        partner.get("/desk", headers={"Accept": "application/json"}),
    ):
        assert answer.status_code in (302, 401, 403)
    staff.log_in("/login/staff", "mallory")
    assert staff.get("/desk").text == "desk"


@pytest.mark.parametrize("kind", OF_STAFF)
def test_a_guard_for_one_provider_leads_to_the_login_there(kind: str) -> None:
    _, staff, _ = staff_and_partners(OF_STAFF[kind]("staff"))
    asked = staff.get("/desk?tab=2")
    assert asked.status_code == 302
    away = staff.leave(asked.location)
    assert away.startswith("https://staff.example/")
    assert staff.get(staff.come_back(away, "mallory")).location == "/desk?tab=2"
    assert staff.get("/desk").text == "desk"


@pytest.mark.parametrize("kind", OF_STAFF)
def test_a_guard_for_a_provider_that_there_is_not_lets_no_one_in(kind: str) -> None:
    """A name that was mistyped must not open the page."""
    app, staff, partner = staff_and_partners(OF_STAFF[kind]("staf"))
    staff.log_in("/login/staff", "mallory")
    partner.log_in("/login/partners", "mallory")
    for somebody in (staff, partner, Visitor(app, staff.provider)):
        assert somebody.get("/desk").status_code == 500


def test_a_login_at_another_provider_is_distinguished_from_no_login() -> None:
    _, _, partner = staff_and_partners(login_required(provider="staff"))
    script = partner.get("/desk", headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (401, "login_required")
    assert script.json["login_url"] == "/login/staff?next=/desk"
    partner.log_in("/login/partners", "mallory")
    page = partner.get("/desk")
    assert (page.status_code, code_of(page)) == (403, "other_provider")
    assert 'href="/login/staff?next=/desk"' in page.text


def test_the_only_provider_of_a_site_has_a_name_too(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/desk")(login_required(lambda: "desk", provider="default"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/desk").location == "/login?next=/desk"
    visitor.log_in()
    assert visitor.get("/desk").text == "desk"


@pytest.mark.parametrize("name", ["", True, ["staff"]])
def test_a_name_of_a_provider_is_text(name: Any) -> None:
    with pytest.raises(TypeError):
        login_required(provider=name)


def test_every_place_a_guard_can_stand(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/bare")
        @login_required
        def bare() -> str:
            return "bare"

        @app.get("/called/<int:number>")
        @login_required()
        def called(number: int) -> str:
            """Kept."""
            return f"called {number}"

        class Account(MethodView):
            decorators = [login_required, scopes_required("openid")]

            def get(self) -> str:
                return "method view"

        app.add_url_rule("/method", view_func=Account.as_view("account"))

        inside = Blueprint("inside", __name__, url_prefix="/inside")

        @inside.before_request
        @login_required
        def guard() -> None:
            return None

        @inside.get("/page")
        def page() -> str:
            return "inside"

        app.register_blueprint(inside)
        assert called.__doc__ == "Kept." and called.__name__ == "called"
        assert list(inspect.signature(called).parameters) == ["number"]

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    pages = {
        "/bare": "bare",
        "/called/7": "called 7",
        "/method": "method view",
        "/inside/page": "inside",
    }
    for path in pages:
        assert visitor.get(path).location == f"/login?next={path}"
    visitor.log_in()
    for path, text in pages.items():
        assert visitor.get(path).text == text


def test_a_whole_app_behind_a_guard_can_still_log_in(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.before_request(login_required(lambda: None))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/.well-known/jwks.json").status_code == 200
    assert visitor.get("/").location == "/login?next=/"
    assert visitor.log_in("/login?next=/").location == "/"
    assert visitor.get("/").text == "home"


@pytest.mark.parametrize("named", [False, True])
def test_every_route_of_ours_is_known_as_one(provider: DevProvider, named: bool) -> None:
    app = Flask(__name__)
    providers = {"work": {"issuer": ISSUER}} if named else None
    app.config.update(SECRET_KEY="of the tests", **provider.config({"PARJAR_PROVIDERS": providers}))
    ParJar(app)
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints == {"static", *OWN_ENDPOINTS}


def wrong_and_right_order(app: Flask, parjar: ParJar) -> None:
    """Pages with a guard that counts, and one with a guard that Flask never calls."""

    @login_required
    @app.get("/wrong-order")
    def wrong_order() -> str:
        return "open to everybody"

    @app.get("/right-order")
    @login_required
    def right_order() -> str:
        return "guarded"

    class Account(MethodView):
        decorators = [login_required]

        def get(self) -> str:
            return "guarded"

    app.add_url_rule("/by-class", view_func=Account.as_view("by_class"))
    inside = Blueprint("inside", __name__, url_prefix="/by-blueprint")
    inside.before_request(login_required(lambda: None))
    inside.add_url_rule("/", "page", lambda: "guarded")
    app.register_blueprint(inside)


def test_routes_that_no_guard_protects_are_listed(provider: DevProvider) -> None:
    parjars: list[ParJar] = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjars.append(parjar)
        wrong_and_right_order(app, parjar)

    app = make_site(provider, prepare=prepare)
    with app.app_context():
        routes = [str(route) for route in parjars[0].unguarded_routes()]
    listed = " ".join(routes).replace("_", "-")
    assert "wrong-order" in listed
    for guarded in ("right-order", "by-class", "by-blueprint", "inside", "reports", "acme"):
        assert guarded not in listed
    assert "login" not in listed and "logout" not in listed


def test_a_guard_that_is_never_called_is_logged(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """At the first request at the latest."""
    app = make_site(provider, prepare=wrong_and_right_order)
    assert app.test_client().get("/wrong-order").text == "open to everybody"
    told = [each for each in caplog.messages if "wrong_order" in each or "/wrong-order" in each]
    assert len(told) == 1
    assert not any("right" in each or "class" in each for each in caplog.messages)


def test_guards_that_protect_a_route(provider: DevProvider) -> None:
    """A guard of the app, of a blueprint around, and on each method of a class."""

    class Guarded(MethodView):
        @login_required
        def get(self) -> str:
            return "guarded"

        @scopes_required("reports:write")
        def post(self) -> str:
            return "guarded"

    class Open(Guarded):
        def post(self) -> str:
            return "open"

    class Page:
        @login_required
        def guarded(self) -> str:
            return "guarded"

        def later(self) -> str:
            return "guarded"

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.extensions["parjar_of_the_test"] = parjar
        app.add_url_rule("/g/class", view_func=Guarded.as_view("guarded"))
        app.add_url_rule("/o/class", view_func=Open.as_view("open"))
        app.add_url_rule("/g/bound", view_func=Page().guarded, endpoint="bound")
        app.add_url_rule("/g/later", view_func=login_required(Page().later), endpoint="later")
        app.add_url_rule("/o/redirect", "redirect", redirect_to="/")
        app.add_url_rule("/o/builtin", "builtin", print)
        inner = Blueprint("inner", __name__, url_prefix="/inner")
        inner.add_url_rule("/", "page", lambda: "guarded")
        outer = Blueprint("outer", __name__, url_prefix="/g")
        outer.before_request(login_required(lambda: None))
        outer.register_blueprint(inner)
        app.register_blueprint(outer)

    app = make_site(provider, prepare=prepare)
    with app.app_context():
        listed = {str(rule) for rule in app.extensions["parjar_of_the_test"].unguarded_routes()}
    assert {each for each in listed if each.startswith(("/g", "/o"))} == {
        "/o/class",
        "/o/redirect",
        "/o/builtin",
    }
    assert "/" in listed and "/me" not in listed


def test_a_guard_for_the_whole_app_protects_all_routes(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.extensions["parjar_of_the_test"] = parjar
        app.before_request(login_required(lambda: None))

    app = make_site(provider, prepare=prepare)
    with app.app_context():
        assert app.extensions["parjar_of_the_test"].unguarded_routes() == []
    visitor = Visitor(app, provider)
    assert visitor.get("/").location == "/login?next=/"
    assert visitor.log_in("/login?next=/").location == "/"
    assert visitor.get("/").text == "home"


def test_a_view_that_is_public_at_one_path_and_guarded_at_another(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The guard is called, so nothing is wrong."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        def page() -> str:
            return "a page"

        app.add_url_rule("/open", "open", page)
        app.add_url_rule("/closed", "closed", login_required(page))

    app = make_site(provider, prepare=prepare)
    visitor = Visitor(app, provider)
    assert (visitor.get("/open").status_code, visitor.get("/closed").status_code) == (200, 302)
    assert caplog.messages == []


def test_our_own_routes_are_known_by_name(provider: DevProvider) -> None:
    endpoints = {rule.endpoint for rule in make_site(provider).url_map.iter_rules()}
    assert {each for each in endpoints if each.startswith("parjar.")} == OWN_ENDPOINTS


def test_async_views(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/async")
        @login_required
        async def view() -> str:
            return "async"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/async").status_code == 302
    visitor.log_in()
    # In a thread of its own: a browser test may have left an event loop running in this one.
    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(visitor.get, "/async").result().text == "async"


def test_an_app_may_raise_them_itself(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/raises")
        def raises() -> str:
            raise LoginRequired if not current_user else AccessDenied("insufficient_claims")

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/raises").location == "/login?next=/raises"
    visitor.log_in()
    assert visitor.get("/raises").status_code == 403


def test_templates_know_the_current_user(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/template")
        def template() -> str:
            return render_template_string(
                "{% if current_user %}{{ current_user.name }}{% else %}anonymous{% endif %}"
            )

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/template").text == "anonymous"
    visitor.log_in()
    assert visitor.get("/template").text == "Ada Lovelace"


def test_a_visitor_without_a_login_has_no_scopes_and_claims(provider: DevProvider) -> None:
    app = make_site(provider)
    with app.test_request_context():
        assert not current_user and not current_user.is_authenticated
        assert (current_user.subject, current_user.name, current_user.email) == ("", None, None)
        assert (current_user.acr, current_user.amr, current_user.auth_time) == (None, (), None)


def test_an_endpoint_of_the_app_whose_name_is_like_ours_is_guarded(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule("/extra", "parjar.extra", login_required(lambda: "in"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/extra", headers=SCRIPT).status_code == 401
    visitor.log_in()
    assert visitor.get("/extra").text == "in"


# A browser that asks first whether a script of another origin may ask (CORS).

PREFLIGHT = {
    "Origin": "https://spa.example",
    "Access-Control-Request-Method": "GET",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-site",
}


@pytest.mark.parametrize("where", ["a blueprint", "the app"])
def test_a_guard_before_every_request_is_no_guard_before_a_preflight(
    provider: DevProvider, where: str
) -> None:
    """No cookie comes with it, and nothing but the allowed methods is told."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        inside = Blueprint("inside", __name__, url_prefix="/inside")
        inside.get("/page")(lambda: "in")
        (inside if where == "a blueprint" else app).before_request(login_required(lambda: None))
        app.register_blueprint(inside)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    answer = visitor.client.options("/inside/page", headers=PREFLIGHT)
    assert (answer.status_code, answer.text) == (200, "")
    assert "GET" in answer.headers["Allow"]
    assert visitor.get("/inside/page", headers=SCRIPT).status_code == 401


def test_a_guarded_view_that_answers_preflights_itself_is_guarded(provider: DevProvider) -> None:
    ran: list[str] = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.route("/own", methods=["GET", "OPTIONS"])
        @login_required
        def own() -> str:
            ran.append(request.method)
            return "in"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.client.options("/own", headers=PREFLIGHT).status_code == 401
    assert ran == []


# Beside other handlers of errors.


def handled_by_the_app(provider: DevProvider, kind: Any, when: str) -> Visitor:
    """Somebody at a site with an error handler of its own, given to Flask before or after us."""

    def own(error: Exception) -> ResponseReturnValue:
        return "the app's own answer", 418

    app = Flask(__name__)
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    if when == "before":
        app.register_error_handler(kind, own)
    ParJar(app)
    if when == "after":
        app.register_error_handler(kind, own)
    app.get("/me")(login_required(lambda: "me"))
    app.add_url_rule("/acme", "acme", claims_required(org="acme")(lambda: "acme"))
    provider.connect(app)
    return Visitor(app, provider)


@pytest.mark.parametrize(
    "kind, when",
    [
        (ParJarError, "before"),
        (ParJarError, "after"),
        (HTTPException, "before"),
        (HTTPException, "after"),
        (Exception, "before"),
        (Exception, "after"),
        (401, "before"),
        (401, "after"),
    ],
)
def test_an_error_handler_of_the_app_leaves_the_way_to_the_login(
    provider: DevProvider, kind: Any, when: str
) -> None:
    visitor = handled_by_the_app(provider, kind, when)
    assert visitor.get("/me").location == "/login?next=/me"
    script = visitor.get("/me", headers=SCRIPT)
    assert (script.status_code, script.json["login_url"]) == (401, "/login?next=/me")
    visitor.log_in()
    assert visitor.get("/me").text == "me"


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_handler_of_the_app_answers_our_errors(provider: DevProvider, when: str) -> None:
    visitor = handled_by_the_app(provider, ParJarError, when)
    assert visitor.get("/callback").status_code == 418
    with provider.fault("par_500"):
        assert visitor.get("/login").status_code == 418


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_app_may_answer_for_what_a_guard_raises(provider: DevProvider, when: str) -> None:
    """A handler for the very class is the app's clear wish."""
    visitor = handled_by_the_app(provider, LoginRequired, when)
    assert visitor.get("/me").status_code == 418
    visitor = handled_by_the_app(provider, AccessDenied, when)
    assert visitor.get("/me").location == "/login?next=/me"
    visitor.log_in()
    assert visitor.get("/acme").status_code == 418


@pytest.mark.parametrize("kind", [ParJarError, HTTPException, Exception, 403])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_handler_of_the_app_leaves_our_page_for_those_who_are_not_allowed(
    provider: DevProvider, kind: Any, when: str
) -> None:
    visitor = handled_by_the_app(provider, kind, when)
    visitor.log_in()
    page = visitor.get("/acme")
    assert (page.status_code, code_of(page)) == (403, "insufficient_claims")
    assert visitor.get("/acme", headers=SCRIPT).json["error"] == "insufficient_claims"


def test_a_guard_raises_an_http_exception_with_our_error_code() -> None:
    for error, status, code in (
        (LoginRequired(), 401, "login_required"),
        (AccessDenied("insufficient_scope", "missing: a"), 403, "insufficient_scope"),
    ):
        assert isinstance(error, HTTPException) and not isinstance(error, ParJarError)
        assert (error.code, error.status_hint, error.error_code) == (status, status, code)
        assert error.get_response().status_code == status
        assert str(error) == error.description and error.advice


class JsonErrors:
    """Answers for the errors of some views before the app's handlers are asked.

    What is no `HTTPException` is a 500. So it is with Flask-RESTful and Flask-RESTX. The first
    sends the response that such an exception brings, the second always one of its own.

    :param own_answers: whether each answer is made here, whatever the exception brings.
    """

    def __init__(self, app: Flask, *, own_answers: bool) -> None:
        self._own_answers = own_answers
        for name in ("handle_user_exception", "handle_exception"):
            setattr(app, name, functools.partial(self._answer, getattr(app, name)))

    def _answer(self, of_flask: Callable[[Exception], Any], error: Exception) -> Any:
        if not request.path.startswith("/api/"):
            return of_flask(error)
        if not isinstance(error, HTTPException):
            return jsonify(message="Internal Server Error"), 500
        if error.response is not None and not self._own_answers:
            return error.get_response()
        status = error.code or error.get_response().status_code
        return jsonify(message=error.description), status


@pytest.mark.parametrize("own_answers", [False, True])
def test_guards_inside_an_extension_that_answers_for_errors_itself(
    provider: DevProvider, own_answers: bool
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        guards: dict[str, Any] = {
            "me": login_required,
            "reports": scopes_required("reports:read"),
            "acme": claims_required(org="acme"),
            "strong": step_up_required(acr="mfa"),
        }
        for name, guard in guards.items():
            app.add_url_rule(f"/api/{name}", f"api_{name}", guard(lambda: "in"))
        app.get("/api/token")(parjar.access_token)
        JsonErrors(app, own_answers=own_answers)

    app = make_site(provider, prepare=prepare, PARJAR_STORE="memory")
    visitor = Visitor(app, provider)
    statuses = {"me": 401, "reports": 401, "acme": 401, "strong": 401, "token": 401}
    assert asked(visitor, statuses) == statuses
    assert visitor.get("/api/me").status_code in (302, 401)
    visitor.log_in()
    statuses = {"me": 200, "reports": 403, "acme": 403, "strong": 401, "token": 200}
    assert asked(visitor, statuses) == statuses


def asked(visitor: Visitor, names: dict[str, int]) -> dict[str, int]:
    """The status of each resource, asked for by a script."""
    return {name: visitor.get(f"/api/{name}", headers=SCRIPT).status_code for name in names}
