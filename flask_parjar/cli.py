"""``flask parjar …``: what an operator or a developer types."""

from __future__ import annotations

from urllib.parse import urlsplit

import click
from flask import current_app
from flask.cli import AppGroup

from .protocol.urls import is_loopback
from .state import current_state

parjar_cli: AppGroup = AppGroup(
    "parjar", help="Log in with signed and pushed OpenID Connect requests."
)


@parjar_cli.command("dev-provider")
@click.option(
    "--site",
    default="http://127.0.0.1:5000",
    show_default=True,
    help="Where this app will run: its callback is registered there.",
)
def dev_provider(site: str) -> None:
    """Run an OpenID provider on this machine, for development only.

    It listens where PARJAR_ISSUER says, such as http://127.0.0.1:9000, knows this app as a client
    from its configuration, and has a few people to log in as.
    """
    from .testing import DevProvider  # the guest house is opened only here

    issuers = [provider.client.issuer for provider in current_state().providers.values()]
    ours = [issuer for issuer in issuers if is_loopback(urlsplit(issuer).hostname or "")]
    if not ours:
        raise click.ClickException(
            f"PARJAR_ISSUER is {issuers[0]}: a provider on this machine needs an issuer on this "
            "machine. Set PARJAR_ISSUER to http://127.0.0.1:9000"
        )
    provider = DevProvider(ours[0])
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    provider.connect(app, base_urls=[site])
    provider.serve()
