"""Faults of signed authorization responses (JARM).

They act before the response is signed, after that, or where it is encrypted.
"""

from __future__ import annotations

import json

from joserfc.jwk import OctKey, RSAKey

from ..answers import Answer, AuthorizationAnswer, IDTokenDraft
from ..jwe import CONTENT_ALGORITHMS, EncryptedDraft
from ..jws import decode_json, encode, encode_json
from .encryption import jwe_key_foreign
from .signature import forge, mac
from .table import FaultTable

_MODULE = "fapi2-message-signing-final-client-test-ensure-jarm-"
_INJECTED = "an-injected-code"
table: FaultTable = FaultTable()


@table.at("jarm", oidf=_MODULE + "without-iss-fails")
def jarm_iss_missing(draft: IDTokenDraft) -> None:
    """The signed response has no `iss`."""
    del draft.claims["iss"]


@table.at("jarm", oidf=_MODULE + "with-invalid-iss-fails")
def jarm_iss_foreign(draft: IDTokenDraft) -> None:
    """The signed response is from another issuer, and signed with a key of that issuer."""
    draft.claims["iss"] = "https://other-provider.example"
    draft.header["kid"] = "a-key-of-another-issuer"


@table.at("jarm", oidf=_MODULE + "without-aud-fails")
def jarm_aud_missing(draft: IDTokenDraft) -> None:
    """The signed response has no `aud`."""
    del draft.claims["aud"]


@table.at("jarm", oidf=_MODULE + "with-invalid-aud-fails")
def jarm_aud_foreign(draft: IDTokenDraft) -> None:
    """The signed response is for another client."""
    draft.claims["aud"] = "another-client"


@table.at("jarm")
def jarm_aud_several(draft: IDTokenDraft) -> None:
    """The signed response is for this client, and for another one."""
    draft.claims["aud"] = [draft.claims["aud"], "another-client"]


@table.at("jarm", oidf=_MODULE + "without-exp-fails")
def jarm_exp_missing(draft: IDTokenDraft) -> None:
    """The signed response has no `exp`."""
    del draft.claims["exp"]


@table.at("jarm")
def jarm_exp_string(draft: IDTokenDraft) -> None:
    """`exp` of the signed response is a string."""
    draft.claims["exp"] = str(draft.claims["exp"])


@table.at("jarm", oidf=_MODULE + "with-expired-exp-fails")
def jarm_expired(draft: IDTokenDraft) -> None:
    """The signed response has expired ten minutes ago."""
    draft.claims["exp"] = draft.now - 600


@table.at("jarm")
def jarm_nbf_future(draft: IDTokenDraft) -> None:
    """The signed response is valid in ten minutes."""
    draft.claims["nbf"] = draft.now + 600


@table.at("jarm")
def jarm_iss_repeated(draft: IDTokenDraft) -> None:
    """The signed response has the right `iss` twice, as Keycloak writes it: it is accepted."""
    draft.payload = _with_second(draft, "iss", str(draft.claims["iss"]))


@table.at("jarm")
def jarm_iss_duplicated(draft: IDTokenDraft) -> None:
    """The signed response has `iss` twice, the first from another issuer."""
    draft.payload = _with_second(draft, "iss", "https://other-provider.example")


@table.at("jarm")
def jarm_code_duplicated(draft: IDTokenDraft) -> None:
    """The signed response has two codes, the first an attacker's."""
    draft.payload = _with_second(draft, "code", _INJECTED)


def _with_second(draft: IDTokenDraft, name: str, value: str) -> bytes:
    """The claims with one more member before the others."""
    return f"{{{json.dumps(name)}: {json.dumps(value)}, {json.dumps(draft.claims)[1:]}".encode()


@table.at("jarm")
def jarm_code_missing(draft: IDTokenDraft) -> None:
    """The signed response has neither a code nor an error."""
    draft.claims.pop("code", None)


@table.at("jarm")
def jarm_code_not_a_string(draft: IDTokenDraft) -> None:
    """The code in the signed response is an array."""
    draft.claims["code"] = [draft.claims.get("code")]


@table.at("jarm")
def jarm_state_missing(draft: IDTokenDraft) -> None:
    """The signed response has no `state`."""
    draft.claims.pop("state", None)


@table.at("jarm")
def jarm_state_wrong(draft: IDTokenDraft) -> None:
    """The signed response has a `state` that was never sent."""
    draft.claims["state"] = "a-state-that-was-never-sent"


@table.at("jarm", oidf=_MODULE + "signature-algorithm-is-not-none")
def jarm_alg_none(draft: IDTokenDraft) -> None:
    """The response is a JWT that is not signed: `alg` is `none`."""
    draft.header["alg"], draft.signer = "none", lambda _: b""


@table.at("jarm")
def jarm_hs256_with_public_key(draft: IDTokenDraft) -> None:
    """`alg` of the response is HS256, and the secret is the provider's public key."""
    key = draft.key
    mac(draft, b"" if isinstance(key, OctKey) else key.as_pem(private=False))


@table.at("jarm", oidf=_MODULE + "with-invalid-sig-fails")
def jarm_signature_foreign(draft: IDTokenDraft) -> None:
    """Another key signed the response, with the `kid` of the right key."""
    if isinstance(draft.key, RSAKey):
        draft.key = RSAKey.generate_key(2048)
    else:
        forge(draft)


