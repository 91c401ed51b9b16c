"""The provider and the site of one case, and a login from the one to the other."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask, Response
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar
from flask_parjar.testing import DevProvider, ServerTLS
from flask_parjar.testing.serving import WSGIAdapter
from tests.conformance.table import MESSAGE_SIGNING, SECURITY_PROFILE, Case, Variant
from tests.support.after_login import token_views
from tests.support.certificates import PairFiles, make_pair
from tests.support.fault_table import STEPS
from tests.support.site import ISSUER, Visitor, make_site
from tests.support.tls_provider import ROOT, served

OURS = (*STEPS.values(), "revocation")
SCOPES = "openid profile email phone address offline_access"
FAPI_ALGORITHMS = ["PS256", "ES256", "EdDSA"]
#: The suite signs ID tokens with RS256, and lists other algorithms too.
OIDC_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
#: A rich authorization request (RFC 9396).
DETAILS = [{"type": "payment_initiation", "actions": ["initiate"]}]
#: A part of two URLs that only the metadata has.
FROM_METADATA = {"of": "metadata"}
#: The faults of rows that have another name where responses are signed.
FAULTS_OF_JARM = {
    "response_state_wrong": "jarm_state_wrong",
    "response_state_missing": "jarm_state_missing",
}
#: The same where tokens are bound to a certificate: they are bearer tokens.
FAULTS_OF_MTLS = {"token_dpop_lower_case": "token_type_lower_case"}


@dataclass(frozen=True)
class Scene:
    """One case, ready to be played.

    :param tls: serves the provider by sockets, where an API must see a certificate.
    :param certificate: the thumbprint of the certificate of the site; None if it has none.
    """

    case: Case
    provider: DevProvider
    visitor: Visitor
    tls: ServerTLS | None
    certificate: str | None

    def served(self) -> AbstractContextManager[object]:
        """While an API of the provider is called."""
        return nullcontext() if self.tls is None else self.provider.running(tls=self.tls)

    @property
    def calls(self) -> list[str]:
        """What the site requested of the provider, in order."""
        return [call.endpoint for call in self.provider.calls if call.endpoint in OURS]

    def expected(self, steps: str) -> list[str]:
        """The requests of the steps of a row, as they are in this case.

        The first proof at each server has no nonce yet, so its request is made once more. A signed
        response is verified before the code is used.
        """
        if "P" in steps and self.app.config.get("PARJAR_REQUEST") in ("signed", "plain"):
            steps = steps.replace("P", "")
        if self.provider.dpop_nonces:
            steps = steps.replace("P", "PP").replace("U", "UU")
        if self.case.variant.is_jarm and "T" in steps:
            steps = steps.replace("J", "", 1).replace("T", "JT")
        return [STEPS[step] for step in steps]

    @property
    def whole_login(self) -> str:
        """The steps of a login that is accepted."""
        return self.case.row.steps + ("U" if self.app.config.get("PARJAR_USERINFO") else "")

    @property
    def app(self) -> Flask:
        """The site."""
        return self.visitor.app

    def misbehave(self) -> None:
        """Let the provider do what the row says."""
        fault = self.case.row.fault
        if fault is None:
            return
        if self.case.variant.is_jarm:
            fault = FAULTS_OF_JARM.get(fault, fault)
        if self.case.variant.is_mtls:
            fault = FAULTS_OF_MTLS.get(fault, fault)
        self.provider.fault(fault)

    def log_in(self) -> TestResponse:
        """A login, as far as it goes."""
        left = self.visitor.get("/login?next=/me")
        return left if left.status_code != 302 else self.come_back(left.location)

    def come_back(self, away: str) -> TestResponse:
        """Sign in at the provider, and return to the site in the response mode of the plan."""
        back = self.visitor.come_back(away)
        if self.app.config.get("PARJAR_RESPONSE_MODE") != "form_post":
            return self.visitor.get(back)
        path, _, query = back.partition("?")
        form = dict(parse_qsl(query, keep_blank_values=True))
        # The browser keeps the cookies back: the site's page posts the form once more.
        stranger = self.app.test_client()
        page = stranger.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
        assert page.status_code == 200 and self.calls[-1:] != ["token"]
        return self.visitor.post(path, data=form, headers={"Sec-Fetch-Site": "same-origin"})


def make_scene(case: Case, folder: Path) -> Scene:
    """The provider and the site of a case; no one is logged in.

    :param folder: for certificates.
    """
    config: dict[str, Any] = {"PARJAR_STORE": "memory", "PARJAR_SCOPES": SCOPES}
    provider, tls, certificate = DevProvider(ISSUER), None, None
    if case.variant.is_mtls:
        provider, tls, ca_bundle = served(folder, aliases=True)
        files = PairFiles(folder, make_pair(issuer=ROOT))
        config |= {"PARJAR_CA_BUNDLE": ca_bundle, **files.config}
        certificate = files.pair.thumbprint
    is_fapi = case.plan in (SECURITY_PROFILE, MESSAGE_SIGNING)
    config |= (fapi if is_fapi else oidc)(provider, case)
    # The suite has no such endpoint: tokens of a refused login cannot be revoked there.
    del provider.metadata["revocation_endpoint"]
    prepare = functools.partial(views, provider, case.variant)
    site = make_site(provider, prepare=prepare, **config)
    return Scene(case, provider, Visitor(site, provider), tls, certificate)


def oidc(provider: DevProvider, case: Case) -> dict[str, Any]:
    """The configuration for the plans of OpenID Connect, and a provider for it."""
    level = {"plain_http_request": "plain", "request_object": "signed"}[case.variant.name]
    provider.allow_requests(level)
    provider.metadata["id_token_signing_alg_values_supported"] = OIDC_ALGORITHMS
    for name in ("jwks_uri", "userinfo_endpoint"):
        provider.metadata[name] = f"{provider.metadata[name]}?{urlencode(FROM_METADATA)}"
    config: dict[str, Any] = {
        "PARJAR_REQUEST": level,
        "PARJAR_CLIENT_AUTH": "client_secret_basic",
        "PARJAR_CLIENT_SECRET": "the secret that client and provider share",
        "PARJAR_USERINFO": True,
    }
    if "-formpost-" in case.plan:
        config["PARJAR_RESPONSE_MODE"] = "form_post"
    return config


def fapi(provider: DevProvider, case: Case) -> dict[str, Any]:
    """The configuration for the plans of FAPI 2.0, and a provider for it.

    It lists no algorithms for requests, as the suite does where they need not be signed, and
    accepts no RS256 in them.
    """
    del provider.metadata["request_object_signing_alg_values_supported"]
    provider.metadata.update(
        token_endpoint_auth_methods_supported=["private_key_jwt"],
        token_endpoint_auth_signing_alg_values_supported=FAPI_ALGORITHMS,
        id_token_signing_alg_values_supported=FAPI_ALGORITHMS,
        dpop_signing_alg_values_supported=FAPI_ALGORITHMS,
        response_modes_supported=["query"],
    )
    without_nonces = case.variant.is_mtls or case.module.endswith("-no-dpop-nonce")
    provider.dpop_nonces = not without_nonces
    return _of_plan(provider, case.plan) | _of_variant(provider, case.variant)


def _of_plan(provider: DevProvider, plan: str) -> dict[str, Any]:
    if plan == SECURITY_PROFILE:
        provider.allow_requests("pushed")
        config = {"PARJAR_PROFILE": "fapi2-security", "PARJAR_REQUEST": "pushed"}
        return {**config, "PARJAR_SIGNING_KEY": ec_key()}
    return {"PARJAR_PROFILE": "fapi2-message-signing", "PARJAR_SIGNING_KEY": rsa_key()}


def _of_variant(provider: DevProvider, variant: Variant) -> dict[str, Any]:
    config: dict[str, Any] = {"PARJAR_BOUND_TOKENS" if variant.is_mtls else "PARJAR_DPOP": True}
    if variant.suite.get("ClientAuthType") == "mtls":
        provider.metadata["token_endpoint_auth_methods_supported"] = ["tls_client_auth"]
        config["PARJAR_CLIENT_AUTH"] = "tls_client_auth"
    if variant.is_jarm:
        provider.metadata["response_modes_supported"] = ["jwt"]
        provider.metadata["authorization_signing_alg_values_supported"] = FAPI_ALGORITHMS
        # The algorithm that a client registers for responses: without one it is RS256 (JARM 3).
        config |= {"PARJAR_RESPONSE_MODE": "jwt", "PARJAR_ID_TOKEN_ALGS": ["PS256"]}
    return config


def views(provider: DevProvider, variant: Variant, app: Flask, parjar: ParJar) -> None:
    """What the site does with its tokens. The API is userinfo, which knows the tokens."""
    token_views(app, parjar)
    if variant.suite.get("AuthorizationRequestType") == "rar":
        parjar.login_options(lambda: LoginOptions(authorization_details=DETAILS))

    @app.get("/fresh")
    def fresh() -> str:
        return parjar.access_token(fresh=True)

    @app.get("/granted")
    def granted() -> list[Any]:
        return [dict(each) for each in parjar.tokens().authorization_details]

    @app.get("/call")
    def call() -> Response:
        aliases: Any = provider.metadata.get("mtls_endpoint_aliases", {})
        url = str((aliases if variant.is_mtls else provider.metadata)["userinfo_endpoint"])
        api = parjar.api(url.partition("/userinfo")[0])
        if not variant.is_mtls:
            api.mount(provider.issuer, WSGIAdapter(provider.app))
        answer = api.get("userinfo")
        return Response(answer.content, answer.status_code, mimetype="application/json")


@functools.cache
def ec_key() -> dict[str, Any]:
    """A private key of the site, for ES256."""
    return dict(ECKey.generate_key("P-256").as_dict(private=True))


@functools.cache
def rsa_key() -> dict[str, Any]:
    """A private key of the site, for PS256 and RS256."""
    return dict(RSAKey.generate_key(2048).as_dict(private=True))
