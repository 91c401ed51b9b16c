"""The fixtures for users' own suites, used as a user would."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.testing import DevProvider
from flask_parjar.testing.plugin import LogInAs, log_in_as, parjar_provider

__all__ = ["log_in_as", "parjar_provider"]


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
    return make_app(parjar_provider.config(PARJAR_SCOPES="openid email reports:read"))


def test_somebody_who_lives_there(app: Flask, log_in_as: LogInAs) -> None:
    client = app.test_client()
    assert client.get("/me").status_code in (302, 401)
    log_in_as(client)
    assert client.get("/me").get_json()["sub"] == "ada"


def test_claims_besides(app: Flask, log_in_as: LogInAs) -> None:
    client = app.test_client()
    log_in_as(client, subject="grace", claims={"org": "acme"})
    claims = client.get("/me").get_json()["claims"]
    assert (claims["org"], claims["email"]) == ("acme", "grace@people.example")


def test_somebody_made_up(app: Flask, log_in_as: LogInAs) -> None:
    client = app.test_client()
    log_in_as(client, subject="user|42")
    assert client.get("/me").get_json()["sub"] == "user|42"
    log_in_as(client, subject="ada")
    assert client.get("/me").get_json()["sub"] == "ada", "somebody else in the same browser"


def test_scopes_declined(app: Flask, log_in_as: LogInAs) -> None:
    client = app.test_client()
    log_in_as(client, decline=("reports:read",))
    assert client.get("/me").get_json()["scopes"] == ["email", "openid"]


def test_the_apps_own_issuer(log_in_as: LogInAs) -> None:
    config = DevProvider("https://tenant.auth.example/").config()
    client = make_app(config).test_client()
    log_in_as(client)
    assert client.get("/me").get_json()["iss"] == "https://tenant.auth.example/"


def test_one_of_several(log_in_as: LogInAs) -> None:
    providers = {
        name: {
            key.removeprefix("PARJAR_").lower(): value
            for key, value in DevProvider(f"https://{name}.example").config().items()
        }
        for name in ("work", "home")
    }
    client = make_app({"PARJAR_PROVIDERS": providers}).test_client()
    log_in_as(client, provider="home")
    assert client.get("/me").get_json()["iss"] == "https://home.example"
    with pytest.raises(pytest.fail.Exception, match="provider=None is not one of .*: work, home"):
        log_in_as(client)


def test_a_login_that_does_not_begin(
    app: Flask, parjar_provider: DevProvider, log_in_as: LogInAs
) -> None:
    parjar_provider.fault("par_500")
    with pytest.raises(pytest.fail.Exception, match="login answered 50"):
        log_in_as(app.test_client())


def test_a_login_that_does_not_come_back(
    app: Flask, parjar_provider: DevProvider, log_in_as: LogInAs
) -> None:
    parjar_provider.fault("id_token_aud_foreign")
    with pytest.raises(pytest.fail.Exception, match="callback answered 50"):
        log_in_as(app.test_client())
