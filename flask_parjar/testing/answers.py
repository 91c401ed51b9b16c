"""What leaves the provider, before it leaves: the last moment at which it can be spoilt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from flask import Response


@dataclass(slots=True, kw_only=True)
class Answer:
    """A JSON answer: status, members and headers, all of which a fault may change.

    :param members: the JSON object, or whatever JSON value a fault puts in its place
    :param path: the path that was asked for
    :param body: what is sent in place of the members, whole or in pieces made as they are sent
    """

    members: object
    path: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "no-store"})
    content_type: str = "application/json"
    body: str | bytes | Iterable[bytes] | None = None

    @property
    def document(self) -> dict[str, object]:
        """The members, where they are a JSON object."""
        return self.members if isinstance(self.members, dict) else {}

    def put(self, name: str, value: object) -> None:
        """Set one member of the JSON object."""
        self.members = {**self.document, name: value}

    def drop(self, name: str) -> None:
        """Take one member of the JSON object away."""
        self.members = {k: v for k, v in self.document.items() if k != name}

    def text(self) -> str:
        """The members as JSON."""
        return json.dumps(self.members)

    def response(self) -> Response:
        """The answer as Flask sends it."""
        body = self.text() if self.body is None else self.body
        response = Response(body, status=self.status, content_type=self.content_type)
        response.headers.update(self.headers)
        return response


@dataclass(slots=True, kw_only=True)
class AuthorizationAnswer:
    """The authorization response: what the browser carries back to the client.

    :param parameters: in order; a fault may repeat one
    :param mode: ``query`` or ``form_post``

    RFC 6749 section 4.1.2
    """

    redirect_uri: str
    mode: str
    parameters: list[tuple[str, str]]

    def put(self, name: str, value: str) -> None:
        """Set one parameter, in the place of all of that name."""
        self.drop(name)
        self.parameters.append((name, value))

    def drop(self, name: str) -> None:
        """Take a parameter away, however often it is there."""
        self.parameters = [pair for pair in self.parameters if pair[0] != name]

    def url(self) -> str:
        """The client's redirect URI with the parameters in its query."""
        return with_query(self.redirect_uri, self.parameters)


def with_query(url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """A URL with more parameters at the end of its query (RFC 6749 section 3.1.2)."""
    query = urlencode(list(parameters))
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
