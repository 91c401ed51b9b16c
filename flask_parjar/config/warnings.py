"""Choices that are valid and weaken a login: each is a warning at start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..protocol.client import ClientConfig
from .faults import asserts_elsewhere

#: What the request levels that bring requests through the browser do not protect.
_WARNING_OF_LEVEL: Mapping[str, str] = {
    "signed": "PARJAR_REQUEST of provider {name!r} is signed: no one can change a request or make "
    "one up, but the browser carries it in a URL, where extensions, histories and logs can read it",
    "plain": "PARJAR_REQUEST of provider {name!r} is plain: REQUESTS ARE NOT PROTECTED. The "
    "browser carries each one in a URL, unsigned: it can be read, changed and made up. Only "
    "{checks} protect the login. If the provider can do more, write pushed+signed, pushed "
    "or signed",
}


def insecure_choices(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """The warnings about providers that are used with less than the best protection."""
    for client in providers.values():
        if client.insecure_http:
            yield (
                f"PARJAR_INSECURE_HTTP is on for provider {client.name!r}: logins are weaker than "
                "this library's promise"
            )
        if asserts_elsewhere(client):
            yield (
                f"PARJAR_ASSERTION_AUDIENCE of provider {client.name!r} is "
                f"{client.assertion_audience!r:.80}: a malicious provider that has its metadata "
                "name another one's endpoint could use client assertions there. Write issuer if "
                "the provider accepts that"
            )
        if not client.pkce:
            yield (
                f"PARJAR_PKCE of provider {client.name!r} is off: only nonce protects a login from "
                "codes of others. For a provider that refuses code_challenge, and no other"
            )
        if client.request_beside and client.request == "pushed+signed":
            yield (
                f"PARJAR_REQUEST_BESIDE of provider {client.name!r} sends "
                f"{', '.join(client.request_beside)} beside the request object, against RFC 9126 "
                "section 3: only for a provider that drops a request object without it"
            )
        if client.request in _WARNING_OF_LEVEL:
            checks = "PKCE, state and nonce" if client.pkce else "state and nonce"
            yield _WARNING_OF_LEVEL[client.request].format(name=client.name, checks=checks)
