"""``flask parjar sessions``: who is logged in."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from ..errors import ParJarError
from ..runtime import current_runtime
from ..web.administration import end_sessions_of, registrations
from .site import with_app


@click.command("sessions")
@click.argument("subject", required=False)
@click.option("--provider", "name", help="Of this provider alone, by its name in PARJAR_PROVIDERS.")
@click.option("--issuer", help="Of this issuer alone, where a provider has tenants.")
@click.option("--end", is_flag=True, help="End the subject's sessions, wherever they are.")
@with_app
def list_sessions(subject: str | None, name: str | None, issuer: str | None, end: bool) -> None:
    """List who is logged in, or the sessions of one SUBJECT (the sub); with --end, end them.

    It can do so where PARJAR_STORE is one that all processes share.
    """
    runtime = current_runtime()
    if runtime.sessions is None or runtime.settings.store == "memory":
        store = runtime.settings.store or "not set"
        raise click.ClickException(
            f"PARJAR_STORE is {store}, so no other process can see the sessions: "
            "set it to redis://…"
        )
    if end and subject is None:
        raise click.UsageError("say whose sessions to end: flask parjar sessions SUBJECT --end")
    try:
        clients = registrations(name, issuer)
        if subject is None:
            found = [each for client in clients for each in runtime.sessions.find_all(client)]
        elif end:
            found = end_sessions_of(subject, clients)
        else:
            found = [each for client in clients for each in runtime.sessions.find(client, subject)]
    except ParJarError as error:
        raise click.ClickException(f"{error.error_code}: {error.detail}. {error.advice}") from error
    for session in sorted(found, key=lambda each: each.logged_in_at):
        began = datetime.fromtimestamp(session.logged_in_at, timezone.utc)
        # With tenants, the same subject may be a person of each.
        tenants = runtime.providers[session.provider].client.tenants
        whose = [session.provider, *([session.issuer] if tenants else []), session.subject]
        click.echo(f"{began:%Y-%m-%d %H:%M:%S} UTC  {'  '.join(whose)}")
    sessions = "1 session" if len(found) == 1 else f"{len(found)} sessions"
    click.echo(f"{sessions} {'ended' if end else 'open'}")
