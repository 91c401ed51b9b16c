"""An API for tests: it verifies the access tokens of a provider, and what they are bound to.

It asks the provider in this process and trusts nothing that the site says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.wrappers import Request

from .access_tokens import challenge, find_grant, introspect
from .answers import OAuth2Error
from .dpop import NONCE_WANTED, ReceivedProof, verify_proof
from .jws import parse
from .mutual_tls import presented_in, thumbprint_of
from .state import DPoPNonces, Grant, ProviderState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: The key of the WSGI environ that has what the provider knows of the token (RFC 7662 section 2.2).
TOKEN = "parjar.token"  # noqa: S105 - a name


class _Refused(Exception):
    """A request without a token that is good enough.

    :param answer: what the client gets
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True, kw_only=True, eq=False)
class ResourceServer:
    """An API that takes the access tokens of a `DevProvider`: a WSGI app around your own.

    Get one from `DevProvider.resource_server`, and mount it with `mount_api`. A request reaches
    your app only if the provider knows its token, and if the token came with what it is bound to:
    with a proof of its key (DPoP), or through a connection with its certificate (mutual TLS). What
    the provider knows of it is then in ``request.environ["parjar.token"]``. You may change the
    attributes at any time.

    :param audience: the ``resource`` that tokens must have been issued for (RFC 8707). With None, a
        token that was issued for some resources must have one that the URL of the request is below
    :param scopes: what tokens must allow
    :param acr_values: the login must have one of these; others lead to a step-up (RFC 9470)
    :param max_age: how many seconds ago the person may have signed in, at most (RFC 9470)
    :param dpop_nonces: whether proofs must have a nonce of this API (RFC 9449 section 9)
    """

    provider: ProviderState = field(repr=False)
    app: WSGIApplication
    audience: str | None = None
    scopes: Collection[str] = ()
    acr_values: Collection[str] = ()
    max_age: int | None = None
    dpop_nonces: bool = False
    _nonces: DPoPNonces = field(init=False, default_factory=DPoPNonces, repr=False)

    def rotate_dpop_nonces(self) -> None:
        """Want a new nonce in DPoP proofs from now on."""
        self._nonces.rotate()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let your app answer it (PEP 3333)."""
        request = Request(environ)
        try:
            environ[TOKEN] = self._verify(request)
            response = Response.from_app(self.app, environ)
        except _Refused as refused:
            response = refused.answer
        if self.dpop_nonces:
            response.headers["DPoP-Nonce"] = self._nonces.current(of_api=True)
        return response(environ, start_response)

    def _verify(self, request: Request) -> Mapping[str, object]:
        """What the provider knows of the token of a request.

        :raises _Refused: it is not good enough

        RFC 6750 section 3.1
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        kind = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower())
        if kind is None or not token:
            raise _Refused(challenge("", ""))
        jkt = self._proof_key(request, token) if kind == "DPoP" else None
        pem = presented_in(request.environ)
        x5t = None if pem is None else thumbprint_of(pem)
        grant = find_grant(token, jkt=jkt, x5t=x5t, provider=self.provider)
        if (
            grant is None
            or (kind == "DPoP") is (jkt is None)
            or not self._is_for_us(grant, request)
        ):
            raise _Refused(challenge(kind, "invalid_token"))
        if not {*self.scopes} <= {*grant.scopes}:
            missing = {"scope": " ".join(self.scopes)}
            raise _Refused(challenge(kind, "insufficient_scope", missing, status=403))
        if wanted := self._wanted_login(grant):
            raise _Refused(challenge(kind, "insufficient_user_authentication", wanted))
        return introspect(token, provider=self.provider)

    def _proof_key(self, request: Request, token: str) -> str | None:
        """The thumbprint of the key of the DPoP proof; None if there is none.

        :raises _Refused: the proof is not valid, or lacks our nonce

        RFC 9449 sections 4.3, 7 and 9
        """
        text = request.headers.get("DPoP")
        proof = ReceivedProof(
            text=text,
            method=request.method,
            url=_url(request),
            access_token=token,
            at_provider=False,
        )
        try:
            jkt = verify_proof(proof, provider=self.provider)
        except OAuth2Error as error:
            raise _Refused(challenge("DPoP", str(error.error))) from error
        if text is not None and self.dpop_nonces:
            if parse(text).claims.get("nonce") != self._nonces.current(of_api=True):
                raise _Refused(challenge("DPoP", NONCE_WANTED))
        return jkt

    def _is_for_us(self, grant: Grant, request: Request) -> bool:
        """Whether a token was issued for this API (RFC 8707 section 2)."""
        resources = grant.request.resources
        if self.audience is not None:
            return self.audience in resources
        called = f"{_url(request)}/"
        return not resources or any(
            called.startswith(f"{resource.rstrip('/')}/") for resource in resources
        )

    def _wanted_login(self, grant: Grant) -> dict[str, str]:
        """The parameters of a challenge that asks for another login; empty if this one will do.

        RFC 9470 section 3
        """
        wanted, sign_in = {}, grant.sign_in
        if self.acr_values and sign_in.acr not in self.acr_values:
            wanted["acr_values"] = " ".join(self.acr_values)
        if self.max_age is not None and self.provider.now() - sign_in.at > self.max_age:
            wanted["max_age"] = str(self.max_age)
        return wanted


def _url(request: Request) -> str:
    """The URL of a request without its query, as the client wrote it."""
    target: Any = request.environ.get("REQUEST_URI", request.path)
    host = request.headers.get("Host", request.host)
    return f"{request.scheme}://{host}{str(target).partition('?')[0]}"
