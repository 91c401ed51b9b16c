"""A request before it is sent, its answer, and what authenticates or binds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

#: The fields of a form, in order. A name may be repeated (``resource``: RFC 8707 section 2).
Form = tuple[tuple[str, str], ...]

#: Parameters by name. The value of a parameter that is repeated is a list.
Parameters = Mapping[str, str | list[str]]

#: The client certificate that is newest when the request is sent.
CURRENT_CERTIFICATE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A request to an endpoint.

    :param certificate: which client certificate the TLS connection presents: None for none,
        `CURRENT_CERTIFICATE`, or the thumbprint of the one that a token is bound to (RFC 8705).
    :param form: the ``application/x-www-form-urlencoded`` body; None where there is no body.
    """

    method: str
    url: str
    form: Form | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: str | None = None

    @classmethod
    def post(cls, url: str, form: Parameters) -> Outbound:
        """Make a request that posts a form."""
        fields = (
            (name, each)
            for name, value in form.items()
            for each in ([value] if isinstance(value, str) else value)
        )
        return cls(method="POST", url=url, form=tuple(fields))

    def with_fields(self, fields: Mapping[str, str]) -> Outbound:
        """Add form fields, in place of those with the same name."""
        kept = (pair for pair in self.form or () if pair[0] not in fields)
        return replace(self, form=(*kept, *fields.items()))

    def with_header(self, name: str, value: str) -> Outbound:
        """Add a header."""
        return replace(self, headers={**self.headers, name: value})


#: Headers of a request that the library, a proof or the HTTP client sets.
_OWN_HEADERS = frozenset(
    "accept accept-encoding authorization connection content-length content-type cookie dpop "
    "expect host keep-alive te trailer transfer-encoding upgrade user-agent".split()
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def check_headers(headers: object) -> None:
    """Check further headers of requests.

    :raises ValueError: with what is wrong; the values are not shown.

    RFC 9110 sections 5.1 and 5.5.
    """
    if not isinstance(headers, Mapping):
        raise ValueError("write a dict of texts, or a function that returns one")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r:.80} is no name of a header")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"leave out {name}: the library sets it itself")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} is no text of visible ASCII characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The whole answer of an endpoint.

    :param document: the JSON object in the body; None if there is none.
    :param fault: why there is none.
    :param certificate: the thumbprint of the client certificate that the connection presented.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    document: Mapping[str, Any] | None = field(repr=False)
    fault: str = ""
    certificate: str | None = None


class Proof(Protocol):
    """What authenticates a request: client authentication, or an access token in a header."""

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        """Add the proof to a request. It changes nothing else, and is called again for each try.

        :param now: seconds since 1970.
        """
        ...

    def learn(self, answer: Answer) -> bool:
        """Read from an answer, also from a successful one, what the next proof needs.

        :returns: whether to try the same request once more with a new proof.
        """
        ...


class Nonces(Protocol):
    """The nonces that servers asked for: they outlive a login, and all logins share them.

    A place is an origin, and whether it is asked as an authorization server or as an API.
    """

    def get(self, place: str) -> str | None:
        """The nonce that a place gave last; None if it gave none."""
        ...

    def put(self, place: str, nonce: str) -> None:
        """Keep the nonce that a place gave."""
        ...
