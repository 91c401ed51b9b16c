"""Logins at FranceConnect and FranceConnect+ that break one rule."""

from typing import Any

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import EC, STOPPED, Breach
from tests.support.breaches.idporten import OTHER_LEVEL
from tests.testing.hand_made_client import GONE


def sent(code: str = "provider_refused", **parameters: Any) -> Breach:
    """A login whose request has other parameters."""
    return Breach(code=code, error="invalid_request", sends=Alteration(parameters=parameters))


def of_another_level(acr_values: str) -> Breach:
    """A login that is of no use without a level of other providers."""
    asked = {"acr_values": acr_values, "claims": OTHER_LEVEL}
    return Breach(code="acr_unsupported", config={"PARJAR_AUTHORIZATION_PARAMS": asked})


UNPUSHED = Breach(code="par_unsupported", config={"PARJAR_REQUEST": "pushed"})
CLIENT_AUTH = Breach(
    code="client_auth_unsupported", config={"PARJAR_CLIENT_AUTH": "client_secret_basic"}
)

BREACHES = {
    "unpushed": UNPUSHED,
    "parameters": Breach(code=STOPPED, config={"PARJAR_PKCE": True}),
    "client_auth": CLIENT_AUTH,
    "acr": of_another_level("eidas1"),
    "acr_values": sent(acr_values=GONE),
    "state": sent("state_missing", state=GONE),
    "nonce": sent(nonce="n" * 21),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "PS256"}
    ),
}

BREACHES_OF_PLUS = {
    "unpushed": UNPUSHED,
    "parameters": Breach(
        code=STOPPED, config={"PARJAR_REQUEST": "signed", "PARJAR_SIGNING_KEY": EC}
    ),
    "client_auth": CLIENT_AUTH,
    "acr": of_another_level("eidas2"),
    "acr_values": sent(acr_values="eidas1"),
    "state": sent("state_forged", state="s" * 31),
    "nonce": sent(nonce="n" * 31),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "RS256"}
    ),
    "id_token_encryption": Breach(
        code="token_encrypted", config={"PARJAR_ID_TOKEN_ENCRYPTION": None}
    ),
    "userinfo_encryption": Breach(
        code="token_encrypted", config={"PARJAR_USERINFO_ENCRYPTION": None}
    ),
}
