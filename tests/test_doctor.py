"""``flask parjar doctor``: each misconfiguration that can be seen before a login is named.

What is asserted is what a program reads: severity, subject, error codes, and the names and values
of what must be changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from cryptography import x509
from flask import Flask, Response, redirect, request
from flask.cli import ScriptInfo
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFProtect
from joserfc.jwk import ECKey

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.cli import parjar_cli
from flask_parjar.cli.provider_checks import binding_of, method_of
from flask_parjar.testing import DevProvider
from tests.support.certificates import DAY, PairFiles, make_pair
from tests.support.clock import WallClock
from tests.support.site import make_site, make_site_of_two
from tests.test_key_headers import certificate_pem, key_and_certificate

ROOT = Path(__file__).parent.parent
SITE = "http://localhost"  # where `make_site` is registered
KEY = ECKey.generate_key("P-256").as_dict(private=True)


class Report(NamedTuple):
    code: int
    findings: list[dict[str, str]]
    output: str

    def of(self, severity: str) -> list[dict[str, str]]:
        return [each for each in self.findings if each["severity"] == severity]

    def only(self, severity: str, subject: str) -> dict[str, str]:
        """The one finding of this severity; it is about that subject."""
        (found,) = self.of(severity)
        assert found["subject"] == subject, found
        return found

    def subject(self, subject: str) -> list[str]:
        return [each["found"] for each in self.findings if each["subject"] == subject]


def doctor(app: Flask | Callable[[], Flask], *arguments: str, json_too: bool = True) -> Report:
    """What the command says; an app as it is, or as its factory makes it."""
    make = (lambda: app) if isinstance(app, Flask) else app
    options = ["--json"] if json_too else []
    result = CliRunner().invoke(
        parjar_cli, ["doctor", *options, *arguments], obj=ScriptInfo(create_app=make)
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    findings = []
    if json_too and result.exit_code < 2:
        findings = json.loads(result.output[result.output.index("{") :])["findings"]
    return Report(result.exit_code, findings, result.output)


@pytest.fixture
def dated(provider: DevProvider) -> DevProvider:
    """The provider, with the header that a server adds to each answer."""
    sent_at = time.time  # the real clock: a test turns ours

    @provider.app.after_request
    def add_date(response: Response) -> Response:
        response.headers["Date"] = formatdate(sent_at(), usegmt=True)
        return response

    return provider


def test_a_site_that_works(dated: DevProvider) -> None:
    report = doctor(make_site(dated), "--site", SITE, "--push")
    assert (report.code, report.of("fault"), report.of("warning")) == (0, [], [])
    assert report.subject("request level") == ["pushed+signed"]
    assert "ES256" in report.subject("request object")[0]
    assert "private_key_jwt, ES256" in report.subject("client authentication")[0]
    assert "Bearer" in report.subject("access token")[0]
    assert f"{SITE}/callback" in report.subject("callback")[0]
    assert f"{SITE}/callback" in report.subject("push")[0]
    pushes = [call for call in dated.calls if call.endpoint == "pushed_authorization_request"]
    assert len(pushes) == 1


def test_without_the_option_nothing_is_pushed(dated: DevProvider) -> None:
    assert doctor(make_site(dated), "--site", SITE).subject("push") == []
    assert "pushed_authorization_request" not in {call.endpoint for call in dated.calls}


def test_a_table_for_a_person_says_the_same(dated: DevProvider) -> None:
    app = make_site(dated)
    app.add_url_rule("/login", "own", lambda: "own")
    report = doctor(app, "--site", SITE, json_too=False)
    assert report.code == 0
    assert "Provider default" in report.output
    assert report.output.splitlines()[-1] == "0 faults, 1 warning"
    assert [line for line in report.output.splitlines() if line.startswith("  WARNING route")]


def test_no_secret_is_shown(dated: DevProvider) -> None:
    secrets = {
        "SECRET_KEY": "a-long-key-of-this-very-test",
        "PARJAR_CLIENT_SECRET": "a-client-secret-of-this-very-test",
        "PARJAR_STORE": "redis://:hunter2@127.0.0.1:1/0",
    }
    app = make_site(dated, **secrets)
    for report in (doctor(app, "--push"), doctor(app, json_too=False)):
        assert report.code == 1
        for secret in (*secrets.values(), "hunter2", app.config["PARJAR_SIGNING_KEY"]["d"]):
            assert secret not in report.output


# The configuration.

FAULTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("no secret key", {"SECRET_KEY": None}, ["SECRET_KEY"]),
    ("a secret key of digits", {"SECRET_KEY": 12345678}, ["SECRET_KEY", "int", "'\"…\"'"]),
    ("a secret key that is true", {"SECRET_KEY": True}, ["SECRET_KEY", "bool"]),
    ("a flag as text", {"PARJAR_USERINFO": "True"}, ["PARJAR_USERINFO", "true or false"]),
    (
        "no JSON",
        {"PARJAR_AUTHORIZATION_PARAMS": "{'a':'b'}"},
        ["PARJAR_AUTHORIZATION_PARAMS", '{"name": "value"}'],
    ),
    ("commas", {"PARJAR_SCOPES": "openid,email"}, ["PARJAR_SCOPES", "spaces"]),
    (
        "a secret of digits",
        {"PARJAR_CLIENT_SECRET": 123456},
        ["PARJAR_CLIENT_SECRET", "int", "'\"…\"'"],
    ),
    (
        "a key file that is not there",
        {"PARJAR_SIGNING_KEY": "kex.pem"},
        ["PARJAR_SIGNING_KEY", "kex.pem", str(Path.cwd())],
    ),
    ("an empty key", {"PARJAR_SIGNING_KEY": ""}, ["PARJAR_SIGNING_KEY", "non-empty"]),
    (
        "a key that was cut",
        {"PARJAR_SIGNING_KEY": "-----BEGIN PRIVATE KEY-----\nMIGH"},
        ["PARJAR_SIGNING_KEY", "-----END"],
    ),
    (
        "the URL of the metadata",
        {"PARJAR_ISSUER": "https://op.example/.well-known/openid-configuration"},
        ["PARJAR_ISSUER", "https://op.example"],
    ),
    (
        "metadata that lacks something",
        {"PARJAR_METADATA": {"issuer": "https://op.example"}},
        ["PARJAR_METADATA", "authorization_endpoint", "token_endpoint", "jwks_uri"],
    ),
    ("a misspelt key", {"PARJAR_SCOPE": "openid"}, ["PARJAR_SCOPE", "PARJAR_SCOPES"]),
]


@pytest.mark.parametrize(
    "config, named", [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS]
)
def test_a_configuration_that_the_app_cannot_start_with(
    config: dict[str, Any], named: list[str]
) -> None:
    def create_app() -> Flask:
        app = Flask("faulty")
        app.config.update(
            SECRET_KEY="of the tests",
            PARJAR_ISSUER="https://op.example",
            PARJAR_CLIENT_ID="site",
            PARJAR_SIGNING_KEY=KEY,
        )
        app.config.update(config)
        ParJar(app)
        return app

    report = doctor(create_app)
    found = report.only("fault", "configuration")["found"]
    assert report.code == 1
    assert [name for name in named if name not in found] == []


def test_all_faults_are_shown_at_once_and_by_the_other_commands_too() -> None:
    def create_app() -> Flask:
        app = Flask("faulty")
        ParJar(app)
        return app

    assert len(doctor(create_app).of("fault")) == 4
    result = CliRunner().invoke(parjar_cli, ["sessions"], obj=ScriptInfo(create_app=create_app))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "PARJAR_ISSUER is required" in result.output


def test_an_app_without_a_parjar() -> None:
    report = doctor(Flask("none"))
    assert (report.code, "init_app" in report.output) == (2, True)


APP_OF_A_FOLDER = """
import os
import secrets
from flask import Flask
from flask_parjar import ParJar

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
    if app.secret_key is None:
        app.secret_key = secrets.token_hex()
    if "FAILS_AGAIN" in os.environ and os.path.exists(os.environ["FAILS_AGAIN"]):
        raise SystemExit(3)
    if "FAILS_AGAIN" in os.environ:
        open(os.environ["FAILS_AGAIN"], "w").close()
    ParJar(app)
    return app
