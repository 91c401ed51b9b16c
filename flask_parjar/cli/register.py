"""``flask parjar register``: what to type, or to upload, at the provider."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from flask import current_app

from ..errors import ParJarError
from ..protocol.agreement import Agreement
from ..provider import Provider
from .register_at import PROVIDERS, WORDS, keycloak_client
from .registration import client_metadata
from .site import check_site, chosen_providers, is_site_known, site_of, with_app


@click.command("register")
@click.option(
    "--site",
    callback=check_site,
    help="Where this app is opened in a browser, if PARJAR_REDIRECT_URI is not set.",
)
@click.option("--provider", "name", help="This provider alone, by its name in PARJAR_PROVIDERS.")
@click.option("--for", "words", type=click.Choice(PROVIDERS), help="In the words of its own pages.")
@click.option("--json", "for_program", is_flag=True, help="Client metadata of RFC 7591 as JSON.")
@with_app
def register(*, site: str | None, name: str | None, words: str | None, for_program: bool) -> None:
    """Say what the provider must know of this app.

    For Keycloak it writes a client that its admin console and its admin API import. No secret is
    shown: a client secret is made by the provider.
    """
    providers = chosen_providers(name)
    if (for_program or words == "keycloak") and len(providers) > 1:
        raise click.UsageError(
            f"choose one with --provider: {', '.join(p.name for p in providers)}"
        )
    for provider in providers:
        metadata = _metadata(provider, site)
        if words == "keycloak":
            click.echo(json.dumps(keycloak_client(provider.client, metadata), indent=2))
        elif for_program:
            click.echo(json.dumps(metadata, indent=2))
        else:
            _show(provider, metadata, words)


def _metadata(provider: Provider, site: str | None) -> dict[str, Any]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    client = provider.client
    if not is_site_known(client, site):
        click.echo(
            "The site is assumed to be on this machine: set PARJAR_REDIRECT_URI, or say --site URL",
            err=True,
        )
    where = site_of(app, client, site=site)
    return client_metadata(app, client, agreement=_agreement(provider), site=where)


def _agreement(provider: Provider) -> Agreement | None:
    """What is agreed with the provider; None, and a sentence, where that is not known yet."""
    try:
        return provider.agreement(int(time.time()))
    except ParJarError as error:
        click.echo(
            f"No algorithm was negotiated with {provider.issuer}, {error.error_code}: choose them "
            "there, or run flask parjar doctor",
            err=True,
        )
        return None


def _show(provider: Provider, metadata: dict[str, Any], words: str | None) -> None:
    rows = list(WORDS[words](metadata))
    width = max(len(where) for where, _ in rows)
    click.echo(f"Provider {provider.name}, {provider.issuer}: client {provider.client.client_id}\n")
    for where, what in rows:
        click.echo(f"  {where:<{width}}  {what}")
    click.echo()
