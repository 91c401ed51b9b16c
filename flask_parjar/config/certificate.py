"""The client certificate in the configuration: what is wrong with it, and when it ends."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocol.client import ClientConfig
from ..protocol.mutual_tls import CERTIFICATE_AUTHS, ClientCertificate, parse_certificate

_DAY = 86400  # seconds
_DAYS_OF_WARNING = 14


def read_client_certificate(path: str, key_path: str) -> ClientCertificate:
    """Read the files of PARJAR_CLIENT_CERT and PARJAR_CLIENT_CERT_KEY.

    :raises ValueError: the certificate is not valid now, or the key is that of another one.
    """
    try:
        pems = [Path(each).read_text(encoding="utf-8") for each in (path, key_path)]
    except OSError as exc:  # they could be read a moment ago
        raise ValueError(f"its files cannot be read ({type(exc).__name__})") from exc
    certificate = parse_certificate(*pems)
    fault = certificate.fault_at(int(time.time()))
    if fault is not None:
        raise ValueError(f"the certificate in {path} cannot be used now: {fault}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, key_path)
    except ssl.SSLError as exc:
        raise ValueError(f"OpenSSL does not accept {path}: {exc.reason}") from exc
    return certificate


def faults_of_mutual_tls(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of keys about mutual TLS that are valid alone but not together (RFC 8705)."""
    auth, bound = values.get("CLIENT_AUTH"), values.get("BOUND_TOKENS")
    if "CLIENT_CERT" in values and "CLIENT_CERT_KEY" not in values:
        yield "CLIENT_CERT_KEY", "is required by CLIENT_CERT: the path of its private key as PEM"
    if "CLIENT_CERT" not in values and "CLIENT_CERT_KEY" in values:
        yield "CLIENT_CERT", "is required by CLIENT_CERT_KEY: the path of a certificate as PEM"
    for needed, why in ((auth in CERTIFICATE_AUTHS, auth), (bound, "BOUND_TOKENS")):
        if needed and not {"CLIENT_CERT", "CLIENT_CERT_KEY"} & values.keys():
            yield "CLIENT_CERT", f"is required by {why}: the path of a certificate as PEM"
        if needed and str(values.get("ISSUER")).startswith("http:"):
            yield "ISSUER", f"is plain http: {why} needs TLS"
    if bound and values.get("DPOP"):
        yield "BOUND_TOKENS", "and DPOP are both on: tokens are bound in one way, leave one out"


def ending_certificates(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """The warnings about certificates that end soon."""
    now = int(time.time())
    for client in providers.values():
        if client.certificate is not None:
            left = client.certificate.not_after - now
            if left < _DAYS_OF_WARNING * _DAY:
                yield (
                    f"PARJAR_CLIENT_CERT of provider {client.name!r} ends in {left // _DAY} days: "
                    "renew the file, which is read again while the site runs"
                )
