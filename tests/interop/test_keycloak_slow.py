"""A person who needs more than a minute at Keycloak, and a Keycloak that does not end.

An ordinary run does not collect this file (``conftest.py``): ``tox -e interop-slow`` does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import urljoin

import pytest
import requests
from flask.testing import FlaskClient

from tests.interop.client_site import account, asks_for_a_login, begin, come_back, log_in
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import register, site_of
from tests.interop.keycloak_process import KeycloakProcess, load_realm, running_keycloak
from tests.support.site_process import eventually

pytestmark = pytest.mark.interop

SECONDS = 65
DEFAULT = 60  # seconds that a request_uri lives where the realm does not say otherwise
OURS = int(load_realm()["attributes"]["parRequestUriLifespan"])


@dataclass
class SlowLogin:
    """A login whose form was open for 65 seconds before it was filled in."""

    site: FlaskClient
    browser: KeycloakBrowser
    form: requests.Response

    def fill_in(self) -> requests.Response:
        """Sign in with the right password."""
        return self.browser.fill_in(self.form, login="ada")


@pytest.fixture(scope="module")
def slow_logins(keycloak: KeycloakProcess) -> Iterator[dict[int, SlowLogin]]:
    """One for each lifetime of the ``request_uri``; they wait at the same time."""
    logins = {}
    with ExitStack() as opened:
        for lifetime in (DEFAULT, OURS):
            register(keycloak, client_id := f"slow-{lifetime}")
            site, browser = site_of(keycloak, client_id), KeycloakBrowser()
            opened.enter_context(closing(browser))
            with keycloak.request_uris_that_live_for(lifetime):
                logins[lifetime] = SlowLogin(site, browser, browser.open(begin(site)))
        time.sleep(SECONDS)
        yield logins


def test_with_the_realm_of_the_docs_a_slow_person_is_logged_in(
    keycloak: KeycloakProcess, slow_logins: dict[int, SlowLogin]
) -> None:
    login = slow_logins[OURS]
    answer = login.fill_in()
    assert answer.status_code == 302
    back = come_back(login.site, urljoin(answer.url, answer.headers["Location"]))
    assert (back.status_code, back.headers["Location"]) == (302, "/account")
    assert account(login.site)["subject"] == keycloak.user_id("ada")
    assert len(keycloak.events(f"slow-{OURS}", "LOGIN")) == 1


def test_with_the_default_a_slow_person_is_refused_with_the_right_password(
    keycloak: KeycloakProcess, slow_logins: dict[int, SlowLogin]
) -> None:
    """keycloak#51761: a page of Keycloak says *Invalid username or password*.

    The site hears nothing of it. Who begins once more is logged in.
    """
    login = slow_logins[DEFAULT]
    answer = login.fill_in()
    assert answer.status_code == 400
    assert 'data-page-id="login-error"' in answer.text
    (refused,) = keycloak.events(f"slow-{DEFAULT}", "LOGIN_ERROR")
    assert (refused["error"], refused["details"]["username"]) == (
        "invalid_user_credentials",
        "ada",
    )
    assert asks_for_a_login(login.site)
    log_in(login.site, login.browser)


def test_nothing_is_left_of_a_keycloak_that_does_not_end() -> None:
    with running_keycloak() as another:
        group = another.process.pid
        another.seconds_to_end = 1
        os.killpg(group, signal.SIGSTOP)  # as if it were too busy
    assert eventually(lambda: not _left_of(group), within=5)


def _left_of(group: int) -> list[str]:
    """The states of the processes of a session that have not ended; Z has."""
    command = ["ps", "--sid", str(group), "-o", "stat="]
    left = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return [state for state in left if not state.startswith("Z")]
