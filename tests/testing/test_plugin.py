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
from joserfc.jwk import ECKey

import flask_parjar
from flask_parjar import (
    LoginOptions,
    ParJar,
    authorization_details_required,
    current_user,
    login_required,
    step_up_required,
)
from flask_parjar.testing import DevProvider, LogInAs, mount_api
from flask_parjar.testing.plugin import parjar_log_in_as, parjar_provider
from tests.support.certificates import make_pair
from tests.support.tenants import ADAS, ALANS, GRACES, ISSUER, issuer_of

__all__ = ["parjar_log_in_as", "parjar_provider"]

HTTPS_ISSUER = {"issuer": "https://op.example"}
HTTPS = {"PARJAR_ISSUER": "https://op.example"}
ENCRYPTION_KEY = dict(ECKey.generate_key("P-256", {"use": "enc"}).as_dict(private=True))


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
            acr=current_user.acr,
            amr=[*current_user.amr],
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
    for scopes in (["openid", "email"], ["openid", "reports:read"], ["openid"]):
        parjar_log_in_as(client, scopes=scopes)
        assert client.get("/me").get_json()["scopes"] == sorted(scopes)
    parjar_log_in_as(client)
    assert client.get("/me").get_json()["scopes"] == ["email", "openid", "reports:read"]


def test_scopes_that_the_app_does_not_ask_for(app: Flask, parjar_log_in_as: LogInAs) -> None:
    """Granted all the same, the test would pass, and the site would never get them."""
    with pytest.raises(ValueError, match="phone, reports:write"):
        parjar_log_in_as(app.test_client(), scopes=["email", "phone", "reports:write"])


def test_a_person_of_a_tenant(parjar_log_in_as: LogInAs) -> None:
    provider = DevProvider(ISSUER)
    app = make_app(provider.config({"PARJAR_TENANTS": [GRACES, ADAS]}))
    for tenant, expected in ((None, GRACES), (ADAS, ADAS)):
        client = app.test_client()
        parjar_log_in_as(client, claims={"tid": tenant} if tenant else None)
        assert client.get("/me").get_json()["iss"] == issuer_of(expected)
    with pytest.raises(AssertionError, match="tenant_refused"):
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
    with pytest.raises(ValueError, match="provider=None is not one of .*: work, home"):
        parjar_log_in_as(client)


