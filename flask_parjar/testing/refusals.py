"""How the provider says no: Authlib's OAuth errors, with a sentence that helps the developer.

An error description is shown to people who write clients, so it says what was found and what was
expected. The standard allows few characters in it, and a stranger's text may hold any: here it is
made fit.
"""

from __future__ import annotations

import re

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
)
from authlib.oauth2.rfc9101.errors import InvalidRequestObjectError, InvalidRequestUriError
from authlib.oidc.core.errors import ConsentRequiredError, LoginRequiredError

__all__ = [
    "AccessDeniedError",
    "ConsentRequiredError",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidRequestObjectError",
    "InvalidRequestUriError",
    "InvalidScopeError",
    "LoginRequiredError",
    "OAuth2Error",
    "refusal",
]

# RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")
_MAX_LENGTH = 400


def refusal(
    kind: type[OAuth2Error], description: str, *, status: int | None = None, code: str | None = None
) -> OAuth2Error:
    """An error of that kind; to be raised by the caller.

    :param description: plain words; characters that the standard forbids become ``'`` or ``?``
    :param status: the HTTP status, where it is not the kind's own
    :param code: the ``error`` code, where Authlib has no kind for it that takes a description

    RFC 6749 section 5.2
    """
    text = _NOT_ALLOWED.sub("?", description.replace('"', "'"))[:_MAX_LENGTH]
    return kind(description=text, status_code=status, error=code)
