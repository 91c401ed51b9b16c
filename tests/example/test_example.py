"""The example: its pages, and how it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
from flask import Flask

from example_app import ago, create_app
from example_app.__main__ import free_port
from flask_parjar.testing import DevProvider
from tests.site import ISSUER, SCOPES, Visitor

ROOT = Path(__file__).parent.parent.parent
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


@pytest.fixture
def app(provider: DevProvider) -> Iterator[Flask]:
    app = create_app(provider.config(PARJAR_SCOPES=SCOPES, TESTING=True))
    provider.connect(app)
    yield app


def test_everybody_sees_the_first_page(app: Flask, provider: DevProvider) -> None:
    page = Visitor(app, provider).get("/")
    assert page.status_code == 200
    assert "Log in" in page.text


def test_the_account_page_after_a_login(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    refused = ada.get("/account")
    assert refused.location == "/login?next=/account"
    assert ada.log_in(refused.location).location == "/account"
    page = ada.get("/account")
    assert page.headers["Cache-Control"] == "no-store"
    for shown in ("Ada Lovelace", "ada@people.example", "reports:read", "org", "engines"):
        assert shown in page.text
    assert "logged in less than a minute ago" in page.text


def test_an_identity_without_claims_is_shown_too(provider: DevProvider) -> None:
    provider.people["ada"] = type(provider.people["ada"])("ada")
    app = create_app(provider.config(PARJAR_SCOPES="openid", TESTING=True))
    provider.connect(app)
    ada = Visitor(app, provider)
    ada.log_in()
    assert "no e-mail address was given" in ada.get("/account").text


def test_the_scope_opens_the_reports(app: Flask, provider: DevProvider) -> None:
    ada, grace = Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    assert "what this site runs on" in ada.get("/reports").text
    grace.get(grace.come_back(grace.leave(), "grace", decline=["reports:read"]))
    assert grace.get("/reports").status_code == 403


def test_the_api_answers_json_either_way(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    refused = ada.get("/api/me", headers=SCRIPT)
    assert (refused.status_code, refused.json["error"]) == (401, "login_required")
    ada.log_in()
    assert ada.get("/api/me", headers=SCRIPT).json == {
        "name": "Ada Lovelace",
        "scopes": sorted(SCOPES.split()),
    }


def test_the_environment_wins_over_the_defaults(
    provider: DevProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_PARJAR_CLIENT_ID", "from-outside")
    monkeypatch.setenv("FLASK_SECRET_KEY", "given")
    app = create_app(provider.config())
    assert app.extensions["parjar"].settings.providers["default"].client_id == "from-outside"
    assert app.secret_key == "given"


def test_without_a_secret_key_each_start_makes_its_own(provider: DevProvider) -> None:
    keys = {create_app(provider.config()).secret_key for _ in range(2)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a minute ago"),
        (59, "less than a minute ago"),
        (61, "1 minute ago"),
        (7300, "2 hours ago"),
        (90000, "1 day ago"),
    ],
)
def test_how_long_ago(seconds: int, words: str) -> None:
    assert ago(time() - seconds) == words


def test_a_wrong_configuration_is_told_and_nothing_starts() -> None:
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("FLASK_")}
    wrong = {"FLASK_PARJAR_ISSUER": "http://op.example", "FLASK_PARJAR_CLIENTID": "x"}
    ended = subprocess.run(
        [sys.executable, "-m", "example_app", "--port", str(free_port(0))],
        cwd=ROOT,
        env=inherited | wrong,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "did you mean PARJAR_CLIENT_ID?" in ended.stderr
    assert "Traceback" not in ended.stderr
