"""A provider that takes logins without PKCE, as many still do."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from flask_parjar.testing import DevProvider

_VERIFIER = "v" * 43
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=")


def accept_logins_without_pkce(provider: DevProvider) -> None:
    """Let clients log in that send no ``code_challenge``. All of them get the same one."""
    app: WSGIApplication = provider.app.wsgi_app
    authorization = str(provider.metadata["authorization_endpoint"])
    token = str(provider.metadata["token_endpoint"])

    def with_pkce(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if authorization.endswith(path):
            query = dict(parse_qsl(environ["QUERY_STRING"]))
            if "code_challenge" not in query:
                query |= {
                    "code_challenge": _CHALLENGE.decode(),
                    "code_challenge_method": "S256",
                }
                environ["QUERY_STRING"] = urlencode(query)
        elif token.endswith(path):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            form = dict(parse_qsl(environ["wsgi.input"].read(length).decode()))
            form.setdefault("code_verifier", _VERIFIER)
            body = urlencode(form).encode()
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return app(environ, start)

    provider.app.wsgi_app = with_pkce  # type: ignore[method-assign]
