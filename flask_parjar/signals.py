"""The signals of this extension (blinker). The sender of each is the Flask app.

No signal has a whole secret: tokens, codes, states, nonces and keys are cut short, so that a
receiver may log or show everything that it gets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from blinker import NamedSignal, Namespace
from flask import Flask, current_app

from .errors import CodedError, ParJarError
from .flows.login import CompletedLogin
from .protocol.authorization import AuthorizationRedirect
from .protocol.identity import ANONYMOUS, Identity
from .protocol.redaction import redact_claims, redact_message
from .provider import Provider
from .runtime import current_runtime

log: logging.Logger = logging.getLogger("flask_parjar")

E = TypeVar("E", bound=CodedError)

_signals: Namespace = Namespace()
_NO_RESPONSE: Mapping[str, str] = MappingProxyType({})

# Each signal also has ``event``, which is its name, and whom it is about, as far as it is known:
# ``issuer``, ``subject`` and ``session`` (None where it is not). So one function can write all of
# them down.

#: A request is ready (signed and pushed, by default), and the browser is about to leave.
#: ``provider``, ``request_object`` (``header``, ``claims``; None where it is not signed),
#: ``redirect`` (``url``, ``parameters``).
login_started: NamedSignal = _signals.signal("login-started")

#: A person is logged in and the new session exists. ``identity``, ``response`` (the callback's
#: parameters), ``id_token`` (``header``, ``claims``), ``checked`` (the names of its checks).
logged_in: NamedSignal = _signals.signal("logged-in")

#: A login ended in an error. ``provider`` (a name or None), ``error`` (a `ParJarError`, or the
#: `AccessDenied` of a receiver of `logged_in`), ``response`` (the callback's parameters; empty if
#: they were not read).
login_failed: NamedSignal = _signals.signal("login-failed")

#: A session ended before its time: by its person, the provider or an administrator. ``identity``.
logged_out: NamedSignal = _signals.signal("logged-out")

#: Tokens were renewed without a login. ``identity``.
tokens_refreshed: NamedSignal = _signals.signal("tokens-refreshed")

#: Tokens that were due were not renewed. ``identity``, ``error`` (a `ParJarError`), ``usable``
#: (whether the access token can still be used).
refresh_failed: NamedSignal = _signals.signal("refresh-failed")

#: A person may not do what they asked for. ``identity``, ``error`` (an `AccessDenied`),
#: ``endpoint`` (that of the view).
access_refused: NamedSignal = _signals.signal("access-refused")

#: A logout token was not accepted, so no session ended. ``provider`` (the name in the URL, or
#: None), ``error`` (a `ParJarError`).
logout_token_refused: NamedSignal = _signals.signal("logout-token-refused")

#: The provider was called. ``provider``, ``endpoint``, ``url`` (without query), ``status`` (or
#: None), ``milliseconds``, ``sent``, ``dpop_proof`` (``header``, ``claims``; None if there was
#: none), ``received``, ``error`` (a code or None).
provider_called: NamedSignal = _signals.signal("provider-called")


class About(NamedTuple):
    """Whom a signal is about, as far as it is known.

    :param session: `SessionInfo.id`.
    """

    issuer: str | None = None
    subject: str | None = None
    session: str | None = None

    @classmethod
    def of(cls, identity: Identity, session: str | None = None) -> About:
        """A person, in one session."""
        return cls(identity.issuer or None, identity.subject or None, session)


@dataclass(slots=True)
class Attempt:
    """A login that is being completed.

    :param identity: who it is; `ANONYMOUS` as long as that is not proved.
    """

    identity: Identity = ANONYMOUS


def send_observed(signal: NamedSignal, sender: Any, about: About, said: Mapping[str, Any]) -> None:
    """Send a signal for observers: an exception in a receiver is logged, and nothing fails."""
    try:
        signal.send(sender, **_with(signal, about, said))
    except Exception:
        log.exception("a receiver of the signal %s failed", signal.name)


def _with(signal: NamedSignal, about: About, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": signal.name.replace("-", "_"), **about._asdict(), **said}


@contextmanager
def reporting_failures(
    provider: str | None, *, response: Mapping[str, str] = _NO_RESPONSE
) -> Iterator[Attempt]:
    """Log and signal an error of ours that is raised in this block and ends a login.

    :param response: the callback's parameters.
    """
    attempt = Attempt()
    try:
        yield attempt
    except Exception as error:
        if isinstance(error, CodedError):  # a receiver of a signal may raise any other error
            report_failure(error, provider=provider, response=response, identity=attempt.identity)
        raise


def report_failure(
    error: E,
    *,
    provider: str | None,
    response: Mapping[str, str] = _NO_RESPONSE,
    identity: Identity = ANONYMOUS,
) -> E:
    """Log and signal an error that ends a login; the caller raises it.

    :param response: the callback's parameters, which are sent cut short.
    :param identity: who was about to be logged in, if that was proved.
    :returns: the error.
    """
    log_failure("login failed", error)
    said = {"provider": provider, "error": error, "response": redact_message(response)}
    about = About.of(identity) if identity else About(_issuer_of(provider))
    send_observed(login_failed, this_app(), about, said)
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
    send_observed(login_started, this_app(), About(provider.issuer), said)


def send_logged_in(
    completed: CompletedLogin, identity: Identity, response: Mapping[str, str], *, session: str
) -> None:
    """Send `logged_in`. If a receiver raises an error, the person is not logged in."""
    log.info("logged in at provider %r", identity.provider)
    if not logged_in.receivers:
        return
    id_token = completed.id_token
    said = {
        "identity": identity,
        "response": redact_message(response),
        "id_token": {"header": id_token.header, "claims": redact_claims(id_token.claims)},
        "checked": id_token.checked,
    }
    logged_in.send(this_app(), **_with(logged_in, About.of(identity, session), said))


def send_logged_out(identity: Identity, *, session: str | None) -> None:
    """Send `logged_out`."""
    about = About.of(identity, session)
    send_observed(logged_out, this_app(), about, {"identity": identity})


def send_tokens_refreshed(identity: Identity, *, session: str) -> None:
    """Send `tokens_refreshed`."""
    about = About.of(identity, session)
    send_observed(tokens_refreshed, this_app(), about, {"identity": identity})


def send_refresh_failed(
    identity: Identity, error: ParJarError, *, session: str, usable: bool
) -> None:
    """Send `refresh_failed`."""
    said = {"identity": identity, "error": error, "usable": usable}
    send_observed(refresh_failed, this_app(), About.of(identity, session), said)


def send_access_refused(
    identity: Identity, error: CodedError, *, session: str | None, endpoint: str | None
) -> None:
    """Send `access_refused`."""
    said = {"identity": identity, "error": error, "endpoint": endpoint}
    send_observed(access_refused, this_app(), About.of(identity, session), said)


def send_logout_token_refused(provider: str | None, error: ParJarError) -> None:
    """Send `logout_token_refused`. Nothing that the token says is in it: it is not verified."""
    said = {"provider": provider, "error": error}
    send_observed(logout_token_refused, this_app(), About(_issuer_of(provider)), said)


def _issuer_of(provider: str | None) -> str | None:
    """The issuer of a provider by its name, which may be None if there is only one."""
    providers = current_runtime().providers
    found = [*providers.values()] if provider is None else [providers.get(provider)]
    return found[0].issuer if len(found) == 1 and found[0] is not None else None


def this_app() -> Flask:
    """The app itself and not its proxy, because blinker compares senders by identity."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app