def test_a_login_that_does_not_begin(
    app: Flask, parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    parjar_provider.fault("par_500")
    with pytest.raises(AssertionError, match="login answered 50"):
        parjar_log_in_as(app.test_client())


def test_a_login_that_does_not_come_back(
    app: Flask, parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    parjar_provider.fault("id_token_aud_foreign")
    with pytest.raises(AssertionError, match="callback answered 50"):
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
        ({"SESSION_COOKIE_NAME": "__Host-id", "SESSION_COOKIE_SECURE": True}, None),
        ({"APPLICATION_ROOT": "/app", "PARJAR_URL_PREFIX": "/auth"}, None),
        ({"SESSION_COOKIE_PATH": "/app", "APPLICATION_ROOT": "/app"}, None),
        ({"SERVER_NAME": "www.your.site", "SESSION_COOKIE_DOMAIN": "your.site"}, None),
        ({"TRUSTED_HOSTS": [".your.site"]}, "http://your.site"),
        ({"TRUSTED_HOSTS": ["your.site", "localhost"]}, None),
        ({"PARJAR_RESPONSE_MODE": "jwt"}, None),
        ({"PARJAR_RESPONSE_MODE": "form_post.jwt"}, None),
        ({"PARJAR_REQUEST_AUDIENCE": "authorization_endpoint"}, None),
        ({"PARJAR_REQUEST_AUDIENCE": "https://other.example/"}, None),
        ({"PARJAR_REQUEST_BESIDE": ["scope"]}, None),
        ({"PARJAR_ASSERTION_AUDIENCE": "token_endpoint"}, None),
        ({"PARJAR_ASSERTION_AUDIENCE": "endpoint"}, None),
        ({"PARJAR_ASSERTION_AUDIENCE": "https://other.example/"}, None),
        ({"PARJAR_ASSERTION_TYP": "client-authentication+jwt"}, None),
        ({"PARJAR_AUTHORIZATION_PARAMS": {"authorization_details": [{"type": "pills"}]}}, None),
        ({"PARJAR_AUTHORIZATION_PARAMS": {"acr_values": "phr mfa"}}, None),
        ({"PARJAR_STORE": "cookie", "PARJAR_DPOP": True}, None),
        ({"PARJAR_PROFILE": "fapi2-security", "PARJAR_DPOP": True, **HTTPS}, None),
        (
            {
                "PARJAR_PROFILE": "fapi2-message-signing",
                "PARJAR_DPOP": True,
                "PARJAR_RESPONSE_MODE": "jwt",
                **HTTPS,
            },
            None,
        ),
        (
            {
                "PARJAR_ENCRYPTION_KEY": ENCRYPTION_KEY,
                "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES A256GCM",
                "PARJAR_USERINFO": True,
                "PARJAR_USERINFO_ENCRYPTION": "ECDH-ES+A256KW A128GCM",
                "PARJAR_RESPONSE_MODE": "jwt",
                "PARJAR_RESPONSE_ENCRYPTION": "ECDH-ES A256GCM",
                "PARJAR_REQUEST_ENCRYPTION_ALG": "ECDH-ES",
            },
            None,
        ),
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


@pytest.mark.parametrize(
    "config",
    [
        {"PARJAR_CLIENT_AUTH": "tls_client_auth"},
        {"PARJAR_CLIENT_AUTH": "self_signed_tls_client_auth", "PARJAR_BOUND_TOKENS": True},
        {"PARJAR_BOUND_TOKENS": True, "PARJAR_STORE": "memory"},
    ],
)
def test_an_app_with_a_certificate(
    parjar_log_in_as: LogInAs, tmp_path: Path, config: dict[str, Any]
) -> None:
    pair = make_pair()
    (tmp_path / "site.pem").write_text(pair.pem + pair.key_pem)
    files = dict.fromkeys(
        ("PARJAR_CLIENT_CERT", "PARJAR_CLIENT_CERT_KEY"), str(tmp_path / "site.pem")
    )
    app = make_app(DevProvider(**HTTPS_ISSUER).config({**files, **config}))
    client = app.test_client()
    parjar_log_in_as(client)
    assert client.get("/me").status_code == 200
    assert {each.certificate for each in parjar_log_in_as.provider_of(app).calls} > {None}


def test_metadata_of_another_provider(parjar_log_in_as: LogInAs) -> None:
    """Its endpoints are in the network, and no test may call them."""
    metadata = {**DevProvider(**HTTPS_ISSUER).metadata}
    config = DevProvider(**HTTPS_ISSUER).config({"PARJAR_METADATA": metadata})
    parjar_log_in_as(make_app(config).test_client())
    config["PARJAR_METADATA"] = {**metadata, "token_endpoint": "https://op.example/oauth2/token"}
    with pytest.raises(ValueError, match="PARJAR_METADATA has token_endpoint"):
        parjar_log_in_as(make_app(config).test_client())


def test_an_app_without_logins(parjar_log_in_as: LogInAs) -> None:
    with pytest.raises(ValueError, match="init_app"):
        parjar_log_in_as(Flask("site").test_client())


def test_a_login_that_is_lost_on_its_way(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    """The redirect of the callback leads to the provider once more, and not into the app."""
    app = make_app(parjar_provider.config({"SESSION_COOKIE_PATH": "/elsewhere"}))
    with pytest.raises(AssertionError, match="SESSION_COOKIE_PATH"):
        parjar_log_in_as(app.test_client())


@pytest.mark.parametrize("acr", ["mfa", "urn:example:two-factors"])
def test_a_stronger_login(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs, acr: str
) -> None:
    app = make_app(parjar_provider.config())
    app.get("/transfer")(step_up_required(acr=acr)(lambda: str(current_user.acr)))
    client = app.test_client()
    parjar_log_in_as(client, acr=acr)
    page = client.get("/transfer")
    assert (page.status_code, page.text) == (200, acr)


def test_how_a_person_signed_in_is_true_for_one_login(
    app: Flask, parjar_log_in_as: LogInAs
) -> None:
    seen = []
    for acr, amr in (("urn:x", ["face"]), (None, None), ("phr", None), ("pwd", ["otp"])):
        client = app.test_client()
        parjar_log_in_as(client, acr=acr, claims={"amr": amr} if amr else None)
        me = client.get("/me").get_json()
        seen.append((me["acr"], me["amr"]))
    assert seen == [
        ("urn:x", ["face"]),
        ("pwd", ["face"]),
        ("phr", ["face"]),
        ("pwd", ["otp"]),
    ]


def test_an_acr_that_the_login_does_not_ask_for(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    """Otherwise a test would go on with a login that is not the one that it wants."""
    params = {"claims": {"id_token": {"acr": {"essential": True, "values": ["mfa"]}}}}
    app = make_app(parjar_provider.config({"PARJAR_AUTHORIZATION_PARAMS": params}))
    parjar_log_in_as(app.test_client(), acr="mfa")
    with pytest.raises(AssertionError, match="'pwd'.*'mfa'"):
        parjar_log_in_as(app.test_client(), acr="pwd")


def test_levels_of_the_sites_own_provider(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    """A step-up follows the metadata too."""
    parjar_provider.metadata["acr_values_supported"] = ["urn:low", "urn:high"]
    app = make_app(parjar_provider.config())
    app.get("/transfer")(step_up_required(acr="urn:high")(lambda: str(current_user.acr)))
    client = app.test_client()
    parjar_log_in_as(client)
    assert client.get("/me").get_json()["acr"] == "urn:low"
    login = client.get("/transfer").location
    back = parjar_provider.sign_in(client.get(login).location)
    assert client.get(client.get(back).location).text == "urn:high"


def test_a_payment_that_was_agreed_to(
    parjar_provider: DevProvider, parjar_log_in_as: LogInAs
) -> None:
    app, parjar = Flask("site"), ParJar()
    config = parjar_provider.config({"PARJAR_STORE": "memory", "PARJAR_SCOPES": "openid email"})
    app.config.update(SECRET_KEY="of the tests", **config)
    parjar.init_app(app)
    app.get("/pay")(
        authorization_details_required(type="pills")(
            lambda: jsonify([*parjar.tokens().authorization_details])
        )
    )
    asked: list[str] = []

    @parjar.login_options
    def options() -> LoginOptions | None:
        asked.append(request.path)
        return LoginOptions(scopes=("openid",)) if len(asked) > 1 else None

    details = [{"type": "pills", "count": 3}, {"type": "payment_initiation"}]
    for scopes in (["email", "openid"], ["openid"]):
        client = app.test_client()
        with client.session_transaction() as session:
            session["basket"] = 7
        parjar_log_in_as(client, authorization_details=details, scopes=scopes)
        assert client.get("/pay").get_json() == details
    assert asked == ["/", "/"]
    parjar_log_in_as(client)
    assert client.get("/pay").status_code == 403


def test_a_login_without_pytest(parjar_provider: DevProvider) -> None:
    """What unittest needs, and a suite that has its providers for all of its tests."""
    log_in_as = LogInAs(parjar_provider)
    apps = [make_app(parjar_provider.config()) for _ in range(2)]
    for app in (*apps, *apps):
        client = app.test_client()
        log_in_as(client, subject="grace")
        assert client.get("/me").get_json()["sub"] == "grace"
        assert log_in_as.provider_of(app) is parjar_provider
    elsewhere = make_app(DevProvider(**HTTPS_ISSUER).config())
    made = log_in_as.provider_of(elsewhere)
    assert (made.issuer, made is log_in_as.provider_of(elsewhere)) == ("https://op.example", True)


def test_a_login_that_was_granted_so_much_and_no_more(
    app: Flask, parjar_log_in_as: LogInAs
) -> None:
    client = app.test_client()
    parjar_log_in_as(client, scopes=("openid", "reports:read"))
    assert client.get("/me").get_json()["scopes"] == ["openid", "reports:read"]


def test_an_api_of_the_tests_own(parjar_provider: DevProvider, parjar_log_in_as: LogInAs) -> None:
    """What `parjar.api` calls is a WSGI app of the test, without a socket."""
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
