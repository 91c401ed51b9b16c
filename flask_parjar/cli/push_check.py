"""``flask parjar doctor --push``: one real request, signed and pushed as a login does it."""

from __future__ import annotations

from flask import Flask

from ..errors import ParJarError
from ..flows.login import begin_login
from ..protocol.authorization import LoginOptions
from ..provider import Provider
from ..web.own_urls import callback_url
from ..web.transactions import start_transaction
from .findings import FAULT, GOOD, Finding, of_error
from .site import site_of


def check_push(app: Flask, provider: Provider, *, site: str | None, now: int) -> Finding:
    """Begin a login that no one completes."""
    client, options = provider.client, LoginOptions()
    try:
        with app.test_request_context(base_url=site_of(app, client, site=site)):
            transaction = start_transaction(
                client,
                options,
                redirect_uri=callback_url(client),
                next="/",
                may_start_again=False,
                now=now,
            )
            begin_login(provider, transaction, options, now=now)
    except ParJarError as error:
        return of_error(error, about=provider.name, subject="push")
    except (
        ValueError
    ) as error:  # of a function in the configuration: it returned what cannot be sent
        return Finding(severity=FAULT, about=provider.name, subject="push", found=str(error))
    if client.request_level.pushed:
        found = f"the provider accepted a request that comes back to {transaction.redirect_uri}"
    else:
        found = f"nothing was sent: PARJAR_REQUEST is {client.request}, so the browser carries it"
    return Finding(severity=GOOD, about=provider.name, subject="push", found=found)
