"""Looks for secrets in what a site wrote, also inside what is encoded or compressed there."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator, Mapping

_BASE64 = re.compile(rb"[A-Za-z0-9_+/-]{16,}")
_DEEPEST = 4
_SHORTEST = 16
_PIECE = slice(4, 28)


def secrets_in(text: str, secrets: Mapping[str, str]) -> set[str]:
    """Return the names of the secrets that are in a text, whole or a piece, in any encoding."""
    found = {*layers(text.encode("utf-8", "replace"))}
    return {
        name
        for name, secret in secrets.items()
        if any(form in layer for form in _forms_of(secret) for layer in found)
    }


def layers(data: bytes, *, deepest: int = _DEEPEST) -> Iterator[bytes]:
    """Return some bytes, and what they are when they are decoded and unpacked."""
    yield data
    if deepest == 0:
        return
    for run in {*_BASE64.findall(data)}:
        decoded = _decode(run)
        yield from layers(decoded, deepest=deepest - 1)
        try:
            yield from layers(zlib.decompress(decoded), deepest=deepest - 1)
        except zlib.error:
            continue


def _decode(run: bytes) -> bytes:
    whole = run[: len(run) - (len(run) % 4 == 1)].replace(b"+", b"-").replace(b"/", b"_")
    return base64.urlsafe_b64decode(whole + b"==")


def _forms_of(secret: str) -> set[bytes]:
    """A secret as text, a piece of it, and the octets that it may stand for.

    Of a JWT it is the signature, without which it is of no use; the header is public.
    """
    parts = secret.split(".")
    last = parts[-1] if len(parts[-1]) >= _SHORTEST else max(parts, key=len)
    if len(last) < _SHORTEST:
        raise ValueError("such a short secret is found by chance")
    forms = {last.encode(), last.encode()[_PIECE]}
    try:
        padded = last.encode() + b"=" * (-len(last) % 4)
        octets = base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error:
        return forms  # no base64url
    written = [octets.hex(), repr(octets)[2:-1], str(int.from_bytes(octets, "big"))]
    forms |= {octets, *(each.encode() for each in written)}
    return {form for form in forms if len(form) >= _SHORTEST}
