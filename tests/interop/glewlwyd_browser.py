"""A browser at Glewlwyd: it does by the JSON API what the login page there does by script."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import requests

from tests.interop.glewlwyd_process import PERSON
from tests.interop.scripted_browser import Form, Page


class GlewlwydBrowser:
    """One person's browser at one Glewlwyd; its cookies live as long as it does.

    ``steps`` tells what was asked of the person on the way: ``password``, ``consent``.
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept"] = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

    def sign_in(self, url: str, *, login: str = PERSON["username"]) -> str:
        """Open an authorization URL, answer what the login page asks, return the callback URL."""
        return self._location(self._answer_login_page(url, login))

    def sign_in_to_a_form(self, url: str, *, login: str = PERSON["username"]) -> Form:
        """Do the same where the answer is a form that the page sends by itself; return the form."""
        (form,) = Page(self._answer_login_page(url, login).text).forms
        return form

    def sign_out(self, url: str) -> str:
        """Open an end-session URL, press *Log out*, return where the page leads then."""
        page = urlsplit(self._location(self.open(url)))
        asked = {name: values[0] for name, values in parse_qs(page.query).items()}
        assert asked["prompt"] == "end_session", asked
        api = urljoin(url, "/api")
        session = f"{api}/{asked['plugin']}/session/{asked['sid']}"
        shown = self._call(
            "GET",
            f"{session}/{asked['client_id']}?"
            + urlencode({"post_redirect_to": asked["post_redirect_to"]}),
        )
        self._call("DELETE", session)
        self._call("DELETE", f"{api}/auth/")
        assert shown["post_redirect_to"], shown
        return asked["callback_url"]

    def _answer_login_page(self, url: str, login: str) -> requests.Response:
        page = urlsplit(self._location(self.open(url)))
        asked = {name: values[0] for name, values in parse_qs(page.query).items()}
        api = urljoin(url, "/api")
        if not self._known_here(api):
            self.steps.append("password")
            self._call("POST", f"{api}/auth/", {"username": login, "password": PERSON["password"]})
        grant = f"{api}/auth/grant/{asked['client_id']}"
        shown = self._call("GET", f"{grant}/{quote(asked['scope'])}")
        if not all(scope["granted"] for scope in shown["scope"]):
            self.steps.append("consent")
            self._call("PUT", grant, {"scope": asked["scope"]})
        return self.open(asked["callback_url"] + "&g_continue")

    def open(self, url: str) -> requests.Response:
        """Open a URL there, and follow nothing."""
        return self._session.get(url, allow_redirects=False, timeout=10)

    def close(self) -> None:
        """Forget the cookies and close the connections."""
        self._session.close()

    def _known_here(self, api: str) -> bool:
        answer = self._session.get(f"{api}/profile_list", timeout=10)
        return answer.status_code == 200

    def _call(self, method: str, url: str, document: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, url, json=document, timeout=10)
        assert answer.status_code == 200, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @staticmethod
    def _location(answer: requests.Response) -> str:
        assert answer.is_redirect, f"{answer.url}: {answer.status_code} {answer.text[-600:]!r}"
        return urljoin(answer.url, answer.headers["Location"])
