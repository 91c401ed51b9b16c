"""Sealed text: encrypted with a key from the app's SECRET_KEY, for storage elsewhere.

Each purpose has its own key, so that text sealed for one purpose cannot be used for another.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from joserfc.errors import JoseError
from joserfc.jwe import decrypt_compact, encrypt_compact
from joserfc.jwk import OctKey

MAX_SEALED = 64 * 1024

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = [*_HEADER.values()]
_SALT = b"flask_parjar"


def derive_key(secret: bytes, purpose: str) -> bytes:
    """Make a 256-bit key for one purpose from a secret (HKDF-SHA-256: RFC 5869 section 2)."""
    pseudorandom_key = hmac.digest(_SALT, secret, "sha256")
    return hmac.digest(pseudorandom_key, purpose.encode() + b"\x01", "sha256")


def seal(text: str, *, secrets: Sequence[bytes], purpose: str) -> str:
    """Encrypt a text with the first of the secrets.

    :param purpose: what the text is, and of which session; the key is made from it.
    :returns: a compact JWE, ``dir`` with ``A256GCM`` (RFC 7516; RFC 7518 sections 4.5 and 5.3).
    """
    return encrypt_compact(
        _HEADER, text.encode(), _key(secrets[0], purpose), algorithms=_ALGORITHMS
    )


def unseal(sealed: str, *, secrets: Sequence[bytes], purpose: str) -> str:
    """Decrypt what `seal` made for the same purpose with any of the secrets.

    :raises ValueError: it was sealed for another purpose or with another secret, it was changed, or
        it is no sealed text at all.
    """
    if len(sealed) > MAX_SEALED:
        raise ValueError(f"longer than {MAX_SEALED} characters")
    for secret in secrets:
        try:
            opened = decrypt_compact(sealed, _key(secret, purpose), algorithms=_ALGORITHMS)
            return (opened.plaintext or b"").decode()
        except (JoseError, ValueError, TypeError):  # TypeError: a header that is no header
            continue
    raise ValueError("not sealed for this purpose with a secret of ours")


def _key(secret: bytes, purpose: str) -> OctKey:
    key: OctKey = OctKey.import_key(derive_key(secret, purpose))
    return key
