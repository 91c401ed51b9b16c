"""``flask parjar``, as a developer or an operator types it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from flask_parjar import ParJar
from flask_parjar.config import read_settings
from flask_parjar.testing import DevProvider, Person
from tests.support.after_login import set_clock, store_address, token_site
from tests.support.clock import WallClock
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor, make_site, make_site_of_two, path_and_query

ROOT = Path(__file__).parent.parent
APP = """
from flask import Flask
from flask_parjar import ParJar, current_user, login_required

app = Flask(__name__)
app.config.from_prefixed_env()
ParJar(app)

@app.get("/me")
@login_required
def me():
    return current_user.name
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "site_of_the_test", "parjar", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def environment(tmp_path: Path, free_port: Callable[[], int]) -> dict[str, str]:
    from joserfc.jwk import ECKey

    (tmp_path / "site_of_the_test.py").write_text(APP, encoding="utf-8")
    return {
        "FLASK_SECRET_KEY": "of the test",
        "FLASK_PARJAR_ISSUER": f"http://127.0.0.1:{free_port()}",
        "FLASK_PARJAR_CLIENT_ID": "site",
        "FLASK_PARJAR_SIGNING_KEY": json.dumps(ECKey.generate_key("P-256").as_dict(private=True)),
    }


@contextlib.contextmanager
def dev_provider_for(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[None]:
    """The command at work for a site of this configuration."""
    issuer = environment["FLASK_PARJAR_ISSUER"]
    process = run(folder, "dev-provider", *arguments, **environment)
    try:
        for _ in range(10):
            if is_served(issuer):
                break
            assert process.poll() is None, process.communicate()[0]
        yield
    finally:
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=10)[0]
    assert "DEVELOPMENT ONLY" in output and "Traceback" not in output


def is_served(issuer: str) -> bool:
    """Whether a provider answers, now or within a second."""
    for _ in range(20):
        try:
            url = f"{issuer}/.well-known/openid-configuration"
            published = requests.get(url, timeout=1).json()["issuer"]
            return bool(published.replace("{tenantid}", "organizations") == issuer)
        except requests.ConnectionError:
            time.sleep(0.05)
    return False


