"""``flask parjar dev-provider``, as a developer types it."""

from __future__ import annotations

import json
import os
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
from tests.site import path_and_query

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
