"""What other providers send: the answers of a DevProvider, altered on their way to the site."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.wrappers import Response

from flask_parjar.testing import DevProvider
from tests.protocol.examples import EC_JWK, make_token, public, signing_key

#: Changes an answer in place.
Change = Callable[[Response], None]

TOKEN, PUSH, KEYS, USERINFO, REVOKE = "/token", "/par", "/jwks.json", "/userinfo", "/revoke"
METADATA = "/.well-known/openid-configuration"
#: The name of the key that signs what is altered.
KID = "of the altered"


class AlteredAnswers:
    """Stands between a DevProvider and its callers.

    What it signs is signed with the keys of RFC 7515 and RFC 8037. Unless told otherwise it
    publishes its P-256 key beside the provider's own.
    """

    def __init__(self, provider: DevProvider) -> None:
        self._app = provider.app.wsgi_app
        self._changes: dict[str, list[Change]] = {}
        provider.app.wsgi_app = self  # type: ignore[method-assign]
        self.change(KEYS, self._add_key)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = Response.from_app(self._app, environ)
        for change in self._changes.get(environ["PATH_INFO"], ()):
            change(response)
        return response(environ, start_response)

    def change(self, path: str, how: Change) -> None:
        """Change each answer that comes from a path, from now on."""
        self._changes.setdefault(path, []).append(how)

    def members(self, path: str, **members: Any) -> None:
        """Put members into a JSON answer, or over what is there."""
        self.change(path, lambda response: _put(response, members))

    def headers(self, path: str, headers: Mapping[str, str]) -> None:
        """Set headers of an answer."""
        self.change(path, lambda response: response.headers.update(headers))

    def instead(self, path: str, status: int, body: str | None = None) -> None:
        """Give another answer: a JSON text, or nothing at all."""

        def how(response: Response) -> None:
            response.status_code = status
            response.content_type = "application/json"
            response.set_data(body or "")

        self.change(path, how)

    def publish(self, *jwks: Mapping[str, Any]) -> None:
        """Publish these keys alone."""
        self._changes[KEYS] = [lambda response: _put(response, {"keys": list(jwks)})]

    def _add_key(self, response: Response) -> None:
        keys = json.loads(response.get_data())["keys"]
        _put(response, {"keys": [*keys, public(EC_JWK, kid=KID)]})

    def id_token(
        self,
        *,
        alg: str = "ES256",
        header: Mapping[str, Any] | None = None,
        without: Iterable[str] = (),
        **claims: Any,
    ) -> None:
        """Give ID tokens with other claims; the signature is right.

        :param header: members to put over ``alg``, ``kid`` and ``typ``; None takes one away
        :param without: claims to leave out; a claim that is None here is null there
        """

        def how(response: Response) -> None:
            given = json.loads(response.get_data())
            if "id_token" not in given:
                return
            part = given["id_token"].split(".")[1]
            honest = json.loads(base64.urlsafe_b64decode(part + "=="))
            kept = {name: value for name, value in honest.items() if name not in without}
            asked = {"alg": alg, "kid": KID, "typ": "JWT", **(header or {})}
            protected = {name: value for name, value in asked.items() if value is not None}
            token = make_token(protected, {**kept, **claims}, alg=alg, key=signing_key(alg))
            _put(response, {"id_token": token})

        self.change(TOKEN, how)


def _put(response: Response, members: Mapping[str, Any]) -> None:
    if response.status_code < 300:
        response.set_data(json.dumps({**json.loads(response.get_data()), **members}))
