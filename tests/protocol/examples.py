"""What these tests share: the RFCs' own keys, one client at one provider, one moment."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from joserfc.jws import JWSRegistry

from flask_parjar.protocol.agreement import Agreement, Endpoints
from flask_parjar.protocol.binding import begin_bearer
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.client_auth import PublicClient
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.jwe import (
    Decryption,
    Encryption,
    RequestEncryption,
    parse_decryption_keys,
)
from flask_parjar.protocol.key_set import KeySet
from flask_parjar.protocol.keys import SigningKey, parse_signing_keys
from flask_parjar.protocol.metadata import ProviderMetadata
from flask_parjar.protocol.opener import TokenOpener
from flask_parjar.protocol.transaction import Transaction

NOW = 1_800_000_000
ISSUER = "https://op.example"
CLIENT_ID = "s6BhdRkqt3"
SKEW = 60

#: RFC 7515 appendix A.2.1, without the members that follow from these.
RSA_JWK = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z"
    "5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhy"
    "xXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
    "d": "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol"
    "2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_"
    "V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj"
    "3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
}

#: RFC 7515 appendix A.3.1.
EC_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}

#: RFC 8037 appendix A.1.
OKP_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}

#: Made for these tests.
P384_JWK = {
    "kty": "EC",
    "crv": "P-384",
    "x": "GxZyYkPDwT9WrCZ1cSoGChsknHXI_tEss7tGmLyvrXmF0dG-jeypiZp0WdX3v_3i",
    "y": "rNdGskKNlxvkNmX2qha_CADTBlOODtMIBFXSekuBvlCQV6YK4eYKFiodlsearbhV",
    "d": "HODb7bYyNDe_k6PLqHvBJjb77YPEsD9bOdZ9NSzHPHjCF0v-dTJb5i2Uq8JqRir2",
}
P521_JWK = {
    "kty": "EC",
    "crv": "P-521",
    "x": "Aez4-GCFsp0fXoVl1narhHyaYJb_bud-X0jf3pqj4ETLGhT1bcQ6MauAR_W1ATalzzE9xpHA129JKgqbz8yMvT4k",
    "y": "AMVN9eStOPU3CIpSmQPK49zK73mFq6czS7serb_Amznb0w-RJlqK8HLahwmOULHVCaypR4lBNTbg6HfnRdKEcMvm",
    "d": "Ad9uujlqCVRZjn5GdzltzxvbVrD7iU2CRZdj59Nl6xAol2jFOlEqXpoItlBCFZ6XXAY_0gQM-dVqBIbWbonZ5o6C",
}

#: Which of these keys makes a signature of an algorithm.
JWK_FOR = {
    **dict.fromkeys(("PS256", "RS256", "PS384", "RS384", "PS512", "RS512"), RSA_JWK),
    "ES256": EC_JWK,
    "ES384": P384_JWK,
    "ES512": P521_JWK,
    **dict.fromkeys(("Ed25519", "EdDSA"), OKP_JWK),
}


def public(jwk: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The public half of a JWK, with more members, or other ones."""
    return {name: value for name, value in jwk.items() if name != "d"} | more


