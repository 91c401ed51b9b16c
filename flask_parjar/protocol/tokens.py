"""What the token endpoint gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import TokenRejected
from .encoding import is_number

MAX_TOKEN = 16 * 1024
MAX_SCOPE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """The tokens of one answer of the token endpoint.

    :param scopes: what was granted: what the answer says, or all that was asked where it is silent.
    :param expires_at: seconds since 1970, None where the provider does not say.
    """

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...]
    expires_at: int | None

    @classmethod
    def parse(
        cls, answer: Mapping[str, Any], *, asked_scopes: tuple[str, ...], now: int
    ) -> TokenSet:
        """Read the answer to a code exchange; members nobody asked for are ignored.

        :raises TokenRejected: ``token_response``, ``token_type``, ``id_token_missing``.

        RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3.
        """
        token_type = answer.get("token_type")
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            raise TokenRejected("token_type", f"token_type={str(token_type)[:40]!r}")
        if answer.get("id_token") is None:
            raise TokenRejected("id_token_missing")
        expires_in = answer.get("expires_in")
        if expires_in is not None and (not is_number(expires_in) or expires_in < 0):
            raise TokenRejected("token_response", f"expires_in={str(expires_in)[:40]!r}")
        scope = answer.get("scope")
        if scope is not None and (not isinstance(scope, str) or len(scope) > MAX_SCOPE):
            raise TokenRejected("token_response", "scope is not a string, or is too long")
        refresh_token = answer.get("refresh_token")
        return cls(
            access_token=_token(answer, "access_token"),
            id_token=_token(answer, "id_token", limit=None),
            refresh_token=None if refresh_token is None else _token(answer, "refresh_token"),
            scopes=asked_scopes if scope is None else tuple(scope.split()),
            expires_at=None if expires_in is None else now + int(expires_in),
        )


def _token(answer: Mapping[str, Any], name: str, *, limit: int | None = MAX_TOKEN) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRejected("token_response", f"{name} is missing or not a string")
    if not value.isascii() or not value.isprintable():  # it goes into headers (RFC 6749 A.12)
        raise TokenRejected("token_response", f"{name} is not printable ASCII")
    if limit is not None and len(value) > limit:
        raise TokenRejected("token_response", f"{name} is longer than {limit} characters")
    return value
