"""``flask parjar``, as a developer or an operator types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from flask_parjar import ParJar
from flask_parjar.testing import DevProvider, Person
from tests.after_login import set_clock, store_address, token_site
from tests.redis_process import RedisProcess
from tests.site import Visitor, make_site, path_and_query

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
        env={**os.environ, **environment},
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


@pytest.fixture
def dev_provider(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    issuer = environment["FLASK_PARJAR_ISSUER"]
    process = run(tmp_path, "dev-provider", **environment)
    try:
        for _ in range(200):
            try:
                requests.get(f"{issuer}/.well-known/openid-configuration", timeout=1)
                break
            except requests.ConnectionError:
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.05)
        yield issuer
    finally:
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=10)[0]
    assert "DEVELOPMENT ONLY" in output and "Traceback" not in output


def test_a_site_logs_in_at_it(
    dev_provider: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(tmp_path))
    app = Flask(__name__)
    app.config.from_prefixed_env()
    ParJar(app)
    app.get("/")(lambda: "home")
    client = app.test_client()
    away = client.get("/login", base_url="http://127.0.0.1:5000").location
    back = sign_in(away)
    answer = client.get(path_and_query(back), base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.location) == (302, "/")


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


def test_a_site_for_another_provider_is_told_so(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    environment["FLASK_PARJAR_ISSUER"] = "https://op.example"
    process = run(tmp_path, "dev-provider", **environment)
    output = process.communicate(timeout=20)[0]
    assert process.returncode != 0
    assert "https://op.example" in output and "PARJAR_ISSUER" in output
    assert "Traceback" not in output


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


def test_sessions_are_listed_oldest_first(provider: DevProvider, redis_address: str) -> None:
    app = token_site(provider, redis_address)
    assert sessions(app) == (0, "0 sessions open\n")
    for person in ("grace", "ada", "ada"):
        Visitor(app, provider).log_in(person=person)
        time.sleep(1.05)  # they are told apart by the second
    code, output = sessions(app)
    *lines, summary = output.splitlines()
    assert (code, summary) == (0, "3 sessions open")
    for line, person in zip(lines, ("grace", "ada", "ada"), strict=True):
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC  default  {person}", line)
    assert lines == sorted(lines, key=lambda line: line[:19])
    assert sessions(app, "ada")[1].splitlines()[-1] == "2 sessions open"
    assert sessions(app, "nobody") == (0, "0 sessions open\n")
    assert sessions(app, "--provider", "default")[1] == output


def test_sessions_are_ended(provider: DevProvider, redis_address: str) -> None:
    key = provider.config()["PARJAR_SIGNING_KEY"]
    app, shell = (token_site(provider, redis_address, PARJAR_SIGNING_KEY=key) for _ in range(2))
    clock = set_clock(app)
    ada, again, grace = Visitor(app, provider), Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    again.log_in()
    grace.log_in(person="grace")
    code, output = sessions(shell, "ada", "--end")
    assert (code, output.splitlines()[-1], output.count("  ada")) == (0, "2 sessions ended", 2)
    clock.now += 5
    assert [each.get("/me").status_code for each in (ada, again, grace)] == [302, 302, 200]
    assert sessions(shell, "ada") == (0, "0 sessions open\n")
    assert sessions(shell, "ada", "--end") == (0, "0 sessions ended\n")
    time.sleep(1.05)  # what was ended in this second would take a new login along
    ada.log_in()
    assert ada.get("/me").status_code == 200
    assert sessions(shell, "ada", "--end")[1].splitlines()[-1] == "1 session ended"


def test_nobody_ends_everybody_s_sessions(provider: DevProvider, redis_address: str) -> None:
    app = token_site(provider, redis_address)
    visitor = Visitor(app, provider)
    visitor.log_in()
    code, output = sessions(app, "--end")
    assert code == 2 and "say whose sessions to end" in output
    assert visitor.get("/me").status_code == 200


@pytest.mark.parametrize("store", ["session", "sealed", "memory"])
def test_a_store_that_cannot_be_looked_into(provider: DevProvider, store: str) -> None:
    code, output = sessions(make_site(provider, PARJAR_STORE=store), "ada", "--end")
    assert code == 1
    assert output == (
        f"Error: PARJAR_STORE is {store}, which no other process can look into: "
        "set it to redis://…\n"
    )


@pytest.mark.parametrize("arguments", [(), ("ada",), ("ada", "--end")])
def test_a_redis_that_is_away(provider: DevProvider, arguments: tuple[str, ...]) -> None:
    app = make_site(provider, PARJAR_STORE="redis://:hunter2@127.0.0.1:1/0")
    code, output = sessions(app, *arguments)
    assert code == 1
    assert output.startswith("Error: store_unreachable: Redis: ConnectionError. ")
    assert "is Redis up" in output and "hunter2" not in output


def test_sessions_of_a_named_provider(redis_address: str) -> None:
    work, home = DevProvider("https://work.example"), DevProvider("https://home.example")
    sections = {
        name: {"issuer": each.issuer, "client_id": name}
        for name, each in (("work", work), ("home", home))
    }
    app = make_site(
        work,
        connect=False,
        PARJAR_ISSUER=None,
        PARJAR_PROVIDERS=sections,
        PARJAR_STORE=redis_address,
    )
    visitors = []
    for name, each in (("work", work), ("home", home)):
        each.connect(app)
        visitor = Visitor(app, each)
        visitor.log_in(f"/login/{name}")
        visitors.append(visitor)
    assert sessions(app, "ada")[1].splitlines()[-1] == "2 sessions open"
    code, output = sessions(app, "ada", "--provider", "home")
    assert (code, output.splitlines()[-1]) == (0, "1 session open")
    assert "  home  ada" in output and "work" not in output
    assert sessions(app, "ada", "--provider", "home", "--end")[0] == 0
    assert [each.get("/me").status_code for each in visitors] == [200, 302]
    code, output = sessions(app, "--provider", "nobody")
    assert code == 1 and output.startswith("Error: provider_unknown: ")


def test_what_a_stranger_called_themselves_is_no_command(
    provider: DevProvider, redis_address: str
) -> None:
    """A sub is printable ASCII, so it writes nothing into a terminal but itself."""
    provider.people["odd"] = Person("odd", {"sub": "x  default  ada 2 sessions"})
    app = token_site(provider, redis_address)
    Visitor(app, provider).log_in(person="odd")
    assert sessions(app)[1].splitlines()[-1] == "1 session open"
