"""The answers of the token endpoint, at a login and at a renewal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from ..errors import TokenRejected
from .authorization_details import Details, missing_types, parse_granted
from .binding import BEARER, TokenBinding, read_binding
from .client_auth import LoginAssertions
from .encoding import parse_json_object, parse_seconds

MAX_SCOPE = 8 * 1024
MAX_REPLACED = 20  # tokens of earlier logins in one browser: ten step-ups
RENEWAL_MARGIN = 30  # seconds before its end that a long-lived access token is renewed


class ReplacedToken(NamedTuple):
    """A token of a login that another one has replaced.

    :param kind: ``refresh_token`` or ``access_token``.
    :param expires_at: seconds since 1970; None if that is not known.
    :param binding: what it is bound to: the key of its own login.
    """

    kind: str
    token: str
    expires_at: int | None
    binding: TokenBinding = BEARER


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """The tokens of one login, as the token endpoint last renewed them.

    :param binding: what they are bound to.
    :param token_type: as the provider wrote it (RFC 6749 section 7.1).
    :param scopes: the granted scopes: those of the answer, or all that were asked for if it has
        none.
    :param resources: the APIs that they are for, named in each refresh (RFC 8707 section 2.2).
    :param details_types: the types of ``authorization_details`` that were asked for.
    :param authorization_details: those that were granted, as the provider wrote them (RFC 9396).
    :param assertion_claims: further claims of the client assertions that come with them.
    :param assertion_key: the `SigningKey.mark` of our key that signs these; None without one.
    :param expires_at: when the access token ends, in seconds since 1970; None if the provider does
        not say.
    :param renew_at: when to renew the access token, a little earlier.
    :param replaced: the live tokens of logins that this one replaced in the same browser; a logout
        revokes them too.
    """

    binding: TokenBinding = field(default=BEARER, repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a type
    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...]
    resources: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()
    authorization_details: Details = field(default=(), repr=False)
    assertion_claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    assertion_key: str | None = None
    expires_at: int | None
    renew_at: int | None = None
    replaced: tuple[ReplacedToken, ...] = field(default=(), repr=False)

    @classmethod
    def parse(
        cls,
        answer: Mapping[str, Any],
        *,
        asked_scopes: tuple[str, ...],
        asked_types: tuple[str, ...] = (),
        binding: TokenBinding,
        now: int,
    ) -> TokenSet:
        """Read the answer to a code exchange; unknown members are ignored.

        :param asked_types: the types of ``authorization_details`` that were asked for.
        :raises TokenRejected: ``token_response``, ``token_type``, ``token_unbound``,
            ``id_token_missing``, ``token_details``, ``token_details_unasked``.

        RFC 6749 section 5.1, OpenID Connect Core 3.1.3.3, RFC 9396 section 7.
        """
        token_type = _token_type(answer, binding)
        if answer.get("id_token") is None:
            raise TokenRejected("id_token_missing")
        expires_at, renew_at = _times(answer, now)
        return cls(
            binding=binding,
            token_type=token_type,
            access_token=_token(answer, "access_token"),
            id_token=_token(answer, "id_token"),
            refresh_token=_optional_token(answer, "refresh_token"),
            scopes=_scopes(answer, otherwise=asked_scopes),
            details_types=asked_types,
            authorization_details=_details(answer, asked=asked_types, otherwise=()),
            expires_at=expires_at,
            renew_at=renew_at,
        )

    def renewed_by(self, answer: Mapping[str, Any], *, now: int) -> TokenSet:
        """Read the answer to a refresh; members that it leaves out, and the ID token, stay.

        :raises TokenRejected: ``token_response``, ``token_type``, ``token_unbound``,
            ``token_details``, ``token_details_unasked``.

        RFC 6749 section 6, OpenID Connect Core 12.2.
        """
        token_type = _token_type(answer, self.binding)
        expires_at, renew_at = _times(answer, now)
        return replace(
            self,
            token_type=token_type,
            access_token=_token(answer, "access_token"),
            refresh_token=_optional_token(answer, "refresh_token") or self.refresh_token,
            scopes=_scopes(answer, otherwise=self.scopes),
            authorization_details=_details(
                answer, asked=self.details_types, otherwise=self.authorization_details
            ),
            expires_at=expires_at,
            renew_at=renew_at,
        )

    @property
    def assertions(self) -> LoginAssertions:
        """How the client authenticates with them."""
        return LoginAssertions(self.assertion_claims, self.assertion_key)

    @property
    def missing_types(self) -> tuple[str, ...]:
        """The types of ``authorization_details`` that were asked for and not granted."""
        return missing_types(self.details_types, self.authorization_details)

    def lives(self, now: int) -> bool:
        """Whether the access token can still be used; True if its end is not known."""
        return self.expires_at is None or now < self.expires_at

    def is_due(self, now: int) -> bool:
        """Whether it is time to renew the access token."""
        return self.renew_at is not None and now >= self.renew_at

    def without_id_token(self) -> TokenSet:
        """The same without the ID token, to need less room."""
        return replace(self, id_token="")

    def without_refresh_token(self) -> TokenSet:
        """The same without the refresh token, to be used until the access token ends."""
        return replace(self, refresh_token=None)

    def in_place_of(self, former: TokenSet, *, now: int) -> TokenSet:
        """The same, with the tokens of the login before it; of more than `MAX_REPLACED` the newest.

        The old tokens are not revoked at once. If both logins belong to one session at the
        provider, revoking a refresh token may end that session and the new tokens too (Keycloak).
        """
        live = [*former.replaced]
        if former.lives(now):
            live.append(
                ReplacedToken(
                    "access_token", former.access_token, former.expires_at, former.binding
                )
            )
        if former.refresh_token is not None:
            live.append(ReplacedToken("refresh_token", former.refresh_token, None, former.binding))
        live = [each for each in live if each.expires_at is None or now < each.expires_at]
        return replace(self, replaced=tuple(live[-MAX_REPLACED:]))

    def without_replaced(self) -> TokenSet:
        """The same without the replaced tokens, to need less room; those expire unrevoked."""
        return replace(self, replaced=())

    def to_revoke(self, now: int) -> Iterator[tuple[str, str, TokenBinding]]:
        """The tokens that a logout revokes: each one that is still valid, newest first.

        :returns: kind (``refresh_token`` or ``access_token``), token, and what it is bound to.

        RFC 7009 section 2.1.
        """
        if self.refresh_token is not None:
            yield "refresh_token", self.refresh_token, self.binding
        if self.lives(now):
            yield "access_token", self.access_token, self.binding
        for kind, token, expires_at, binding in reversed(self.replaced):
            if expires_at is None or now < expires_at:
                yield kind, token, binding

    def to_json(self) -> str:
        """Write the tokens in clear text; the caller encrypts it."""
        members = {each.name: getattr(self, each.name) for each in fields(self)}
        members["binding"] = _write_binding(self.binding)
        members["replaced"] = [_write_replaced(each) for each in self.replaced]
        return json.dumps(members, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Read what `to_json` wrote.

        :raises ValueError: it is something else, perhaps written by an older version.
        """
        members = parse_json_object(text.encode())
        try:
            replaced = tuple(_read_replaced(*each) for each in members.get("replaced", ()))
            binding = read_binding(*members.get("binding", (BEARER.kind, "")))
            lists = {
                "scopes": tuple(members["scopes"]),
                "resources": tuple(members.get("resources", ())),
                "details_types": tuple(members.get("details_types", ())),
                "authorization_details": tuple(members.get("authorization_details", ())),
                "replaced": replaced,
            }
            return cls(**{**members, **lists, "binding": binding})
        except (KeyError, TypeError) as exc:
            raise ValueError("not a set of tokens") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The result of a refresh.

    :param tokens: the renewed tokens, with the ID token as it was before.
    :param id_token: the ``id_token`` of the answer, of any type and not verified yet.
    """

    tokens: TokenSet
    id_token: object = field(repr=False)


def _write_binding(binding: TokenBinding) -> list[str]:
    return [binding.kind, binding.to_text()]


def _write_replaced(token: ReplacedToken) -> list[Any]:
    """Write a replaced token; the binding of a bearer token is left out, to save room."""
    kept: list[Any] = [token.kind, token.token, token.expires_at]
    return kept if token.binding == BEARER else [*kept, _write_binding(token.binding)]


def _read_replaced(
    kind: str,
    token: str,
    expires_at: int | None,
    binding: tuple[str, str] = (BEARER.kind, ""),
) -> ReplacedToken:
    return ReplacedToken(kind, token, expires_at, read_binding(*binding))


def parse_id_token(value: object) -> str:
    """Read the ``id_token`` of an answer.

    :raises TokenRejected: ``token_response``.
    """
    return _token({"id_token": value}, "id_token")


def _token_type(answer: Mapping[str, Any], binding: TokenBinding) -> str:
    token_type = answer.get("token_type")
    if not isinstance(token_type, str) or not binding.accepts(token_type):
        downgraded = BEARER.accepts(str(token_type)) and binding.kind != BEARER.kind
        raise TokenRejected(
            "token_unbound" if downgraded else "token_type", f"token_type={str(token_type)[:40]!r}"
        )
    return token_type


def _times(answer: Mapping[str, Any], now: int) -> tuple[int | None, int | None]:
    """When the access token ends, and when to renew it, in seconds since 1970."""
    expires_in = answer.get("expires_in")
    if expires_in is None:
        return None, None
    try:
        lifetime = parse_seconds(expires_in)
    except ValueError as exc:
        raise TokenRejected("token_response", f"expires_in={str(expires_in)[:40]!r}") from exc
    # A quarter of a short lifetime: otherwise such a token would be due from the start, and every
    # request would renew it.
    margin = min(RENEWAL_MARGIN, lifetime // 4)
    return now + lifetime, now + lifetime - margin


def _scopes(answer: Mapping[str, Any], *, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    scope = answer.get("scope")
    if scope is None:
        return otherwise
    # Some servers write a list. Its meaning is clear, so that it ends no login.
    words = scope if isinstance(scope, list) else [scope]
    if not all(isinstance(each, str) for each in words):
        raise TokenRejected("token_response", "scope is not a string")
    granted = " ".join(words)
    if len(granted) > MAX_SCOPE:
        raise TokenRejected("token_response", f"scope is longer than {MAX_SCOPE} characters")
    return tuple(granted.split())


def _details(answer: Mapping[str, Any], *, asked: tuple[str, ...], otherwise: Details) -> Details:
    """The details of an answer; `otherwise` if it has none."""
    granted = answer.get("authorization_details")
    return otherwise if granted is None else parse_granted(granted, asked=asked)


def _optional_token(answer: Mapping[str, Any], name: str) -> str | None:
    """An empty string is no token, like null: some servers write it in place of nothing."""
    return None if answer.get(name) in (None, "") else _token(answer, name)


def _token(answer: Mapping[str, Any], name: str) -> str:
    """Read a token of any length: the limit of the whole answer is that of each token."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRejected("token_response", f"{name} is missing or not a string")
    if not value.isascii() or not value.isprintable():  # it goes into headers (RFC 6749 A.12)
        raise TokenRejected("token_response", f"{name} is not printable ASCII")
    return value
