"""Faults of the ID token's header and signature, and of values in its place."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
from collections.abc import Callable

from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

from ..answers import Answer, IDTokenDraft
from ..documents import new_ec_key, public_jwk
from ..jws import encode, encode_json
from .documents import published
from .table import FaultTable

_OIDC = "oidcc-client-test-"
_FAPI2 = "fapi2-security-profile-final-client-test-"
_ELSEWHERE = "https://attacker.example/"
#: A secret that is no secret: it is published with the keys.
SHARED_SECRET = b"a secret that was published with the keys"
table: FaultTable = FaultTable()


def forge(draft: IDTokenDraft) -> None:
    """Sign with a key that is not the provider's."""
    draft.header["alg"], draft.key = "ES256", new_ec_key()


def mac(draft: IDTokenDraft, secret: bytes) -> None:
    """Sign with a shared secret."""
    draft.header["alg"] = "HS256"
    draft.signer = lambda signing_input: hmac.digest(secret, signing_input, hashlib.sha256)


def signer_now(draft: IDTokenDraft) -> Callable[[bytes], bytes]:
    """The signer for the current header, even if the header changes later."""
    model, key = JWSRegistry.algorithms[str(draft.header["alg"])], draft.key
    return lambda signing_input: model.sign(signing_input, key)


@table.at("id_token", oidf=_OIDC + "invalid-sig-es256")
def id_token_bad_signature(draft: IDTokenDraft) -> None:
    """One bit of the signature is wrong."""

    def bent(signing_input: bytes) -> bytes:
        signature = draft.sign(signing_input)
        return bytes([signature[0] ^ 1]) + signature[1:]

    draft.signer = bent


@table.at("id_token")
def id_token_signature_foreign(draft: IDTokenDraft) -> None:
    """Another key signed, with the `kid` of the right key."""
    forge(draft)


@table.at("id_token")
def id_token_signature_empty(draft: IDTokenDraft) -> None:
    """There is no signature, and the header says there is."""
    draft.signer = lambda _: b""


@table.at("id_token")
def id_token_signature_zero(draft: IDTokenDraft) -> None:
    """The signature is zero, which a careless ECDSA implementation accepts for everything."""
    draft.signer = lambda _: bytes(64)


@table.at("id_token", oidf=_FAPI2 + "invalid-null-alg")
def id_token_alg_none(draft: IDTokenDraft) -> None:
    """It is not signed: `alg` is `none`."""
    draft.header["alg"], draft.signer = "none", lambda _: b""


@table.at("id_token")
def id_token_alg_none_disguised(draft: IDTokenDraft) -> None:
    """It is not signed: `alg` is `nOnE`, which is not `none`."""
    draft.header["alg"], draft.signer = "nOnE", lambda _: b""


@table.at("id_token")
def id_token_alg_missing(draft: IDTokenDraft) -> None:
    """The header names no algorithm."""
    draft.signer = signer_now(draft)
    del draft.header["alg"]


@table.at("id_token")
def id_token_alg_not_a_string(draft: IDTokenDraft) -> None:
    """`alg` is an array with the right algorithm in it."""
    draft.signer = signer_now(draft)
    draft.header["alg"] = [draft.header["alg"]]


@table.at("id_token")
def id_token_alg_mislabelled(draft: IDTokenDraft) -> None:
    """`alg` does not fit the key that signed."""
    draft.signer = signer_now(draft)
    draft.header["alg"] = "RS256" if draft.header["alg"] != "RS256" else "ES256"


@table.at("id_token", oidf=_OIDC + "invalid-sig-hs256")
def id_token_hs256_with_public_key(draft: IDTokenDraft) -> None:
    """`alg` is HS256, and the secret is the provider's public key, which is known to everyone."""
    key = draft.key
    mac(draft, b"" if isinstance(key, OctKey) else key.as_pem(private=False))


