"""Everything that can go wrong, in one tree.

A class says who must act, a code of the table in error_codes.py says what happened. No secret ever
enters an error: they hold words and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from .error_codes import CODES


class ParJarError(Exception):
    """The root of the tree.

    :param code: one of the table in ``error_codes.py``.
    :param detail: for the operator's log: which value, what was found. Never a secret.
    :param status: where the situation knows a better HTTP status than the table.
    """

    def __init__(self, code: str, detail: str = "", *, status: int | None = None) -> None:
        meaning = CODES[code]
        super().__init__(meaning.visitor)
        self.code = code
        self.detail = detail
        self.status_hint: int = meaning.status if status is None else status
        self.advice: str = meaning.operator


class ConfigError(ParJarError):
    """The configuration has faults: all of them at once, in ``faults``. Raised at start."""

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
    :param description: its ``error_description``: a stranger's text, to be escaped.
    """

    def __init__(
        self, code: str, *, error: str, description: str = "", status: int | None = None
    ) -> None:
        detail = f"error={error!r} error_description={description!r}"
        super().__init__(code, detail, status=status)
        self.error = error
        self.description = description


class ResponseRejected(LoginError):
    """What the browser brought to the callback breaks a rule."""


class TokenRejected(LoginError):
    """A token, or what came with it, breaks a rule."""


class LoginRequired(ParJarError):
    """Somebody must log in (again) before this can go on.

    :param step_up: a signed slip, out of which ``/login`` makes a stronger login.
    """

    def __init__(
        self, detail: str = "", *, code: str = "login_required", step_up: str | None = None
    ) -> None:
        super().__init__(code, detail)
        self.step_up = step_up


class AccessDenied(ParJarError):
    """Somebody is logged in, and this is not for them."""


class ProviderUnavailable(ParJarError):
    """The provider, or the network to it, does not work; a retry may help.

    :param retry_after: seconds that the provider asked us to wait, where it did.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(code, detail, status=status)
        self.retry_after = retry_after


class StoreUnavailable(ParJarError):
    """What PARJAR_STORE names does not work; a retry may help."""
