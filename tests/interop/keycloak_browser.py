"""A person's browser at Keycloak: it follows redirects and fills in Keycloak's own forms."""

from __future__ import annotations

import hmac
import time
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import RequestsCookieJar

from tests.interop.keycloak_process import load_realm
from tests.interop.scripted_browser import MOST_STEPS, Page

PASSWORDS = {user["username"]: user["credentials"][0]["value"] for user in load_realm()["users"]}

# The secret of ada's authenticator app, in the realm file.
OTP_SECRET = b"otpsecretotpsecret12"

TIMEOUT = 30  # seconds


def one_time_password(secret: bytes = OTP_SECRET, *, now: float | None = None) -> str:
    """Return what an authenticator app shows now (RFC 6238: SHA-1, 30 seconds, six digits)."""
    step = int(time.time() if now is None else now) // 30
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


class _LoopbackCookies(RequestsCookieJar):
    """Keeps ``Secure`` cookies that came over http.

    Keycloak's are always ``Secure``. Browsers send such cookies to loopback, `requests` does not.
    """

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> None:
        cookie.secure = False
        super().set_cookie(cookie, *args, **kwargs)


class KeycloakBrowser:
    """One person's browser at one Keycloak; its cookies live as long as it does.

    ``steps`` has what the person was asked on the way, in order: ``username``, ``password``,
    ``otp``, ``consent``, ``logout``.

    :param ca_bundle: what it trusts, where Keycloak is opened by https.
    """

    def __init__(self, *, ca_bundle: Path | None = None) -> None:
        self.steps: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = True if ca_bundle is None else str(ca_bundle)
        self._session.cookies = _LoopbackCookies()
        self._session.headers["Accept"] = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

    def sign_in(self, url: str, *, login: str = "ada") -> str:
        """Open an authorization URL, answer the forms, return the callback URL."""
        return self._walk(url, login=login, consent="accept")

    def refuse_consent(self, url: str, *, login: str = "ada") -> str:
        """Open an authorization URL, sign in, press *No*, return the callback URL."""
        return self._walk(url, login=login, consent="cancel")

    def sign_out(self, url: str) -> str:
        """Open an end-session URL, confirm if asked, return the URL that the browser is sent to."""
        return self._walk(url, login="", consent="accept")

    def open(self, url: str) -> requests.Response:
        """Open a URL there, and follow redirects of Keycloak to itself."""
        origin = urlsplit(url)[:2]
        answer = self._get(url)
        while answer.is_redirect:
            target = urljoin(answer.url, answer.headers["Location"])
            if urlsplit(target)[:2] != origin:
                break
            answer = self._get(target)
        return answer

    def fill_in(
        self, page: requests.Response, *, login: str, consent: str = "accept"
    ) -> requests.Response:
        """Answer the form of a page as the person would."""
        (form,) = [form for form in Page(page.text).forms if form.buttons]
        answers = {
            "username": login,
            "password": PASSWORDS.get(login, ""),
            "otp": one_time_password(),
        }
        self.steps += form.questions
        fields = form.fields | {question: answers[question] for question in form.questions}
        buttons = {button[0]: button[1] for button in form.buttons if button is not None}
        for button, step in ((consent, "consent"), ("confirmLogout", "logout"), ("login", None)):
            if button in buttons:
                fields[button] = buttons[button]
                self.steps += [step] if step else []
                break
        target = urljoin(page.url, form.action)
        return self._session.post(target, data=fields, allow_redirects=False, timeout=TIMEOUT)

    def close(self) -> None:
        """Forget the cookies and close the connections."""
        self._session.close()

    def _get(self, url: str) -> requests.Response:
        return self._session.get(url, allow_redirects=False, timeout=TIMEOUT)

    def _walk(self, url: str, *, login: str, consent: str) -> str:
        answer = self.open(url)
        for _ in range(MOST_STEPS):
            if answer.is_redirect:
                target = urljoin(answer.url, answer.headers["Location"])
                if urlsplit(target)[:2] != urlsplit(url)[:2]:
                    return target
                answer = self._get(target)
                continue
            if answer.status_code != 200:
                raise AssertionError(
                    f"Keycloak kept the browser: {answer.status_code} at "
                    f"{urlsplit(answer.url).path}\n{Page(answer.text).heading}"
                )
            forms = Page(answer.text).forms
            if len(forms) == 1 and (leaves := forms[0].leaves(answer.url)):
                return leaves
            answer = self.fill_in(answer, login=login, consent=consent)
        raise AssertionError(f"no end after {MOST_STEPS} steps: {self.steps}")
