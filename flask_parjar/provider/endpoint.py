"""One call of a provider's endpoint: sent, reported by a signal, and checked for errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import ProviderRefused, ProviderUnavailable
from ..protocol.encoding import printable_text
from ..protocol.outbound import (
    CURRENT_CERTIFICATE,
    Answer,
    Form,
    Outbound,
    Proof,
    check_headers,
)
from ..protocol.redaction import redact_message, redact_proof
from .http import Http

log: logging.Logger = logging.getLogger("flask_parjar")

#: The endpoints that our certificate is presented to, where there is one. What everybody may read,
#: the metadata and the keys, is fetched without it.
_CLIENT_ENDPOINTS = frozenset(("pushed_authorization_request", "token", "revocation", "userinfo"))
_OUR_FAULT = ("invalid_client", "unauthorized_client")
#: Errors about a code or a token and not about the client, even with the status 401: older servers
#: answer 401 for a refresh token that has ended. (RFC 6749 section 5.2; the last three are those of
#: Spring, Hydra and Entra.)
_OF_THE_GRANT = (
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_token",
    "token_inactive",
    "interaction_required",
)
_SHOWN_ERROR = 200
#: Errors at a code exchange for which another login may help. All others are about our request.
#: (RFC 6749 section 5.2; the second is Glewlwyd's; the others are those of an authorization
#: response, which Entra also sends here.)
_OF_THE_CODE = (
    "invalid_grant",
    "invalid_code",
    "access_denied",
    "interaction_required",
    "login_required",
    "consent_required",
)
#: Errors of the proof, not of the client, the code or the token (RFC 9449 sections 5 and 8).
_OF_THE_PROOF = ("invalid_dpop_proof", "use_dpop_nonce")
#: Temporary errors, which some providers send with the status 400 (RFC 6749 section 4.1.2.1).
_PASSING = {"temporarily_unavailable": "provider_busy", "server_error": "provider_failed"}
_CLOCK_TOLERANCE = 30  # seconds of clock difference that are not worth a mention


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderCall:
    """One exchange as the ``provider_called`` signal reports it, with secrets cut short.

    :param url: without its query.
    :param status: the HTTP status; None if there was no answer.
    :param dpop_proof: its ``header`` and ``claims``; None if the request had none.
    :param error: a code of the table in ``error_codes.py``, or None.
    """

    provider: str
    endpoint: str
    url: str
    status: int | None
    milliseconds: float
    sent: Mapping[str, Any]
    dpop_proof: Mapping[str, Any] | None
    received: Mapping[str, Any]
    error: str | None


#: Called after each call, with a function that describes it. The description is only made if the
#: signal has a receiver.
OnCall = Callable[[Callable[[], ProviderCall]], None]


class Endpoints:
    """The endpoints of one provider.

    :param headers: gives further headers; called for each request.
    """

    def __init__(
        self,
        provider: str,
        http: Http,
        on_call: OnCall,
        *,
        headers: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self._provider = provider
        self._headers = headers
        self._http = http
        self._on_call = on_call

    def send(
        self,
        endpoint: str,
        build: Callable[[], Outbound],
        *,
        proofs: Sequence[Proof] = (),
        now: int,
    ) -> Answer:
        """Send a request with its proofs, and raise for answers that no caller can use.

        If a proof learns from the answer that the provider asks for another one, the request is
        built and sent once more.

        :param endpoint: its name in the ``provider_called`` signal.
        :param build: makes the request; called for each try.
        :param now: seconds since 1970.
        :raises ProviderUnavailable: the provider or the network is broken.
        :raises ValueError: PARJAR_HTTP_HEADERS is a function that returned no headers.
        """
        answer = self._exchange(endpoint, build, proofs, now)
        if any([proof.learn(answer) for proof in proofs]):  # a list: every proof must learn
            answer = self._exchange(endpoint, build, proofs, now)
            for proof in proofs:
                proof.learn(answer)
        return answer

    def _exchange(
        self, endpoint: str, build: Callable[[], Outbound], proofs: Sequence[Proof], now: int
    ) -> Answer:
        outbound = build()
        if self._headers is not None:
            further = self._headers()
            check_headers(further)
            outbound = replace(outbound, headers={**outbound.headers, **further})
        if endpoint in _CLIENT_ENDPOINTS:
            outbound = replace(outbound, certificate=CURRENT_CERTIFICATE)
        for proof in proofs:
            outbound = proof.apply(outbound, now=now)
        answer, error = None, None
        began = time.perf_counter()
        try:
            answer = self._http.send(outbound)
            _check_usable(endpoint, answer)
            return answer
        except ProviderUnavailable as exc:
            error = exc.error_code
            raise
        finally:
            milliseconds = (time.perf_counter() - began) * 1000
            self._signal(endpoint, outbound, answer, error=error, milliseconds=milliseconds)

    def _signal(
        self,
        endpoint: str,
        outbound: Outbound,
        answer: Answer | None,
        *,
        error: str | None,
        milliseconds: float,
    ) -> None:
        status = answer.status if answer else None
        log.debug("%s: HTTP %s, %s, %.1f ms", endpoint, status, error or "ok", milliseconds)
        received = answer.document if answer and answer.document else {}
        proof = outbound.headers.get("DPoP")
        self._on_call(
            lambda: ProviderCall(
                provider=self._provider,
                endpoint=endpoint,
                url=outbound.url.partition("?")[0],
                status=status,
                milliseconds=milliseconds,
                sent=redact_message(_joined(outbound.form or ())),
                dpop_proof=None if proof is None else redact_proof(proof),
                received=redact_message(received),
                error=error,
            )
        )


def _joined(form: Form) -> dict[str, Any]:
    """The fields of a form by name; the value of a repeated name is a list."""
    joined: dict[str, Any] = {}
    for name, value in form:
        joined[name] = (
            [*joined[name], value]
            if isinstance(joined.get(name), list)
            else ([joined[name], value] if name in joined else value)
        )
    return joined


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
    empty_is_fine = endpoint == "revocation"  # only the status counts (RFC 7009 section 2.2)
    if status < 300 and answer.document is None and not (jwt or empty_is_fine):
        raise ProviderUnavailable(
            "provider_answer", f"{endpoint}: no JSON object: {answer.fault}", received=status
        )


def refusal(answer: Answer, code: str, *, now: int) -> ProviderRefused | ProviderUnavailable:
    """Make the error for a 4xx answer (RFC 6749 section 5.2, RFC 9126 section 2.3).

    :param code: what was refused; ``code_refused`` only if another login may help.
    """
    document = answer.document or {}
    error = document.get("error")
    if not isinstance(error, str):
        # For a refresh token that was used or revoked, Glewlwyd answers 400 without an error. A 403
        # without an error may come from a firewall, which must not end any tokens.
        silent = (400, 401) if code == "refresh_refused" else (401, 403)
        if answer.status in silent:
            error = f"HTTP {answer.status} without a reason"
            code = "client_refused" if code == "code_refused" else code
        else:
            return ProviderUnavailable(
                "provider_failed",
                f"HTTP {answer.status}, no JSON error",
                received=answer.status,
            )
    description = document.get("error_description")
    refused = ProviderRefused(
        _refused_code(code, error, status=answer.status),
        error=printable_text(error, at_most=_SHOWN_ERROR),
        description=printable_text(
            description if isinstance(description, str) else "", at_most=_SHOWN_ERROR
        ),
    )
    refused.detail += _clock_difference(answer.headers.get("Date"), now)
    if error in _PASSING:
        return ProviderUnavailable(_PASSING[error], refused.detail)
    return refused


def _refused_code(code: str, error: str, *, status: int) -> str:
    """The code of a refusal: whether the proof, the client, or what was sent is refused."""
    if error in _OF_THE_PROOF:
        return "dpop_refused"
    unknown_client = error in _OUR_FAULT or (status == 401 and error not in _OF_THE_GRANT)
    if unknown_client and code != "userinfo_refused":
        return "client_refused"
    if code == "code_refused" and error not in _OF_THE_CODE:
        return "exchange_refused"
    return code


def _clock_difference(date: str | None, now: int) -> str:
    """Describe a difference between our clock and the provider's: it makes our JWTs not valid.

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
