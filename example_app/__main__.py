"""``python -m example_app``: the site, and also a provider if none is configured."""

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
from flask_parjar.testing import ClientMetadata, DevProvider

from . import create_app

HOST = "127.0.0.1"
SCOPES = "openid profile email reports:read offline_access"
STORE = {"PARJAR_STORE": "memory"}  # for one process; the environment overrides it
TOKEN_SECONDS = 60  # short, to see how a token is renewed


def main() -> int:
    """Read the command line, and run until Ctrl-C."""
    parser = argparse.ArgumentParser("python -m example_app", description=__doc__)
    parser.add_argument("--port", type=a_port, default=5000, help="port of the site (%(default)s)")
    parser.add_argument(
        "--provider-port", type=a_port, default=9000, help="port of its provider (%(default)s)"
    )
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # do not log each request
    logging.getLogger("flask_parjar").addFilter(is_news)
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
    """Run the site, and a provider if none is configured; they end together."""
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
    """Create the site and its provider, and start the provider."""
    provider = DevProvider(f"http://{HOST}:{port}")
    provider.access_token_seconds = TOKEN_SECONDS
    app = create_app(
        provider.config(
            {
                "PARJAR_SCOPES": SCOPES,
                "EXAMPLE_SIGN_OUT_URL": provider.metadata["end_session_endpoint"],
                **STORE,
            },
            client_id="example-site",
        )
    )
    provider.allow_requests(app.config.get("PARJAR_REQUEST", "pushed+signed"))
    callbacks, homes = [], []
    for base_url in (site, site.replace(HOST, "localhost")):  # both names are used
        with app.test_request_context(base_url=base_url):
            callbacks.append(url_for("parjar.callback", _external=True))
            homes.append(url_for("home", _external=True))
    with app.test_request_context(base_url=site):
        keys = url_for("parjar.jwks", _external=True)
        logout_tokens = url_for("parjar.backchannel_logout", _external=True)
    provider.register(
        ClientMetadata(
            client_id=app.config["PARJAR_CLIENT_ID"],
            client_name="The example site",
            redirect_uris=callbacks,
            post_logout_redirect_uris=homes,
            jwks_uri=keys,
            backchannel_logout_uri=logout_tokens,
            scope=app.config["PARJAR_SCOPES"],
        )
    )
    running.enter_context(provider.running())
    return app


def is_news(record: logging.LogRecord) -> bool:
    """Leave out the warning about the memory store: this is one process, which may forget."""
    return not record.getMessage().startswith("PARJAR_STORE is memory")


def a_port(text: str) -> int:
    """Read a port from the command line; 0 means any port that is free."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: write a number from 0 to 65535")
    return int(text)


def free_port(wanted: int) -> int:
    """The wanted port, or another one if it is in use; then print it."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was just closed counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
            print(f" * Port {wanted} is in use; port {probe.getsockname()[1]} is used instead.")
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
