"""Keycloak fetches the keys of the site: a new signing key while both run.

Keycloak looks again when it meets an unknown ``kid``, but at most once in ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from flask_parjar.testing.serving import running
from tests.interop.client_site import account, begin, log_in, signals_of
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import register, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import NAVIGATION
from tests.support.interop_table import shows_at

pytestmark = pytest.mark.interop

shows = shows_at("Keycloak")

OLD, NEW = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))
PAUSE = 11  # seconds: Keycloak counts whole ones, and waits for more than ten


class Served:
    """The site as it is now, on a socket: Keycloak fetches its keys there.

    ``fetches`` counts how often.
    """

    def __init__(self) -> None:
        self.site: FlaskClient | None = None
        self.fetches = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        assert self.site is not None
        self.fetches += environ["PATH_INFO"] == "/.well-known/jwks.json"
        return self.site.application(environ, start_response)


@pytest.fixture
def served() -> Iterator[tuple[Served, str]]:
    """A site on a socket, and the URL of its keys."""
    app = Served()
    with running(server := make_server("127.0.0.1", 0, app, threaded=True)):
        yield app, f"http://127.0.0.1:{server.port}/.well-known/jwks.json"


@pytest.fixture
def deploy(
    keycloak: KeycloakProcess, served: tuple[Served, str], request: pytest.FixtureRequest
) -> Callable[..., FlaskClient]:
    """``deploy(OLD, NEW)`` starts the site with these keys; the first one signs."""
    app, url = served
    client_id: str = request.node.name
    by_url = {"use_jwks_string": "false", "use_jwks_url": "true", "jwks_url": url}
    register(keycloak, client_id, **by_url)

    def start(*keys: ECKey) -> FlaskClient:
        app.site = site_of(
            keycloak,
            client_id,
            PARJAR_SIGNING_KEY={"keys": [key.as_dict(private=True) for key in keys]},
        )
        return app.site

    return start


def signed_by(site: FlaskClient) -> str:
    """Begin a login that Keycloak accepts: the ``kid`` of its request object."""
    with signals_of(site) as sent:
        begin(site)
    (started,) = sent["login_started"]
    kid: str = started["request_object"]["header"]["kid"]
    return kid


@shows("the keys of the site by URL")
def test_a_key_that_was_published_before_its_use_is_accepted_at_once(
    keycloak_browser: KeycloakBrowser,
    served: tuple[Served, str],
    deploy: Callable[..., FlaskClient],
) -> None:
    before = deploy(OLD, NEW)
    log_in(before, keycloak_browser)
    assert signed_by(before) == "old"

    after = deploy(NEW, OLD)
    assert signed_by(after) == "new"
    log_in(after, keycloak_browser)
    assert account(after)["subject"] == account(before)["subject"]
    assert signed_by(before) == "old", "a worker that has the old configuration still logs in"
    assert served[0].fetches == 1


def test_a_key_that_was_not_published_is_accepted_ten_seconds_after_the_last_look(
    keycloak_browser: KeycloakBrowser,
    served: tuple[Served, str],
    deploy: Callable[..., FlaskClient],
) -> None:
    before = deploy(OLD)
    log_in(before, keycloak_browser)
    looked = time.monotonic()

    after = deploy(NEW)
    refused = after.get("/login", headers=NAVIGATION)
    assert (refused.status_code, "push_refused" in refused.text) == (502, True)
    assert served[0].fetches == 1

    time.sleep(looked + PAUSE + 0.1 - time.monotonic())
    log_in(after, keycloak_browser)
    assert signed_by(after) == "new"
    assert served[0].fetches == 2
    assert before.get("/login", headers=NAVIGATION).status_code == 502, "the old key is gone"
