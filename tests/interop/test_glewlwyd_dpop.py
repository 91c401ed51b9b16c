"""DPoP at Glewlwyd. If it wants nonces, it refuses each proof at PAR, and gives no nonce there."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.interop.client_site import endpoints, log_in, new_site, signals_of
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_client import glewlwyd_client, settings
from tests.interop.glewlwyd_process import GlewlwydProcess, StartGlewlwyd
from tests.support.headers import NAVIGATION, SCRIPT
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("Glewlwyd")

HOLD = 1  # seconds that access tokens hold
DPOP = {"oauth-dpop-allowed": True, "oauth-dpop-iat-duration": 60, "access-token-duration": HOLD}
NONCES = {"oauth-dpop-nonce-mandatory": True, "oauth-dpop-nonce-counter": 5}


@pytest.fixture(scope="module")
def provider(glewlwyd: StartGlewlwyd) -> GlewlwydProcess:
    """With and without nonces, and a client that gets no other tokens."""
    bound = glewlwyd_client("bound", "ES256", "private_key_jwt", dpop_bound_access_tokens="1")
    return glewlwyd(clients=[bound], plugins={"dpop": DPOP, "nonces": {**DPOP, **NONCES}})


def config(provider: GlewlwydProcess, plugin: str, **more: Any) -> dict[str, Any]:
    given = {"PARJAR_CLIENT_ID": "bound", "PARJAR_DPOP": True, "PARJAR_STORE": "memory"}
    return settings(provider, plugin=plugin, **{**given, **more})


@pytest.mark.parametrize(
    ("plugin", "more"),
    [
        pytest.param("dpop", {}, marks=shows("DPoP")),
        ("dpop", {"PARJAR_DPOP_AT_PAR": False}),
        pytest.param("nonces", {"PARJAR_DPOP_AT_PAR": False}, marks=shows("DPoP with nonces")),
    ],
)
def test_tokens_are_bound_and_renewed(
    provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser, plugin: str, more: dict[str, Any]
) -> None:
    site = new_site(config(provider, plugin, **more))
    with signals_of(site) as sent:
        log_in(site, glewlwyd_browser)
        tokens = [site.get("/token", headers=SCRIPT).text]
        time.sleep(HOLD + 0.1)
        tokens.append(site.get("/token", headers=SCRIPT).text)
    first, second = (read_jwt(token)[1] for token in tokens)
    assert tokens[0] != tokens[1]
    assert first["cnf"]["jkt"] == second["cnf"]["jkt"]
    assert (("token", 400) in endpoints(sent)) is (plugin == "nonces")
    assert endpoints(sent)[-1] == ("token", 200)


def test_a_proof_at_par_is_refused_where_nonces_are_wanted(provider: GlewlwydProcess) -> None:
    site = new_site(config(provider, "nonces"))
    with signals_of(site) as sent:
        page = site.get("/login", headers=NAVIGATION)
    assert (page.status_code, "dpop_refused" in page.text) == (502, True)
    assert endpoints(sent)[-1] == ("pushed_authorization_request", 403)
