"""The table of the OpenID Foundation's client test modules: a row for each.

``docs/conformance`` shows this table, and ``test_modules.py`` plays each row with a provider that
really does it. ``modules.json`` has the names, as ``list_modules.py`` found them in the suite.

Steps are the requests that the site makes to the provider, in the letters of
``tests/support/fault_table.py``. A row with a code ends there: nothing is requested afterwards. In
a row without one the person is logged in, and an API gets the access token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MODULES: dict[str, Any] = json.loads(Path(__file__).with_name("modules.json").read_text("utf-8"))
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Variant(NamedTuple):
    """One way in which all modules of a plan are run.

    :param suite: the values of the suite's parameters, for which some modules do not exist.
    :param only: modules, where the others would show the same again; empty for all.
    """

    name: str
    suite: Mapping[str, str] = {}
    only: tuple[str, ...] = ()

    @property
    def is_mtls(self) -> bool:
        """Whether tokens are bound to a client certificate (RFC 8705), and not with DPoP."""
        return self.suite.get("FAPI2SenderConstrainMethod") == "mtls"

    @property
    def is_jarm(self) -> bool:
        """Whether authorization responses are signed."""
        return self.suite.get("FAPIResponseMode") == "jarm"


class Row(NamedTuple):
    """What the provider does in one module, and what the site must do.

    :param does: what the provider does; the site logs in there.
    :param story: how it is played; a test of ``test_modules.py``.
    :param fault: the fault of the provider of the tests.
    :param code: our error code; None if the site accepts it.
    :param steps: the requests of the login, up to where it ends.
    :param header: changes of the header of a logout token.
    :param claims: changes of the claims of a logout token.
    :param state: with which the browser returns from a logout; None for what was sent.
    """

    does: str
    story: str = "login"
    fault: str | None = None
    code: str | None = None
    steps: str = "DPTJ"
    header: Mapping[str, object] = {}
    claims: Mapping[str, object] = {}
    state: str | None = None


_REQUESTS = (Variant("plain_http_request"), Variant("request_object"))
_AFTER_IT = (Variant("request_object"),)
_DPOP = {"FAPI2SenderConstrainMethod": "dpop"}
_MTLS = {"FAPI2SenderConstrainMethod": "mtls"}
_MTLS_AUTH = {"ClientAuthType": "mtls"}
_RAR = {"AuthorizationRequestType": "rar"}
_HAPPY_PATH = ("fapi2-security-profile-final-client-test-happy-path",)
_PLAIN = {"FAPIResponseMode": "plain_response"}
_JARM = {"FAPIResponseMode": "jarm"}
SECURITY_PROFILE = "fapi2-security-profile-final-client-test-plan"
MESSAGE_SIGNING = "fapi2-message-signing-final-client-test-plan"

#: The plans, each with the variants in which its modules are run.
PLANS: dict[str, tuple[Variant, ...]] = {
    "oidcc-client-basic-certification-test-plan": _REQUESTS,
    "oidcc-client-config-certification-test-plan": _REQUESTS,
    "oidcc-client-formpost-basic-certification-test-plan": _REQUESTS,
    "oidcc-client-refreshtoken-test-plan": _REQUESTS,
    "oidcc-client-rp-initiated-logout-rp-basic": _AFTER_IT,
    "oidcc-client-back-channel-logout-rp-basic": _AFTER_IT,
    "oidcc-client-front-channel-logout-rp-basic": _AFTER_IT,
    "oidcc-client-test-3rd-party-init-login-test-plan": _AFTER_IT,
    SECURITY_PROFILE: (
        Variant("dpop", _DPOP | _PLAIN),
        Variant("mtls", _MTLS | _PLAIN),
        Variant("mtls-client_auth", _MTLS | _PLAIN | _MTLS_AUTH, only=_HAPPY_PATH),
    ),
    MESSAGE_SIGNING: (
        Variant("dpop", _DPOP | _PLAIN),
        Variant("dpop-jarm", _DPOP | _JARM),
        Variant("dpop-rar", _DPOP | _PLAIN | _RAR, only=_HAPPY_PATH),
        Variant("mtls", _MTLS | _PLAIN),
        Variant("mtls-jarm", _MTLS | _JARM, only=_HAPPY_PATH),
        Variant("mtls-client_auth", _MTLS | _PLAIN | _MTLS_AUTH, only=_HAPPY_PATH),
    ),
}

_OIDC: dict[str, Row] = {
    "": Row("is as it should be"),
    "-invalid-iss": Row(
        "sends an ID token of another issuer", fault="id_token_iss_foreign", code="token_issuer"
    ),
    "-missing-sub": Row(
        "sends an ID token without ``sub``", fault="id_token_sub_missing", code="token_subject"
    ),
    "-invalid-aud": Row(
        "sends an ID token for another client", fault="id_token_aud_foreign", code="token_audience"
    ),
    "-missing-iat": Row(
        "sends an ID token without ``iat``", fault="id_token_iat_missing", code="token_claim"
    ),
    "-kid-absent-single-jwks": Row(
        "sends an ID token without ``kid``; one of its keys fits",
        fault="id_token_kid_missing_single_key",
    ),
    "-kid-absent-multiple-jwks": Row(
        "sends an ID token without ``kid``; several of its keys fit",
        fault="id_token_kid_missing",
        code="token_key",
        steps="DPTJJ",
    ),
    "-idtoken-sig-rs256": Row("signs the ID token with RS256"),
    "-idtoken-sig-none": Row(
        "sends an ID token that is not signed", fault="id_token_alg_none", code="token_algorithm"
    ),
    "-invalid-sig-rs256": Row(
        "sends an ID token with a wrong signature",
        fault="id_token_bad_signature",
        code="token_signature",
        steps="DPTJJ",
    ),
    "-userinfo-invalid-sub": Row(
        "answers with the userinfo of another person",
        fault="userinfo_sub_foreign",
        code="userinfo_subject",
        steps="DPTJU",
    ),
    "-nonce-invalid": Row(
        "sends an ID token with another ``nonce``", fault="id_token_nonce_wrong", code="token_nonce"
    ),
    "-scope-userinfo-claims": Row("gives the claims of the scopes at userinfo"),
    "-client-secret-basic": Row("accepts the client secret in the ``Authorization`` header alone"),
    "-discovery-openid-config": Row("has all its URLs in its metadata, and nowhere else"),
    "-discovery-jwks-uri-keys": Row("has its keys at a URL that only the metadata knows"),
    "-discovery-issuer-mismatch": Row(
        "publishes the metadata of another issuer",
        fault="metadata_issuer_foreign",
        code="metadata_issuer",
        steps="D",
    ),
    "-signing-key-rotation-just-before-signing": Row(
        "signs with a new key when the site has loaded the old ones", story="new_key_in_a_login"
    ),
    "-signing-key-rotation": Row("signs the next login with a new key", story="new_key"),
    "-refresh-token": Row("renews tokens that have no ``expires_in``", story="renewal"),
    "-refresh-token-invalid-issuer": Row(
        "renews tokens with an ID token of another issuer",
        story="renewal",
        fault="refresh_other_issuer",
        code="token_issuer",
    ),
    "-refresh-token-invalid-sub": Row(
        "renews tokens with an ID token of another person",
        story="renewal",
        fault="refresh_other_subject",
        code="token_subject",
    ),
    "-rp-init-logout": Row("ends its session, and sends the browser back", story="logout"),
    "-rp-init-logout-other-state": Row(
        "sends the browser back with another ``state``", story="logout", state="another"
    ),
    "-rp-init-logout-no-state": Row(
        "sends the browser back without ``state``", story="logout", state=""
    ),
    "-rp-backchannel-rpinitlogout": Row("sends a logout token", story="logout_token"),
    "-rp-backchannel-rpinitlogout-alg-none": Row(
        "sends a logout token that is not signed",
        story="logout_token",
        header={"alg": "none"},
        code="token_algorithm",
    ),
    "-rp-backchannel-rpinitlogout-no-event": Row(
        "sends a logout token without ``events``",
        story="logout_token",
        claims={"events": None},
        code="token_kind",
    ),
    "-rp-backchannel-rpinitlogout-with-nonce": Row(
        "sends a logout token with ``nonce``",
        story="logout_token",
        claims={"nonce": "of an ID token"},
        code="token_kind",
    ),
    "-rp-backchannel-rpinitlogout-wrong-alg": Row(
        "signs the logout token with ES256, and the ID token with RS256",
        story="logout_token",
        header={"alg": "ES256"},
        code="token_algorithm",
    ),
    "-rp-backchannel-rpinitlogout-wrong-aud": Row(
        "sends a logout token for another client",
        story="logout_token",
        claims={"aud": "another-client"},
        code="token_audience",
    ),
    "-rp-backchannel-rpinitlogout-wrong-event": Row(
        "sends a logout token with another event",
        story="logout_token",
        claims={"events": {f"{EVENT}-other": {}}},
        code="token_kind",
    ),
    "-rp-backchannel-rpinitlogout-wrong-iss": Row(
        "sends a logout token of another issuer",
        story="logout_token",
        claims={"iss": "https://other-provider.example"},
        code="token_issuer",
    ),
    "-rp-frontchannel-rpinitlogout": Row(
        "loads the site's logout page in a frame, with ``iss`` and ``sid``", story="frame"
    ),
    "-3rd-party-init-login": Row(
        "sends the browser to the site's login with ``iss``",
        story="third_party",
    ),
}
_FAPI: dict[str, Row] = {
    "happy-path": Row("wants nonces in proofs, and is as it should be"),
    "happy-path-no-dpop-nonce": Row("wants no nonces in proofs"),
    "discovery-issuer-mismatch": _OIDC["-discovery-issuer-mismatch"],
    "invalid-iss": _OIDC["-invalid-iss"],
    "invalid-aud": _OIDC["-invalid-aud"],
    "invalid-secondary-aud": Row(
        "sends an ID token for this client and another, which is not trusted",
        fault="id_token_aud_list_untrusted",
        code="token_audience",
    ),
    "invalid-null-alg": _OIDC["-idtoken-sig-none"],
    "invalid-alternate-alg": Row(
        "signs the ID token with RS256, which it does not list",
        fault="id_token_alg_unlisted",
        code="token_algorithm",
    ),
    "invalid-expired-exp": Row(
        "sends an ID token that expired ten minutes ago",
        fault="id_token_expired",
        code="token_expired",
    ),
    "invalid-missing-exp": Row(
        "sends an ID token without ``exp``", fault="id_token_exp_missing", code="token_claim"
    ),
    "invalid-missing-aud": Row(
        "sends an ID token without ``aud``", fault="id_token_aud_missing", code="token_audience"
    ),
    "invalid-missing-iss": Row(
        "sends an ID token without ``iss``", fault="id_token_iss_missing", code="token_issuer"
    ),
    "valid-aud-as-array": Row(
        "sends an ID token whose ``aud`` is an array with this client", fault="id_token_aud_array"
    ),
    "invalid-nonce": _OIDC["-nonce-invalid"],
    "invalid-missing-nonce": Row(
        "sends an ID token without ``nonce``", fault="id_token_nonce_missing", code="token_nonce"
    ),
    "invalid-authorization-response-iss": Row(
        "answers with the ``iss`` of another issuer",
        fault="response_iss_foreign",
        code="issuer_mismatch",
        steps="DP",
    ),
    "remove-authorization-response-iss": Row(
        "answers without ``iss``",
        fault="response_iss_missing",
        code="issuer_missing",
        steps="DP",
    ),
    "ensure-authorization-response-with-invalid-state-fails": Row(
        "answers with another ``state``",
        fault="response_state_wrong",
        code="state_forged",
        steps="DP",
    ),
    "ensure-authorization-response-with-invalid-missing-state-fails": Row(
        "answers without ``state``",
        fault="response_state_missing",
        code="state_missing",
        steps="DP",
    ),
    "token-endpoint-response-without-expires_in": Row(
        "does not say how long the access token is valid", fault="token_expires_in_missing"
    ),
    "token-type-case-insensitivity": Row(
        "writes ``token_type`` in another case", fault="token_dpop_lower_case"
    ),
    "rs-dpop-auth-scheme-case-insensitivity": Row(
        "wants a nonce at the API, and writes the scheme in another case",
        fault="dpop_challenge_other_case",
    ),
}
_JARM_RESPONSES: dict[str, Row] = {
    "without-iss-fails": Row(
        "answers with a signed response without ``iss``",
        fault="jarm_iss_missing",
        code="token_issuer",
        steps="DPJ",
    ),
    "with-invalid-iss-fails": Row(
        "answers with a signed response of another issuer",
        fault="jarm_iss_foreign",
        code="token_issuer",
        steps="DPJ",
    ),
    "without-aud-fails": Row(
        "answers with a signed response without ``aud``",
        fault="jarm_aud_missing",
        code="token_audience",
        steps="DPJ",
    ),
    "with-invalid-aud-fails": Row(
        "answers with a signed response for another client",
        fault="jarm_aud_foreign",
        code="token_audience",
        steps="DPJ",
    ),
    "without-exp-fails": Row(
        "answers with a signed response without ``exp``",
        fault="jarm_exp_missing",
        code="token_claim",
        steps="DPJ",
    ),
    "with-expired-exp-fails": Row(
        "answers with a signed response that has expired",
        fault="jarm_expired",
        code="token_expired",
        steps="DPJ",
    ),
    "with-invalid-sig-fails": Row(
        "answers with a response with a wrong signature",
        fault="jarm_signature_foreign",
        code="token_signature",
        steps="DPJJ",
    ),
    "signature-is-not-none": Row(
        "answers with a response that has ``alg: none``",
        fault="jarm_alg_none",
        code="token_algorithm",
        steps="DPJ",
    ),
}

#: Every module, by its name.
ROWS: dict[str, Row] = {
    **{f"oidcc-client-test{name}": row for name, row in _OIDC.items()},
    **{f"fapi2-security-profile-final-client-test-{name}": row for name, row in _FAPI.items()},
    **{
        f"fapi2-security-profile-final-client-test-ensure-jarm-{name}": row
        for name, row in _JARM_RESPONSES.items()
    },
}


class Case(NamedTuple):
    """One module, as it is run in one variant of one plan."""

    plan: str
    variant: Variant
    module: str

    @property
    def row(self) -> Row:
        """What is expected."""
        return ROWS[self.module]

    @property
    def id(self) -> str:
        """Its name as a test."""
        return f"{self.plan}-{self.variant.name}-{self.module}"


def modules_of(plan: str, variant: Variant) -> list[str]:
    """The modules of a variant of a plan."""
    return [
        module
        for module, absent in MODULES["plans"][plan].items()
        if module in (variant.only or ROWS)
        and not any(value in absent.get(name, ()) for name, value in variant.suite.items())
    ]


def all_cases() -> Iterator[Case]:
    """Every module of every variant of every plan."""
    for plan, variants in PLANS.items():
        for variant in variants:
            for module in modules_of(plan, variant):
                yield Case(plan, variant, module)
