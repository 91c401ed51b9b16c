"""Faults: each is in the table, changes what leaves the provider, and ends.

What a client makes of a fault is in ``tests/test_faults.py``. So only the faults that a client
accepts are seen here too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey

from flask_parjar.testing import FAULTS, REFRESH_FAULTS, ClientMetadata, DevProvider
from flask_parjar.testing.answers import (
    Answer,
    AuthorizationAnswer,
    CertificateBindingDraft,
    DPoPBindingDraft,
    DPoPChallengeDraft,
    DPoPNonceDraft,
    IDTokenDraft,
)
from flask_parjar.testing.clients import FixedKeys
from flask_parjar.testing.documents import ProviderKeys
from flask_parjar.testing.faults.tenants import of_tenant
from flask_parjar.testing.jwe import EncryptedDraft
from flask_parjar.testing.jws import decode_json, encode_json
from tests.support.fault_table import ENDS_AT_THE_PROVIDER
from tests.support.fault_table import FAULTS as TABLE
from tests.support.tenants import ADAS
from tests.testing.hand_made_client import NOW, SECRET, HandMadeClient, response

ROWS = {name: row for section in TABLE.values() for name, row in section.items()}
ALL = {**FAULTS, **REFRESH_FAULTS}
OP = "https://op.example"


ENCRYPTION_KEY = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES", "kid": "e"})
ENCRYPTION_KEYS = {"keys": [ENCRYPTION_KEY.as_dict(private=False)]}


@pytest.fixture(scope="module")
def client() -> HandMadeClient:
    return HandMadeClient(DevProvider(OP, now=lambda: NOW, mtls="https://mtls.op.example"))


def correct(hook: str, client: HandMadeClient, alg: str, kind: str = "userinfo") -> Any:
    """A correct value at a hook, signed with this algorithm if it is an ID token."""
    keys = ProviderKeys(OP)
    keys.publish_decryption_keys()
    if hook.endswith("id_token") or hook == "jarm":
        key = keys.signing_key(alg)
        names = ["iss", "sub", "aud", "sid", "tid", "nonce", "at_hash", "acr", "amr"]
        names += ["code", "state"]  # of a signed response
        return IDTokenDraft(
            header={"alg": alg, "kid": key.kid} | ({} if hook == "jarm" else {"typ": "JWT"}),
            claims={**dict.fromkeys(names, "x"), "iat": NOW, "exp": NOW + 9, "auth_time": NOW - 1},
            key=key,
            now=NOW,
            client=client.provider.clients[client.client_id],
        )
    if hook == "dpop_nonce":
        return DPoPNonceDraft(nonce="n")
    if hook == "dpop_binding":
        return DPoPBindingDraft(jkt="k")
    if hook == "certificate_binding":
        return CertificateBindingDraft(x5t="t")
    if hook == "dpop_challenge":
        return DPoPChallengeDraft(scheme="DPoP")
    if hook == "jwe":
        key = FixedKeys(ENCRYPTION_KEYS).encryption_key("ECDH-ES")
        assert key is not None
        return EncryptedDraft(
            kind=kind,
            header={"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "kid": key.kid},
            content=f"{encode_json({'alg': alg})}.{encode_json({'sub': 'ada'})}.c2ln",
            key=key,
        )
    if hook == "jarm_answer":
        content = encode_json({"code": "c", "state": "s", "iss": OP})
        signed = [("response", f"{encode_json({'alg': alg})}.{content}.c2ln")]
        return AuthorizationAnswer(redirect_uri=OP, mode="jwt", parameters=signed)
    if hook == "response":
        parameters = [("code", "c"), ("state", "s"), ("iss", OP)]
        return AuthorizationAnswer(redirect_uri=OP, mode="query", parameters=parameters)
    members = {
        "metadata": dict(client.provider.metadata),
        "jwks": keys.public_jwks(),
        "par": {"request_uri": "urn:x", "expires_in": 60},
        "userinfo": {"sub": "ada"},
    }
    names = ("access_token", "id_token", "refresh_token", "scope", "expires_in")
    token = {**dict.fromkeys(names, "x"), "token_type": "Bearer", "authorization_details": DETAILS}
    path = "/.well-known/openid-configuration"
    return Answer(members=members.get(hook, token), path=path, status=201 if hook == "par" else 200)


def leaving(value: Any) -> object:
    """What the network would see of a value at a hook; of a signature, how it was made."""
    if isinstance(value, IDTokenDraft):
        text, key = value.finished(), value.key.as_dict(private=False)
        return (text.rpartition(".")[0] if isinstance(text, str) else text, key, bool(value.signer))
    if isinstance(value, EncryptedDraft):
        return (dict(value.header), value.content, value.key.as_dict(private=False), value.text)
    if isinstance(value, AuthorizationAnswer):
        return value.url()
    if isinstance(value, DPoPNonceDraft):
        return value.nonce
    if isinstance(value, DPoPBindingDraft):
        return value.jkt
    if isinstance(value, DPoPChallengeDraft):
        return value.scheme
    if isinstance(value, CertificateBindingDraft):
        return value.x5t
    return (value.status, value.headers, value.content_type, value.text(), value.body)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_each_fault_has_a_row_and_acts(client: HandMadeClient, alg: str) -> None:
    assert set(ROWS) == set(FAULTS)
    # This one delays what leaves, and changes nothing.
    acts = [(name, *act) for name, f in ALL.items() for act in f.acts if name != "refresh_slow"]
    without_effect = []
    for name, hook, act in acts:
        kind = "response" if name.startswith("jwe_response") else "userinfo"
        value = correct(hook, client, alg, kind)
        if name.endswith("_dpop_bearer"):
            value.put("token_type", "DPoP")
        if name == "metadata_tenant_template_missing":
            value.put("issuer", f"{OP}/{{tenantid}}/v2.0")
        before = leaving(value)
        act(value)
        if leaving(value) == before:
            without_effect.append(name)
    assert len(acts) > 150
    assert without_effect == []


@pytest.mark.parametrize("name", [name for name in FAULTS if name.startswith("jwe_response_")])
def test_a_fault_of_encrypted_responses_leaves_other_tokens(
    client: HandMadeClient, name: str
) -> None:
    ((hook, act),) = FAULTS[name].acts
    value = correct(hook, client, "ES256", "id_token")
    before = leaving(value)
    act(value)
    assert leaving(value) == before


def test_a_fault_is_named_by_its_hook_and_says_what_it_does() -> None:
    assert not FAULTS.keys() & REFRESH_FAULTS.keys()
    for name, fault in ALL.items():
        first_hook, _ = fault.acts[0]
        # An ID token can be missing only in the token response.
        places = ("id_token_", f"{first_hook}_") if name in FAULTS else ("refresh_", "revocation_")
        assert name.startswith(places)
        assert fault.summary.endswith(".") and "\n" not in fault.summary
        assert fault.oidf is None or "client-test-" in fault.oidf


def protected(client: HandMadeClient) -> dict[str, Any]:
    return client.verify(client.tokens()["id_token"])[0]


def claims(client: HandMadeClient) -> dict[str, Any]:
    return client.verify(client.tokens()["id_token"])[1]


def userinfo(client: HandMadeClient) -> Any:
    return client.userinfo(client.tokens()["access_token"]).json()


def unsigned_header(client: HandMadeClient) -> bytes:
    return base64.urlsafe_b64decode(client.tokens()["id_token"].partition(".")[0] + "==")


def encrypted_header(client: HandMadeClient) -> dict[str, object]:
    """The header of a token that is encrypted for another client."""
    client.provider.register(
        ClientMetadata(
            client_id="encrypts",
            redirect_uris=["https://site.example/"],
            jwks=ENCRYPTION_KEYS,
            id_token_encrypted_response_alg="ECDH-ES",
        )
    )
    return decode_json(client.provider.logout_token(client_id="encrypts", sub="a").split(".")[0])


def signed(client: HandMadeClient) -> dict[str, str]:
    """The parameters of a callback where a signed response was requested."""
    return response(client.provider.sign_in(client.start(response_mode="jwt")))


def payload_of(jws: str) -> bytes:
    return base64.urlsafe_b64decode(jws.split(".")[1] + "==")


def algs_of_id_tokens(client: HandMadeClient) -> object:
    document = client.http.get(PLACES[0]).json()
    return document["id_token_encryption_alg_values_supported"]


def challenge_of_userinfo(client: HandMadeClient) -> str | None:
    headers = {"Authorization": "DPoP a-token", "DPoP": "not a proof"}
    return client.http.get(f"{OP}/userinfo", headers=headers).headers.get("WWW-Authenticate")


BESIDE = ["code", "error", "iss"]
DETAILS = [{"type": "payment_initiation"}, {"type": "account_information"}]


def granted(client: HandMadeClient) -> Any:
    return client.tokens(authorization_details=DETAILS).get("authorization_details")


#: What is seen of each fault that a client accepts.
ACCEPTED: dict[str, tuple[Callable[[HandMadeClient], object], object]] = {
    "metadata_openid_404": (lambda c: [c.http.get(url).status_code for url in PLACES], [404, 200]),
    "jwks_garbage_key": (lambda c: len(c.http.get(f"{OP}/jwks.json").json()["keys"]), 8),
    "jwks_symmetric_key": (lambda c: [key["kty"] for key in c.jwks()], ["oct", "EC", "RSA", "OKP"]),
    "par_200": (lambda c: c.push().status_code, 200),
    "par_expires_in_string": (lambda c: c.push().json()["expires_in"], "60"),
    "par_429_once": (lambda c: c.push().status_code, 429),
    "par_503_once": (lambda c: c.push().status_code, 503),
    "jwks_tenant_only": (
        lambda c: {key.get("issuer") for key in c.jwks()},
        {"https://login.example/a1a1a1a1-0000-4000-8000-00000000000a/v2.0"},
    ),
    "response_tenant_iss": (
        lambda c: response(c.provider.sign_in(c.start()))["iss"],
        of_tenant(OP, ADAS),
    ),
    "token_expires_in_missing": (lambda c: "expires_in" in c.tokens(), False),
    "token_scope_missing": (lambda c: "scope" in c.tokens(), False),
    "token_scope_narrower": (lambda c: c.tokens()["scope"], "openid"),
    "metadata_details_types_missing": (
        lambda c: "authorization_details_types_supported" in c.http.get(PLACES[0]).json(),
        False,
    ),
    "token_details_enriched": (lambda c: "account" in granted(c)[0], True),
    "token_details_fewer": (granted, DETAILS[:1]),
    "token_details_missing": (granted, None),
    "metadata_dpop_algs_missing": (
        lambda c: "dpop_signing_alg_values_supported" in c.http.get(PLACES[0]).json(),
        False,
    ),
    "metadata_mtls_aliases_unknown": (
        lambda c: c.http.get(PLACES[0]).json()["mtls_endpoint_aliases"].get("x_endpoint"),
        7,
    ),
    "token_dpop_lower_case": (lambda c: c.tokens()["token_type"], "dpop"),
    "dpop_challenge_other_case": (challenge_of_userinfo, 'dPOp error="invalid_dpop_proof"'),
    "token_type_lower_case": (lambda c: c.tokens()["token_type"], "bearer"),
    "id_token_at_hash_missing": (lambda c: "at_hash" in claims(c), False),
    "id_token_aud_array": (lambda c: claims(c)["aud"], ["hand made/client:1"]),
    "id_token_header_x5c": (lambda c: "x5c" in protected(c), True),
    "id_token_kid_missing_single_key": (lambda c: b"kid" in unsigned_header(c), False),
    "id_token_session_expiry_fraction": (lambda c: claims(c).get("session_expiry", 0) % 1, 0.5),
    "id_token_session_expiry_null": (lambda c: claims(c).get("session_expiry", ""), None),
    "id_token_sid_missing": (lambda c: "sid" in claims(c), False),
    "id_token_typ_missing": (lambda c: "typ" in protected(c), False),
    "jarm_answer_plain_beside": (lambda c: sorted(signed(c)), [*BESIDE, "response", "state"]),
    "jarm_iss_repeated": (lambda c: payload_of(signed(c)["response"]).count(b'"iss"'), 2),
    "jarm_typ_jwt": (lambda c: decode_json(signed(c)["response"].split(".")[0]).get("typ"), "JWT"),
    "metadata_jarm_algs_missing": (
        lambda c: "authorization_signing_alg_values_supported" in c.http.get(PLACES[0]).json(),
        False,
    ),
    "jwe_kid_missing": (lambda c: "kid" in encrypted_header(c), False),
    "metadata_encryption_not_a_list": (algs_of_id_tokens, "ECDH-ES"),
    "userinfo_sign_in": (lambda c: userinfo(c).get("acr"), "mfa"),
}
PLACES = [
    f"{OP}/.well-known/{name}" for name in ("openid-configuration", "oauth-authorization-server")
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_fault_that_a_client_accepts_is_there(client: HandMadeClient, name: str) -> None:
    look, expected = ACCEPTED[name]
    assert look(client) != expected
    with client.provider.fault(name) as fault:
        assert look(client) == expected
        assert fault.acted >= 1
    assert look(client) != expected


def test_each_fault_that_a_client_accepts_is_seen_here() -> None:
    accepted = {name for name, row in ROWS.items() if row.code is None}
    assert accepted - ENDS_AT_THE_PROVIDER == set(ACCEPTED)


def test_an_unknown_fault(provider: DevProvider) -> None:
    with pytest.raises(ValueError, match="no fault is called 'id_token_aud_foriegn'") as error:
        provider.fault("id_token_aud_foriegn")
    assert "Did you mean 'id_token_aud_foreign'?" in str(error.value)
    assert all(name in str(error.value) for name in ALL)
    with pytest.raises(ValueError, match="'xyzzy'. There are: certificate_binding_foreign, "):
        provider.fault("xyzzy")
    with pytest.raises(ValueError, match="Did you mean 'refresh_503'"):
        provider.fault("refresh_500")


def pushes(client: HandMadeClient, count: int) -> list[int]:
    return [client.push().status_code for _ in range(count)]


def test_a_fault_in_a_block(client: HandMadeClient) -> None:
    with client.provider.fault("par_500") as fault:
        assert pushes(client, 2) == [500, 500]
        assert (fault.fault.name, fault.acted) == ("par_500", 2)
        with client.provider.fault("par_500"):
            assert pushes(client, 1) == [500]
        assert pushes(client, 1) == [500], "the outer one is still active"
    assert pushes(client, 1) == [201]


def test_a_fault_that_heals_by_itself(client: HandMadeClient) -> None:
    with client.provider.fault("par_503_once"):
        assert pushes(client, 3) == [503, 201, 201]
    with client.provider.fault("par_503", times=2) as fault:
        assert pushes(client, 3) == [503, 503, 201]
        assert fault.acted == 2


def test_healing_by_name(client: HandMadeClient) -> None:
    client.provider.fault("par_500")
    client.provider.fault("userinfo_500")
    client.provider.heal("par_500")
    assert pushes(client, 1) == [201]
    assert client.userinfo(client.tokens()["access_token"]).status_code == 500
    client.provider.heal()
    assert client.userinfo(client.tokens()["access_token"]).status_code == 200


def test_a_fault_does_not_hide_what_the_client_did_wrong(client: HandMadeClient) -> None:
    with client.provider.fault("par_html") as fault:
        assert client.push(client.request(aud="x")).json()["error"] == "invalid_request_object"
        assert fault.acted == 0


def test_two_faults_at_once(client: HandMadeClient) -> None:
    with (
        client.provider.fault("id_token_nonce_missing"),
        client.provider.fault("id_token_sub_empty"),
    ):
        both = claims(client)
    assert both["sub"] == ""
    assert "nonce" not in both


def test_faults_belong_to_one_provider(client: HandMadeClient) -> None:
    other = HandMadeClient(DevProvider("https://other.example", now=lambda: NOW))
    with client.provider.fault("par_500"):
        assert pushes(other, 1) == [201]


def test_hs256_with_the_clients_secret_is_really_that() -> None:
    provider = DevProvider(OP, now=lambda: NOW)
    client = HandMadeClient(provider, method="client_secret_basic")
    with provider.fault("id_token_hs256_with_client_secret"):
        token = client.tokens()["id_token"]
    signing_input, _, signature = token.rpartition(".")
    expected = hmac.digest(SECRET.encode(), signing_input.encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(signature + "=") == expected


def test_slash_faults_also_remove_a_slash() -> None:
    client = HandMadeClient(DevProvider(f"{OP}/", now=lambda: NOW))
    with client.provider.fault("id_token_iss_slash"):
        assert claims(client)["iss"] == OP
    with client.provider.fault("metadata_issuer_slash"):
        assert client.http.get(PLACES[0]).json()["issuer"] == OP


def test_a_fault_of_the_keys_when_there_are_no_keys(client: HandMadeClient) -> None:
    with client.provider.fault("jwks_not_a_list"), client.provider.fault("jwks_use_enc"):
        assert client.http.get(f"{OP}/jwks.json").json() == {"keys": []}


def test_a_member_can_be_changed_only_where_there_are_members(client: HandMadeClient) -> None:
    with client.provider.fault("par_not_an_object"), client.provider.fault("par_expires_in_zero"):
        assert client.push().json() == {"expires_in": 0}


def test_an_error_keeps_state_and_issuer(client: HandMadeClient) -> None:
    with client.provider.fault("response_error_access_denied"):
        back = response(client.provider.sign_in(client.start()))
    assert back["error"] == "access_denied"
    assert (back["state"], back["iss"]) == ("the-state", OP)
