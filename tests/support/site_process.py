"""A site behind gunicorn, and a visitor: each request on a connection of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from tests.support.child_process import ChildProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"


class SiteProcess(ChildProcess):
    """gunicorn with ``site_app.py``; a context manager that ends it.

    :param config: the keys of the app's configuration.
    :param workers: processes, each with as many `threads`.
    :param port: where to listen; a free one unless given.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        workers: int = 1,
        threads: int = 8,
        port: int = 0,
    ) -> None:
        with socket.create_server((HOST, port), backlog=512) as listener:
            self.port: int = listener.getsockname()[1]
            self.url = f"http://{HOST}:{self.port}"
            keys = {f"FLASK_{name}": json.dumps(value) for name, value in config.items()}
            super().__init__(
                [
                    *(sys.executable, "-m", "gunicorn", "tests.support.site_app:app"),
                    *("--bind", f"fd://{listener.fileno()}", "--no-control-socket"),
                    *("--worker-class", "gthread", "--workers", str(workers)),
                    *("--threads", str(threads), "--graceful-timeout", "1"),
                ],
                cwd=ROOT,
                env={**os.environ, **keys},
                pass_fds=[listener.fileno()],
            )
        self.wait_until_it_answers(self.url)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    location: str
    text: str
    seconds: float
    process: str

    @property
    def code(self) -> str:
        """The code of an error that was answered to a script."""
        return str(self.json["error"])

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document

    @property
    def asks_for_a_login(self) -> bool:
        return self.status == 302 and self.location.startswith("/login")


class Visitor:
    """A browser at a site, which may be several processes on several ports.

    :param sign_in: what the person does at the provider: from the URL there to the callback URL.
    """

    def __init__(self, site: SiteProcess, sign_in: Callable[[str], str]) -> None:
        self.site = site
        self.sign_in = sign_in
        self.cookies: dict[str, str] = {}

    def get(self, path: str, *, at: SiteProcess | None = None) -> Answer:
        """Open a page."""
        return self._ask("GET", path, NAVIGATION, at)

    def fetch(self, path: str, *, at: SiteProcess | None = None) -> Answer:
        """Ask as a script does: errors come as JSON."""
        return self._ask("GET", path, {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}, at)

    def log_out(self) -> Answer:
        """Press *Log out*."""
        return self._ask("POST", "/logout", FROM_THE_SITE, None)

    def leave(self, login_url: str = "/login") -> str:
        """Press *Log in*: the URL that leads to the provider."""
        answer = self.get(f"{login_url}?next=/me")
        assert answer.status == 302, answer
        return answer.location

    def come_back(self, away: str) -> Answer:
        """Sign in at the provider; the answer of the callback."""
        return self.open(self.sign_in(away))

    def open(self, url: str) -> Answer:
        """Open a URL of the site, as the provider sends one there."""
        assert url.startswith(f"{self.site.url}/"), url
        return self.get(url.removeprefix(self.site.url))

    def log_in(self) -> Answer:
        """A whole login."""
        answer = self.come_back(self.leave())
        assert (answer.status, answer.location) == (302, "/me"), (answer, self.site.log)
        return answer

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], at: SiteProcess | None
    ) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection(HOST, (at or self.site).port, timeout=30)
        try:
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            connection.request(
                method,
                path,
                headers={**headers, "Cookie": cookies, "Connection": "close"},
            )
            response = connection.getresponse()
            text = response.read().decode("utf-8")
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self._keep(line)
        location = response.headers.get("Location", "")
        process = response.headers.get("Process", "")
        return Answer(response.status, location, text, time.monotonic() - began, process)

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value


def eventually(ask: Callable[[], bool], *, within: float) -> bool:
    """Ask until it is so, for a while."""
    too_late = time.monotonic() + within
    while not ask():
        if time.monotonic() > too_late:
            return False
        time.sleep(0.1)
    return True
