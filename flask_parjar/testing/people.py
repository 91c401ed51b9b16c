"""The people who can sign in at the provider, and which of their claims a scope gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from authlib.oidc.core import UserInfo

#: The scopes that any client may request (OpenID Connect Core sections 5.4 and 11).
STANDARD_SCOPES = ("openid", "profile", "email", "phone", "address", "offline_access")
#: Claims about a sign-in: they are in the ID token alone.
_OF_SIGN_IN = ("acr", "amr")


@dataclass(frozen=True, slots=True)
class Person:
    """A person who can sign in at the development provider.

    :param username: the name for ``DevProvider.sign_in``; also the ``sub``, unless the claims have
        another
    :param claims: standard claims, which a client gets by scope, and claims of your own, which it
        always gets. ``acr`` and ``amr`` say how this person signs in
    """

    username: str
    claims: Mapping[str, object] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        """The subject identifier (OpenID Connect Core section 2)."""
        return str(self.claims.get("sub", self.username))

    @property
    def name(self) -> str:
        """The name on the provider's pages."""
        return str(self.claims.get("name", self.username))

    @property
    def email(self) -> str:
        """The e-mail address on the login page; may be empty."""
        return str(self.claims.get("email", ""))

    @property
    def acr(self) -> str | None:
        """How this person signs in, unless a client asks for more (OpenID Connect Core 2)."""
        return str(self.claims["acr"]) if "acr" in self.claims else None

    @property
    def amr(self) -> tuple[str, ...] | None:
        """What this person proves it with (RFC 8176)."""
        given = self.claims.get("amr")
        return tuple(map(str, given)) if isinstance(given, list | tuple) else None

    def known_as(self, hint: str) -> bool:
        """Whether a ``login_hint`` means this person."""
        return bool(hint) and hint in (self.username, self.sub, self.email)

    def claims_for(
        self, scopes: Collection[str], *, requested: Collection[str] = ()
    ) -> dict[str, object]:
        """The claims of these scopes, and those requested by name.

        OpenID Connect Core sections 5.4 and 5.5
        """
        everything: dict[str, object] = {**self.claims, "sub": self.sub}
        standard = UserInfo.REGISTERED_CLAIMS
        of_scopes = UserInfo(everything).filter(" ".join(scopes))
        return {
            name: value
            for name, value in everything.items()
            if name not in _OF_SIGN_IN
            and (name in of_scopes or name in requested or name not in standard)
        }


def _person(
    username: str, given_name: str, family_name: str, claims: Mapping[str, object]
) -> Person:
    return Person(
        username,
        {
            "name": f"{given_name} {family_name}",
            "given_name": given_name,
            "family_name": family_name,
            "preferred_username": username,
            "email": f"{username}@people.example",
            "email_verified": True,
            **claims,
        },
    )


#: Four people with different kinds of claims.
PEOPLE: tuple[Person, ...] = (
    _person("ada", "Ada", "Lovelace", {"phone_number": "+44 20 7946 0001", "org": "engines"}),
    _person("grace", "Grace", "Hopper", {"phone_number": "+1 202 555 0106", "org": "navy"}),
    _person("alan", "Alan", "Turing", {"locale": "en-GB"}),
    # Letters beyond ASCII, and an e-mail address that is not verified.
    _person("emilie", "Émilie", "du Châtelet", {"email_verified": False, "locale": "fr-FR"}),
)
