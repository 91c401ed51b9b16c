"""What the token endpoint gives, at a login and at a renewal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..errors import TokenRejected
from .encoding import is_number, parse_json_object

MAX_TOKEN = 16 * 1024
MAX_SCOPE = 1024
RENEWAL_MARGIN = 30  # seconds before its end that an access token is renewed, if it lives longer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """The tokens of one person's login, as the token endpoint last renewed them.

    :param scopes: what was granted: what the answer says, or all that was asked where it is silent.
    :param expires_at: seconds since 1970, None where the provider does not say.
    :param renew_at: when to renew the access token, a little before.
    """

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...]
    expires_at: int | None
    renew_at: int | None = None

    @classmethod
    def parse(
        cls, answer: Mapping[str, Any], *, asked_scopes: tuple[str, ...], now: int
    ) -> TokenSet:
        """Read the answer to a code exchange; members nobody asked for are ignored.

        :raises TokenRejected: ``token_response``, ``token_type``, ``id_token_missing``.

        RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3.
        """
        _check_type(answer)
        if answer.get("id_token") is None:
            raise TokenRejected("id_token_missing")
        return cls(
            access_token=_token(answer, "access_token"),
            id_token=_token(answer, "id_token", limit=None),
            refresh_token=_optional_token(answer, "refresh_token"),
            scopes=_scopes(answer, otherwise=asked_scopes),
            **_times(answer, now),
        )

    def renewed_by(self, answer: Mapping[str, Any], *, now: int) -> TokenSet:
        """Read the answer to a refresh: what it leaves out stays as it was.

        :raises TokenRejected: ``token_response``, ``token_type``.

        RFC 6749 section 6, OpenID Connect Core 12.2.
        """
        _check_type(answer)
        return replace(
            self,
            access_token=_token(answer, "access_token"),
            id_token=_optional_token(answer, "id_token", limit=None) or self.id_token,
            refresh_token=_optional_token(answer, "refresh_token") or self.refresh_token,
            scopes=_scopes(answer, otherwise=self.scopes),
            **_times(answer, now),
        )

    def lives(self, now: int) -> bool:
        """Whether the access token can still be used; where nobody says when it ends, it can."""
        return self.expires_at is None or now < self.expires_at

    def is_due(self, now: int) -> bool:
        """Whether it is time to renew the access token."""
        return self.renew_at is not None and now >= self.renew_at

    def without_id_token(self) -> TokenSet:
        """The same with room saved."""
        return replace(self, id_token="")

    def to_json(self) -> str:
        """Write the tokens in clear text, to be sealed."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Read what `to_json` wrote.

        :raises ValueError: it is something else, as an older version may have written.
        """
        members = parse_json_object(text.encode("utf-8"))
        try:
            return cls(**{**members, "scopes": tuple(members["scopes"])})
        except (KeyError, TypeError) as exc:
            raise ValueError("not a set of tokens") from exc


def _check_type(answer: Mapping[str, Any]) -> None:
    token_type = answer.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenRejected("token_type", f"token_type={str(token_type)[:40]!r}")


def _times(answer: Mapping[str, Any], now: int) -> dict[str, int | None]:
    expires_in = answer.get("expires_in")
    if expires_in is None:
        return {"expires_at": None, "renew_at": None}
    if not is_number(expires_in) or expires_in < 0:
        raise TokenRejected("token_response", f"expires_in={str(expires_in)[:40]!r}")
    lifetime = int(expires_in)
    # Of a short life a quarter: tokens that were due from the start would be renewed by everyone.
    margin = min(RENEWAL_MARGIN, lifetime // 4)
    return {"expires_at": now + lifetime, "renew_at": now + lifetime - margin}


def _scopes(answer: Mapping[str, Any], *, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    scope = answer.get("scope")
    if scope is None:
        return otherwise
    if not isinstance(scope, str) or len(scope) > MAX_SCOPE:
        raise TokenRejected("token_response", "scope is not a string, or is too long")
    return tuple(scope.split())


def _optional_token(
    answer: Mapping[str, Any], name: str, *, limit: int | None = MAX_TOKEN
) -> str | None:
    return None if answer.get(name) is None else _token(answer, name, limit=limit)


def _token(answer: Mapping[str, Any], name: str, *, limit: int | None = MAX_TOKEN) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRejected("token_response", f"{name} is missing or not a string")
    if not value.isascii() or not value.isprintable():  # it goes into headers (RFC 6749 A.12)
        raise TokenRejected("token_response", f"{name} is not printable ASCII")
    if limit is not None and len(value) > limit:
        raise TokenRejected("token_response", f"{name} is longer than {limit} characters")
    return value
