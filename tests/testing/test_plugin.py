"""The fixtures for users' own suites, used as a user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request

import flask_parjar
from flask_parjar import ParJar, current_user, login_required, step_up_required
from flask_parjar.testing import DevProvider
from flask_parjar.testing.plugin import LogInAs, parjar_log_in_as, parjar_provider
from tests.support.tenants import ADAS, ALANS, GRACES, ISSUER, issuer_of

__all__ = ["parjar_log_in_as", "parjar_provider"]


def make_app(config: dict[str, Any]) -> Flask:
    app = Flask("site")
    app.config.update(SECRET_KEY="of the tests", **config)
    ParJar(app)

    @app.get("/me")
    @login_required
    def me() -> Any:
        return jsonify(
            sub=current_user.subject,
            iss=current_user.issuer,
            claims=dict(current_user.claims),
            scopes=sorted(current_user.scopes),
        )

    return app


@pytest.fixture
def app(parjar_provider: DevProvider) -> Flask:
    return make_app(parjar_provider.config({"PARJAR_SCOPES": "openid email reports:read"}))


def test_log_in_as_a_person_of_the_provider(app: Flask, parjar_log_in_as: LogInAs) -> None:
    client = app.test_client()
    assert client.get("/me").status_code in (302, 401)
    parjar_log_in_as(client)
    assert client.get("/me").get_json()["sub"] == "ada"


def test_claims_besides(app: Flask, parjar_log_in_as: LogInAs) -> None:
    client = app.test_client()
    parjar_log_in_as(client, subject="grace", claims={"org": "acme"})
    claims = client.get("/me").get_json()["claims"]
    assert (claims["org"], claims["email"]) == ("acme", "grace@people.example")


def test_log_in_as_a_person_made_for_the_test(app: Flask, parjar_log_in_as: LogInAs) -> None:
    client = app.test_client()
    parjar_log_in_as(client, subject="user|42")
    assert client.get("/me").get_json()["sub"] == "user|42"
    parjar_log_in_as(client, subject="ada")
    assert client.get("/me").get_json()["sub"] == "ada", "somebody else in the same browser"


def test_scopes_declined(app: Flask, parjar_log_in_as: LogInAs) -> None:
    client = app.test_client()
    parjar_log_in_as(client, decline=("reports:read",))
    assert client.get("/me").get_json()["scopes"] == ["email", "openid"]


def test_a_person_of_a_tenant(parjar_log_in_as: LogInAs) -> None:
    provider = DevProvider(ISSUER)
    app = make_app(provider.config({"PARJAR_TENANTS": [GRACES, ADAS]}))
    for tenant, expected in ((None, GRACES), (ADAS, ADAS)):
        client = app.test_client()
        parjar_log_in_as(client, claims={"tid": tenant} if tenant else None)
        assert client.get("/me").get_json()["iss"] == issuer_of(expected)
    with pytest.raises(pytest.fail.Exception, match="tenant_refused"):
        parjar_log_in_as(app.test_client(), claims={"tid": ALANS})


def test_the_apps_own_issuer(parjar_log_in_as: LogInAs) -> None:
    config = DevProvider("https://tenant.auth.example/").config()
    client = make_app(config).test_client()
    parjar_log_in_as(client)
    assert client.get("/me").get_json()["iss"] == "https://tenant.auth.example/"


@pytest.mark.parametrize("level", ["pushed+signed", "pushed", "signed", "plain"])
def test_an_app_of_any_request_level(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs, level: str
) -> None:
    client = make_app(parjar_provider.config({"PARJAR_REQUEST": level})).test_client()
    parjar_log_in_as(client)
    assert client.get("/me").get_json()["sub"] == "ada"


def test_two_request_levels_at_one_provider(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    sections = {
        "work": {"client_id": "work", "request": "pushed"},
        "home": {"client_id": "home", "request": "signed"},
    }
    app = make_app(parjar_provider.config({"PARJAR_PROVIDERS": sections}))
    for name in sections:
        client = app.test_client()
        parjar_log_in_as(client, provider=name)
        assert client.get("/me").get_json()["sub"] == "ada"
    registered = {
        name: (each.require_pushed_authorization_requests, each.require_signed_request_object)
        for name, each in parjar_provider.clients.items()
    }
    assert registered == {"work": (True, False), "home": (False, True)}


def test_one_of_several(parjar_log_in_as: LogInAs) -> None:
    providers = {
        name: {
            key.removeprefix("PARJAR_").lower(): value
            for key, value in DevProvider(f"https://{name}.example").config().items()
        }
        for name in ("work", "home")
    }
    client = make_app({"PARJAR_PROVIDERS": providers}).test_client()
    parjar_log_in_as(client, provider="home")
    assert client.get("/me").get_json()["iss"] == "https://home.example"
    with pytest.raises(pytest.fail.Exception, match="provider=None is not one of .*: work, home"):
        parjar_log_in_as(client)


def test_a_login_that_does_not_begin(
    app: Flask, parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    parjar_provider.fault("par_500")
    with pytest.raises(pytest.fail.Exception, match="login answered 50"):
        parjar_log_in_as(app.test_client())


def test_a_login_that_does_not_come_back(
    app: Flask, parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    parjar_provider.fault("id_token_aud_foreign")
    with pytest.raises(pytest.fail.Exception, match="callback answered 50"):
        parjar_log_in_as(app.test_client())


@pytest.mark.parametrize(
    "config, base_url",
    [
        ({"PARJAR_REDIRECT_URI": "https://your.site/callback"}, None),
        ({"SESSION_COOKIE_DOMAIN": "your.site"}, "https://your.site"),
        ({"PARJAR_RESPONSE_MODE": "form_post"}, None),
        ({"APPLICATION_ROOT": "/app"}, None),
        ({"SERVER_NAME": "your.site"}, None),
        ({"PARJAR_URL_PREFIX": "/auth"}, None),
        ({"PARJAR_CLIENT_SECRET": "a secret of the tests"}, None),
        ({"SESSION_COOKIE_SECURE": True}, None),
    ],
)
def test_the_apps_own_configuration(
    parjar_provider: DevProvider,
    parjar_log_in_as: LogInAs,
    config: dict[str, Any],
    base_url: str | None,
) -> None:
    """Afterwards the same client, at its own address, is logged in."""
    client = make_app(parjar_provider.config(config)).test_client()
    parjar_log_in_as(client)
    assert client.get("/me", base_url=base_url).status_code == 200


def test_a_login_that_is_lost_on_its_way(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    """The redirect of the callback leads to the provider once more, and not into the app."""
    app = make_app(parjar_provider.config({"SESSION_COOKIE_PATH": "/elsewhere"}))
    with pytest.raises(pytest.fail.Exception):
        parjar_log_in_as(app.test_client())


@pytest.mark.xfail(strict=True, reason="NEWCOMER F7")
@pytest.mark.parametrize("acr", ["mfa", "urn:example:two-factors"])
def test_a_stronger_login(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs, acr: str
) -> None:
    app = make_app(parjar_provider.config())
    app.get("/transfer")(step_up_required(acr=acr)(lambda: str(current_user.acr)))
    client = app.test_client()
    parjar_log_in_as(client, acr=acr)  # type: ignore[call-arg]
    page = client.get("/transfer")
    assert (page.status_code, page.text) == (200, acr)


@pytest.mark.xfail(strict=True, reason="NEWCOMER F7")
def test_a_login_that_was_granted_so_much_and_no_more(
    app: Flask, parjar_log_in_as: LogInAs
) -> None:
    client = app.test_client()
    parjar_log_in_as(client, scopes=("openid", "reports:read"))  # type: ignore[call-arg]
    assert client.get("/me").get_json()["scopes"] == ["openid", "reports:read"]


@pytest.mark.xfail(strict=True, reason="NEWCOMER F8")
def test_an_api_of_the_tests_own(parjar_provider: DevProvider, parjar_log_in_as: LogInAs) -> None:
    """What `parjar.api` calls is a WSGI app of the test, without a socket."""
    from flask_parjar.testing import mount_api  # type: ignore[attr-defined]

    api = Flask("api")

    @api.get("/v1/orders")
    def orders() -> Any:
        return jsonify(host=request.host, sent=request.headers["Authorization"].split()[0])

    app, parjar = Flask("site"), ParJar()
    app.config.update(
        SECRET_KEY="of the tests", **parjar_provider.config({"PARJAR_STORE": "memory"})
    )
    parjar.init_app(app)

    @app.get("/my-orders")
    @login_required
    def my_orders() -> Any:
        return parjar.api("https://api.example.com/v1").get("orders").json()

    mount_api(app, "https://api.example.com", api)
    client = app.test_client()
    parjar_log_in_as(client)
    for _ in range(2):
        assert client.get("/my-orders").get_json() == {"host": "api.example.com", "sent": "Bearer"}


# What a suite is given without asking.


def test_every_fixture_has_the_name_of_this_package_before_its_own(tmp_path: Path) -> None:
    """They are there in every suite of an environment that has the package installed."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "--color=no", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(flask_parjar.__path__[0]).parent)},
        capture_output=True,
        text=True,
    ).stdout
    ours = re.findall(r"^(\w+)(?: \[.*\])? -- .*flask_parjar.testing.plugin\.py", listed, re.M)
    assert "parjar_provider" in ours
    assert [name for name in ours if not name.startswith("parjar_")] == []
