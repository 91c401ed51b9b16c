"""``flask parjar …``: what an operator or a developer types."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

parjar_cli = AppGroup("parjar", help="Log in with signed and pushed OpenID Connect requests.")


@parjar_cli.command("dev-provider")
@click.option("--port", default=9000, show_default=True, help="The port on 127.0.0.1.")
@click.option(
    "--site",
    default="http://127.0.0.1:5000",
    show_default=True,
    help="Where this app will run: its callback is registered there.",
)
def dev_provider(port: int, site: str) -> None:
    """Run an OpenID provider on this machine, for development only.

    It knows this app as a client, from its PARJAR_ configuration, and a few people to log in as.
    """
    from .testing import DevProvider  # the guest house is opened only here

    provider = DevProvider(f"http://127.0.0.1:{port}")
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    provider.connect(app, base_urls=[site])
    provider.serve(port)
