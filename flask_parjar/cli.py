"""``flask parjar …``: what an operator or a developer types."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

import click
from flask import current_app
from flask.cli import AppGroup

from .errors import ParJarError
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


@parjar_cli.command("sessions")
@click.argument("subject", required=False)
@click.option("--provider", "name", help="Of this provider alone, by its name in PARJAR_PROVIDERS.")
@click.option("--end", is_flag=True, help="End the subject's sessions, wherever they are.")
def list_sessions(subject: str | None, name: str | None, end: bool) -> None:
    """List who is logged in, or the sessions of one SUBJECT (the sub); with --end, end them.

    It can do so where PARJAR_STORE is one that all processes share.
    """
    state = current_state()
    if state.sessions is None or state.settings.store == "memory":
        raise click.ClickException(
            f"PARJAR_STORE is {state.settings.store}, which no other process can look into: "
            "set it to redis://…"
        )
    if end and subject is None:
        raise click.UsageError("say whose sessions to end: flask parjar sessions SUBJECT --end")
    try:
        issuers = [each.client.issuer for each in state.providers.values()]
        if name is not None:
            issuers = [state.provider(name).client.issuer]
        found = [
            session
            for issuer in dict.fromkeys(issuers)
            for session in state.sessions.find(issuer, subject)
        ]
        if end:
            for session in found:
                state.sessions.close(session)
            for issuer in dict.fromkeys(issuers):
                state.sessions.end(issuer, subject=subject, sid=None, now=int(time.time()))
    except ParJarError as error:
        raise click.ClickException(f"{error.code}: {error.detail}. {error.advice}") from error
    for session in sorted(found, key=lambda each: each.logged_in_at):
        began = datetime.fromtimestamp(session.logged_in_at, timezone.utc)
        click.echo(f"{began:%Y-%m-%d %H:%M:%S} UTC  {session.provider}  {session.subject}")
    sessions = "1 session" if len(found) == 1 else f"{len(found)} sessions"
    click.echo(f"{sessions} {'ended' if end else 'open'}")
