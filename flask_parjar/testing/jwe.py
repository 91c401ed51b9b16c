"""Compact JWE: encrypted for clients, and decrypted strictly (RFC 7516).

joserfc encrypts and decrypts. The header is read here, before joserfc sees it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from joserfc.errors import SecurityWarning
from joserfc.jwe import JWERegistry, decrypt_compact, encrypt_compact
from joserfc.jwk import Key

from .jws import MAX_LENGTH, Unproven, decode_json, encode_json

#: How content keys are encrypted here, and the content itself.
KEY_ALGORITHMS = (
    *("RSA-OAEP", "RSA-OAEP-256"),
    *("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"),
)
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
#: The ``enc`` of a client that registers an ``alg`` alone (Dynamic Client Registration section 2).
DEFAULT_ENC = "A128CBC-HS256"
_FORBIDDEN_HEADERS = ("zip", "crit")


@dataclass(slots=True, kw_only=True)
class EncryptedDraft:
    """A token before it is encrypted.

    :param kind: ``id_token``, ``userinfo``, ``logout_token`` or ``response``
    :param content: what will be inside: the signed token
    :param key: the client's public key
    :param text: the finished token, in place of all the fields above
    """

    kind: str
    header: dict[str, object]
    content: str
    key: Key
    text: str | None = None

    def finished(self) -> str:
        """The compact JWE, or ``text`` if a fault set it."""
        if self.text is not None:
            return self.text
        names = [str(self.header.get(name)) for name in ("alg", "enc", "zip")]
        registry = JWERegistry(algorithms=names, strict_check_header=False)
        registry.max_ciphertext_length = 10 * MAX_LENGTH
        with warnings.catch_warnings():  # a fault uses RSA1_5
            warnings.simplefilter("ignore", SecurityWarning)
            return encrypt_compact(dict(self.header), self.content, self.key, registry=registry)

    def with_header(self, changes: Mapping[str, object]) -> None:
        """Finish, then change members of the header: what no library would write."""
        first, *others = self.finished().split(".")
        self.text = ".".join([encode_json({**decode_json(first), **changes}), *others])


def is_encrypted(text: str) -> bool:
    """Whether a token has the form of a compact JWE."""
    return text.count(".") == 4


def decrypt(
    text: str,
    *,
    find_key: Callable[[str | None, str], Key | None],
    algs: Collection[str],
    encs: Collection[str],
) -> str:
    """Decrypt a compact JWE that has a signed JWT inside.

    :param find_key: returns our key with that ``kid`` for that ``alg``, or None
    :param algs: those that are allowed, whatever the header says
    :raises Unproven: the header is not accepted, or the decryption fails

    RFC 7516 section 5.2, RFC 7519 section 5.2
    """
    if len(text) > MAX_LENGTH:
        raise Unproven(f"longer than {MAX_LENGTH} characters")
    header = decode_json(text.split(".")[0])
    alg, enc, kid = header.get("alg"), header.get("enc"), header.get("kid")
    if not isinstance(alg, str) or alg not in algs or not isinstance(enc, str) or enc not in encs:
        raise Unproven(f"alg {alg!r} with enc {enc!r} is not one of those that are offered")
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise Unproven(f"the header must not carry {name}")
    if header.get("cty") != "JWT":
        raise Unproven(f"cty is {header.get('cty')!r}, expected 'JWT'")
    key = find_key(kid if isinstance(kid, str) else None, alg)
    if key is None:
        raise Unproven(f"there is no key {kid!r} for {alg}")
    registry = JWERegistry(algorithms=[alg, enc], strict_check_header=False)
    try:
        content = decrypt_compact(text, key, registry=registry).plaintext or b""
    except Exception as exc:  # whatever the libraries raise is one failure
        raise Unproven("it cannot be decrypted") from exc
    return content.decode("ascii", "replace")


def compact_json(value: object) -> str:
    """JSON without white space, to be encrypted where a signed token should be."""
    return json.dumps(value, separators=(",", ":"))
