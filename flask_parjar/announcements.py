"""What an app's listeners are told of a login: every signal of the Flask half is sent from here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask, current_app

from . import signals
from .errors import ParJarError
from .flows.login import CompletedLogin
from .protocol.identity import Identity
from .protocol.redaction import redact_claims, redact_message
from .provider import OutgoingRequest, Provider

log: logging.Logger = logging.getLogger("flask_parjar")


@contextmanager
def failures_told(provider: str | None) -> Iterator[dict[str, str]]:
    """Log and signal an error that ends a login; `show_error` answers for it.

    :returns: a place for the callback's parameters, which are told of cut short.
    """
    answer: dict[str, str] = {}
    try:
        yield answer
    except ParJarError as error:
        log.warning("login failed: %s: %s. %s", error.code, error.detail, error.advice)
        said = {"provider": provider, "error": error, "response": redact_message(answer)}
        signals.tell(signals.login_failed, this_app(), said)
        raise


def tell_login_started(provider: Provider, outgoing: OutgoingRequest) -> None:
    """Tell that a request was signed and pushed, and that the browser is about to leave."""
    if not signals.login_started.receivers:
        return
    signed, browser = outgoing.request_object, outgoing.browser
    said = {
        "provider": provider.client.name,
        "request_object": signed
        and {"header": signed.header, "claims": redact_claims(signed.claims)},
        "redirect": {
            "url": browser.authorization_endpoint,
            "parameters": redact_message(browser.parameters),
        },
    }
    signals.tell(signals.login_started, this_app(), said)


def tell_logged_in(
    completed: CompletedLogin, identity: Identity, response: Mapping[str, str]
) -> None:
    """Tell that somebody is logged in. A receiver that raises an error keeps them out."""
    log.info("logged in at provider %r", identity.provider)
    if not signals.logged_in.receivers:
        return
    id_token = completed.id_token
    signals.logged_in.send(
        this_app(),
        identity=identity,
        response=redact_message(response),
        id_token={"header": id_token.header, "claims": redact_claims(id_token.claims)},
        checks=id_token.proofs,
    )


def tell_logged_out(identity: Identity) -> None:
    """Tell that somebody has logged out of this site."""
    signals.tell(signals.logged_out, this_app(), {"identity": identity})


def tell_tokens_refreshed(identity: Identity) -> None:
    """Tell that somebody's tokens were renewed without a login."""
    signals.tell(signals.tokens_refreshed, this_app(), {"identity": identity})


def tell_tokens_ended(identity: Identity, error: ParJarError) -> None:
    """Tell that somebody must log in again, because their tokens cannot be renewed."""
    said = {"provider": identity.provider, "error": error, "response": {}}
    signals.tell(signals.login_failed, this_app(), said)


def this_app() -> Flask:
    """The app itself, as the sender of signals (blinker compares by identity)."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app