def rsa_jwk(bits: int, **more: Any) -> dict[str, Any]:
    """A public RSA JWK with a modulus of so many bits; no one knows its factors, nor must."""
    modulus = (1 << (bits - 1)) | 1
    return {
        "kty": "RSA",
        "n": b64encode(modulus.to_bytes((bits + 7) // 8, "big")),
        "e": "AQAB",
    } | more


@functools.cache
def signing_key(alg: str) -> SigningKey:
    """The private key for an algorithm, imported once a run (RSA takes its time)."""
    return parse_signing_keys(JWK_FOR[alg])[0]


@functools.cache
def rsa_key_for(alg: str) -> SigningKey:
    """The RSA key with an ``alg`` of its own."""
    return parse_signing_keys({**RSA_JWK, "alg": alg})[0]


def key_set(*jwks: Mapping[str, Any]) -> KeySet:
    return KeySet.parse({"keys": [public(jwk) for jwk in jwks]})


def encode_json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8")


def make_token(
    header: object, payload: object = None, *, alg: str = "ES256", key: SigningKey | None = None
) -> str:
    """A compact JWS whose signature is right, whatever its parts hold; bytes stay as they are."""
    parts = [
        b64encode(part if isinstance(part, bytes) else encode_json(part))
        for part in (header, {} if payload is None else payload)
    ]
    signing_input = ".".join(parts)
    signer = (key or signing_key(alg))._key
    signature = JWSRegistry.algorithms[alg].sign(signing_input.encode("ascii"), signer)
    return f"{signing_input}.{b64encode(signature)}"


def make_decryption() -> Decryption:
    """How a client decrypts what `encrypt` made."""
    encryption = Encryption(alg="ECDH-ES", encs=("A256GCM",))
    return Decryption(encryption=encryption, keys=parse_decryption_keys(P384_JWK))


def encrypt(text: str) -> str:
    """A compact JWE of this text, for the client."""
    keys = key_set(P384_JWK | {"use": "enc"})
    encryption = RequestEncryption(alg="ECDH-ES", enc="A256GCM")
    return encryption.encrypt(text, keys.encryption_key("ECDH-ES"))


def make_client(**fields: Any) -> ClientConfig:
    given: dict[str, Any] = {"name": "default", "issuer": ISSUER, "client_id": CLIENT_ID}
    return ClientConfig(**(given | fields))


#: The endpoints of a provider that has the required ones and one to push to.
ENDPOINTS = Endpoints(
    authorization=f"{ISSUER}/authorize",
    token=f"{ISSUER}/token",
    push=f"{ISSUER}/par",
    userinfo=None,
    revocation=None,
    end_session=None,
)


def make_agreement(**fields: Any) -> Agreement:
    """An agreement, as if it had been negotiated; `SKEW` is its clock skew."""
    given: dict[str, Any] = {
        "issuer": ISSUER,
        "client_id": CLIENT_ID,
        "endpoints": ENDPOINTS,
        "request_signing": None,
        "request_encryption": None,
        "client_auth": PublicClient(client_id=CLIENT_ID),
        "begin_binding": begin_bearer,
        "pkce": True,
        "id_token_algs": ("ES256", "EdDSA"),
        "userinfo_algs": ("ES256", "EdDSA"),
        "id_token_decryption": None,
        "userinfo_decryption": None,
        "response_mode": None,
        "response_algs": ("ES256", "EdDSA"),
        "response_decryption": None,
        "iss_required": False,
        "https_redirect_uri": False,
        "claims_parameter": True,
        "acr_values": (),
        "other_account_prompt": "login",
        "details_types": None,
        "authorization_params": {},
        "trusted_audiences": (),
        "fetch_userinfo": False,
        "clock_skew": SKEW,
    }
    return Agreement(**(given | fields))


def make_opener(keys: KeySet, **fields: Any) -> TokenOpener:
    """What opens the tokens of the provider that has these keys."""
    return TokenOpener(make_agreement(**fields), keys)


def make_transaction(**fields: Any) -> Transaction:
    given: dict[str, Any] = {
        "seed": "kDMGGkzZ8b2tLEnNGJGZ4zeNSfxL4bqG5tDH0XsAgt4",
        "secret": "yBqfu0AWs2tiLKQLZEkYM1SWUe2uvFqAwG4gkJ7xdMU",
        "state": "af0ifjsldkj",
        "provider": "default",
        "issuer": ISSUER,
        "redirect_uri": "https://client.example.org/cb",
        "started_at": NOW - 30,
        "next": "/me",
        "scopes": ("openid", "profile"),
    }
    return Transaction(**(given | fields))


#: A metadata document with what is required and nothing else.
REQUIRED_METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks.json",
}


def make_metadata(**members: Any) -> ProviderMetadata:
    return ProviderMetadata.parse(
        {**REQUIRED_METADATA, "pushed_authorization_request_endpoint": f"{ISSUER}/par", **members},
        expected_issuer=ISSUER,
        allow_http=False,
    )
