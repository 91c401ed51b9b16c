"""The check that no page of an app is public by mistake."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.testing import DevProvider, assert_no_unguarded_routes
from flask_parjar.testing.plugin import NoUnguardedRoutes, parjar_no_unguarded_routes

__all__ = ["parjar_no_unguarded_routes"]


def name() -> str:
    return str(current_user.name)


@pytest.fixture
def app() -> Flask:
    app = Flask("shop")
    app.config.update(SECRET_KEY="of the tests", **DevProvider().config())
    ParJar(app)
    app.get("/account", endpoint="account")(login_required(name))
    return app


def faults(app: Flask, *public: str) -> list[str]:
    with pytest.raises(AssertionError) as caught:
        assert_no_unguarded_routes(app, public=public)
    first, *lines = str(caught.value).splitlines()
    assert "'shop'" in first
    return lines


def test_only_public_pages_are_without_a_guard(
    app: Flask, parjar_no_unguarded_routes: NoUnguardedRoutes
) -> None:
    parjar_no_unguarded_routes(app, public={"static"})
    bare = Flask("shop", static_folder=None)
    bare.config.update(SECRET_KEY="of the tests", **DevProvider().config())
    ParJar(bare)
    parjar_no_unguarded_routes(bare)


def test_each_page_without_a_guard_is_named(app: Flask) -> None:
    admin = Blueprint("admin", "admin", url_prefix="/admin")
    admin.get("/users", endpoint="users")(name)

    class Orders(MethodView):
        @login_required
        def get(self) -> str:
            return name()

        def post(self) -> str:
            return name()

    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    app.register_blueprint(admin)
    found = faults(app)
    assert [line.split()[0] for line in found] == [
        "/static/<path:filename>",
        "/orders",
        "/admin/users",
    ]
    assert "'admin.users'" in found[2]
    assert len(faults(app, "static", "orders")) == 1
    assert_no_unguarded_routes(app, public=["static", "orders", "admin.users"])


def test_a_guard_above_the_route_is_named_as_the_cause(app: Flask) -> None:
    login_required(app.get("/late", endpoint="late")(lambda: "late"))
    assert [line.split()[0] for line in faults(app, "static")] == ["/late", "/late"]
    assert len(faults(app, "static", "late")) == 1, "the guard is there to be called"


def test_what_is_public_no_longer_is_named(app: Flask) -> None:
    found = faults(app, "static", "account", "gone", "parjar.login")
    assert [line.split("'")[1] for line in found] == ["account", "gone", "parjar.login"]
