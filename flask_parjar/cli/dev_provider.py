"""``flask parjar dev-provider``: an OpenID provider on this machine."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import click
from flask import current_app

from ..protocol.urls import check_endpoint, is_loopback
from ..runtime import current_runtime
from .site import with_app


def _check_site(context: click.Context, option: click.Parameter, site: str) -> str:
    try:
        return check_endpoint(site, allow_http=True)
    except ValueError as exc:
        raise click.BadParameter(
            f"it is {site}, {exc}: write a whole URL, such as http://127.0.0.1:5000"
        ) from exc


@click.command("dev-provider")
@click.option(
    "--site",
    default="http://127.0.0.1:5000",
    show_default=True,
    callback=_check_site,
    help="Where this app will run: its callback is registered there.",
)
@with_app
def dev_provider(site: str) -> None:
    """Run an OpenID provider on this machine, for development only.

    It listens where PARJAR_ISSUER says, such as http://127.0.0.1:9000, knows this app as a client
    from its configuration, and has a few people to log in as.
    """
    from ..testing import DevProvider  # imported only when the command runs

    provider = DevProvider(_issuer_on_this_machine())
    for client in current_runtime().settings.providers.values():
        if client.issuer == provider.issuer:
            provider.allow_requests(client.request)
            if client.tenants:  # each has some of the people
                tenants = itertools.cycle(sorted(client.tenants))
                provider.serve_tenants(dict(zip(provider.people, tenants, strict=False)))
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    provider.connect(app, base_urls=[site])
    provider.serve()


def _issuer_on_this_machine() -> str:
    issuers = [provider.client.issuer for provider in current_runtime().providers.values()]
    ours = [issuer for issuer in issuers if is_loopback(urlsplit(issuer).hostname or "")]
    if not ours:
        raise click.ClickException(
            f"PARJAR_ISSUER is {issuers[0]}: a provider on this machine needs an issuer on this "
            "machine. Set PARJAR_ISSUER to http://127.0.0.1:9000"
        )
    parts = urlsplit(ours[0])
    if parts.scheme != "http" or parts.port is None:
        raise click.ClickException(
            f"PARJAR_ISSUER is {ours[0]}: a provider on this machine is served with http and on a "
            "port. Set PARJAR_ISSUER to http://127.0.0.1:9000"
        )
    return ours[0]