"""


def doctor_of_folder(folder: Path, **environment: str) -> tuple[int, list[dict[str, str]], str]:
    """The command as it is typed, for an app in a file."""
    (folder / "app_of_a_folder.py").write_text(APP_OF_A_FOLDER, encoding="utf-8")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "flask", "--app", "app_of_a_folder"),
            *("parjar", "doctor", "--json"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.returncode, json.loads(ended.stdout)["findings"], ended.stderr


WITHOUT_A_NETWORK = {
    "FLASK_PARJAR_ISSUER": "http://127.0.0.1:9",
    "FLASK_PARJAR_CLIENT_ID": "site",
    "FLASK_PARJAR_SIGNING_KEY": json.dumps(KEY),
}


def test_an_app_that_cannot_start_as_it_is_typed(tmp_path: Path) -> None:
    """Flask finds the command without the app, so there is no traceback."""
    code, findings, errors = doctor_of_folder(tmp_path, FLASK_PARJAR_CLIENT_ID="site")
    assert code == 1
    assert {each["subject"] for each in findings} == {"configuration"}
    assert "Traceback" not in errors


@pytest.mark.parametrize("key, again", [(None, True), ("the same each time", False)])
def test_a_secret_key_that_is_made_at_each_start(
    tmp_path: Path, key: str | None, again: bool
) -> None:
    given = {} if key is None else {"FLASK_SECRET_KEY": key}
    _, findings, _ = doctor_of_folder(tmp_path, **WITHOUT_A_NETWORK, **given)
    found = [each["severity"] for each in findings if each["subject"] == "SECRET_KEY"]
    assert found == (["fault"] if again else [])


def test_an_app_that_starts_only_once(tmp_path: Path) -> None:
    mark = {"FAILS_AGAIN": str(tmp_path / "started")}
    _, findings, _ = doctor_of_folder(tmp_path, **WITHOUT_A_NETWORK, **mark)
    found = [each["severity"] for each in findings if each["subject"] == "SECRET_KEY"]
    assert found == ["warning"]


# What weakens a login, as at start.


@pytest.mark.parametrize(
    "config, subject, named",
    [
        ({"SECRET_KEY": "dev"}, "configuration", ["SECRET_KEY", "32"]),
        ({"PARJAR_INSECURE_HTTP": True}, "configuration", ["PARJAR_INSECURE_HTTP"]),
        ({"PARJAR_PKCE": False}, "configuration", ["PARJAR_PKCE"]),
        ({"PARJAR_STORE": "memory"}, "PARJAR_STORE", ["memory"]),
        ({"SESSION_COOKIE_SECURE": True}, "session cookie", ["SESSION_COOKIE_SECURE"]),
    ],
)
def test_a_warning_alone_fails_no_build(
    dated: DevProvider, config: dict[str, Any], subject: str, named: list[str]
) -> None:
    report = doctor(make_site(dated, **config), "--site", SITE)
    found = report.only("warning", subject)["found"]
    assert report.code == 0
    assert [name for name in named if name not in found] == []


def test_a_key_that_came_too_late(dated: DevProvider) -> None:
    app = make_site(dated)
    app.config["PARJAR_SCOPES"] = "openid reports:read"
    assert "PARJAR_SCOPES" in doctor(app, "--site", SITE).only("warning", "configuration")["found"]


@pytest.mark.parametrize("state", ["away", "there"])
def test_a_store_of_all_processes(
    dated: DevProvider, request: pytest.FixtureRequest, state: str
) -> None:
    address = "redis://:hunter2@127.0.0.1:1/0"
    if state == "there":
        address = request.getfixturevalue("redis_process").url
    report = doctor(make_site(dated, PARJAR_STORE=address), "--site", SITE)
    (found,) = report.subject("PARJAR_STORE")
    assert report.code == (1 if state == "away" else 0)
    assert ("store_unreachable" in found) is (state == "away")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("mode, warned", [(0o600, False), (0o640, True), (0o604, True)])
def test_a_key_file_that_others_can_read(
    dated: DevProvider, tmp_path: Path, mode: int, warned: bool
) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(KEY), encoding="utf-8")
    path.chmod(mode)
    report = doctor(make_site(dated, PARJAR_SIGNING_KEY=str(path)), "--site", SITE)
    assert [str(path) in found for found in report.subject("key file")] == [True] * warned
    assert report.code == 0


# Routes and guards.


def test_a_guard_above_the_route(dated: DevProvider) -> None:
    app = make_site(dated)
    login_required(app.get("/open")(lambda: "open to all"))
    report = doctor(app, "--site", SITE)
    assert report.code == 1
    assert report.only("fault", "guard")["found"].startswith("/open ")


@pytest.mark.parametrize("before, severity, code", [(True, "fault", 1), (False, "warning", 0)])
@pytest.mark.parametrize("path", ["/login", "/logout", "/callback", "/backchannel-logout"])
def test_a_page_of_the_app_at_a_path_of_ours(
    dated: DevProvider, path: str, before: bool, severity: str, code: int
) -> None:
    """The one that was added first is used."""
    app = Flask("site")
    app.config.update(SECRET_KEY="of the tests", **dated.config())

    def add() -> None:
        app.add_url_rule(path, "own", lambda: "own", methods=["GET", "POST"])

    if before:
        add()
    ParJar(app)
    if not before:
        add()
    dated.connect(app)
    report = doctor(app, "--site", SITE)
    routes = [each for each in report.findings if each["subject"] == "route"]
    assert [each["severity"] for each in routes] == [severity]
    assert path in routes[0]["found"]
    assert "PARJAR_URL_PREFIX" in routes[0]["write"]
    assert report.code == code
    hidden = before and path == "/callback"
    assert any("own" in each for each in report.subject("callback")) is hidden


def test_a_rule_of_the_app_that_redirects_hides_our_route(dated: DevProvider) -> None:
    app = Flask("site")
    app.config.update(SECRET_KEY="of the tests", **dated.config())
    app.add_url_rule("/callback", "own", lambda: "own", redirect_to="/elsewhere")
    ParJar(app)
    dated.connect(app)
    report = doctor(app, "--site", SITE)
    assert [each["subject"] for each in report.of("fault")] == ["route", "callback"]


def test_named_providers_have_routes_of_their_own(dated: DevProvider) -> None:
    app, work, home = make_site_of_two()
    report = doctor(app, "--site", SITE, "--push")
    assert report.subject("callback") == [f"{SITE}/callback/work", f"{SITE}/callback/home"]
    assert {each["about"] for each in report.findings} == {"app", "work", "home"}
    assert report.of("fault") == []
    alone = doctor(app, "--provider", "home")
    assert {each["about"] for each in alone.findings} == {"app", "home"}


# Functions before each request.


@pytest.mark.parametrize(
    "settings, stopped",
    [
        ({}, ["POST /logout"]),
        (
            {"PARJAR_STORE": "memory", "PARJAR_RESPONSE_MODE": "form_post"},
            ["POST /callback", "POST /logout", "POST /backchannel-logout"],
        ),
    ],
)
def test_csrf_protection_that_stops_our_routes(
    dated: DevProvider, settings: dict[str, str], stopped: list[str]
) -> None:
    app = make_site(dated, **settings)
    csrf = CSRFProtect(app)
    report = doctor(app, "--site", SITE)
    assert report.code == 1
    found = report.only("fault", "before_request")
    assert found["found"].partition(":")[0].split(", ") == stopped
    assert 'csrf.exempt(app.blueprints["parjar"])' in found["write"]
    csrf.exempt(app.blueprints["parjar"])
    assert doctor(app, "--site", SITE).subject("before_request") == []


def test_a_guard_of_the_app_that_stops_logins(dated: DevProvider) -> None:
    """Each login would end at the login again."""
    app = make_site(dated, PARJAR_URL_PREFIX="/auth")

    @app.before_request
    def only_people() -> Any:
        return None if current_user else redirect("/auth/login")

    found = doctor(app, "--site", f"{SITE}/shop").only("fault", "before_request")["found"]
    assert found.startswith("GET /auth/login, GET /auth/callback, POST /auth/logout: ")
    assert "302" in found


def test_a_function_before_requests_that_cannot_run_here(dated: DevProvider) -> None:
    app = make_site(dated)

    @app.before_request
    def ask_the_database() -> None:
        raise ConnectionRefusedError

    report = doctor(app, "--site", SITE)
    assert report.code == 0
    assert "ConnectionRefusedError" in report.only("warning", "before_request")["found"]


def test_functions_before_requests_that_let_our_routes_pass(dated: DevProvider) -> None:
    app = make_site(dated)
    app.before_request(login_required(lambda: None))
    Talisman(app)  # redirects to https
    assert doctor(app, "--site", SITE).subject("before_request") == []
    unknown = make_site(dated, SERVER_NAME="shop.example")
    unknown.before_request(lambda: None if request.endpoint else "not found")
    assert doctor(unknown).subject("before_request") == []


# The way back.


@pytest.mark.parametrize(
    "uri, severities",
    [
        ("https://site.example/callback", []),
        ("https://site.example/shop/callback", []),
        ("https://site.example/oidc/return", ["fault"]),
        ("http://site.example/callback", ["warning"]),
        ("http://127.0.0.1:5000/callback", []),
    ],
)
def test_the_redirect_uri(dated: DevProvider, uri: str, severities: list[str]) -> None:
    report = doctor(make_site(dated, PARJAR_REDIRECT_URI=uri))
    found = [each for each in report.findings if each["subject"] == "redirect URI"]
    assert [each["severity"] for each in found] == severities
    assert report.code == (1 if "fault" in severities else 0)
    assert all(uri in each["found"] for each in found)


def test_a_redirect_uri_at_an_address_of_the_app(dated: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule("/oidc/return", "parjar.callback")

    uri = "https://site.example/oidc/return"
    report = doctor(make_site(dated, prepare=prepare, PARJAR_REDIRECT_URI=uri))
    assert report.of("fault") == []
    assert report.subject("callback") == [uri]


def test_a_redirect_uri_that_is_not_set(dated: DevProvider) -> None:
    write = doctor(make_site(dated)).only("warning", "redirect URI")["write"]
    assert "https://your.site/callback" in write
    assert "--site" in write


def test_the_push_goes_on_below_a_path(dated: DevProvider) -> None:
    uri = "https://site.example/shop/callback"
    report = doctor(make_site(dated, PARJAR_REDIRECT_URI=uri), "--push")
    assert report.of("fault") == []
    assert uri in report.subject("push")[0]


COOKIES: list[tuple[dict[str, Any], str, str]] = [
    ({"SESSION_COOKIE_SAMESITE": "Strict"}, "https://site.test", "SESSION_COOKIE_SAMESITE"),
    ({"SESSION_COOKIE_SAMESITE": "None"}, "http://127.0.0.1:5000", "SESSION_COOKIE_SECURE"),
    ({"SESSION_COOKIE_SECURE": True}, "http://site.test", "SESSION_COOKIE_SECURE"),
    ({"SESSION_COOKIE_DOMAIN": "other.test"}, "https://site.test", "SESSION_COOKIE_DOMAIN"),
    ({"SESSION_COOKIE_PATH": "/shop"}, "https://site.test", "/shop"),
]


@pytest.mark.parametrize("config, site, named", COOKIES)
@pytest.mark.parametrize("known", [True, False])
def test_a_session_cookie_that_does_not_come_back(
    dated: DevProvider, config: dict[str, Any], site: str, named: str, known: bool
) -> None:
    """Where the site is not known, it cannot be certain."""
    app = make_site(dated, **config)
    report = doctor(app, *(["--site", site] if known else []))
    found = [each for each in report.findings if each["subject"] == "session cookie"]
    severity = "fault" if known else "warning"
    assert (report.code, {each["severity"] for each in found} - {"warning"}) == (
        (1, {"fault"}) if known else (0, set())
    )
    assert named in next(each["found"] for each in found if each["severity"] == severity)


def test_a_cookie_of_https_that_http_sends_too(dated: DevProvider) -> None:
    report = doctor(make_site(dated), "--site", "https://site.test")
    assert "SESSION_COOKIE_SECURE" in report.only("warning", "session cookie")["write"]


# The provider.


def test_a_provider_that_is_away() -> None:
    app = Flask("site")
    app.config.update(
        SECRET_KEY="of the tests",
        PARJAR_ISSUER="http://127.0.0.1:9",
        PARJAR_CLIENT_ID="site",
        PARJAR_SIGNING_KEY=KEY,
    )
    ParJar(app)
    report = doctor(app, "--site", SITE, "--push")
    assert report.code == 1
    assert "provider_unreachable" in report.only("fault", "metadata")["found"]
    assert report.subject("push") == []


@pytest.mark.parametrize(
    "issuer, named",
    [
        (
            "https://op.example/realms/wrong",
            ["https://op.example/realms/wrong/.well-known", "404", "PARJAR_ISSUER"],
        ),
        ("https://localhost.example", ["421", "https://op.example"]),
    ],
)
def test_an_issuer_that_is_not_the_providers(
    dated: DevProvider, issuer: str, named: list[str]
) -> None:
    from flask_parjar.testing.serving import wsgi_pool

    app = make_site(dated, connect=False, PARJAR_ISSUER=issuer)
    origin = issuer.removesuffix("/realms/wrong")
    http = app.extensions["parjar"].providers["default"].http
    http.mount(origin, wsgi_pool(dated.app, origin))
    report = doctor(app, "--site", SITE)
    found = report.only("fault", "metadata")["found"]
    assert report.code == 1
    assert [name for name in named if name not in found] == []


def test_all_disagreements_are_told(dated: DevProvider) -> None:
    app = make_site(dated, PARJAR_USERINFO=True)
    dated.metadata["code_challenge_methods_supported"] = ["plain"]
    dated.metadata["request_parameter_supported"] = False
    del dated.metadata["userinfo_endpoint"]
    report = doctor(app, "--site", SITE, "--push")
    found = report.of("fault")
    assert report.code == 1
    assert {each["subject"] for each in found} == {"agreement"}
    assert {each["found"].partition(":")[0] for each in found} == {
        "pkce_unsupported",
        "jar_unsupported",
        "userinfo_unsupported",
    }
    assert all(each["write"] for each in found)
    assert report.subject("push") == []


def test_keys_that_cannot_be_read(dated: DevProvider) -> None:
    with dated.fault("jwks_html"):
        report = doctor(make_site(dated), "--site", SITE)
    assert report.only("fault", "provider's keys")["found"].startswith("provider_answer")


def test_metadata_that_is_wrong_where_no_login_needs_it(dated: DevProvider) -> None:
    dated.metadata["userinfo_endpoint"] = "javascript:1"
    report = doctor(make_site(dated), "--site", SITE)
    assert "userinfo_endpoint" in report.only("warning", "metadata")["found"]


def test_a_provider_that_says_nothing_of_signed_requests(dated: DevProvider) -> None:
    for name in (
        "request_parameter_supported",
        "require_signed_request_object",
        "request_object_signing_alg_values_supported",
    ):
        dated.metadata.pop(name, None)
    report = doctor(make_site(dated), "--site", SITE)
    assert "--push" in report.only("warning", "request object")["write"]


@pytest.mark.parametrize(
    "ahead, severity",
    [(5, "good"), (-30, "good"), (30, "warning"), (300, "fault"), (-300, "fault")],
)
def test_the_clock(dated: DevProvider, wall_clock: WallClock, ahead: int, severity: str) -> None:
    """What we sign is from ten seconds ago; so far it may be ahead."""
    app = make_site(dated)
    wall_clock.turn(ahead)
    report = doctor(app, "--site", SITE)
    (clock,) = [each for each in report.findings if each["subject"] == "clock"]
    assert clock["severity"] == severity
    assert report.code == (1 if severity == "fault" else 0)
    assert ("ahead" if ahead > 0 else "behind") in clock["found"]


def test_an_answer_out_of_a_cache_is_as_old_as_it_says(provider: DevProvider) -> None:
    @provider.app.after_request
    def add_date(response: Response) -> Response:
        response.headers["Date"] = formatdate(time.time() - 900, usegmt=True)
        response.headers["Age"] = "900"
        return response

    report = doctor(make_site(provider), "--site", SITE)
    (clock,) = [each for each in report.findings if each["subject"] == "clock"]
    assert (report.code, clock["severity"]) == (0, "good")


def test_a_function_for_headers_that_returns_nonsense(dated: DevProvider) -> None:
    app = make_site(dated, PARJAR_HTTP_HEADERS=lambda: {"Accept": "x"})
    assert "Accept" in doctor(app, "--site", SITE).only("fault", "PARJAR_HTTP_HEADERS")["found"]


def test_a_certificate_that_cannot_be_read(dated: DevProvider) -> None:
    report = doctor(make_site(dated, PARJAR_SIGNING_KEY={**KEY, "x5c": ["MIIB"]}), "--site", SITE)
    assert "x5c" in report.only("warning", "signing key")["write"]
    assert report.code == 0


def test_no_date_to_compare_the_clock_with(provider: DevProvider) -> None:
    report = doctor(make_site(provider), "--site", SITE)
    assert (report.code, report.only("warning", "clock")["about"]) == (0, "default")


@pytest.mark.parametrize(
    "before_the_end, severities", [(90, ["good"]), (10, ["warning"]), (-1, ["fault"])]
)
def test_a_certificate_that_ends(
    dated: DevProvider, wall_clock: WallClock, before_the_end: int, severities: list[str]
) -> None:
    pem, der = key_and_certificate()
    key = pem + certificate_pem()
    app = make_site(dated, PARJAR_SIGNING_KEY=key, PARJAR_KEY_HEADERS="x5t#S256")
    end = x509.load_der_x509_certificate(der).not_valid_after_utc
    wall_clock.turn(end.timestamp() - before_the_end * 86400 - time.time())
    report = doctor(app, "--site", SITE)
    found = [each for each in report.findings if "certificate" in each["found"]]
    assert [each["severity"] for each in found] == severities
    assert f"{end:%Y-%m-%d}" in found[0]["found"]


# What a login will use.


USED: list[tuple[dict[str, Any], str, str]] = [
    ({"PARJAR_REQUEST": "plain"}, "request level", "plain"),
    ({"PARJAR_DPOP": True}, "access token", "DPoP, "),
    ({"PARJAR_CLIENT_SECRET": "s" * 40}, "client authentication", "client_secret_basic"),
    (
        {"PARJAR_CLIENT_SECRET": "s" * 40, "PARJAR_CLIENT_AUTH": "client_secret_post"},
        "client authentication",
        "client_secret_post",
    ),
    (
        {"PARJAR_CLIENT_SECRET": "s" * 40, "PARJAR_CLIENT_AUTH": "client_secret_jwt"},
        "client authentication",
        "client_secret_jwt, HS256",
    ),
    (
        {"PARJAR_CLIENT_ASSERTION": lambda: "an.assertion.x"},
        "client authentication",
        "PARJAR_CLIENT_ASSERTION",
    ),
    ({"PARJAR_CLIENT_AUTH": "none"}, "client authentication", "none"),
    ({"PARJAR_USERINFO": True}, "userinfo", "signed"),
    ({"PARJAR_RESPONSE_MODE": "form_post"}, "response mode", "form_post"),
    ({"PARJAR_PROVIDER_LOGOUT": False}, "logout", "only"),
    (
        {
            "PARJAR_ENCRYPTION_KEY": [
                ECKey.generate_key("P-256").as_dict(private=True),
                ECKey.generate_key("P-256").as_dict(private=True),
            ],
            "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256GCM",
        },
        "ID token",
        "encrypted ECDH-ES+A256KW A256GCM; signed ",
    ),
    (
        {"PARJAR_REQUEST_ENCRYPTION_ALG": "RSA-OAEP-256"},
        "request object",
        "encrypted RSA-OAEP-256 A256GCM",
    ),
]


@pytest.mark.parametrize("config, subject, used", USED)
def test_what_will_be_used(
    dated: DevProvider, config: dict[str, Any], subject: str, used: str
) -> None:
    app = make_site(dated, connect=False, **config)
    level = app.config.get("PARJAR_REQUEST", "pushed+signed")
    dated.allow_requests(level)
    if config.get("PARJAR_CLIENT_AUTH") == "none":
        dated.metadata["token_endpoint_auth_methods_supported"] = ["none"]
    if "PARJAR_CLIENT_ASSERTION" not in config:
        dated.connect(app)
    else:
        from flask_parjar.testing.serving import wsgi_pool

        http = app.extensions["parjar"].providers["default"].http
        http.mount(dated.issuer, wsgi_pool(dated.app, dated.issuer))
    report = doctor(app, "--site", SITE)
    assert report.of("fault") == []
    assert any(used in each for each in report.subject(subject)), report.findings


@pytest.mark.parametrize(
    "ends, severity", [(90 * DAY, "good"), (20 * DAY, "warning")], ids=["good", "soon"]
)
def test_a_client_certificate(dated: DevProvider, tmp_path: Path, ends: int, severity: str) -> None:
    files = PairFiles(tmp_path, make_pair("site", ends=ends))
    app = make_site(
        dated,
        PARJAR_CLIENT_AUTH="self_signed_tls_client_auth",
        PARJAR_BOUND_TOKENS=True,
        **files.config,
    )
    report = doctor(app, "--site", SITE)
    assert report.of("fault") == []
    assert "PARJAR_CLIENT_CERT" in report.subject("client authentication")[0]
    assert "PARJAR_CLIENT_CERT" in report.subject("access token")[0]
    subject, end = report.subject("client certificate")
    assert "CN=site" in subject and "ends on" in end
    assert end in [each["found"] for each in report.of(severity)]


def test_what_has_no_row_is_named_by_its_class() -> None:
    class Certificate:
        def apply(self, outbound: Any, *, now: int) -> Any:
            return outbound

        def learn(self, answer: Any) -> bool:
            return False

        def __call__(self, secret: bytes) -> Any:
            raise NotImplementedError

    assert method_of(Certificate()) == "Certificate"
    assert binding_of(Certificate()) == "Certificate"


def test_the_push_of_a_level_without_one(dated: DevProvider) -> None:
    dated.allow_requests("signed")
    report = doctor(make_site(dated, PARJAR_REQUEST="signed"), "--site", SITE, "--push")
    assert "signed" in report.subject("push")[0]
    assert report.code == 0


def test_a_push_that_is_refused(dated: DevProvider) -> None:
    report = doctor(make_site(dated), "--site", "https://elsewhere.test", "--push")
    fault = report.only("fault", "push")
    assert report.code == 1
    assert fault["found"].startswith("push_refused")
    assert "https://elsewhere.test/callback" in fault["found"]
    assert fault["write"]


def test_a_push_with_a_function_that_returns_nonsense(dated: DevProvider) -> None:
    app = make_site(dated, PARJAR_ASSERTION_CLAIMS=lambda: {"iss": "taken"})
    report = doctor(app, "--site", SITE, "--push")
    assert "iss" in report.only("fault", "push")["found"]


# The profiles.


def test_which_profiles_could_be_held(dated: DevProvider) -> None:
    could = doctor(make_site(dated, PARJAR_DPOP=True), "--site", SITE)
    assert "PARJAR_PROFILE" in could.subject("fapi2-security")[0]
    without = doctor(make_site(dated), "--site", SITE)
    assert "PARJAR_DPOP" in without.subject("fapi2-security")[0]
    assert "PARJAR_DPOP" in without.subject("fapi2-message-signing")[0]
    level = doctor(make_site(dated, PARJAR_DPOP=True, PARJAR_REQUEST="pushed"), "--site", SITE)
    assert "PARJAR_REQUEST" in level.subject("fapi2-message-signing")[0]
    dated.metadata["id_token_signing_alg_values_supported"] = ["RS256"]
    metadata = doctor(make_site(dated, PARJAR_DPOP=True), "--site", SITE)
    assert "id_token_alg_unsupported" in metadata.subject("fapi2-security")[0]
    assert metadata.code == 0


def test_the_profile_that_is_chosen(dated: DevProvider) -> None:
    app = make_site(dated, PARJAR_DPOP=True, PARJAR_PROFILE="fapi2-security")
    report = doctor(app, "--site", "https://localhost", "--push")
    assert "chosen" in report.subject("fapi2-security")[0]
    assert report.of("fault") == []


# Usage.


@pytest.mark.parametrize(
    "arguments", [("--site", "localhost:5000"), ("--provider", "x"), ("--nonsense",)]
)
def test_a_command_that_is_used_wrongly(dated: DevProvider, arguments: tuple[str, ...]) -> None:
    report = doctor(make_site(dated), *arguments)
    assert report.code == 2
    assert arguments[-1] in report.output


def test_text_of_the_provider_changes_no_terminal(dated: DevProvider) -> None:
    @dated.app.before_request
    def refuse() -> tuple[str, int]:
        return '{"error": "x\\u001b[31m"}\x1b[2J', 400

    report = doctor(make_site(dated), "--site", SITE, json_too=False)
    assert report.code == 1
    assert "\x1b" not in report.output
