"""Faults of encrypted tokens. They act where a token is encrypted for a client."""

from __future__ import annotations

from joserfc.jwk import ECKey, OctKey, RSAKey, import_key

from ..answers import Answer
from ..jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS, EncryptedDraft, compact_json
from ..jws import decode_json, encode, encode_json
from .documents import published
from .table import FaultTable

_SHARED = OctKey.import_key(b"a secret of thirty-two octets....")
table: FaultTable = FaultTable()


def _password_or_key(draft: EncryptedDraft, alg: str, octets: int) -> None:
    draft.header["alg"], draft.header["enc"] = alg, "A256GCM"
    draft.key = OctKey.import_key(_SHARED.raw_value[:octets])


@table.at("jwe")
def jwe_alg_other(draft: EncryptedDraft) -> None:
    """The content key is encrypted with another `alg` than was registered."""
    same_kind = [alg for alg in KEY_ALGORITHMS if alg[:4] == str(draft.header["alg"])[:4]]
    draft.header["alg"] = next(alg for alg in same_kind if alg != draft.header["alg"])
    jwk = draft.key.as_dict(private=False)
    draft.key = import_key({name: value for name, value in jwk.items() if name != "alg"})


@table.at("jwe")
def jwe_enc_other(draft: EncryptedDraft) -> None:
    """The content is encrypted with another `enc` than was registered."""
    draft.header["enc"] = next(e for e in CONTENT_ALGORITHMS if e != draft.header["enc"])


@table.at("jwe")
def jwe_missing(draft: EncryptedDraft) -> None:
    """The token is signed and not encrypted, although that was registered."""
    draft.text = draft.content


@table.at("jwe")
def jwe_userinfo_missing(draft: EncryptedDraft) -> None:
    """Userinfo is signed and not encrypted, although that was registered."""
    if draft.kind == "userinfo":
        draft.text = draft.content


@table.at("jwe")
def jwe_zip(draft: EncryptedDraft) -> None:
    """The content is compressed."""
    draft.header["zip"] = "DEF"


@table.at("jwe")
def jwe_crit(draft: EncryptedDraft) -> None:
    """The header requires an extension."""
    draft.with_header({"crit": ["exp"], "exp": 1})


@table.at("jwe")
def jwe_cty_missing(draft: EncryptedDraft) -> None:
    """The header does not say that a JWT is inside."""
    del draft.header["cty"]


@table.at("jwe")
def jwe_oversized(draft: EncryptedDraft) -> None:
    """The content has 100,000 characters."""
    draft.content = "x" * 100_000


@table.at("jwe")
def jwe_header_oversized(draft: EncryptedDraft) -> None:
    """The header has 10,000 characters."""
    draft.with_header({"padding": "x" * 10_000})


@table.at("jwe")
def jwe_key_foreign(draft: EncryptedDraft) -> None:
    """It is encrypted for another key, with the `kid` of the client's key."""
    if isinstance(draft.key, RSAKey):
        draft.key = RSAKey.generate_key(2048)
    else:
        draft.key = ECKey.generate_key("P-256")


@table.at("jwe")
def jwe_kid_unknown(draft: EncryptedDraft) -> None:
    """`kid` names a key that the client does not have."""
    draft.header["kid"] = "a-key-that-the-client-does-not-have"


@table.at("jwe")
def jwe_kid_missing(draft: EncryptedDraft) -> None:
    """There is no `kid`, and a key of the client fits: it is accepted."""
    del draft.header["kid"]


@table.at("jwe")
def jwe_kid_not_a_string(draft: EncryptedDraft) -> None:
    """`kid` is an array with the right one in it."""
    draft.with_header({"kid": [draft.header["kid"]]})


@table.at("jwe")
def jwe_rsa1_5(draft: EncryptedDraft) -> None:
    """`alg` is RSA1_5, whose padding can be attacked."""
    draft.header["alg"], draft.key = "RSA1_5", RSAKey.generate_key(2048)


@table.at("jwe")
def jwe_dir(draft: EncryptedDraft) -> None:
    """`alg` is `dir`: the content is encrypted with a shared secret."""
    _password_or_key(draft, "dir", 32)


@table.at("jwe")
def jwe_pbes2(draft: EncryptedDraft) -> None:
    """`alg` is PBES2, which makes the client compute for as long as the sender wants."""
    _password_or_key(draft, "PBES2-HS256+A128KW", 16)


@table.at("jwe")
def jwe_point_off_the_curve(draft: EncryptedDraft) -> None:
    """`epk` is a point that is not on the curve, from which a secret key could be learnt."""
    one, other = (encode(bytes([n]) * 32) for n in (1, 2))
    draft.with_header({"epk": {"kty": "EC", "crv": "P-256", "x": one, "y": other}})


@table.at("jwe")
def jwe_tag_wrong(draft: EncryptedDraft) -> None:
    """The authentication tag is that of another content."""
    *others, tag = draft.finished().split(".")
    draft.text = ".".join([*others, encode(bytes(len(tag) * 3 // 4))])


@table.at("jwe")
def jwe_unsigned(draft: EncryptedDraft) -> None:
    """It is encrypted and not signed: claims are inside."""
    draft.content = compact_json(decode_json(draft.content.split(".")[1]))


@table.at("jwe")
def jwe_alg_none_inside(draft: EncryptedDraft) -> None:
    """It is encrypted and not signed: a token with `alg` `none` is inside."""
    draft.content = f"{encode_json({'alg': 'none'})}.{draft.content.split('.')[1]}."


@table.at("jwe")
def jwe_two_layers(draft: EncryptedDraft) -> None:
    """It is encrypted twice."""
    draft.content = draft.finished()


@table.at("jwe")
def jwe_signature_inside_wrong(draft: EncryptedDraft) -> None:
    """It is encrypted as registered, and the signature inside is empty."""
    draft.content = draft.content.rpartition(".")[0] + "."


@table.at("userinfo")
def userinfo_is_encrypted(answer: Answer) -> None:
    """An encrypted token, which was not registered, is in place of the JSON."""
    header = encode_json({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"})
    answer.content_type = "application/jwt"
    answer.body = f"{header}..{encode(bytes(12))}.{encode(bytes(32))}.{encode(bytes(16))}"


@table.at("metadata")
def metadata_encryption_alg_other(answer: Answer) -> None:
    """No registered `alg` for ID tokens is listed."""
    answer.put("id_token_encryption_alg_values_supported", ["RSA1_5"])


@table.at("metadata")
def metadata_encryption_userinfo_other(answer: Answer) -> None:
    """No registered `enc` for userinfo is listed."""
    answer.put("userinfo_encryption_enc_values_supported", ["A192GCM"])


@table.at("metadata")
def metadata_encryption_requests_missing(answer: Answer) -> None:
    """It does not say how request objects may be encrypted."""
    answer.drop("request_object_encryption_alg_values_supported")


@table.at("metadata")
def metadata_encryption_not_a_list(answer: Answer) -> None:
    """How ID tokens may be encrypted is not a list: it counts as not said."""
    answer.put("id_token_encryption_alg_values_supported", "ECDH-ES")


@table.at("jwks")
def jwks_encryption_keys_missing(answer: Answer) -> None:
    """No key for encryption is published."""
    answer.put("keys", [key for key in published(answer) if key.get("use") != "enc"])
