"""A proxy before a Redis, which loses answers: the command was carried out, and we do not know."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class LossyProxy:
    """A TCP proxy on this machine; a context manager that closes it.

    :param port: of the Redis behind it.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self._word: bytes | None = None
        self._lose = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_answer(self, *, to: str) -> None:
        """Close the connection in place of the answer to the next command with this word."""
        self._word = to.encode("ascii")

    @property
    def has_lost(self) -> bool:
        """Whether the answer was lost."""
        return self._word is None and not self._lose.is_set()

    def __enter__(self) -> LossyProxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._behind))
                for pair, pass_on in (
                    ((visitor, server), self._pass_commands),
                    ((server, visitor), self._pass_answers),
                ):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    def _pass_commands(self, visitor: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), visitor, server:
            while data := visitor.recv(65536):
                if self._word is not None and self._word in data:
                    self._lose.set()
                    self._word = None
                server.sendall(data)

    def _pass_answers(self, server: socket.socket, visitor: socket.socket) -> None:
        with contextlib.suppress(OSError), visitor, server:
            while data := server.recv(65536):
                if self._lose.is_set():
                    self._lose.clear()
                    visitor.shutdown(socket.SHUT_RDWR)
                    return
                visitor.sendall(data)
