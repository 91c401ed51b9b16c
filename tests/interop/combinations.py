"""The combinations of settings with which whole logins are tried at oidc-provider.

A usual run tries few of them, in which each pair of values occurs; ``tox -e interop-matrix`` tries
all. None is left out: oidc-provider supports every combination of these values.

There are two arrays. What needs TLS is in the second one, with what comes back to the browser.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support.covering_array import all_rows, covering_rows


class Combination(NamedTuple):
    """The settings of one site and of its client.

    :param alg: signs what the site signs (request objects, client assertions), and the ID tokens.
    :param client_auth: how the client authenticates.
    :param binding: what the tokens are bound to; ``DPoP with nonces`` where the provider wants
        nonces in the proofs.
    :param encryption: the ``alg`` with which ID tokens, userinfo and request objects are
        encrypted; or ``clear``.
    :param level: the request level.
    """

    alg: str
    client_auth: str
    binding: str
    encryption: str
    level: str

    def __str__(self) -> str:
        return " ".join(self)

    @property
    def client_id(self) -> str:
        """The name of its client at the provider."""
        return "/".join(self).replace(" ", "-")

    @property
    def dpop(self) -> bool:
        """Whether its tokens are bound to a key."""
        return self.binding != "bearer"

    @property
    def nonces(self) -> bool:
        """Whether the provider wants nonces in the proofs."""
        return self.binding == "DPoP with nonces"

    @property
    def encrypted(self) -> bool:
        """Whether ID tokens, userinfo and request objects are encrypted."""
        return self.encryption != "clear"


PARAMETERS = {
    "alg": ("RS256", "PS256", "ES256", "EdDSA"),
    "client_auth": ("private_key_jwt", "client_secret_basic", "client_secret_post", "none"),
    "binding": ("bearer", "DPoP", "DPoP with nonces"),
    "encryption": ("clear", "RSA-OAEP-256", "ECDH-ES+A256KW"),
    "level": ("pushed+signed", "pushed", "signed", "plain"),
}
ALL = [Combination(*row) for row in all_rows(PARAMETERS)]
FEW = [Combination(*row) for row in covering_rows(all_rows(PARAMETERS))]


class TLSCombination(NamedTuple):
    """The settings of one site and of its client, at a provider that asks for certificates.

    :param binding: what the tokens are bound to.
    :param response: how the authorization response comes (JARM, but for ``parameters``).
    :param client_auth: how the client authenticates.
    """

    binding: str
    response: str
    client_auth: str

    def __str__(self) -> str:
        return " ".join(self)

    @property
    def client_id(self) -> str:
        """The name of its client at the provider."""
        return "/".join(self).replace(" ", "-")

    @property
    def dpop(self) -> bool:
        """Whether its tokens are bound to a key."""
        return self.binding == "DPoP"

    @property
    def certified(self) -> bool:
        """Whether its tokens are bound to a certificate."""
        return self.binding == "certificate"

    @property
    def mutual_tls(self) -> bool:
        """Whether the client has a certificate, for whatever purpose."""
        return self.certified or self.client_auth != "private_key_jwt"


TLS_PARAMETERS = {
    "binding": ("bearer", "DPoP", "certificate"),
    "response": ("parameters", "signed", "encrypted"),
    "client_auth": ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"),
}
TLS_ALL = [TLSCombination(*row) for row in all_rows(TLS_PARAMETERS)]
TLS_FEW = [TLSCombination(*row) for row in covering_rows(all_rows(TLS_PARAMETERS))]
