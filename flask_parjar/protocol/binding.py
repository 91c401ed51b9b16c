"""What an access token is bound to: to nothing (a bearer token), a key (DPoP), or a certificate.

The agreement says how the binding of a login begins; then the tokens hold it. A new kind is a class
with these methods, in a file of its own, and a row in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .dpop import read_dpop
from .mutual_tls import read_certificate_binding
from .outbound import Answer, Nonces, Outbound, Proof


class TokenBinding(Protocol):
    """What the tokens of one login are bound to."""

    @property
    def kind(self) -> str:
        """The name of its row in `KINDS`."""
        ...

    def parameters(self) -> Mapping[str, str]:
        """The parameters that it adds to the authorization request."""
        ...

    def push_proofs(self, *, nonces: Nonces) -> tuple[Proof, ...]:
        """The proofs of a pushed request (RFC 9126): like `proofs`, or none."""
        ...

    def proofs(self, access_token: str | None = None, *, nonces: Nonces) -> tuple[Proof, ...]:
        """The proofs of one request, and of its second try.

        :param access_token: the token for a request to an API; None for a request to the
            authorization server, which authenticates the client.
        """
        ...

    def accepts(self, token_type: str) -> bool:
        """Whether tokens of this type have this kind of binding (RFC 6749 section 7.1)."""
        ...

    def after(self, answer: Answer) -> TokenBinding:
        """What the tokens of an answer are bound to (RFC 8705 section 3)."""
        ...

    def to_text(self) -> str:
        """Write its secrets; the caller encrypts them together with the tokens."""
        ...


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An access token in the ``Authorization`` header (RFC 6750 section 2.1)."""

    access_token: str = field(repr=False)

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """See `Proof.apply`."""
        return outbound.with_header("Authorization", f"Bearer {self.access_token}")

    def learn(self, answer: Answer) -> bool:
        """See `Proof.learn`: an answer changes nothing."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Bound to nothing: anyone who has the token can use it (RFC 6750)."""

    kind: str = "bearer"

    def parameters(self) -> Mapping[str, str]:
        """See `TokenBinding.parameters`."""
        return {}

    def push_proofs(self, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.push_proofs`."""
        return ()

    def proofs(self, access_token: str | None = None, *, nonces: Nonces) -> tuple[Proof, ...]:
        """See `TokenBinding.proofs`."""
        return () if access_token is None else (BearerToken(access_token),)

    def accepts(self, token_type: str) -> bool:
        """See `TokenBinding.accepts`."""
        return token_type.lower() == "bearer"

    def after(self, answer: Answer) -> Bearer:
        """See `TokenBinding.after`."""
        return self

    def to_text(self) -> str:
        """See `TokenBinding.to_text`."""
        return ""


BEARER = Bearer()

#: Makes the binding of one login from the secret of its transaction; the same from the same one.
BeginBinding = Callable[[str], TokenBinding]


def begin_bearer(secret: str) -> TokenBinding:
    """See `BeginBinding`."""
    return BEARER


#: The kinds that may be stored: how each reads what `TokenBinding.to_text` wrote. They raise
#: ValueError.
KINDS: Mapping[str, Callable[[str], TokenBinding]] = {
    "bearer": lambda text: BEARER,
    "dpop": read_dpop,
    "certificate": read_certificate_binding,
}


def read_binding(kind: str, text: str) -> TokenBinding:
    """Read a binding that was stored with the tokens.

    :raises ValueError: this version has no such kind, or the text is not one.
    """
    if kind not in KINDS:
        raise ValueError(f"tokens bound by {kind!r:.40}")
    return KINDS[kind](text)
