"""The provider behind a socket: on this machine, for this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def loopback_server(
    app: WSGIApplication, issuer: str, *, port: int | None, host: str | None
) -> BaseWSGIServer:
    """A server, bound and not yet serving; says aloud what it is.

    :param issuer: names the host and the port
    :param port: the issuer's, or nothing
    :param host: another loopback address to bind to
    :raises ValueError: the host can be reached from elsewhere, or the issuer names another port
    """
    parts = urlsplit(issuer)
    own_host, own_port = str(parts.hostname), parts.port
    for name in (own_host, host or own_host):
        if not _is_loopback(name):
            raise ValueError(f"{name!r} is not this machine: anyone could sign in as anyone")
    if own_port is None or parts.scheme != "http":
        raise ValueError(f"only http with a port can be served, not {issuer}")
    if port not in (None, own_port):
        raise ValueError(f"the issuer {issuer} names port {own_port}, not {port}")
    server = make_server(
        host or own_host, own_port, app, threaded=True, request_handler=_QuietHandler
    )
    print(f" * OpenID provider for DEVELOPMENT ONLY, without passwords: {issuer}", flush=True)
    return server


@contextlib.contextmanager
def running(server: BaseWSGIServer) -> Iterator[None]:
    """Serve in a thread for the time of a ``with`` block, then close the server."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    """Logs no query: it may hold a code."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.log("info", '"%s %s" %s', self.command, self.path.partition("?")[0], code)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
