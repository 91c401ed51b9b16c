"""``python -m example_app``: the site, and a provider to log in at unless one is configured."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from contextlib import ExitStack

from flask import Flask, url_for
from werkzeug.serving import make_server

from flask_parjar import ConfigError
from flask_parjar.testing import DevProvider

from . import create_app

HOST = "127.0.0.1"
SCOPES = "openid profile email reports:read offline_access"
STORE = {"PARJAR_STORE": "memory"}  # one process, and it may forget; the environment wins
TOKEN_SECONDS = 60  # so short that one can watch a renewal


def main() -> int:
    """Read the command line, and serve until Ctrl-C."""
    parser = argparse.ArgumentParser("python -m example_app", description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="of the site (%(default)s)")
    parser.add_argument(
        "--provider-port", type=int, default=9000, help="of its provider (%(default)s)"
    )
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request is noise here
    try:
        with ExitStack() as running:
            serve(options.port, options.provider_port, running)
    except KeyboardInterrupt:
        print()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def serve(port: int, provider_port: int, running: ExitStack) -> None:
    """Serve the site, and the provider where none is configured; they end together."""
    port = free_port(port)
    site = f"http://{HOST}:{port}"
    if {"FLASK_PARJAR_ISSUER", "FLASK_PARJAR_PROVIDERS"} & os.environ.keys():
        app = create_app(STORE)
    else:
        app = with_own_provider(site, free_port(provider_port), running)
    server = running.enter_context(make_server(HOST, port, app, threaded=True))
    print(f"\n   Open  {site}\n\n   Ctrl-C ends it.", flush=True)
    server.serve_forever()


def with_own_provider(site: str, port: int, running: ExitStack) -> Flask:
    """Make the site and the provider that it logs in at; the provider serves from now on."""
    provider = DevProvider(f"http://{HOST}:{port}")
    provider.access_token_seconds = TOKEN_SECONDS
    app = create_app(
        provider.config(
            client_id="example-site",
            PARJAR_SCOPES=SCOPES,
            EXAMPLE_SIGN_OUT_URL=provider.metadata["end_session_endpoint"],
            **STORE,
        )
    )
    callbacks, homes = [], []
    for base_url in (site, site.replace(HOST, "localhost")):  # people type either
        with app.test_request_context(base_url=base_url):
            callbacks.append(url_for("parjar.callback", _external=True))
            homes.append(url_for("home", _external=True))
    with app.test_request_context(base_url=site):
        keys = url_for("parjar.jwks", _external=True)
        notices = url_for("parjar.backchannel_logout", _external=True)
    provider.register(
        client_id=app.config["PARJAR_CLIENT_ID"],
        client_name="The example site",
        redirect_uris=callbacks,
        post_logout_redirect_uris=homes,
        jwks_uri=keys,
        backchannel_logout_uri=notices,
        scope=app.config["PARJAR_SCOPES"],
    )
    running.enter_context(provider.running())
    return app


def free_port(wanted: int) -> int:
    """The wanted port, or any other where somebody has it already; then say so."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port whose last user has just gone counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
            print(f" * Port {wanted} is taken, so it is port {probe.getsockname()[1]} this time.")
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
