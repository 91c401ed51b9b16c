"""The signals of this extension (blinker). The sender of each is the Flask app.

No signal has a whole secret: tokens, codes, states, nonces and keys are cut short, so that a
receiver may log or show everything that it gets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from blinker import NamedSignal, Namespace
from flask import Flask, current_app

from .errors import CodedError, ParJarError
from .flows.login import CompletedLogin
from .protocol.authorization import AuthorizationRedirect
from .protocol.identity import Identity
from .protocol.redaction import redact_claims, redact_message
from .provider import Provider

log: logging.Logger = logging.getLogger("flask_parjar")

E = TypeVar("E", bound=CodedError)

_signals: Namespace = Namespace()
_NO_RESPONSE: Mapping[str, str] = MappingProxyType({})

#: A request is ready (signed and pushed, by default), and the browser is about to leave.
#: ``provider``, ``request_object`` (``header``, ``claims``; None where it is not signed),
#: ``redirect`` (``url``, ``parameters``).
login_started: NamedSignal = _signals.signal("login-started")

#: A person is logged in and the new session exists. ``identity``, ``response`` (the callback's
#: parameters), ``id_token`` (``header``, ``claims``), ``checked`` (the names of its checks).
logged_in: NamedSignal = _signals.signal("logged-in")

#: A login ended in an error, perhaps much later: when its tokens could not be renewed.
#: ``provider`` (a name or None), ``error`` (a `ParJarError`, or the `AccessDenied` of a receiver of
#: `logged_in`), ``response`` (the callback's parameters; empty if they were not read).
login_failed: NamedSignal = _signals.signal("login-failed")

#: A person logged out of this site. ``identity``.
logged_out: NamedSignal = _signals.signal("logged-out")

#: Tokens were renewed without a login. ``identity``.
tokens_refreshed: NamedSignal = _signals.signal("tokens-refreshed")

#: The provider was called. ``provider``, ``endpoint``, ``url`` (without query), ``status`` (or
#: None), ``milliseconds``, ``sent``, ``dpop_proof`` (``header``, ``claims``; None if there was
#: none), ``received``, ``error`` (a code or None).
provider_called: NamedSignal = _signals.signal("provider-called")


def send_observed(signal: NamedSignal, sender: Any, said: Mapping[str, Any]) -> None:
    """Send a signal for observers: an exception in a receiver is logged, and nothing fails."""
    try:
        signal.send(sender, **said)
    except Exception:
        log.exception("a receiver of the signal %s failed", signal.name)


@contextmanager
def reporting_failures(
    provider: str | None, *, response: Mapping[str, str] = _NO_RESPONSE
) -> Iterator[None]:
    """Log and signal an error of ours that is raised in this block and ends a login.

    :param response: the callback's parameters.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, CodedError):  # a receiver of a signal may raise any other error
            report_failure(error, provider=provider, response=response)
        raise


def report_failure(
    error: E, *, provider: str | None, response: Mapping[str, str] = _NO_RESPONSE
) -> E:
    """Log and signal an error that ends a login; the caller raises it.

    :param response: the callback's parameters, which are sent cut short.
    :returns: the error.
    """
    log_failure("login failed", error)
    said = {"provider": provider, "error": error, "response": redact_message(response)}
    send_observed(login_failed, this_app(), said)
    return error


def log_failure(what: str, error: CodedError) -> None:
    """Log an error with its code, its detail where it has one, and its advice."""
    form = f"{what}: %s: %s. %s" if error.detail else f"{what}: %s%s: %s"
    log.warning(form, error.error_code, error.detail, error.advice)


def send_login_started(provider: Provider, redirect: AuthorizationRedirect) -> None:
    """Send `login_started`."""
    if not login_started.receivers:
        return
    signed = redirect.request_object
    said = {
        "provider": provider.name,
        "request_object": signed
        and {"header": signed.header, "claims": redact_claims(signed.claims)},
        "redirect": {
            "url": redirect.endpoint,
            "parameters": redact_message(redirect.parameters),
        },
    }
    send_observed(login_started, this_app(), said)


def send_logged_in(
    completed: CompletedLogin, identity: Identity, response: Mapping[str, str]
) -> None:
    """Send `logged_in`. If a receiver raises an error, the person is not logged in."""
    log.info("logged in at provider %r", identity.provider)
    if not logged_in.receivers:
        return
    id_token = completed.id_token
    logged_in.send(
        this_app(),
        identity=identity,
        response=redact_message(response),
        id_token={"header": id_token.header, "claims": redact_claims(id_token.claims)},
        checked=id_token.checked,
    )


def send_logged_out(identity: Identity) -> None:
    """Send `logged_out`."""
    send_observed(logged_out, this_app(), {"identity": identity})


def send_tokens_refreshed(identity: Identity) -> None:
    """Send `tokens_refreshed`."""
    send_observed(tokens_refreshed, this_app(), {"identity": identity})


def send_tokens_ended(identity: Identity, error: ParJarError) -> None:
    """Send `login_failed`, because tokens cannot be renewed and the person must log in again."""
    said = {"provider": identity.provider, "error": error, "response": {}}
    send_observed(login_failed, this_app(), said)


def this_app() -> Flask:
    """The app itself and not its proxy, because blinker compares senders by identity."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app
