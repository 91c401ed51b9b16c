"""A whole login at an oidc-provider that asks for certificates, and what it received and issued.

Certificates are asked for on a port of their own, that of ``mtls_endpoint_aliases``. So whatever
goes to the other port without need, or comes there with a certificate, is seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask.testing import FlaskClient
from joserfc import jwe
from joserfc.jwk import import_key

from flask_parjar.protocol.mutual_tls import parse_certificate
from tests.interop import oidc_client
from tests.interop.client_site import KEYS
from tests.interop.combinations import TLSCombination
from tests.interop.encrypted_site import DECRYPTION_KEYS, published_keys
from tests.interop.provider_process import Call, ProviderProcess, StartProvider, proof_of
from tests.interop.scripted_browser import ScriptedBrowser
from tests.interop.seen_login import (
    AUTHENTICATED,
    PUSH,
    WITH_PROOF,
    SeenLogin,
    api_metadata,
    live_through,
    site_with_tokens,
    verify_end,
)
from tests.support.certificates import Pair, PairFiles, make_pair
from tests.support.jwt import read_jwt

ALG = "ES256"
ENCRYPTION = ("ECDH-ES+A256KW", "A256GCM")
ROOT = make_pair("root of the tests", authority=True)
ISSUED = make_pair("site", issuer=ROOT)
SELF_SIGNED = make_pair("site")
SUBJECT = "O=Tests,CN=site"

TLSLogin = SeenLogin[TLSCombination]


def start(start_provider: StartProvider, combinations: list[TLSCombination]) -> ProviderProcess:
    """Start the provider for these sites."""
    return start_provider(
        clients=[api_metadata(), *map(_registration, combinations)],
        features={
            "encryption": {"enabled": True},
            "introspection": {"enabled": True},
            "jwtResponseModes": {"enabled": True},
            "dPoP": {"enabled": True},
        },
        https=True,
        mtls={"authorities": ROOT.pem, "aliases": True},
    )


def pair_of(combination: TLSCombination) -> Pair:
    """Return the certificate of a site."""
    return SELF_SIGNED if combination.client_auth.startswith("self_signed") else ISSUED


def _registration(combination: TLSCombination) -> dict[str, Any]:
    """Return the registration: the provider holds the client to all of it."""
    keys: list[Any] = [KEYS[ALG].as_dict(private=False)]
    registered: dict[str, Any] = {
        "grant_types": ["authorization_code", "refresh_token"],
        "dpop_bound_access_tokens": combination.dpop,
        "tls_client_certificate_bound_access_tokens": combination.certified,
    }
    if combination.client_auth == "tls_client_auth":
        registered["tls_client_auth_subject_dn"] = SUBJECT
    if combination.client_auth == "self_signed_tls_client_auth":
        pair = pair_of(combination)
        keys.append(dict(parse_certificate(pair.pem, pair.key_pem).public_jwk))
    if combination.response != "parameters":
        registered["authorization_signed_response_alg"] = ALG
    if combination.response == "encrypted":
        config = {"PARJAR_SIGNING_KEY": KEYS[ALG].as_dict(private=True), **_response(combination)}
        keys += [key for key in published_keys(config) if key["use"] == "enc"]
        alg, enc = ENCRYPTION
        registered["authorization_encrypted_response_alg"] = alg
        registered["authorization_encrypted_response_enc"] = enc
    return oidc_client.client_metadata(
        combination.client_id, ALG, combination.client_auth, jwks={"keys": keys}, **registered
    )


def _response(combination: TLSCombination) -> dict[str, Any]:
    """Return the settings of how the authorization response comes."""
    if combination.response == "parameters":
        return {}
    config: dict[str, Any] = {"PARJAR_RESPONSE_MODE": "jwt"}
    if combination.response == "encrypted":
        config["PARJAR_ENCRYPTION_KEY"] = DECRYPTION_KEYS["ECDH"]
        config["PARJAR_RESPONSE_ENCRYPTION"] = " ".join(ENCRYPTION)
    return config


def _site(provider: ProviderProcess, combination: TLSCombination, folder: Path) -> FlaskClient:
    more: dict[str, Any] = {
        "PARJAR_CLIENT_ID": combination.client_id,
        "PARJAR_DPOP": combination.dpop,
        "PARJAR_USERINFO": True,
        "PARJAR_SCOPES": "openid profile offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
        "PARJAR_HTTP_TIMEOUT": 20,
        **_response(combination),
    }
    if combination.mutual_tls:
        more |= PairFiles(folder, pair_of(combination)).config
        more["PARJAR_BOUND_TOKENS"] = combination.certified
    config = oidc_client.settings(provider, ALG, combination.client_auth, **more)
    metadata = provider.metadata
    asks = metadata["mtls_endpoint_aliases"] if combination.certified else metadata
    return site_with_tokens(config, api=asks["userinfo_endpoint"].removesuffix("/me"))


def walk(
    provider: ProviderProcess,
    browser: ScriptedBrowser,
    combination: TLSCombination,
    folder: Path,
) -> TLSLogin:
    """Log in, renew the tokens, call an API, log out here and at the provider.

    :param folder: for the files of the certificate.
    """
    site = _site(provider, combination, folder)
    return live_through(site, provider, browser, combination=combination)


def verify(seen: TLSLogin) -> None:
    """Check what the provider received and issued against the combination."""
    _verify_response(seen)
    _verify_client_auth(seen)
    _verify_certificates(seen)
    _verify_binding(seen)
    verify_end(seen, alg=ALG, client_id=seen.combination.client_id)


def _request(seen: TLSLogin) -> dict[str, Any]:
    """Return what the request object asks for."""
    (push,) = seen.to(PUSH)
    return read_jwt(push.field("request"))[1]


def _verify_response(seen: TLSLogin) -> None:
    """How the provider was asked to answer, and how it answered."""
    combination = seen.combination
    asked = None if combination.response == "parameters" else "jwt"
    assert _request(seen).get("response_mode") == asked
    received = dict(parse_qsl(urlsplit(seen.callback).query))
    if combination.response != "parameters":
        assert list(received) == ["response"]
        text = received["response"]
        assert text.count(".") == (4 if combination.response == "encrypted" else 2)
        header, received = read_jwt(_decrypted(text) if text.count(".") == 4 else text)
        assert (header["alg"], received["aud"]) == (ALG, combination.client_id)
    issuer = _request(seen)["aud"]
    assert (received["iss"], received["state"]) == (issuer, _request(seen)["state"])
    (exchange,) = [call for call in seen.to("token") if ("code", received["code"]) in call.form]
    assert exchange.field("grant_type") == "authorization_code"


def _decrypted(text: str) -> str:
    """Decrypt a response as the site does, but with nothing of the package."""
    # oidc-provider repeats iss and aud in the header (RFC 7519 section 5.3).
    registry = jwe.JWERegistry(algorithms=[*ENCRYPTION], strict_check_header=False)
    key = import_key(DECRYPTION_KEYS["ECDH"])
    opened = jwe.decrypt_compact(text, key, registry=registry)
    assert (opened.headers()["alg"], opened.headers()["enc"]) == ENCRYPTION
    assert opened.plaintext is not None
    return opened.plaintext.decode()


def _verify_client_auth(seen: TLSLogin) -> None:
    """Each request of the client is authenticated with its method and with no other."""
    combination = seen.combination
    by_assertion = combination.client_auth == "private_key_jwt"
    expected = {"client_assertion"} if by_assertion else set()
    for call in seen.to(*AUTHENTICATED):
        fields = dict(call.form)
        assert call.authorization is None
        assert fields["client_id"] == combination.client_id
        assert fields.keys() & {"client_assertion", "client_secret"} == expected
        if by_assertion:
            header, claims = read_jwt(call.field("client_assertion"))
            assert (header["alg"], claims["iss"]) == (ALG, combination.client_id)


def _verify_certificates(seen: TLSLogin) -> None:
    """Which requests come with the certificate, each at the port that asks for one."""
    combination = seen.combination
    own = pair_of(combination).thumbprint if combination.mutual_tls else None
    at_login, at_renewal, at_api = seen.to("userinfo")
    of_client = [*seen.to(*AUTHENTICATED), at_login, at_renewal]
    assert {call.certificate for call in of_client} == {own}
    assert at_api.certificate == (own if combination.certified else None)
    others = seen.to("discovery", "jwks", "authorization", "end_session")
    assert {call.certificate for call in others} == {None}
    main = _port(seen.location)
    assert {_port_of(call) for call in others} == {main}
    (used,) = {_port_of(call) for call in of_client}
    assert (used != main) is combination.mutual_tls
    assert _port_of(at_api) == (used if combination.certified else main)


def _port(url: str) -> int | None:
    return urlsplit(url).port


def _port_of(call: Call) -> int | None:
    return _port(f"https://{call.headers['host']}")


def _verify_binding(seen: TLSLogin) -> None:
    """What the tokens are bound to, and the proof or the certificate that comes with them."""
    combination, calls = seen.combination, seen.to(*WITH_PROOF)
    assert seen.answered == calls  # nothing was refused
    kind = "DPoP" if combination.dpop else "Bearer"
    assert {each["token_type"] for each in seen.token_answers} == {kind}
    assert seen.token["token_type"] == kind
    assert {call.authorization for call in seen.to("userinfo")} == {kind.lower()}
    assert [call for call in calls if "dpop" in call.headers] == (calls if combination.dpop else [])
    jkt = proof_of(calls[0])[0] if combination.dpop else None
    x5t = pair_of(combination).thumbprint if combination.certified else None
    bound_to = {"jkt": jkt, "x5t#S256": x5t}
    expected = {name: value for name, value in bound_to.items() if value is not None}
    assert seen.token.get("cnf", {}) == expected
    assert _request(seen).get("dpop_jkt") == jkt
    if combination.dpop:
        _verify_proofs(calls)


def _verify_proofs(calls: list[Call]) -> None:
    """All proofs are of one key, each for the URL that was called."""
    proofs = [proof_of(call) for call in calls]
    assert len({key for key, _ in proofs}) == 1
    assert len({claims["jti"] for _, claims in proofs}) == len(calls)
    # The URL that was called: with mutual TLS it has the other port.
    called = [f"https://{call.headers['host']}{call.path}" for call in calls]
    assert [claims["htu"] for _, claims in proofs] == called
