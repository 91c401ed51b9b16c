"""The way back: what the browser brings to the callback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import ProviderRefused, ResponseRejected
from .metadata import ProviderMetadata
from .transaction import Transaction

MAX_PARAMETERS = 30
MAX_LENGTH = 8192
MAX_CODE_LENGTH = 4096
_SHOWN_ERROR = 200

_PROTOCOL_PARAMETERS = frozenset(
    "code state iss error error_description error_uri response id_token access_token token_type "
    "expires_in session_state".split()
)


@dataclass(frozen=True, slots=True)
class ResponseParameters:
    """The parameters of a callback: bounded, and none of the protocol's twice. Not yet believed."""

    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> ResponseParameters:
        """Read the pairs of a query or a form.

        :raises ResponseRejected: ``response_malformed``, ``response_duplicate``.

        RFC 6749 section 3.1: parameters must not be included more than once.
        """
        values: dict[str, str] = {}
        length = 0
        for count, (name, value) in enumerate(pairs, start=1):
            length += len(name) + len(value)
            if count > MAX_PARAMETERS or length > MAX_LENGTH:
                raise ResponseRejected("response_malformed", "too many parameters, or too long")
            if name not in _PROTOCOL_PARAMETERS:
                continue
            if name in values:
                raise ResponseRejected("response_duplicate", f"{name} stands twice")
            if "\ufffd" in value or "\x00" in value:
                raise ResponseRejected("response_malformed", f"{name} is not UTF-8 text")
            values[name] = value
        return cls(values)

    @property
    def state(self) -> str:
        """The ``state``.

        :raises ResponseRejected: ``state_missing``.
        """
        state = self.values.get("state", "")
        if not state:
            raise ResponseRejected("state_missing")
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """A code that came back from the right issuer to the browser that asked for it."""

    code: str = field(repr=False)

    @classmethod
    def verify(
        cls,
        parameters: ResponseParameters,
        *,
        transaction: Transaction,
        metadata: ProviderMetadata,
    ) -> AuthorizationResponse:
        """Prove where the answer comes from, then see whether it is an error or a code.

        The transaction was found by ``state`` and popped before this is called, for errors too.

        :raises ResponseRejected: ``issuer_mismatch``, ``issuer_missing``, ``code_missing``.
        :raises ProviderRefused: ``access_denied``, ``provider_refused``.

        RFC 9207 section 2.4, RFC 6749 sections 4.1.2 and 4.1.2.1.
        """
        values = parameters.values
        issuer = values.get("iss")
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise ResponseRejected("issuer_missing", f"expected iss={transaction.issuer!r}")
        if issuer is not None and issuer != transaction.issuer:
            raise ResponseRejected(
                "issuer_mismatch", f"expected {transaction.issuer!r}, found {issuer[:200]!r}"
            )
        if "error" in values:
            raise refusal(values["error"], values.get("error_description", ""))
        code = values.get("code", "")
        if not 0 < len(code) <= MAX_CODE_LENGTH:
            raise ResponseRejected("code_missing", f"{len(code)} characters")
        return cls(code=code)


# Errors that speak of the person or of the provider, not of the request (RFC 6749 4.1.2.1).
_STATUS_OF_ERROR = {"access_denied": 403, "server_error": 502, "temporarily_unavailable": 503}


def refusal(error: str, description: str) -> ProviderRefused:
    """Make the error for a provider's ``error`` at the callback; its text is cut, never a link."""
    return ProviderRefused(
        "access_denied" if error == "access_denied" else "provider_refused",
        error=error[:_SHOWN_ERROR],
        description=description[:_SHOWN_ERROR],
        status=_STATUS_OF_ERROR.get(error),
    )