@table.at("metadata", oidf=_FAPI2 + "invalid-alternate-alg")
def id_token_alg_unlisted(answer: Answer) -> None:
    """`alg` is RS256, which the metadata does not list; the key is published."""
    listed = answer.document.get("id_token_signing_alg_values_supported")
    others = [alg for alg in listed if alg != "RS256"] if isinstance(listed, list) else []
    answer.put("id_token_signing_alg_values_supported", others)


@table.also("id_token_alg_unlisted", "jwks")
def further_rsa_key(answer: Answer) -> None:
    """Publish a key for RS256 beside the others."""
    answer.put("keys", [*published(answer), public_jwk(_further_rsa_key())])


@table.also("id_token_alg_unlisted", "id_token")
def sign_with_rs256(draft: IDTokenDraft) -> None:
    """Sign with that key."""
    draft.key = _further_rsa_key()
    draft.header["alg"], draft.header["kid"] = "RS256", draft.key.kid


@functools.cache
def _further_rsa_key() -> RSAKey:
    key: RSAKey = RSAKey.generate_key(2048, {"use": "sig", "kid": "further-rs256"})
    return key


@table.at("id_token")
def id_token_hs256_with_client_secret(draft: IDTokenDraft) -> None:
    """`alg` is HS256, and the secret is the client's; the provider promised another algorithm."""
    mac(draft, (draft.client.client_secret or "no secret").encode())


@table.at("id_token")
def id_token_hs256_with_published_key(draft: IDTokenDraft) -> None:
    """`alg` is HS256, and the secret is among the published keys."""
    mac(draft, SHARED_SECRET)
    draft.header["kid"] = "shared"


@table.also("id_token_hs256_with_published_key", "jwks")
@table.at("jwks")
def jwks_symmetric_key(answer: Answer) -> None:
    """There is a symmetric key beside the good ones; nothing is signed with it."""
    shared = {"kty": "oct", "kid": "shared", "use": "sig", "k": encode(SHARED_SECRET)}
    answer.put("keys", [shared, *published(answer)])


@table.at("id_token")
def id_token_kid_unknown(draft: IDTokenDraft) -> None:
    """`kid` names a key that is not published."""
    draft.header["kid"] = "a-key-that-is-not-published"


@table.at("id_token", oidf=_OIDC + "kid-absent-multiple-jwks")
def id_token_kid_missing(draft: IDTokenDraft) -> None:
    """There is no `kid`, and several published keys would fit."""
    del draft.header["kid"]


@table.also("id_token_kid_missing", "jwks")
def second_key_of_each_type(answer: Answer) -> None:
    """Publish more keys beside those that sign."""
    rsa = {
        "kty": "RSA",
        "use": "sig",
        "kid": "further-rsa",
        "n": encode(b"\xc1" * 256),
        "e": "AQAB",
    }
    okp = {
        "kty": "OKP",
        "use": "sig",
        "kid": "further-okp",
        "crv": "Ed25519",
        "x": encode(bytes(range(32))),
    }
    answer.put("keys", [public_jwk(new_ec_key()), rsa, okp, *published(answer)])


@table.at("id_token", oidf=_OIDC + "kid-absent-single-jwks")
def id_token_kid_missing_single_key(draft: IDTokenDraft) -> None:
    """There is no `kid`, and one published key fits: it is accepted."""
    del draft.header["kid"]


@table.at("id_token")
def id_token_kid_not_a_string(draft: IDTokenDraft) -> None:
    """`kid` is an array with the right one in it."""
    draft.header["kid"] = [draft.header["kid"]]


@table.at("id_token")
def id_token_header_jwk(draft: IDTokenDraft) -> None:
    """The header contains the key that signed: an attacker's key."""
    forge(draft)
    draft.header["jwk"] = public_jwk(draft.key)


@table.at("id_token")
def id_token_header_jku(draft: IDTokenDraft) -> None:
    """The header names the URL of the key that signed: an attacker's URL."""
    forge(draft)
    draft.header["jku"] = _ELSEWHERE + "jwks.json"


