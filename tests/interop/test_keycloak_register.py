"""``flask parjar register --for keycloak``: the client that it writes is imported and logs in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.client_site import SITE, account, log_in, new_site
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import settings
from tests.interop.keycloak_process import KeycloakProcess

pytestmark = pytest.mark.interop

CHOICES: list[tuple[str, dict[str, Any]]] = [
    ("ES256", {}),
    ("PS256", {"PARJAR_DPOP": True}),
    ("ES256", {"PARJAR_PROFILE": "fapi2-message-signing", "PARJAR_DPOP": True}),
]


@pytest.mark.parametrize("alg, more", CHOICES)
def test_the_client_that_it_writes_logs_in(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, alg: str, more: dict[str, Any]
) -> None:
    client_id = f"registered-{alg}-{len(more)}"
    config = settings(keycloak, client_id, alg=alg, method="private_key_jwt")
    del config["PARJAR_SIGNING_ALG"]
    site = new_site({**config, **more})
    command = ["parjar", "register", "--for", "keycloak", "--site", SITE]
    result = site.application.test_cli_runner().invoke(args=command)
    assert result.exit_code == 0, result.output
    client = json.loads(result.output)
    assert client["attributes"]["request.object.signature.alg"] == alg
    keycloak.add_client(client)
    log_in(site, keycloak_browser)
    assert account(site)["subject"]
    doctor = site.application.test_cli_runner().invoke(
        args=["parjar", "doctor", "--push", "--site", SITE]
    )
    assert doctor.exit_code == 0, doctor.output
