"""What some modules look at besides: what the provider received in a login that it accepted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask_parjar.testing import Call
from tests.conformance.site import DETAILS, FAPI_ALGORITHMS, FROM_METADATA, SCOPES, Scene
from tests.conformance.table import MESSAGE_SIGNING, SECURITY_PROFILE

PUSH = "pushed_authorization_request"


def calls_to(scene: Scene, endpoint: str) -> list[Call]:
    return [call for call in scene.provider.calls if call.endpoint == endpoint]


def segment(token: str, position: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a JWT, which its receiver has verified."""
    part = token.split(".")[position]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return decoded


def request_of(scene: Scene) -> dict[str, Any]:
    """The parameters of the authorization request, signed or not."""
    sent = calls_to(scene, "authorization")[0].query
    return segment(sent["request"], 1) if "request" in sent else sent.to_dict()


def signed_id_token(scene: Scene) -> None:
    kept = scene.visitor.get("/kept").json
    assert segment(kept["id_token"], 0)["alg"] == "RS256"


def scopes_give_claims(scene: Scene) -> None:
    assert request_of(scene)["scope"] == SCOPES
    assert "openid" in SCOPES.split()
    claims = scene.visitor.get("/me").json["claims"]
    person = scene.provider.people["ada"].claims
    for name in ("name", "email", "phone_number"):
        assert claims[name] == person[name]


def secret_in_the_header_alone(scene: Scene) -> None:
    (token,) = calls_to(scene, "token")
    assert token.headers["Authorization"].startswith("Basic ")
    assert not {"client_secret", "client_assertion"} & {*token.form}


def urls_of_the_metadata(scene: Scene) -> None:
    for endpoint in ("jwks", "userinfo"):
        (call,) = calls_to(scene, endpoint)
        assert call.query.to_dict() == FROM_METADATA


def no_nonce(scene: Scene) -> None:
    proofs = [call.headers["DPoP"] for call in scene.provider.calls if "DPoP" in call.headers]
    assert len(proofs) == 2 and not any("nonce" in segment(proof, 1) for proof in proofs)


def security_profile(scene: Scene) -> None:
    """FAPI 2.0 Security Profile: PAR, PKCE, client assertions, algorithms, proofs."""
    (authorization,) = calls_to(scene, "authorization")
    assert {*authorization.query} == {"client_id", "request_uri"}
    authenticated = [*calls_to(scene, PUSH), *calls_to(scene, "token")]
    by_certificate = scene.case.variant.suite.get("ClientAuthType") == "mtls"
    assertions = [call.form.get("client_assertion") for call in authenticated]
    assert (None in assertions) is by_certificate
    for assertion in filter(None, assertions):
        assert segment(assertion, 0)["alg"] in FAPI_ALGORITHMS
        assert segment(assertion, 1)["aud"] == scene.provider.issuer
    if not by_certificate:  # one that was refused for its nonce is not used again
        jtis = {segment(str(each), 1)["jti"] for each in assertions}
        assert len(jtis) == len(authenticated)
    (bound_by_certificate if scene.case.variant.is_mtls else bound_by_proofs)(scene, authenticated)


def bound_by_proofs(scene: Scene, authenticated: list[Call]) -> None:
    proofs = [call.headers["DPoP"] for call in authenticated]
    assert len({segment(proof, 1)["jti"] for proof in proofs}) == len(proofs)
    assert {segment(proof, 0)["alg"] for proof in proofs} <= {*FAPI_ALGORITHMS}


def bound_by_certificate(scene: Scene, authenticated: list[Call]) -> None:
    """Only the endpoints that authenticate the client see the certificate, by their aliases."""
    assert {call.certificate for call in authenticated} == {scene.certificate}
    others = [call for call in scene.provider.calls if call not in authenticated]
    assert {call.certificate for call in others} == {None}
    assert not any("DPoP" in call.headers for call in scene.provider.calls)
    assert {call.headers["Host"] for call in authenticated} == {alias_host(scene)}


def alias_host(scene: Scene) -> str:
    aliases: Any = scene.provider.metadata["mtls_endpoint_aliases"]
    return urlsplit(aliases["token_endpoint"]).netloc


def unsigned_push(scene: Scene) -> None:
    security_profile(scene)
    for push in calls_to(scene, PUSH):
        assert "request" not in push.form
        assert (push.form["response_type"], push.form["code_challenge_method"]) == ("code", "S256")


def signed_push(scene: Scene) -> None:
    """FAPI 2.0 Message Signing: the request object. The RSA key of the site signs PS256."""
    security_profile(scene)
    for push in calls_to(scene, PUSH):
        claims = segment(push.form["request"], 1)
        assert segment(push.form["request"], 0)["alg"] == "PS256"
        assert claims["aud"] == scene.provider.issuer and 0 < claims["exp"] - claims["nbf"] <= 3600
        assert (claims["response_type"], claims["code_challenge_method"]) == ("code", "S256")
        asked = scene.case.variant.suite.get("AuthorizationRequestType") == "rar"
        assert claims.get("authorization_details") == (DETAILS if asked else None)
        assert scene.visitor.get("/granted").json == (DETAILS if asked else [])


#: The checks of a module, or of all modules of a plan.
CHECKS: dict[str, Callable[[Scene], None]] = {
    "oidcc-client-test-idtoken-sig-rs256": signed_id_token,
    "oidcc-client-test-scope-userinfo-claims": scopes_give_claims,
    "oidcc-client-test-client-secret-basic": secret_in_the_header_alone,
    "oidcc-client-test-discovery-openid-config": urls_of_the_metadata,
    "oidcc-client-test-discovery-jwks-uri-keys": urls_of_the_metadata,
    "fapi2-security-profile-final-client-test-happy-path-no-dpop-nonce": no_nonce,
    SECURITY_PROFILE: unsigned_push,
    MESSAGE_SIGNING: signed_push,
}
