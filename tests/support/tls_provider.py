"""A provider with TLS sockets, which takes client certificates."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from flask_parjar.testing import DevProvider, ServerTLS
from tests.support.certificates import make_pair
from tests.support.ports import find_free_port

#: Issues certificates of servers and of clients.
ROOT = make_pair("root", authority=True)


class Served(NamedTuple):
    provider: DevProvider
    tls: ServerTLS
    ca_bundle: str

    def running(self) -> AbstractContextManager[str]:
        return self.provider.running(tls=self.tls)


def served(folder: Path, *, aliases: bool = False) -> Served:
    """A provider that is served over https, and what a site trusts to reach it."""
    pair = make_pair("server", issuer=ROOT, host="127.0.0.1")
    (folder / "root.pem").write_text(ROOT.pem)
    (folder / "server.pem").write_text(pair.pem)
    (folder / "server.key").write_text(pair.key_pem)
    issuer, mtls = (f"https://127.0.0.1:{find_free_port()}" for _ in "12")
    tls = ServerTLS(
        certificate=folder / "server.pem",
        key=folder / "server.key",
        client_authorities=folder / "root.pem",
    )
    provider = DevProvider(issuer, mtls=mtls if aliases else None)
    return Served(provider, tls, str(folder / "root.pem"))
