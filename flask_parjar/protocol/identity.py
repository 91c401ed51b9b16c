"""Who is logged in, as the app sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .encoding import is_number
from .id_token import IDTokenClaims
from .userinfo import UserInfo

#: Claims that belong to the token and say nothing about the person.
_PROOF_ONLY = frozenset("iss aud azp exp iat nbf nonce at_hash c_hash s_hash jti rat".split())

#: Claims that are read only from the ID token, never from userinfo: how strong and how recent a
#: login is must be proved by the token that was made for it.
ID_TOKEN_ALONE = _PROOF_ONLY | {"acr", "amr", "auth_time", "sid", "session_expiry"}


def personal_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims that say something of the person and not of the login or of the token."""
    return {
        name: value
        for name, value in claims.items()
        if name not in ID_TOKEN_ALONE and name != "sub"
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person at a provider. The account key is (``issuer``, ``subject``), never the e-mail.

    Truthy if a person is logged in.

    :param subject: the ``sub``: unique at this issuer only.
    :param provider: the name in PARJAR_PROVIDERS, or ``default``.
    :param claims: what the provider says about the person, verified at the login, or when the
        tokens were last renewed.
    :param claims_left_out: the names of claims that are not in `claims`, because they did not fit
        into the session cookie; of the five largest at most.
    :param scopes: the scopes that were granted then.
    :param user: the app's own user, where ``@parjar.user_loader`` gives one.
    """

    issuer: str = ""
    subject: str = ""
    provider: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    claims_left_out: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    user: Any = field(default=None, compare=False)

    @classmethod
    def from_claims(
        cls,
        id_token: IDTokenClaims,
        userinfo: UserInfo | None = None,
        *,
        issuer: str,
        provider: str,
        scopes: tuple[str, ...],
    ) -> Identity:
        """Keep the claims about the person, without those that only belong to the token.

        How and when the person signed in (``acr``, ``amr``, ``auth_time``, ``sid``) is read only
        from the ID token. If any other claim is in both, the ID token's value counts.
        """
        claims = personal_claims({} if userinfo is None else userinfo.claims)
        claims.update(
            (name, value) for name, value in id_token.claims.items() if name not in _PROOF_ONLY
        )
        del claims["sub"]  # it is `subject`; an ID token always has it
        return cls(
            issuer=issuer,
            subject=id_token.subject,
            provider=provider,
            claims=claims,
            scopes=frozenset(scopes),
        )

    def with_user(self, user: Any) -> Identity:
        """The same person with the app's own user object beside the claims."""
        return replace(self, user=user)

    def __bool__(self) -> bool:
        return bool(self.subject)

    @property
    def is_authenticated(self) -> bool:
        """Whether a person is logged in."""
        return bool(self)

    @property
    def name(self) -> str | None:
        """The full name, else the preferred user name, else the e-mail, else the subject."""
        for claim in ("name", "preferred_username", "email"):
            if isinstance(value := self.claims.get(claim), str) and value:
                return value
        return self.subject or None

    @property
    def email(self) -> str | None:
        """The e-mail address, whether verified or not: look at ``claims["email_verified"]``."""
        return self._text("email")

    @property
    def acr(self) -> str | None:
        """How strong the sign-in was: authentication context (OpenID Connect Core 2)."""
        return self._text("acr")

    @property
    def amr(self) -> tuple[str, ...]:
        """How the person signed in: authentication methods (RFC 8176)."""
        methods = self.claims.get("amr")
        if not isinstance(methods, list):
            return ()
        return tuple(method for method in methods if isinstance(method, str))

    @property
    def auth_time(self) -> int | None:
        """When the person signed in at the provider, in seconds since 1970."""
        value = self.claims.get("auth_time")
        return int(value) if is_number(value) else None

    def _text(self, claim: str) -> str | None:
        value = self.claims.get(claim)
        return value if isinstance(value, str) else None


#: The identity where no one is logged in.
ANONYMOUS = Identity()
