"""Pools of connections: those that present no client certificate, and those that present one.

A file with a certificate is looked at before each use. If it has changed, the new certificate gets
a new TLS context and new pools. Exchanges under way end with the connections that they have. The
certificates before it are kept for a short time, for tokens that were bound to them in this moment.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..protocol.mutual_tls import ClientCertificate, parse_certificate
from .adapters import BoundedAdapter, SharedTLSAdapter, new_tls_context

log: logging.Logger = logging.getLogger("flask_parjar")

#: Seconds for which a certificate that was replaced is still presented with the tokens that are
#: bound to it: as long as a login takes between its tokens and userinfo, with time to spare. Then
#: an API answers that such a token is not valid, and it is renewed.
KEPT_FOR = 60.0
_KEPT = 4  # certificates at most, with the newest
_RETRY_AFTER = 1.0  # seconds after which files that could not be used are read again
#: Of one file: when it was changed, its size and its number; None where there is none.
_FileLook = tuple[int, int, int] | None
_Look = tuple[_FileLook, ...]


class Route(NamedTuple):
    """How to reach one origin.

    :param pool: the connections to it (urllib3 has no better type for them).
    :param host: the ``Host`` of its requests (RFC 9110 section 7.2).
    :param whole_url: whether the request line has the whole URL, as a proxy for plain http needs
        it (RFC 9112 section 3.2.2).
    """

    pool: Any
    host: str
    whole_url: bool


class Pools:
    """The connections that present the same client certificate, or none.

    :param ca_bundle: certificates to trust.
    :param context: with the client certificate; None for the shared one, which has none.
    """

    def __init__(self, ca_bundle: str | None, context: ssl.SSLContext | None = None) -> None:
        self.adapter: BoundedAdapter = BoundedAdapter(ca_bundle, context=context)
        # Without the limits: the answer of an API may be large and slow.
        self.api_adapter: SharedTLSAdapter = SharedTLSAdapter(ca_bundle, context=context)
        self.routes: dict[str, Route] = {}


class CertificateFiles(NamedTuple):
    """The paths of the PEM files with our certificate and its private key."""

    certificate: str
    key: str


class Presented(NamedTuple):
    """A certificate that is in use.

    :param until: when its use ends after it was replaced, in seconds of the monotonic clock.
    """

    certificate: ClientCertificate
    context: ssl.SSLContext
    pools: Pools
    until: float = float("inf")


class CertifiedPools:
    """The pools of one client certificate, which may be renewed on disk: shared by all threads.

    :param ca_bundle: certificates of servers to trust.
    :param clock: gives seconds that never go back.
    :raises ValueError: the files have no certificate that can be used now.
    :raises OSError: the files cannot be read.
    """

    def __init__(
        self,
        files: CertificateFiles,
        ca_bundle: str | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = self._look()
        self._failed_at: float | None = None
        self._presented: tuple[Presented, ...] = (self._load(),)

    def open_pools(self) -> None:
        """Open new pools, without the connections of the old ones: in a forked worker."""
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        self._presented = tuple(
            each._replace(pools=Pools(self._ca_bundle, each.context)) for each in self._presented
        )

    def in_use(self) -> tuple[Presented, ...]:
        """The certificates in use, newest first."""
        self._renew()
        return self._live()

    def find(self, thumbprint: str) -> Presented:
        """The certificate with a thumbprint, or the newest one where that is not in use."""
        presented = self.in_use()
        wanted = (each for each in presented if each.certificate.thumbprint == thumbprint)
        return next(wanted, presented[0])

    def _renew(self) -> None:
        """Use the certificate in the files, if they have changed. One thread does it."""
        is_up_to_date = not self._is_new(self._look()) and self._presented == self._live()
        if is_up_to_date or not self._lock.acquire(blocking=False):
            return
        try:
            seen = self._look()
            if self._is_new(seen):  # the thread before this one may have done it
                self._replace(seen)
            self._presented = self._live()
        finally:
            self._lock.release()

    def _live(self) -> tuple[Presented, ...]:
        now = self._clock()
        return tuple(each for each in self._presented if now < each.until)

    def _is_new(self, seen: _Look) -> bool:
        if seen != self._looked_at:
            return True
        # Files that are written in place can have the same look before and after.
        return self._failed_at is not None and self._clock() >= self._failed_at + _RETRY_AFTER

    def _replace(self, seen: _Look) -> None:
        is_first_failure = seen != self._looked_at
        try:
            renewed = self._load()
        except (OSError, ValueError) as exc:  # an ssl.SSLError is an OSError
            self._looked_at, self._failed_at = seen, self._clock()
            if is_first_failure:
                log.error(
                    "the files of PARJAR_CLIENT_CERT have changed and cannot be used, so the "
                    "certificate before stays in use: %s: %s",
                    type(exc).__name__,
                    exc,
                )
            return
        current, *former = self._presented
        until = self._clock() + KEPT_FOR
        self._presented = (renewed, current._replace(until=until), *former)[:_KEPT]
        self._looked_at, self._failed_at = seen, None
        log.info("a renewed client certificate is in use: %s", renewed.certificate.thumbprint)

    def _load(self) -> Presented:
        """Load the certificate in the files.

        :raises ValueError: it cannot be used now.
        :raises OSError: the files cannot be read, or do not fit each other.
        """
        before = self._look()
        pems = (Path(path).read_text(encoding="utf-8") for path in self._files)
        certificate = parse_certificate(*pems)
        if fault := certificate.fault_at(int(time.time())):
            raise ValueError(fault)
        context = new_tls_context(self._ca_bundle)
        # Without a password, OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(*self._files, password="")
        if self._look() != before:
            raise ValueError("the files changed while they were read")
        return Presented(certificate, context, Pools(self._ca_bundle, context))

    def _look(self) -> _Look:
        """What shows that a file was changed or replaced, without reading it."""
        return tuple(_look_of(path) for path in self._files)


def _look_of(path: str) -> _FileLook:
    try:
        found = os.stat(path)
    except OSError:  # it is being replaced, perhaps
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
