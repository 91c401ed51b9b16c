"""Signed values, which come back through the browser unchanged."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any

from flask import current_app
from itsdangerous import BadData, HMACAlgorithm, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

MAX_SIGNED = 4096
MAX_SIGNED_TEXT = 96


def dumps_signed(content: Any, *, purpose: str) -> str:
    """Sign a JSON value and the time, for one purpose and no other."""
    return str(_serializer(purpose).dumps(content))


def loads_signed(signed: str, *, purpose: str) -> tuple[Any, int]:
    """Verify that we signed a value for this purpose.

    :returns: what was signed, and when, in seconds since 1970.
    :raises ValueError: we did not.
    """
    return _verify(signed, _serializer(purpose).loads, at_most=MAX_SIGNED)


def sign_text(text: str, *, purpose: str) -> str:
    """Sign a short text and the time: it grows by 30 characters.

    :param text: letters, digits, ``-`` and ``_``.
    """
    return _text_signer(purpose).sign(text).decode()


def read_text(signed: str, *, purpose: str) -> tuple[str, int]:
    """Verify that we signed a short text for this purpose.

    :returns: the text, and when it was signed, in seconds since 1970.
    :raises ValueError: we did not.
    """
    text, signed_at = _verify(signed, _text_signer(purpose).unsign, at_most=MAX_SIGNED_TEXT)
    return text.decode(), signed_at


def _verify(signed: str, verify: Callable[..., Any], *, at_most: int) -> tuple[Any, int]:
    """What was signed, and when.

    :param verify: of itsdangerous.
    :param at_most: characters that are read at all.
    :raises ValueError: we did not sign it.
    """
    if len(signed) > at_most:
        raise ValueError("too long")
    try:
        content, signed_at = verify(signed, return_timestamp=True)
    except BadData as exc:
        raise ValueError(type(exc).__name__) from exc
    return content, int(signed_at.timestamp())


class _ShortMAC(HMACAlgorithm):
    """HMAC-SHA-256, of which 128 bits are kept (RFC 2104 section 5)."""

    def __init__(self) -> None:
        super().__init__(hashlib.sha256)

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


def _text_signer(purpose: str) -> TimestampSigner:
    return _text_signer_of(_secret_keys(), purpose)


@functools.lru_cache(maxsize=64)
def _text_signer_of(keys: tuple[str | bytes, ...], purpose: str) -> TimestampSigner:
    return TimestampSigner(
        [key.encode("utf-8") if isinstance(key, str) else key for key in keys],
        salt=f"flask_parjar.{purpose}",
        digest_method=hashlib.sha256,
        algorithm=_ShortMAC(),
    )


class _Serializer(URLSafeTimedSerializer):
    """Does not compress: our values are too short to become shorter."""

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(json.dumps(obj, separators=(",", ":")))


def _serializer(purpose: str) -> _Serializer:
    return _serializer_of(_secret_keys(), purpose)


def _secret_keys() -> tuple[Any, ...]:
    """SECRET_KEY after its fallbacks: itsdangerous signs with the last one."""
    fallbacks = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    return (*fallbacks, current_app.secret_key)


@functools.lru_cache(maxsize=64)
def _serializer_of(keys: tuple[str | bytes, ...], purpose: str) -> _Serializer:
    return _Serializer(
        [key.encode("utf-8") if isinstance(key, str) else key for key in keys],
        salt=f"flask_parjar.{purpose}",
        signer_kwargs={"digest_method": hashlib.sha256},
    )
