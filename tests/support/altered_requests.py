"""What a site sends a DevProvider, altered on its way; what is signed is signed anew."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask
from joserfc.jwk import ECKey, Key, import_key

from flask_parjar.testing import DevProvider
from flask_parjar.testing.jws import parse
from tests.testing.hand_made_client import bent, sign

PUSH = "/par"


@dataclass(frozen=True, kw_only=True)
class Alteration:
    """What is other than the site has sent it; a value may be a function of all claims.

    :param parameters: of the authorization request, wherever they are
    :param assertion: claims of client assertions
    :param assertion_header: members of their header
    :param proof: claims of DPoP proofs
    :param proof_curve: the curve of the key of proofs
    :param headers: values of the WSGI environ, as ``HTTP_USER_AGENT``
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    assertion: Mapping[str, Any] = field(default_factory=dict)
    assertion_header: Mapping[str, Any] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)
    proof_curve: str = "P-256"
    headers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_proofs(self) -> bool:
        return bool(self.proof) or self.proof_curve != "P-256"


class AlteredRequests:
    """Stands between a site and a provider, and knows the keys of the site.

    Proofs of DPoP that are altered are those of a key of its own.
    """

    def __init__(self, provider: DevProvider, app: Flask, alteration: Alteration) -> None:
        self._app = provider.app.wsgi_app
        self._alteration = alteration
        config = app.config
        self._request_key: Any = config.get("PARJAR_SIGNING_KEY")
        self._assertion_key: Any = config.get("PARJAR_ASSERTION_KEY") or self._request_key
        self._proof_key = ECKey.generate_key(alteration.proof_curve)
        self._parameters = dict(alteration.parameters)
        if alteration.of_proofs:
            self._parameters["dpop_jkt"] = self._proof_key.thumbprint()
        provider.app.wsgi_app = self  # type: ignore[method-assign]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith((PUSH, "/token")):
            length = int(environ["CONTENT_LENGTH"])
            form = dict(parse_qsl(environ["wsgi.input"].read(length).decode()))
            body = urlencode(self._altered_form(form, environ["PATH_INFO"])).encode()
            environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        if "HTTP_DPOP" in environ and self._alteration.of_proofs:
            environ["HTTP_DPOP"] = self._altered_proof(environ["HTTP_DPOP"])
        return self._app(bent(environ, self._alteration.headers), start_response)

    def url(self, url: str) -> str:
        """The URL that the browser takes to the provider, if the request is in it."""
        asked = dict(parse_qsl(urlsplit(url).query))
        if "request_uri" in asked:
            return url
        return urlsplit(url)._replace(query=urlencode(self._altered_request(asked))).geturl()

    def _altered_form(self, form: dict[str, str], path: str) -> dict[str, str]:
        changed = self._alteration.assertion, self._alteration.assertion_header
        if "client_assertion" in form and any(changed):
            made = _altered(form["client_assertion"], *changed, key=self._assertion_key)
            form = {**form, "client_assertion": made}
        return self._altered_request(form) if path.endswith(PUSH) else form

    def _altered_request(self, given: dict[str, str]) -> dict[str, str]:
        if not self._parameters:
            return given
        if "request" not in given:
            return bent(given, self._parameters)
        made = _altered(given["request"], self._parameters, {}, key=self._request_key)
        return {**given, "request": made}

    def _altered_proof(self, text: str) -> str:
        jwk = self._proof_key.as_dict(private=False)
        alg = {"P-256": "ES256", "P-384": "ES384"}[self._alteration.proof_curve]
        header = {"alg": alg, "jwk": jwk}
        return _altered(text, self._alteration.proof, header, key=self._proof_key)


def _altered(
    text: str, claims: Mapping[str, Any], header: Mapping[str, Any], *, key: Key | dict[str, Any]
) -> str:
    before = parse(text)
    values = {n: v(before.claims) if callable(v) else v for n, v in claims.items()}
    signer = import_key(key) if isinstance(key, dict) else key
    payload = json.dumps(bent(before.claims, values)).encode()
    return sign(bent(before.header, header), payload, signer)
