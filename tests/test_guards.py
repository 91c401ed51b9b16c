"""Guards: who is let in, and what the others are told."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask.views import MethodView

from flask_parjar import (
    AccessDenied,
    LoginRequired,
    ParJar,
    claims_required,
    current_user,
    login_required,
    scopes_required,
)
from flask_parjar.testing import DevProvider
from tests.site import SCOPES, Visitor, make_site


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "text/html,*/*;q=0.8"},
        {"Accept": "*/*"},
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
    ],
)
def test_a_script_is_told_with_json(visitor: Visitor, headers: dict[str, str]) -> None:
    response = visitor.get("/me", headers=headers)
    assert response.status_code == 401
    assert response.json == {
        "error": "login_required",
        "message": "Please log in to see this page.",
        "login_url": "/login?next=/me",
    }
    assert response.headers["Cache-Control"] == "no-store"


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


def test_guards_without_a_wish_are_a_mistake() -> None:
    for wrong in (scopes_required, claims_required):
        with pytest.raises(TypeError, match="name the"):
            wrong()
    with pytest.raises(TypeError, match="name the scopes"):

        @scopes_required  # type: ignore[arg-type]
        def view() -> str:
            return "never"


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
                "{% if current_user %}{{ current_user.name }}{% else %}nobody{% endif %}"
            )

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    assert visitor.get("/template").text == "nobody"
    visitor.log_in()
    assert visitor.get("/template").text == "Ada Lovelace"


def test_nobody_has_nothing(provider: DevProvider) -> None:
    app = make_site(provider)
    with app.test_request_context():
        assert not current_user and not current_user.is_authenticated
        assert (current_user.subject, current_user.name, current_user.email) == ("", None, None)
        assert (current_user.acr, current_user.amr, current_user.auth_time) == (None, (), None)
