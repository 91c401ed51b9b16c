"""What a guard raises in place of the view: HTTP exceptions, as in Flask and other extensions.

Their ``code`` is the HTTP status, as in every exception of Werkzeug. Their ``error_code`` is a code
of the table in ``error_codes.py``, as in all our errors. They are not `ParJarError`: code that
catches `ParJarError` must not catch the redirect to the login.
"""

from __future__ import annotations

from werkzeug.exceptions import Forbidden, HTTPException, Unauthorized

from ..error_codes import CODES


class _GuardError(HTTPException):
    """An HTTP exception with the attributes of a `CodedError`.

    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    """

    def __init__(self, error_code: str, detail: str, provider: str | None) -> None:
        meaning = CODES[error_code]
        super().__init__(meaning.visitor)
        self.error_code = error_code
        self.detail = detail
        self.status_hint: int = meaning.status
        self.advice: str = meaning.operator
        self.provider = provider

    def __str__(self) -> str:
        return CODES[self.error_code].visitor


class LoginRequired(_GuardError, Unauthorized):
    """A person must log in, or log in again.

    :param detail: for the operator's log: what was found. Never a secret.
    :param step_up: a signed value that ``/login`` makes a stronger login from.
    :param provider: where the login must be, a name in PARJAR_PROVIDERS; None for any provider.
    """

    def __init__(
        self,
        detail: str = "",
        *,
        error_code: str = "login_required",
        step_up: str | None = None,
        provider: str | None = None,
    ) -> None:
        super().__init__(error_code, detail, provider)
        self.step_up = step_up


class AccessDenied(_GuardError, Forbidden):
    """A person is logged in and may not do this.

    :param error_code: ``insufficient_scope``, ``insufficient_claims``, ``step_up_failed`` …
    :param detail: for the operator's log: what was found. Never a secret.
    :param provider: where a login would help, a name in PARJAR_PROVIDERS; None for any provider.
    """

    def __init__(self, error_code: str, detail: str = "", *, provider: str | None = None) -> None:
        super().__init__(error_code, detail, provider)
