"""The certificates of a Keycloak that also has an https port, where clients may present theirs."""

from __future__ import annotations

from pathlib import Path

from tests.support.certificates import Pair, make_pair

#: The authority of the server's certificate, and of those of the clients that Keycloak trusts.
AUTHORITY: Pair = make_pair("authority of the tests", authority=True)


class TlsFiles:
    """What Keycloak reads at its start.

    :param folder: an empty one, for this Keycloak alone.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = folder / "authority.pem"
        self._certificate, self._key = folder / "server.pem", folder / "server.key"
        server = make_pair("keycloak", issuer=AUTHORITY, host="127.0.0.1")
        self.authority.write_text(AUTHORITY.pem, encoding="utf-8")
        self._certificate.write_text(server.pem, encoding="utf-8")
        self._key.write_text(server.key_pem, encoding="utf-8")

    def options(self, port: int) -> list[str]:
        """Return the options of ``kc.sh start`` for https on a port.

        The readiness is still asked by http.
        """
        return [
            f"--https-port={port}",
            f"--https-certificate-file={self._certificate}",
            f"--https-certificate-key-file={self._key}",
            f"--truststore-paths={self.authority}",
            "--http-management-scheme=http",
        ]
