"""The example: its pages, and how it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest
import requests
from flask import Flask

import flask_parjar
from example_app import ago, create_app, request_levels
from example_app.__main__ import free_port, main
from flask_parjar.testing import DevProvider
from tests.support.example_process import ExampleProcess
from tests.support.headers import NAVIGATION
from tests.support.site import ISSUER, SCOPES, Visitor, query

ROOT = Path(__file__).parent.parent.parent
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


@pytest.fixture
def app(provider: DevProvider) -> Iterator[Flask]:
    app = create_app(provider.config({"PARJAR_SCOPES": SCOPES, "TESTING": True}))
    provider.connect(app)
    yield app


def test_the_provider_of_the_example_takes_another_request_level() -> None:
    environment = {"FLASK_PARJAR_REQUEST": "pushed"}
    with ExampleProcess("--provider-port", "0", environment=environment) as example:
        login = f"{example.url}/login"
        answer = requests.get(login, headers=NAVIGATION, allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    assert set(query(answer.headers["Location"])) == {"client_id", "request_uri"}


@pytest.mark.parametrize("level", ["pushed+signed", "pushed", "plain"])
def test_the_first_page_says_of_requests_what_is_true(provider: DevProvider, level: str) -> None:
    provider.allow_requests(level)
    app = create_app(provider.config({"PARJAR_REQUEST": level}))
    provider.connect(app)
    ada = Visitor(app, provider)
    protected = level == "pushed+signed"
    assert ("no one can read or change" in ada.get("/").text) is protected
    assert (f"<code>{level}</code>" in ada.get("/").text) is not protected
    ada.log_in()
    assert ("Everything else was signed" in ada.get("/").text) is protected


def test_the_first_page_knows_the_levels_of_several_providers() -> None:
    sections = {"work": {"request": "plain"}, "home": {}}
    assert request_levels({"PARJAR_PROVIDERS": sections}) == ["plain", "pushed+signed"]
    assert request_levels({"PARJAR_REQUEST": "signed"}) == ["signed"]


def test_the_first_page_needs_no_login(app: Flask, provider: DevProvider) -> None:
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
    app = create_app(provider.config({"PARJAR_SCOPES": "openid", "TESTING": True}))
    provider.connect(app)
    ada = Visitor(app, provider)
    ada.log_in()
    assert ada.get("/account").status_code == 200


def test_the_scope_opens_the_reports(app: Flask, provider: DevProvider) -> None:
    ada, grace = Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    assert flask_parjar.__version__ in ada.get("/reports").text
    grace.get(grace.come_back(grace.leave(), "grace", decline=["reports:read"]))
    assert grace.get("/reports").status_code == 403


def is_a_page_of_the_example(text: str) -> bool:
    """Whether it has the bar and the style of the others."""
    return 'href="/static/style.css"' in text and 'aria-label="Pages"' in text


def test_a_page_that_is_not_there_looks_like_the_others(app: Flask, provider: DevProvider) -> None:
    page = Visitor(app, provider).get("/not-there")
    assert page.status_code == 404
    assert is_a_page_of_the_example(page.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/reports", 403, id="not allowed"),
        pytest.param("/callback", 400, id="login not finished"),
        pytest.param("/logout", 200, id="log out?"),
    ],
)
def test_the_pages_of_the_library_look_like_the_others(
    app: Flask, provider: DevProvider, path: str, status: int
) -> None:
    grace = Visitor(app, provider)
    grace.get(grace.come_back(grace.leave(), "grace", decline=["reports:read"]))
    page = grace.get(path)
    assert page.status_code == status
    assert is_a_page_of_the_example(page.text)


def test_the_bar_leads_to_every_page(app: Flask, provider: DevProvider) -> None:
    bar = re.findall(r"<nav.*?</nav>", Visitor(app, provider).get("/").text, re.DOTALL)[0]
    for path in ("/account", "/tokens", "/reports", "/transfer", "/wire"):
        assert f'href="{path}"' in bar


def test_links_of_one_name_lead_to_one_page(app: Flask, provider: DevProvider) -> None:
    """Who hears the names alone can tell the links apart."""
    found: dict[str, set[str]] = {}
    page = Visitor(app, provider).get("/").text
    for attributes, inside in re.findall(r"<a\b([^>]*)>(.*?)</a>", page, re.DOTALL):
        (target,) = re.findall(r'href="([^"]*)"', attributes)
        label = re.findall(r'aria-label="([^"]*)"', attributes)
        name = label[0] if label else " ".join(re.sub(r"<[^>]+>", " ", inside).split())
        found.setdefault(name, set()).add(target)
    assert len(found) > 5
    assert {name: targets for name, targets in found.items() if len(targets) > 1} == {}


def test_the_card_on_logging_out_needs_no_login(app: Flask, provider: DevProvider) -> None:
    anonymous = Visitor(app, provider)
    cards = re.findall(r"<article>.*?</article>", anonymous.get("/").text, re.DOTALL)
    (card,) = [each for each in cards if "POST /logout" in each]
    for path in re.findall(r'href="([^"#]+)', card):
        assert not (anonymous.get(path).location or "").startswith("/login")


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


def test_a_wrong_configuration_is_reported_and_nothing_starts() -> None:
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


@pytest.mark.parametrize(
    ("option", "port"), [("--port", "80000"), ("--port", "-1"), ("--provider-port", "80000")]
)
def test_an_invalid_port_is_reported_and_nothing_starts(
    option: str, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["example_app", "--port", "0", f"{option}={port}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert option in printed.err and port in printed.err
    assert printed.out == ""


def test_nothing_is_printed_that_looks_like_a_fault() -> None:
    with ExampleProcess("--provider-port", str(free_port(0))) as example:
        assert example.url in example.output
        assert "PARJAR_" not in example.output
