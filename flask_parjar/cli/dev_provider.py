"""``flask parjar dev-provider``: an OpenID provider on this machine."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from flask import Flask, current_app

from ..runtime import current_runtime
from .site import check_site, is_on_this_machine, site_on_this_machine, with_app, with_both_names

if TYPE_CHECKING:
    from ..testing import DevProvider

_FIRST_ISSUER = "http://127.0.0.1:9000"


@click.command("dev-provider")
@click.option(
    "--site",
    callback=check_site,
    help="Where this app will run: its callback is registered there.  [default: where flask run "
    "serves it]",
)
@click.option(
    "--like",
    metavar="PRESET",
    multiple=True,
    help="Demand what this provider demands, such as singpass. If the app has several providers on "
    "this machine, write NAME=PRESET.",
)
@with_app
def dev_provider(site: str | None, like: tuple[str, ...]) -> None:
    """Run an OpenID provider on this machine, for development only.

    It listens where PARJAR_ISSUER says, such as http://127.0.0.1:9000, knows this app as a client
    from its configuration, and has a few people to log in as. If the app has several providers on
    this machine, all of them are run.
    """
    issuers = _issuers_on_this_machine()
    presets = _presets(like, issuers)
    sites = with_both_names(site or site_on_this_machine())
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    *others, last = [
        _provider(issuer, app, sites, preset=presets.get(issuer)) for issuer in issuers
    ]
    click.echo(f" * The site is expected at {' or '.join(sites)}")
    with ExitStack() as running:
        for other in others:
            running.enter_context(other.running())
        last.serve()


def _presets(like: tuple[str, ...], issuers: list[str]) -> dict[str, str]:
    """The presets of the option ``--like``, by the issuer of the provider that follows each.

    :raises click.BadParameter: there is no such preset or provider, or it is not clear which.
    """
    from ..testing import PRESETS  # imported only when the command runs

    named = {name: each.issuer for name, each in current_runtime().providers.items()}
    presets: dict[str, str] = {}
    for value in like:
        name, _, preset = value.rpartition("=")
        if preset not in PRESETS:
            known = ", ".join(PRESETS)
            raise click.BadParameter(
                f"{preset!r} is no preset; write one of {known}", param_hint="--like"
            )
        issuer = named.get(name) if name or len(issuers) > 1 else issuers[0]
        if issuer not in issuers:
            ours = ", ".join(f"{name}={preset}" for name in named if named[name] in issuers)
            raise click.BadParameter(
                f"it is {value}; say which provider: {ours}", param_hint="--like"
            )
        presets[issuer] = preset
        click.echo(f" * {issuer} has the rules of {PRESETS[preset].title}")
    return presets


def _provider(issuer: str, app: Flask, sites: list[str], *, preset: str | None) -> DevProvider:
    from ..testing import DevProvider  # imported only when the command runs

    provider = DevProvider(issuer) if preset is None else DevProvider.like(preset, issuer=issuer)
    provider.advise_on_redirect_uri("--site registers another address")
    for client in current_runtime().settings.providers.values():
        if client.issuer == issuer:
            if preset is None:
                provider.allow_requests(client.request)
            if client.tenants:  # each has some of the people
                tenants = itertools.cycle(sorted(client.tenants))
                provider.serve_tenants(dict(zip(provider.people, tenants, strict=False)))
    provider.connect(app, base_urls=sites)
    return provider


def _issuers_on_this_machine() -> list[str]:
    issuers = list(dict.fromkeys(each.issuer for each in current_runtime().providers.values()))
    ours = [issuer for issuer in issuers if is_on_this_machine(issuer)]
    if not ours:
        raise click.ClickException(
            f"PARJAR_ISSUER is {issuers[0]}: a provider on this machine needs an issuer on this "
            f"machine. Set PARJAR_ISSUER to {_FIRST_ISSUER}"
        )
    for issuer in ours:
        parts = urlsplit(issuer)
        if parts.scheme != "http" or parts.port is None:
            raise click.ClickException(
                f"PARJAR_ISSUER is {issuer}: a provider on this machine is served with http and "
                f"on a port. Set PARJAR_ISSUER to {_FIRST_ISSUER}"
            )
    for issuer in issuers:
        if issuer not in ours:
            click.echo(f" * {issuer} is not on this machine, and is not served")
    return ours