@table.at("id_token")
def id_token_header_x5u(draft: IDTokenDraft) -> None:
    """The header names the URL of the certificate of the key that signed: an attacker's URL."""
    forge(draft)
    draft.header["x5u"] = _ELSEWHERE + "certificate.pem"


@table.at("id_token")
def id_token_header_x5c(draft: IDTokenDraft) -> None:
    """The header contains a certificate; the signature is right."""
    draft.header["x5c"] = ["MIIBszCCAVmgAwIBAgIUZGV2ZWxvcG1lbnQgb25seQ=="]


@table.at("id_token")
def id_token_header_crit(draft: IDTokenDraft) -> None:
    """The header requires an unknown extension; the signature is right."""
    draft.header["crit"] = ["https://extension.example/"]
    draft.header["https://extension.example/"] = True


@table.at("id_token")
def id_token_header_b64(draft: IDTokenDraft) -> None:
    """The header says that the payload is not encoded (RFC 7797)."""
    draft.header["b64"], draft.header["crit"] = False, ["b64"]


@table.at("id_token")
def id_token_header_zip(draft: IDTokenDraft) -> None:
    """The header says that the payload is compressed, which a JWS does not support."""
    draft.header["zip"] = "DEF"


@table.at("id_token")
def id_token_header_oversized(draft: IDTokenDraft) -> None:
    """The header has 100,000 characters."""
    draft.header["padding"] = "x" * 100_000


@table.at("id_token")
def id_token_header_duplicated_member(draft: IDTokenDraft) -> None:
    """The header has two algorithms: `none`, then the right one."""
    header = '{"alg":"none",' + json.dumps(draft.header)[1:]
    signing_input = f"{encode(header.encode())}.{encode_json(draft.claims)}"
    signature = draft.sign(signing_input.encode("ascii"))
    draft.text = f"{signing_input}.{encode(signature)}"


@table.at("id_token")
def id_token_typ_missing(draft: IDTokenDraft) -> None:
    """The header has no `typ`: it is optional."""
    del draft.header["typ"]


@table.at("id_token")
def id_token_typ_logout_token(draft: IDTokenDraft) -> None:
    """The header says that it is a logout token."""
    draft.header["typ"] = "logout+jwt"


@table.at("id_token")
def id_token_typ_access_token(draft: IDTokenDraft) -> None:
    """The header says that it is an access token."""
    draft.header["typ"] = "at+jwt"


@table.at("id_token")
def id_token_is_logout_token(draft: IDTokenDraft) -> None:
    """A logout token is in its place, with a `typ` that does not say so, as older providers do."""
    for name in ("nonce", "auth_time", "at_hash", "acr", "amr"):
        draft.claims.pop(name, None)
    draft.claims["jti"] = "logout-1"
    draft.claims["events"] = {"http://schemas.openid.net/event/backchannel-logout": {}}


@table.at("id_token")
def id_token_is_opaque(draft: IDTokenDraft) -> None:
    """A random string is in its place."""
    draft.text = "2YotnFZFEjr1zCsicMWpAA"


@table.at("id_token")
def id_token_is_number(draft: IDTokenDraft) -> None:
    """A number is in its place."""
    draft.text = 12345


@table.at("id_token")
def id_token_is_encrypted(draft: IDTokenDraft) -> None:
    """An encrypted token, which was not requested, is in its place."""
    header = encode_json({"alg": "dir", "enc": "A256GCM"})
    draft.text = f"{header}..{encode(bytes(12))}.{encode(bytes(32))}.{encode(bytes(16))}"


@table.at("id_token")
def id_token_is_json_serialized(draft: IDTokenDraft) -> None:
    """A signature in JSON form is in its place; only the compact form is allowed."""
    protected, payload, signature = str(draft.finished()).split(".")
    draft.text = {"protected": protected, "payload": payload, "signature": signature}


@table.at("id_token")
def id_token_not_base64url(draft: IDTokenDraft) -> None:
    """The segments are padded."""
    draft.text = ".".join(f"{part}==" for part in str(draft.finished()).split("."))
