"""Signed slips: what we send through a browser, and want to have back unchanged."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeTimedSerializer

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


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    fallbacks = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    keys = [*fallbacks, current_app.secret_key]  # itsdangerous signs with the last one
    return URLSafeTimedSerializer(
        keys, salt=f"flask_parjar.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )
