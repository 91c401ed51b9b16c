"""A proxy before a server through which every answer comes late."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from types import TracebackType


class SlowProxy:
    """A TCP proxy on this machine; a context manager that closes it.

    :param port: of the server behind it.
    :param delay: seconds by which each answer of the server is late.
    """

    def __init__(self, port: int, *, delay: float) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as server:
                    back = threading.Thread(target=_pass_on, args=(server, self.request, delay))
                    back.start()
                    _pass_on(self.request, server, 0)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> SlowProxy:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass_on(source: socket.socket, target: socket.socket, delay: float) -> None:
    """Pass on what comes until nothing does, then tell the other side."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