@pytest.fixture
def dev_provider(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    with dev_provider_for(tmp_path, environment):
        yield environment["FLASK_PARJAR_ISSUER"]


def site_of(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The same site, in this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = Flask(__name__)
    app.config.from_prefixed_env()
    ParJar(app)
    app.get("/")(lambda: "home")
    return app


def test_a_site_logs_in_at_it(
    dev_provider: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = site_of(environment, monkeypatch).test_client()
    away = client.get("/login", base_url="http://127.0.0.1:5000").location
    back = sign_in(away)
    answer = client.get(path_and_query(back), base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.location) == (302, "/")


@pytest.mark.parametrize("level", ["pushed", "plain"])
def test_it_takes_the_request_level_of_the_site(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    environment["FLASK_PARJAR_REQUEST"] = level
    client = site_of(environment, monkeypatch).test_client()
    with dev_provider_for(tmp_path, environment):
        away = client.get("/login", base_url="http://127.0.0.1:5000").location
        back = sign_in(away)
        answer = client.get(path_and_query(back), base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.location) == (302, "/")


def test_it_demands_what_a_preset_demands(
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment["FLASK_PARJAR_REQUEST"] = "pushed"
    client = site_of(environment, monkeypatch).test_client()
    with dev_provider_for(tmp_path, environment, "--like", "singpass"):
        assert client.get("/login", base_url="http://127.0.0.1:5000").status_code == 502
    assert "dpop_refused" in caplog.text


def test_a_site_with_the_settings_of_a_preset_logs_in_at_it(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DevProvider.like("singpass", issuer=environment["FLASK_PARJAR_ISSUER"]).config()
    for name, value in config.items():
        environment[f"FLASK_{name}"] = value if isinstance(value, str) else json.dumps(value)
    client = site_of(environment, monkeypatch).test_client()
    with dev_provider_for(tmp_path, environment, "--like", "singpass"):
        back = sign_in(client.get("/login", base_url="http://127.0.0.1:5000").location)
        answer = client.get(path_and_query(back), base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.location) == (302, "/")


def test_one_of_two_providers_follows_a_preset(
    tmp_path: Path,
    environment: dict[str, str],
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuers = {name: f"http://127.0.0.1:{free_port()}" for name in ("work", "home")}
    sections = {name: {"issuer": issuer, "request": "pushed"} for name, issuer in issuers.items()}
    environment["FLASK_PARJAR_ISSUER"] = issuers["work"]
    environment["FLASK_PARJAR_PROVIDERS"] = json.dumps(sections)
    client = site_of(environment, monkeypatch).test_client()
    with dev_provider_for(tmp_path, environment, "--like", "home=singpass"):
        assert is_served(issuers["home"])
        logins = {
            name: client.get(f"/login/{name}", base_url="http://127.0.0.1:5000").status_code
            for name in issuers
        }
    assert logins == {"work": 302, "home": 502}


@pytest.mark.parametrize(
    "like, named", [("singpas", ["singpass"]), ("singpass", ["work=singpass"]), ("x=singpass", [])]
)
def test_a_preset_for_no_provider(like: str, named: list[str]) -> None:
    sections = {
        name: {"issuer": f"http://127.0.0.1:{port}", "client_id": name}
        for name, port in (("work", 1), ("home", 2))
    }
    app = make_site(DevProvider(), connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections)
    result = app.test_cli_runner().invoke(args=["parjar", "dev-provider", "--like", like])
    assert result.exit_code == 2
    assert [name for name in [like, *named] if name not in result.output] == []


def test_it_serves_the_tenants_of_the_site(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment["FLASK_PARJAR_ISSUER"] += "/organizations"
    environment["FLASK_PARJAR_TENANTS"] = "tenant-a tenant-b"
    app = site_of(environment, monkeypatch)
    with dev_provider_for(tmp_path, environment):
        client = app.test_client()
        away = client.get("/login", base_url="http://127.0.0.1:5000").location
        back = sign_in(away)
        answer = client.get(path_and_query(back), base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.location) == (302, "/")


@pytest.mark.parametrize(
    "arguments, variables, addresses",
    [
        ((), {}, ["http://127.0.0.1:5000", "http://localhost:5000"]),
        ((), {"FLASK_RUN_PORT": "8123"}, ["http://127.0.0.1:8123", "http://localhost:8123"]),
        (
            ("--site", "http://localhost:8000"),
            {"FLASK_RUN_PORT": "8123"},
            ["http://localhost:8000", "http://127.0.0.1:8000"],
        ),
    ],
)
def test_the_site_may_be_opened_by_either_name_of_this_machine(
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    addresses: list[str],
) -> None:
    """At the port where ``flask run`` serves, or where ``--site`` says."""
    app = site_of(environment, monkeypatch)
    with dev_provider_for(tmp_path, {**environment, **variables}, *arguments):
        logins = {url: app.test_client().get("/login", base_url=url) for url in addresses}
    assert {url: login.status_code for url, login in logins.items()} == dict.fromkeys(
        addresses, 302
    )


def test_a_site_at_another_address_is_pointed_to_the_option(
    dev_provider: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = site_of(environment, monkeypatch).test_client()
    assert client.get("/login", base_url="http://127.0.0.1:7777").status_code == 502
    assert "http://127.0.0.1:7777/callback" in caplog.text
    assert "--site" in caplog.text


def test_each_provider_that_is_on_this_machine_is_served(
    tmp_path: Path,
    environment: dict[str, str],
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuers = {name: f"http://127.0.0.1:{free_port()}" for name in ("work", "home")}
    issuers["elsewhere"] = "https://op.example"
    sections = {name: {"issuer": issuer} for name, issuer in issuers.items()}
    environment["FLASK_PARJAR_ISSUER"] = issuers["work"]
    environment["FLASK_PARJAR_PROVIDERS"] = json.dumps(sections)
    client = site_of(environment, monkeypatch).test_client()
    with dev_provider_for(tmp_path, environment):
        assert {name: is_served(issuers[name]) for name in ("work", "home")} == {
            "work": True,
            "home": True,
        }
        for name in ("work", "home"):
            away = client.get(f"/login/{name}", base_url="http://127.0.0.1:5000").location
            assert away.startswith(issuers[name])


@pytest.mark.parametrize(
    "issuer, arguments, named",
    [
        (None, ["--site", "localhost:8000"], ["--site", "localhost:8000"]),
        ("http://127.0.0.1", [], ["PARJAR_ISSUER", "http://127.0.0.1"]),
        ("https://127.0.0.1:9000", [], ["PARJAR_ISSUER", "https://127.0.0.1:9000"]),
        ("https://op.example", [], ["PARJAR_ISSUER", "https://op.example"]),
    ],
)
def test_an_address_of_no_use_is_named(
    issuer: str | None, arguments: list[str], named: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that nothing is served by mistake
        provider = DevProvider(issuer or f"http://127.0.0.1:{taken.getsockname()[1]}")
        runner = make_site(provider, connect=False).test_cli_runner()
        result = runner.invoke(args=["parjar", "dev-provider", *arguments])
    assert isinstance(result.exception, SystemExit) and result.exit_code != 0
    assert [name for name in named if name not in result.output] == []


def test_a_command_that_does_not_exist(provider: DevProvider) -> None:
    result = make_site(provider).test_cli_runner().invoke(args=["parjar", "session"])
    assert result.exit_code == 2
    assert "session" in result.output


def sign_in(url: str) -> str:
    """Go through the pages of the running provider as a person does."""
    import html
    import re
    from urllib.parse import urljoin

    session = requests.Session()
    page = session.get(url, timeout=5, allow_redirects=False)
    for _ in range(8):
        while page.is_redirect:
            target = urljoin(page.url, page.headers["Location"])
            if "/callback" in target:
                return target
            page = session.get(target, timeout=5, allow_redirects=False)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        buttons = re.findall(r'<button[^>]*name="(\w+)"[^>]*value="([^"]+)"', page.text)
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        assert action is not None and buttons, page.text
        name, value = next(each for each in buttons if each[1] != "deny")
        fields[name] = value
        target = urljoin(page.url, html.unescape(action[1]))
        page = session.post(
            target,
            data={name: html.unescape(value) for name, value in fields.items()},
            headers={"Origin": url.split("/authorize")[0], "Sec-Fetch-Site": "same-origin"},
            timeout=5,
            allow_redirects=False,
        )
    raise AssertionError(page.text)


def test_the_command_says_what_it_is_for(tmp_path: Path, environment: dict[str, str]) -> None:
    process = run(tmp_path, "--help", **environment)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "dev-provider" in output


# flask parjar keys


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path, environment: dict[str, str]) -> None:
    """Made for a site that cannot start without it, and never written over another one."""
    path = tmp_path / "my-key.pem"
    environment["FLASK_PARJAR_SIGNING_KEY"] = path.name
    first = run(tmp_path, "keys", "new", path.name, **environment)
    output = first.communicate(timeout=20)[0]
    assert first.returncode == 0
    assert "PRIVATE KEY" not in output
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0
    text = path.read_text(encoding="utf-8")
    config = {"PARJAR_ISSUER": "https://op.example", "PARJAR_CLIENT_ID": "site"}
    read_settings({**config, "PARJAR_SIGNING_KEY": str(path)}, secret_key="of the test")
    second = run(tmp_path, "keys", "new", path.name, **environment)
    second.communicate(timeout=20)
    assert second.returncode != 0
    assert path.read_text(encoding="utf-8") == text


# flask parjar sessions


@pytest.fixture
def redis_address(redis_process: RedisProcess) -> str:
    return store_address("redis", redis_process)


def sessions(app: Flask, *arguments: str) -> tuple[int, str]:
    """What an operator is told, and the exit code."""
    result = app.test_cli_runner().invoke(args=["parjar", "sessions", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def counted(app: Flask, *arguments: str) -> int:
    """How many sessions the last line speaks of."""
    code, output = sessions(app, *arguments)
    assert code == 0
    return int(output.splitlines()[-1].split()[0])


def test_sessions_are_listed_oldest_first(
    provider: DevProvider, redis_address: str, wall_clock: WallClock
) -> None:
    app = token_site(provider, redis_address)
    assert counted(app) == 0
    for person in ("grace", "ada", "ada"):
        Visitor(app, provider).log_in(person=person)
        wall_clock.turn(1)  # they are told apart by the second
    code, output = sessions(app)
    *lines, summary = output.splitlines()
    assert (code, int(summary.split()[0])) == (0, 3)
    for line, person in zip(lines, ("grace", "ada", "ada"), strict=True):
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC  default  {person}", line)
    assert lines == sorted(lines, key=lambda line: line[:19])
    assert (counted(app, "ada"), counted(app, "anonymous")) == (2, 0)
    assert sessions(app, "--provider", "default")[1] == output


def test_sessions_are_ended(
    provider: DevProvider, redis_address: str, wall_clock: WallClock
) -> None:
    key = provider.config()["PARJAR_SIGNING_KEY"]
    app, shell = (token_site(provider, redis_address, PARJAR_SIGNING_KEY=key) for _ in range(2))
    clock = set_clock(app)
    ada, again, grace = Visitor(app, provider), Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    again.log_in()
    grace.log_in(person="grace")
    code, output = sessions(shell, "ada", "--end")
    assert (code, int(output.splitlines()[-1].split()[0]), output.count("  ada")) == (0, 2, 2)
    clock.now += 5
    assert [each.get("/me").status_code for each in (ada, again, grace)] == [302, 302, 200]
    assert (counted(shell, "ada"), counted(shell, "ada", "--end")) == (0, 0)
    wall_clock.turn(1)  # what was ended in this second would take a new login along
    ada.log_in()
    assert ada.get("/me").status_code == 200
    assert counted(shell, "ada", "--end") == 1


def test_without_a_subject_no_session_is_ended(provider: DevProvider, redis_address: str) -> None:
    app = token_site(provider, redis_address)
    visitor = Visitor(app, provider)
    visitor.log_in()
    code, output = sessions(app, "--end")
    assert code == 2 and "--end" in output
    assert visitor.get("/me").status_code == 200


@pytest.mark.parametrize("store", [None, "cookie", "memory"])
def test_a_store_that_no_other_process_can_see(provider: DevProvider, store: str | None) -> None:
    code, output = sessions(make_site(provider, PARJAR_STORE=store), "ada", "--end")
    assert code == 1
    assert all(value in output for value in ("PARJAR_STORE", store or "", "redis://"))


@pytest.mark.parametrize("arguments", [(), ("ada",), ("ada", "--end")])
def test_a_redis_that_is_away(provider: DevProvider, arguments: tuple[str, ...]) -> None:
    app = make_site(provider, PARJAR_STORE="redis://:hunter2@127.0.0.1:1/0")
    code, output = sessions(app, *arguments)
    assert code == 1
    assert "store_unreachable" in output and "ConnectionError" in output
    assert "PARJAR_STORE" in output and "hunter2" not in output


def test_sessions_of_a_named_provider(redis_address: str) -> None:
    app, work, home = make_site_of_two(PARJAR_STORE=redis_address)
    visitors = []
    for name, each in (("work", work), ("home", home)):
        visitor = Visitor(app, each)
        visitor.log_in(f"/login/{name}")
        visitors.append(visitor)
    assert counted(app, "ada") == 2
    code, output = sessions(app, "ada", "--provider", "home")
    assert (code, int(output.splitlines()[-1].split()[0])) == (0, 1)
    assert "  home  ada" in output and "work" not in output
    assert sessions(app, "ada", "--provider", "home", "--end")[0] == 0
    assert [each.get("/me").status_code for each in visitors] == [200, 302]
    code, output = sessions(app, "--provider", "anonymous")
    assert code == 1 and "provider_unknown" in output


def test_a_subject_with_odd_characters_is_shown_as_text(
    provider: DevProvider, redis_address: str
) -> None:
    """A sub is printable ASCII, so it writes nothing into a terminal but itself."""
    provider.people["odd"] = Person("odd", {"sub": "x  default  ada 2 sessions"})
    app = token_site(provider, redis_address)
    Visitor(app, provider).log_in(person="odd")
    assert counted(app) == 1
