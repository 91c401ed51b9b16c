"""Signed slips: what we send through a browser, and want to have back unchanged."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

MAX_SLIP = 4096


def sign_slip(content: Any, *, purpose: str) -> str:
    """Sign a JSON value and the time, for one purpose and no other."""
    return str(_serializer(purpose).dumps(content))


def read_slip(slip: str, *, purpose: str) -> tuple[Any, int]:
    """Prove that a slip is ours and for this purpose.

    :returns: what was signed, and when, in seconds since 1970.
    :raises ValueError: it is not.
    """
    if len(slip) > MAX_SLIP:
        raise ValueError("too long")
    try:
        content, signed_at = _serializer(purpose).loads(slip, return_timestamp=True)
    except BadData as exc:
        raise ValueError(type(exc).__name__) from exc
    return content, int(signed_at.timestamp())


class _Serializer(URLSafeTimedSerializer):
    """Tries no compression: a slip is too short to gain by it."""

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(json.dumps(obj, separators=(",", ":")))


def _serializer(purpose: str) -> _Serializer:
    fallbacks = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    # itsdangerous signs with the last one
    return _serializer_of((*fallbacks, current_app.secret_key), purpose)


@functools.lru_cache(maxsize=64)
def _serializer_of(keys: tuple[str | bytes, ...], purpose: str) -> _Serializer:
    return _Serializer(
        [key.encode("utf-8") if isinstance(key, str) else key for key in keys],
        salt=f"flask_parjar.{purpose}",
        signer_kwargs={"digest_method": hashlib.sha256},
    )
