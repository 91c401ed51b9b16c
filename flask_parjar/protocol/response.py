"""The authorization response that the browser brings to the callback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import ProviderRefused, ResponseRejected
from .agreement import Agreement
from .encoding import printable_text
from .transaction import Transaction

MAX_PARAMETERS = 30
MAX_LENGTH = 8192
MAX_CODE_LENGTH = 4096
_SHOWN_ERROR = 200

_PROTOCOL_PARAMETERS = frozenset(
    "code state iss error error_description error_uri response id_token access_token token_type "
    "expires_in session_state".split()
)

#: Text for people. If it is not UTF-8, that must not hide the error that it belongs to.
_FOR_PEOPLE = frozenset(("error_description", "error_uri"))


@dataclass(frozen=True, slots=True)
class ResponseParameters:
    """The parameters of a callback, limited in size and without duplicates. Not yet verified."""

    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> ResponseParameters:
        """Read the pairs of a query or a form, where U+FFFD stands for bytes that are not UTF-8.

        :raises ResponseRejected: ``response_malformed``, ``response_duplicate``.

        RFC 6749 section 3.1.
        """
        values: dict[str, str] = {}
        length = 0
        for count, (name, value) in enumerate(pairs, start=1):
            length += len(name) + len(value)
            if count > MAX_PARAMETERS or length > MAX_LENGTH:
                limits = f"more than {MAX_PARAMETERS} parameters or {MAX_LENGTH} characters"
                raise ResponseRejected("response_malformed", limits)
            if name not in _PROTOCOL_PARAMETERS:
                continue
            if name in values:
                raise ResponseRejected("response_duplicate", f"{name} stands twice")
            if "\x00" in value or ("\ufffd" in value and name not in _FOR_PEOPLE):
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
            # A JARM response that was not asked for: everything is inside, so nothing can be read.
            wrapped = "response" in self.values
            raise ResponseRejected("state_missing", "found: response (JARM)" if wrapped else "")
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """A code that came from the right issuer, to the browser that began the login.

    :param issuer: the ``iss`` of the response; None where it has none.
    """

    code: str = field(repr=False)
    issuer: str | None = None

    @classmethod
    def verify(
        cls,
        parameters: ResponseParameters,
        *,
        transaction: Transaction,
        agreement: Agreement,
    ) -> AuthorizationResponse:
        """Verify which issuer the answer is from, then read the code or the error.

        Before this is called, the transaction was found by ``state`` and popped, for errors too.

        :raises ResponseRejected: ``issuer_mismatch``, ``issuer_missing``, ``code_missing``.
        :raises ProviderRefused: ``access_denied``, ``interaction_required``, ``step_up_failed``,
            ``provider_refused``.

        RFC 9207 section 2.4, RFC 6749 sections 4.1.2 and 4.1.2.1.
        """
        if agreement.issuer != transaction.issuer:  # the configuration changed meanwhile
            raise ResponseRejected(
                "issuer_mismatch", f"expected {transaction.issuer!r}, asked {agreement.issuer!r}"
            )
        values = parameters.values
        issuer = values.get("iss")
        if issuer is None and agreement.iss_required:
            raise ResponseRejected("issuer_missing", f"expected iss={transaction.issuer!r}")
        if issuer is not None and not agreement.accepted_issuer.may_answer(issuer):
            raise ResponseRejected(
                "issuer_mismatch", f"expected {transaction.issuer!r}, found {issuer[:200]!r}"
            )
        if "error" in values:
            raise refusal(values["error"], values.get("error_description", ""))
        code = values.get("code", "")
        if not 0 < len(code) <= MAX_CODE_LENGTH:
            raise ResponseRejected("code_missing", f"{len(code)} characters")
        return cls(code=code, issuer=issuer)

    def verify_issuer(self, id_token_issuer: str, *, agreement: Agreement) -> None:
        """Verify that the ID token is from the issuer that the response named.

        Only a provider of several tenants can differ: its response may name one of them.

        :raises ResponseRejected: ``issuer_mismatch``.
        """
        if self.issuer in (None, id_token_issuer, agreement.accepted_issuer.published):
            return
        raise ResponseRejected(
            "issuer_mismatch", f"response of {self.issuer!r}, ID token of {id_token_issuer!r}"
        )


# Errors that an app can act on; any other is ``provider_refused`` (RFC 6749 section 4.1.2.1; OpenID
# Connect Core 3.1.2.6; OpenID Connect Core Error Code unmet_authentication_requirements 1.0).
_CODE_OF_ERROR = {
    "access_denied": "access_denied",
    "login_required": "interaction_required",
    "interaction_required": "interaction_required",
    "consent_required": "interaction_required",
    "account_selection_required": "interaction_required",
    "unmet_authentication_requirements": "step_up_failed",
}
# Errors of the provider itself, and not of the request.
_STATUS_OF_ERROR = {"server_error": 502, "temporarily_unavailable": 503}


def refusal(error: str, description: str) -> ProviderRefused:
    """Make the error for an ``error`` at the callback; the provider's text is cut short."""
    return ProviderRefused(
        _CODE_OF_ERROR.get(error, "provider_refused"),
        error=printable_text(error, at_most=_SHOWN_ERROR),
        description=printable_text(description, at_most=_SHOWN_ERROR),
        status=_STATUS_OF_ERROR.get(error),
    )
