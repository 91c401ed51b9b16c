"""What ``flask parjar doctor`` looks at for each provider: keys, metadata, clock, agreement."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from ..config.profiles import RULES
from ..error_codes import CODES
from ..errors import ProviderUnavailable
from ..protocol.agreement import Agreement, Disagreement, agree
from ..protocol.binding import BeginBinding, begin_bearer
from ..protocol.certificates import certificate_end
from ..protocol.client import ClientConfig
from ..protocol.client_auth import (
    ClientAssertion,
    GivenAssertion,
    PublicClient,
    SecretInBody,
    SecretInHeader,
)
from ..protocol.dpop import BeginDPoP
from ..protocol.jwe import Decryption
from ..protocol.keys import BACKDATED, PublicKey
from ..protocol.metadata import ProviderMetadata
from ..protocol.mutual_tls import CertificateAuth, begin_certificate
from ..protocol.outbound import Outbound, Proof
from ..protocol.profiles import PROFILES
from ..provider import Provider
from .findings import FAULT, GOOD, WARNING, Finding, of_error

_SOON = 30 * 86400  # seconds before the end of a certificate
_DAY = 86400

#: The methods of client authentication without an assertion of ours, by their class.
_METHODS: tuple[tuple[type, str], ...] = (
    (GivenAssertion, "private_key_jwt, with the assertion of PARJAR_CLIENT_ASSERTION"),
    (SecretInHeader, "client_secret_basic"),
    (SecretInBody, "client_secret_post"),
    (PublicClient, "none"),
    (CertificateAuth, "with the certificate of PARJAR_CLIENT_CERT"),
)


def check_provider(provider: Provider, *, now: int) -> Iterator[Finding]:
    """Look at one provider: what a login will use there, and what it will fail of."""
    client = provider.client
    yield _good(client, "issuer", client.issuer)
    yield _good(client, "client", client.client_id)
    yield from _check_own_keys(client, now=now)
    try:
        metadata = provider.metadata(now)
    except ProviderUnavailable as error:
        yield of_error(error, about=client.name, subject="metadata")
        return
    except ValueError as error:  # of the function in PARJAR_HTTP_HEADERS
        yield _finding(FAULT, client, "PARJAR_HTTP_HEADERS", str(error))
        return
    source = "from PARJAR_METADATA" if client.metadata is not None else "fetched"
    yield _good(client, "metadata", source)
    for ignored in metadata.ignored:
        yield _finding(WARNING, client, "metadata", f"counts as missing: {ignored}")
    try:
        keys = provider.keys(now)
    except ProviderUnavailable as error:
        yield of_error(error, about=client.name, subject="provider's keys")
    else:
        yield _good(client, "provider's keys", f"{len(keys)} that verify, at {metadata.jwks_uri}")
    yield from _check_clock(provider, metadata)
    yield from _check_agreement(client, metadata)
    yield from _compare_profiles(client, metadata)


def _finding(
    severity: str, client: ClientConfig, subject: str, found: str, write: str = ""
) -> Finding:
    return Finding(severity=severity, about=client.name, subject=subject, found=found, write=write)


def _good(client: ClientConfig, subject: str, found: str) -> Finding:
    return _finding(GOOD, client, subject, found)


def _check_own_keys(client: ClientConfig, *, now: int) -> Iterator[Finding]:
    lists: Iterable[tuple[str, tuple[PublicKey, ...]]] = (
        ("signing key", client.signing_keys),
        ("assertion key", client.assertion_keys),
        ("decryption key", client.encryption_keys),
    )
    for subject, keys in lists:
        for position, key in enumerate(keys):
            kind = key.public_jwk.get("crv") or key.public_jwk.get("kty")
            use = "" if position == 0 else _also(subject)
            yield _good(client, subject, f"{kind}, kid {key.kid}{use}")
            if chain := key.public_jwk.get("x5c"):
                yield from _check_certificate(client, subject, chain[0], now=now)
    if client.certificate is not None:
        chain = client.certificate.public_jwk["x5c"]
        yield _good(client, "client certificate", client.certificate.subject)
        yield from _check_certificate(client, "client certificate", chain[0], now=now)


def _also(subject: str) -> str:
    return " (decrypts too)" if subject == "decryption key" else " (published, and does not sign)"


def _check_certificate(
    client: ClientConfig, subject: str, certificate: str, *, now: int
) -> Iterator[Finding]:
    try:
        end = certificate_end(certificate)
    except ValueError as error:
        yield _finding(WARNING, client, subject, str(error), "correct x5c, or leave it out")
        return
    day = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%d")
    if end <= now:
        found = f"its certificate ended on {day}"
        yield _finding(FAULT, client, subject, found, "renew the certificate")
    elif end <= now + _SOON:
        found = f"its certificate ends on {day}, in {(end - now) // _DAY} days"
        yield _finding(WARNING, client, subject, found, "renew the certificate")
    else:
        yield _good(client, subject, f"its certificate ends on {day}")


def _check_clock(provider: Provider, metadata: ProviderMetadata) -> Iterator[Finding]:
    """Compare our clock with the Date header of the provider.

    A cache between may have kept the answer for the seconds in Age.

    RFC 9110 section 6.6.1, RFC 9111 section 5.1.
    """
    client = provider.client
    headers = {} if client.http_headers is None else dict(client.http_headers())
    try:
        answer = provider.http.send(Outbound(method="GET", url=metadata.jwks_uri, headers=headers))
        now = int(time.time())  # after the answer, which may have taken seconds
        theirs = int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp())
        theirs += int(answer.headers.get("Age", "0"))
    except (ProviderUnavailable, ValueError, TypeError, OverflowError):
        yield _finding(WARNING, client, "clock", "the provider sends no Date to compare it with")
        return
    ahead = now - theirs
    found = f"ours is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the provider's"
    if abs(ahead) > client.clock_skew:
        write = "set the clock (NTP); PARJAR_CLOCK_SKEW is what we accept of the provider's tokens"
        yield _finding(FAULT, client, "clock", found, write)
    elif ahead > BACKDATED:
        found += ", and what we sign is from the future for a provider without a tolerance"
        yield _finding(WARNING, client, "clock", found, "set the clock (NTP)")
    else:
        yield _good(client, "clock", "as the provider's" if ahead == 0 else found)


def _check_agreement(client: ClientConfig, metadata: ProviderMetadata) -> Iterator[Finding]:
    agreement = agree(client, metadata, PROFILES[client.profile])
    if isinstance(agreement, tuple):
        for disagreement in agreement:
            yield _finding(
                FAULT,
                client,
                "agreement",
                _told(disagreement),
                CODES[disagreement.code].operator,
            )
        return
    for subject, found in _facts(client, agreement):
        yield _good(client, subject, found)
    signing = agreement.request_signing
    if signing is not None and not signing.announced:
        yield _finding(
            WARNING,
            client,
            "request object",
            "the provider's metadata says nothing of signed requests, so perhaps it takes none",
            "try it: flask parjar doctor --push",
        )


def _told(disagreement: Disagreement) -> str:
    return f"{disagreement.code}: {disagreement.detail}".removesuffix(": ")


def _facts(client: ClientConfig, agreement: Agreement) -> Iterator[tuple[str, str]]:
    """What a login will use."""
    yield "request level", client.request
    signing, encryption = agreement.request_signing, agreement.request_encryption
    if signing is not None:
        yield "request object", f"signed {signing.alg}, kid {signing.key.kid}"
    if encryption is not None:
        yield "request object", f"encrypted {encryption.alg} {encryption.enc}"
    yield "client authentication", method_of(agreement.client_auth)
    yield "access token", binding_of(agreement.begin_binding)
    yield "ID token", _signed(agreement.id_token_algs, agreement.id_token_decryption)
    if agreement.fetch_userinfo:
        yield "userinfo", _signed(agreement.userinfo_algs, agreement.userinfo_decryption)
    yield "response mode", agreement.response_mode or "query"
    yield "iss in the response", "demanded" if agreement.iss_required else "checked if it is there"
    yield "logout", "at the provider too" if agreement.endpoints.end_session else "of the site only"


def binding_of(begin: BeginBinding) -> str:
    """What access tokens are bound to."""
    if isinstance(begin, BeginDPoP):
        return f"DPoP, {begin.alg}"
    if begin is begin_certificate:
        return "the certificate of PARJAR_CLIENT_CERT"
    return "not bound (Bearer)" if begin is begin_bearer else type(begin).__name__


def method_of(client_auth: Proof) -> str:
    """The name of a method of client authentication, with its algorithm and key."""
    if isinstance(client_auth, ClientAssertion):
        secret = client_auth.key.kty == "oct"
        method = "client_secret_jwt" if secret else "private_key_jwt"
        return f"{method}, {client_auth.alg}" + ("" if secret else f", kid {client_auth.key.kid}")
    return next(
        (name for kind, name in _METHODS if isinstance(client_auth, kind)),
        type(client_auth).__name__,
    )


def _signed(algs: tuple[str, ...], decryption: Decryption | None) -> str:
    signed = f"signed {', '.join(algs)}"
    if decryption is None:
        return signed
    encryption = decryption.encryption
    return f"encrypted {encryption.alg} {' or '.join(encryption.encs)}; {signed}"


def _compare_profiles(client: ClientConfig, metadata: ProviderMetadata) -> Iterator[Finding]:
    """Say for each profile whether this configuration and this provider could hold it."""
    for name, rules in RULES.items():
        if name == client.profile:
            yield _good(client, name, "chosen by PARJAR_PROFILE")
            continue
        broken = [
            f"PARJAR_{rule.key}: {fault}"
            for rule, fault in ((rule, rule.broken(client)) for rule in rules)
            if fault
        ]
        agreement = agree(client, metadata, PROFILES[name])
        missing = [_told(each) for each in agreement] if isinstance(agreement, tuple) else []
        if broken or missing:
            yield _good(client, name, f"not possible yet: {'; '.join((*broken, *missing))}")
        else:
            yield _good(client, name, f"possible: PARJAR_PROFILE = {name!r} would hold it")
