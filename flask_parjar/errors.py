"""The errors of this library.

The class says who must act, the code (see the table in ``error_codes.py``) says what happened. No
error has a secret in it. The errors that guards raise are HTTP exceptions, in ``web/errors.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from .error_codes import CODES


@runtime_checkable
class CodedError(Protocol):
    """The attributes of all our errors, also of those in ``web/errors.py``. See `ParJarError`."""

    @property
    def error_code(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def status_hint(self) -> int: ...
    @property
    def advice(self) -> str: ...


class ParJarError(Exception):
    """The base class of our errors.

    :param error_code: one of the table in ``error_codes.py``.
    :param detail: for the operator's log: which value, what was found. Never a secret.
    :param status: an HTTP status in place of the one in the table.
    """

    def __init__(self, error_code: str, detail: str = "", *, status: int | None = None) -> None:
        meaning = CODES[error_code]
        super().__init__(meaning.visitor)
        self.error_code = error_code
        self.detail = detail
        self.status_hint: int = meaning.status if status is None else status
        self.advice: str = meaning.operator


class ConfigError(ParJarError):
    """The configuration has faults; ``faults`` lists all of them. Raised at start."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("config", "; ".join(faults))
        self.faults: tuple[str, ...] = tuple(faults)

    def __str__(self) -> str:
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        return f"Flask-ParJar cannot start with this configuration:{lines}"


class LoginError(ParJarError):
    """This login cannot go on."""


class ProviderRefused(LoginError):
    """The provider answered with an OAuth error.

    :param error: its ``error``, cut to a bounded length.
    :param description: its ``error_description``: untrusted text that must be escaped.
    """

    def __init__(
        self, error_code: str, *, error: str, description: str = "", status: int | None = None
    ) -> None:
        detail = f"error={error!r} error_description={description!r}"
        super().__init__(error_code, detail, status=status)
        self.error = error
        self.description = description


class ResponseRejected(LoginError):
    """The authorization response at the callback breaks a rule."""


class TokenRejected(LoginError):
    """A token, or the answer that it came in, breaks a rule."""


class TokensEnded(ParJarError):
    """The tokens of a session have ended and cannot be renewed: a login gives new ones."""

    def __init__(self, detail: str = "", *, error_code: str) -> None:
        super().__init__(error_code, detail)


class ProviderUnavailable(ParJarError):
    """The provider, or the network to it, does not work; a retry may help.

    :param retry_after: seconds that the provider asked us to wait; None if it did not.
    :param received: the HTTP status that was received before the rest of the answer failed.
    """

    def __init__(
        self,
        error_code: str,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: int | None = None,
        received: int | None = None,
    ) -> None:
        super().__init__(error_code, detail, status=status)
        self.retry_after = retry_after
        self.received = received

    @property
    def carried_out(self) -> bool:
        """Whether the provider did what was asked, although its answer cannot be used.

        RFC 9110 section 15.3.
        """
        return self.received is not None and 200 <= self.received < 300


class StoreUnavailable(ParJarError):
    """The store of PARJAR_STORE does not work; a retry may help."""
