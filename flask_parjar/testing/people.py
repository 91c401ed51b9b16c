"""The people who live at the provider, and what may be told of them.

Who signs in when, and where, is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from authlib.oidc.core import UserInfo

#: Scopes that need no registration, and the claims that the standard gives to each.
STANDARD_SCOPES = ("openid", "profile", "email", "phone", "address", "offline_access")


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who can sign in at the development provider.

    :param username: what ``DevProvider.sign_in`` calls them; also their ``sub``, unless the claims
        say another
    :param claims: standard claims, told by scope, and claims of your own, always told
    """

    username: str
    claims: Mapping[str, object] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        """The subject identifier (OpenID Connect Core section 2)."""
        return str(self.claims.get("sub", self.username))

    @property
    def name(self) -> str:
        """What the pages call this person."""
        return str(self.claims.get("name", self.username))

    @property
    def email(self) -> str:
        """The address that the login page shows, or nothing."""
        return str(self.claims.get("email", ""))

    def known_as(self, hint: str) -> bool:
        """Whether a ``login_hint`` means this person."""
        return bool(hint) and hint in (self.username, self.sub, self.email)

    def told(self, scopes: Collection[str], *, asked: Collection[str] = ()) -> dict[str, object]:
        """The claims that these scopes open, and those asked for by name.

        OpenID Connect Core sections 5.4 and 5.5
        """
        everything: dict[str, object] = {**self.claims, "sub": self.sub}
        standard = UserInfo.REGISTERED_CLAIMS
        opened = UserInfo(everything).filter(" ".join(scopes))
        return {
            name: value
            for name, value in everything.items()
            if name in opened or name in asked or name not in standard
        }


def _person(username: str, given_name: str, family_name: str, **claims: object) -> Person:
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


#: Four who differ in what a client has to cope with.
PEOPLE: tuple[Person, ...] = (
    _person("ada", "Ada", "Lovelace", phone_number="+44 20 7946 0001", org="engines"),
    _person("grace", "Grace", "Hopper", phone_number="+1 202 555 0106", org="navy"),
    _person("alan", "Alan", "Turing", locale="en-GB"),
    # Letters beyond ASCII, and an address that nobody has proved.
    _person("emilie", "Émilie", "du Châtelet", email_verified=False, locale="fr-FR"),
)
