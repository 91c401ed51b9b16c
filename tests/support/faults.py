"""One login against a provider that misbehaves: what came of it, and what was left undone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar
from flask_parjar.testing import DevProvider, Stopped
from tests.support.certificates import PairFiles, make_pair
from tests.support.site import SCOPES, Visitor, make_site
from tests.support.tenants import TENANTS, make_tenants_provider

#: The ID-token faults that only a request for them can meet.
ASKS_FOR_MORE = ("auth_time", "acr", "sub_other")


#: A site for which the ID token and userinfo are encrypted.
ENCRYPTED: dict[str, object] = {
    "PARJAR_ENCRYPTION_KEY": ECKey.generate_key("P-256").as_dict(private=True),
    "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256CBC-HS512",
    "PARJAR_USERINFO_ENCRYPTION": "ECDH-ES A256GCM",
    "PARJAR_USERINFO": True,
}

#: What a site asks for, of two types.
DETAILS = [
    {"type": "payment_initiation", "amount": "7.00"},
    {"type": "account_information", "locations": ["https://api.example/accounts"]},
]


#: A site whose certificate authenticates it, and binds its tokens.
MUTUAL_TLS: dict[str, object] = {
    "PARJAR_CLIENT_AUTH": "self_signed_tls_client_auth",
    "PARJAR_BOUND_TOKENS": True,
    "PARJAR_USERINFO": True,
}


@dataclass(frozen=True)
class Outcome:
    """How a login ended.

    :param place: where it ended: ``login``, ``callback``, or at the ``provider``
    :param code: our error code, None for a login that went well
    :param calls: what the site asked the provider, in order
    """

    place: str
    status: int
    code: str | None
    calls: tuple[str, ...]
    page: str
    logged_in: bool


def attempt(fault: str) -> Outcome:
    """Log in while the provider misbehaves in one way."""
    config: dict[str, object] = {"PARJAR_SCOPES": SCOPES}
    if fault.startswith(("userinfo", "dpop_binding", "dpop_challenge")):
        config["PARJAR_USERINFO"] = True
    if fault.endswith("client_secret"):
        config["PARJAR_CLIENT_AUTH"] = "client_secret_post"
        config["PARJAR_CLIENT_SECRET"] = "the secret that client and provider share"
    if "dpop" in fault and not fault.endswith("_unasked"):
        config["PARJAR_DPOP"] = True
    if fault.startswith("jwe") or "encryption" in fault:
        config |= ENCRYPTED
    if "encryption" in fault:
        config["PARJAR_REQUEST_ENCRYPTION_ALG"] = "ECDH-ES"
    if "details" in fault:
        config["PARJAR_AUTHORIZATION_PARAMS"] = {"authorization_details": DETAILS}
    if "jarm" in fault or fault.startswith("jwe_response"):
        config["PARJAR_RESPONSE_MODE"] = "jwt"
    if fault.startswith(("jwe_response", "metadata_jarm_encryption")):
        config["PARJAR_RESPONSE_ENCRYPTION"] = "ECDH-ES+A256KW A256GCM"
    if is_of_mutual_tls(fault):
        with TemporaryDirectory() as folder:
            files = PairFiles(Path(folder), make_pair())
            return _attempt(fault, {**config, **MUTUAL_TLS, **files.config})
    return _attempt(fault, config)


def is_of_mutual_tls(fault: str) -> bool:
    return "_mtls_" in fault or fault.startswith("certificate")


def _attempt(fault: str, config: dict[str, object]) -> Outcome:
    mtls = "https://mtls.op.example" if is_of_mutual_tls(fault) else None
    provider = DevProvider("https://op.example", mtls=mtls)
    if "tenant" in fault:
        provider = make_tenants_provider()
        config["PARJAR_TENANTS"] = TENANTS
    provider.dpop_nonces = fault.startswith(("dpop_nonce", "dpop_challenge"))
    app = make_site(provider, prepare=_exacting_login, **config)
    more = any(claim in fault for claim in ASKS_FOR_MORE)
    with provider.fault(fault):
        return _log_in(Visitor(app, provider), provider, "/exacting" if more else "/login?next=/me")


def _exacting_login(app: Flask, parjar: ParJar) -> None:
    @app.get("/exacting")
    def exacting() -> object:
        ada = {"id_token": {"sub": {"value": "ada"}}}
        wishes = {"max_age": 60, "acr_values": ["pwd"], "essential_acr": True, "claims": ada}
        return parjar.login(LoginOptions(**wishes), next="/me")


def _log_in(visitor: Visitor, provider: DevProvider, login_url: str) -> Outcome:
    response = visitor.get(login_url)
    if response.status_code != 302:
        return _outcome("login", response, visitor, provider)
    try:
        back = visitor.come_back(response.location)
    except Stopped:
        return _outcome("provider", response, visitor, provider)
    return _outcome("callback", visitor.get(back), visitor, provider)


def _outcome(
    place: str, response: TestResponse, visitor: Visitor, provider: DevProvider
) -> Outcome:
    found = re.search(r"Code: <code>(\w+)</code>", response.text)
    asked = [call.endpoint for call in provider.calls]
    ours = ("discovery", "jwks", "pushed_authorization_request", "token", "userinfo")
    return Outcome(
        place=place,
        status=response.status_code,
        code=found[1] if found else None,
        calls=tuple(name for name in asked if name in ours),
        page=response.text,
        logged_in=visitor.get("/me").status_code == 200,
    )
