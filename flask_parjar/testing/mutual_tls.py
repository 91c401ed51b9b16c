"""Mutual TLS: which certificates are accepted, what they authenticate, and what they bind.

Python's TLS server accepts a certificate only if it trusts an issuer of it, or the certificate
itself. So a self-signed one has to be registered before it comes. RFC 8705.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

from .answers import CertificateBindingDraft, InvalidGrantError, refusal
from .clients import Client
from .jws import Unproven, encode
from .state import Grant, ProviderState

#: Where the server, or the connection of a test, puts the certificate of the TLS connection as PEM:
#: a key of the WSGI environ that no header can set.
ENVIRON_KEY = "SSL_CLIENT_CERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTLS:
    """With what the provider is served over https.

    :param certificate: the path of its certificate as PEM
    :param key: the path of its private key as PEM
    :param client_authorities: the path of certificates of authorities, as PEM, that issue the
        certificates of clients
    """

    certificate: str | Path
    key: str | Path
    client_authorities: str | Path | None = None

    def context(self, *, asks: bool, trusted: TrustedCertificates) -> ssl.SSLContext:
        """The TLS settings of a server.

        :param asks: whether it asks for client certificates; a client may have none
        :param trusted: further certificates of clients
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if asks:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            if self.client_authorities is not None:
                context.load_verify_locations(self.client_authorities)
            trusted.add_to(context)
        return context


class TrustedCertificates:
    """The certificates of clients that no known authority issued. Servers trust them at once."""

    def __init__(self) -> None:
        self._pems: list[str] = []
        self._contexts: list[ssl.SSLContext] = []
        self._lock = threading.Lock()

    def trust(self, pem: str) -> None:
        """Trust a certificate, in servers that run too."""
        with self._lock:
            self._pems.append(pem)
            for context in self._contexts:
                context.load_verify_locations(cadata=pem)

    def add_to(self, context: ssl.SSLContext) -> None:
        """Let a server trust these certificates, and those that come later."""
        with self._lock:
            self._contexts.append(context)
            for pem in self._pems:
                context.load_verify_locations(cadata=pem)


def thumbprint_of(pem: str) -> str:
    """The ``x5t#S256`` of a certificate (RFC 8705 section 3.1)."""
    return encode(hashlib.sha256(_der(pem)).digest())


def check_client_certificate(client: Client, pem: str) -> None:
    """Check that a certificate is the one that a client registered, or has its subject.

    That an authority issued it, and that it is valid now, was checked in the TLS handshake.

    :raises Unproven: it is another one

    RFC 8705 sections 2.1 and 2.2
    """
    if client.token_endpoint_auth_method == "self_signed_tls_client_auth":  # noqa: S105 - a method
        if _der(pem) not in client.keys.certificates:
            raise Unproven("the client certificate is not registered")
        return
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    if subject != x509.Name.from_rfc4514_string(str(client.tls_client_auth_subject_dn)):
        raise Unproven(f"the subject of the client certificate is {subject.rfc4514_string()!r}")


def check_presented(client: Client, *, former: Grant | None, x5t: str | None) -> None:
    """Check the certificate of a token request, before anything is used up.

    A refresh token of a client that authenticates is bound to the client, so its certificate may be
    another one by now. That of a public client is bound to the certificate.

    :param former: what the refresh token stands for; None for a code
    :raises OAuth2Error: ``invalid_grant``

    RFC 8705 sections 3 and 4
    """
    if client.tls_client_certificate_bound_access_tokens and x5t is None:
        raise refusal(InvalidGrantError, "tokens of this client are bound: no client certificate")
    is_public = client.token_endpoint_auth_method == "none"  # noqa: S105 - a method
    if former is not None and is_public and former.x5t not in (None, x5t):
        raise refusal(InvalidGrantError, "the refresh token is bound to another certificate")


def bound_to_certificate(grant: Grant, x5t: str | None, *, provider: ProviderState) -> Grant:
    """The grant of tokens that are bound to a certificate; active faults change the certificate.

    RFC 8705 section 3
    """
    bound = grant.request.client.tls_client_certificate_bound_access_tokens
    draft = CertificateBindingDraft(x5t=x5t if bound else None)
    provider.faults.act("certificate_binding", draft)
    return replace(grant, x5t=draft.x5t)


def presented_in(environ: Mapping[str, object]) -> str | None:
    """The certificate of the connection that a request came through, as PEM."""
    pem = environ.get(ENVIRON_KEY)
    return pem if isinstance(pem, str) else None


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)