@table.at("jarm")
def jarm_signature_empty(draft: IDTokenDraft) -> None:
    """The response has no signature, and its header says that it has one."""
    draft.signer = lambda _: b""


@table.at("jarm")
def jarm_kid_unknown(draft: IDTokenDraft) -> None:
    """`kid` of the response names a key that is not published."""
    draft.header["kid"] = "a-key-that-is-not-published"


@table.at("jarm")
def jarm_header_crit(draft: IDTokenDraft) -> None:
    """The header of the response requires an unknown extension."""
    draft.header["crit"] = ["https://extension.example/"]
    draft.header["https://extension.example/"] = True


@table.at("jarm")
def jarm_typ_access_token(draft: IDTokenDraft) -> None:
    """The header of the response says that it is an access token."""
    draft.header["typ"] = "at+jwt"


@table.at("jarm")
def jarm_typ_jwt(draft: IDTokenDraft) -> None:
    """The header of the response says that it is a JWT: that is right, and optional."""
    draft.header["typ"] = "JWT"


@table.at("jarm")
def jarm_is_opaque(draft: IDTokenDraft) -> None:
    """A random string is in place of the signed response."""
    draft.text = "2YotnFZFEjr1zCsicMWpAA"


@table.at("jarm")
def jarm_is_encrypted(draft: IDTokenDraft) -> None:
    """The response is encrypted, and that was not registered."""
    header = encode_json({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"})
    draft.text = f"{header}..{encode(bytes(12))}.{encode(bytes(32))}.{encode(bytes(16))}"


@table.at("jarm_answer")
def jarm_answer_is_plain(answer: AuthorizationAnswer) -> None:
    """The response is plain: what should be in the signed response is beside each other."""
    (text,) = [value for name, value in answer.parameters if name == "response"]
    claims = decode_json(text.split(".")[1])
    answer.parameters = [(name, str(claims[name])) for name in ("code", "state", "iss")]


@table.at("jarm_answer")
def jarm_answer_plain_beside(answer: AuthorizationAnswer) -> None:
    """Beside the signed response is another code, which is not read."""
    answer.parameters += [("code", _INJECTED), ("state", "x"), ("error", "x"), ("iss", "x")]


@table.at("jarm_answer")
def jarm_answer_duplicated(answer: AuthorizationAnswer) -> None:
    """The response is there twice."""
    answer.parameters = [*answer.parameters, *answer.parameters]


@table.at("jarm_answer")
def jarm_answer_oversized(answer: AuthorizationAnswer) -> None:
    """The signed response has 100,000 characters more."""
    answer.parameters = [(name, value + "A" * 100_000) for name, value in answer.parameters]


@table.at("response")
def response_is_signed(answer: AuthorizationAnswer) -> None:
    """The response is signed (JARM), and that was not requested."""
    header, claims = {"alg": "ES256"}, dict(answer.parameters)
    answer.parameters = [("response", f"{encode_json(header)}.{encode_json(claims)}.c2ln")]


@table.at("jwe")
def jwe_response_missing(draft: EncryptedDraft) -> None:
    """The response is signed and not encrypted, although that was registered."""
    if draft.kind == "response":
        draft.text = draft.content


@table.at("jwe")
def jwe_response_key_foreign(draft: EncryptedDraft) -> None:
    """The response is encrypted for another key, with the `kid` of the client's key."""
    if draft.kind == "response":
        jwe_key_foreign(draft)


@table.at("jwe")
def jwe_response_enc_other(draft: EncryptedDraft) -> None:
    """The content of the response is encrypted with another `enc` than was registered."""
    if draft.kind == "response":
        draft.header["enc"] = next(e for e in CONTENT_ALGORITHMS if e != draft.header["enc"])


@table.at("jwe")
def jwe_response_zip(draft: EncryptedDraft) -> None:
    """The content of the response is compressed."""
    if draft.kind == "response":
        draft.header["zip"] = "DEF"


@table.at("jwe")
def jwe_response_unsigned(draft: EncryptedDraft) -> None:
    """The response is encrypted and not signed: a JWT with `alg` `none` is inside."""
    if draft.kind == "response":
        draft.content = f"{encode_json({'alg': 'none'})}.{draft.content.split('.')[1]}."


@table.at("metadata")
def metadata_jarm_modes_missing(answer: Answer) -> None:
    """It lists no response mode that is signed."""
    answer.put("response_modes_supported", ["query", "fragment", "form_post"])


@table.at("metadata")
def metadata_jarm_algs_symmetric(answer: Answer) -> None:
    """Responses are signed with shared secrets."""
    answer.put("authorization_signing_alg_values_supported", ["HS256", "none"])


@table.at("metadata")
def metadata_jarm_algs_missing(answer: Answer) -> None:
    """It does not say how responses are signed: that means RS256."""
    answer.drop("authorization_signing_alg_values_supported")


@table.at("metadata")
def metadata_jarm_encryption_other(answer: Answer) -> None:
    """No registered `alg` for responses is listed."""
    answer.put("authorization_encryption_alg_values_supported", ["RSA1_5"])
