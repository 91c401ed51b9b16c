"""One call of a provider's endpoint: made, told of, and sorted into what a caller can use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import ProviderRefused, ProviderUnavailable
from ..protocol.client_auth import ClientAuthentication
from ..protocol.redaction import redact_message
from .http import Answer, Http

log: logging.Logger = logging.getLogger("flask_parjar")

_OUR_FAULT = ("invalid_client", "unauthorized_client")
_CLOCK_TOLERANCE = 30  # seconds that nobody need hear of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCall:
    """One exchange as the ``provider_called`` signal tells it: secrets cut short."""

    provider: str
    endpoint: str
    url: str
    status: int | None
    milliseconds: float
    sent: Mapping[str, Any]
    received: Mapping[str, Any]
    error: str | None


#: Told of each call by a function that describes it, so that nothing is described to nobody.
OnCall = Callable[[Callable[[], ProviderCall]], None]


class Calls:
    """The calls of one provider."""

    def __init__(self, provider: str, http: Http, on_call: OnCall) -> None:
        self._provider = provider
        self._http = http
        self._on_call = on_call

    def call(
        self,
        endpoint: str,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        by: ClientAuthentication | None = None,
    ) -> Answer:
        """Make one exchange, tell of it, and sort out the answers that no caller can use."""
        sent = form
        if form is not None and by is not None:
            sent = {**form, **by.form}
        answer, error = None, None
        began = time.perf_counter()
        try:
            answer = self._http.send(
                method, url, form=sent, authorization=by.authorization if by else None
            )
            _check_usable(endpoint, answer)
            return answer
        except ProviderUnavailable as exc:
            error = exc.code
            raise
        finally:
            self._tell(endpoint, url, answer, error, sent, (time.perf_counter() - began) * 1000)

    def _tell(
        self,
        endpoint: str,
        url: str,
        answer: Answer | None,
        error: str | None,
        sent: Mapping[str, str] | None,
        milliseconds: float,
    ) -> None:
        status = answer.status if answer else None
        log.debug("%s: HTTP %s, %s, %.1f ms", endpoint, status, error or "ok", milliseconds)
        received = answer.document if answer and answer.document else {}
        self._on_call(
            lambda: ProviderCall(
                provider=self._provider,
                endpoint=endpoint,
                url=url.partition("?")[0],
                status=status,
                milliseconds=milliseconds,
                sent=redact_message(sent or {}),
                received=redact_message(received),
                error=error,
            )
        )


def _check_usable(endpoint: str, answer: Answer) -> None:
    status = answer.status
    if 300 <= status < 400:
        raise ProviderUnavailable("provider_redirect", f"{endpoint}: HTTP {status}")
    if status in (429, 503):
        wait = answer.headers.get("Retry-After", "")
        raise ProviderUnavailable(
            "provider_busy",
            f"{endpoint}: HTTP {status}",
            retry_after=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 9 else None,
        )
    if status >= 500 or status == 413 or status < 200:
        raise ProviderUnavailable("provider_failed", f"{endpoint}: HTTP {status}")
    jwt = answer.headers.get("Content-Type", "").startswith("application/jwt")
    empty_is_fine = endpoint == "revocation"  # the status says it all (RFC 7009 section 2.2)
    if status < 300 and answer.document is None and not (jwt or empty_is_fine):
        raise ProviderUnavailable("provider_answer", f"{endpoint}: no JSON object")


def refusal(answer: Answer, code: str, *, now: int) -> ProviderRefused | ProviderUnavailable:
    """Make the error for a 4xx answer (RFC 6749 section 5.2, RFC 9126 section 2.3)."""
    document = answer.document or {}
    error = document.get("error")
    if not isinstance(error, str):
        # (Of a refresh token that was used, or revoked, Glewlwyd says 400 and nothing more. A bare
        # 403 may be a firewall's, which must not end anybody's tokens.)
        silent = (400, 401) if code == "refresh_refused" else (401, 403)
        if answer.status in silent:
            error = f"HTTP {answer.status} without a reason"
            code = "client_refused" if code == "code_refused" else code
        else:
            return ProviderUnavailable("provider_failed", f"HTTP {answer.status}, no JSON error")
    description = document.get("error_description")
    unknown_client = code != "userinfo_refused" and (error in _OUR_FAULT or answer.status == 401)
    refused = ProviderRefused(
        "client_refused" if unknown_client else code,
        error=error[:200],
        description=description[:200] if isinstance(description, str) else "",
    )
    refused.detail += _clock_difference(answer.headers.get("Date"), now)
    return refused


def _clock_difference(date: str | None, now: int) -> str:
    """Say where our clock and the provider's differ: then what we sign is too old, or too new.

    :param date: the ``Date`` header of an answer (RFC 9110 section 6.6.1).
    """
    try:
        ahead = round(parsedate_to_datetime(date or "").timestamp()) - now
    except (ValueError, OverflowError):
        return ""
    if abs(ahead) <= _CLOCK_TOLERANCE:
        return ""
    direction = "ahead of" if ahead > 0 else "behind"
    return f"; the provider's clock is {abs(ahead)} s {direction} ours, so one of the two is wrong"
