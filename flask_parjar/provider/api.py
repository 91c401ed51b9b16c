"""Calls to an API with a person's access token: a `requests.Session` that limits where it goes."""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import BaseAdapter

from ..protocol.challenge import StepUpChallenge, is_invalid_token
from ..protocol.outbound import Answer, Outbound, Proof
from ..protocol.urls import DEFAULT_PORTS
from .adapters import is_local

#: Scheme, host and port (RFC 6454 section 4).
Origin = tuple[str, str | None, int | None]

_TIMEOUT_POSITION = 7  # among the arguments of requests.Session.request after method and url
#: A segment of a path that leads up, or stays, as some server or other reads it: with a backslash
#: for a slash, or with a parameter behind it (``..;x``).
_DOTS = re.compile(r"(?:^|[/\\])\.{1,2}(?:;[^/\\]*)?(?:$|[/\\])")


class ApiSession(requests.Session):
    """Sends an access token to one origin only, also when a redirect leads to another one.

    A relative URL is relative to `base_url`, and leads to nothing above it. A call without a
    time-out has that of the app. All else is as in `requests.Session`.

    :param base_url: the URL of the API, without a query.
    :param proofs: gives the proofs of a call, a live access token; called before each call.
    :param renewed_proofs: called with an access token that the API does not accept any more; gives
        the proofs of a newer one, or nothing if there is none.
    :param timeout: seconds.
    :param on_challenge: called if the API asks for a stronger login; it raises (RFC 9470).
    :param adapter: gives the connections of the app, by the URL of a request and by what it has in
        `Outbound.certificate`; they outlive this session.
    """

    def __init__(
        self,
        base_url: str,
        *,
        proofs: Callable[[], Sequence[Proof]],
        renewed_proofs: Callable[[str], Sequence[Proof]],
        timeout: float,
        on_challenge: Callable[[StepUpChallenge], None],
        adapter: Callable[[str, str | None], BaseAdapter],
    ) -> None:
        super().__init__()
        if "?" in base_url:
            raise ValueError("the URL of an API has no query: write it at each call, as params=")
        self.base_url = base_url
        self._proofs = proofs
        self._renewed_proofs = renewed_proofs
        self._timeout = timeout
        self._on_challenge = on_challenge
        self._origin = origin_of(base_url)
        self._proof_headers = frozenset({"Authorization"})
        #: The requests of redirects that came from another origin.
        self._from_elsewhere: weakref.WeakSet[requests.PreparedRequest] = weakref.WeakSet()
        #: The certificates that requests present: those with proofs alone, so at our origin alone.
        certificates: weakref.WeakKeyDictionary[requests.PreparedRequest, str | None] = (
            weakref.WeakKeyDictionary()
        )
        self._certificates = certificates
        by_certificate = _ByCertificate(
            lambda request: adapter(str(request.url), certificates.get(request))
        )
        self.mount("https://", by_certificate)
        self.mount("http://", by_certificate)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """See `requests.Session.request`; `url` may be relative to `base_url`.

        :raises requests.exceptions.InvalidURL: a relative `url` is not below `base_url`. (It is a
            ValueError.)
        """
        if len(args) < _TIMEOUT_POSITION:
            kwargs.setdefault("timeout", self._timeout)
        return super().request(method, _resolve(self.base_url, str(url)), *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request, with the token if it goes to our origin. Redirects come here too.

        If the API answers that the token is not valid (any more), it is renewed, and the request is
        sent once more.

        RFC 6750 sections 2.1 and 3.1.
        """
        self._certificates.pop(request, None)
        if not self._is_ours(request.url) or request in self._from_elsewhere:
            return super().send(request, **kwargs)
        response = self._send_with(self._proofs(), request, kwargs)
        if is_invalid_token(self._challenge(response)):
            proofs = self._renewed_proofs(_access_token(request))
            if proofs and _is_repeatable(request):
                response.close()
                response = self._send_with(proofs, request, kwargs)
        challenge = StepUpChallenge.parse(self._challenge(response))
        if challenge is not None:
            response.close()
            self._on_challenge(challenge)
        return response

    def _is_ours(self, url: str | None) -> bool:
        return url is not None and origin_of(url) == self._origin

    def _challenge(self, response: requests.Response) -> str:
        """The challenge in a 401 of the API to this very request; empty if there is none."""
        # With a history, it is the answer to a redirect, which came through `send` by itself.
        if response.status_code != 401 or response.history:
            return ""
        return response.headers.get("WWW-Authenticate", "")

    def _send_with(
        self, proofs: Sequence[Proof], request: requests.PreparedRequest, kwargs: dict[str, Any]
    ) -> requests.Response:
        """Send a request with its proofs; once more if the API asks for another proof."""
        response = self._send_once(proofs, request, kwargs)
        if _learn(proofs, response):
            if not _is_repeatable(request):
                raise requests.exceptions.UnrewindableBodyError(
                    "the API wants this request once more, and its body can be sent only once"
                )
            response.close()
            response = self._send_once(proofs, request, kwargs)
            _learn(proofs, response)
        return response

    def _send_once(
        self, proofs: Sequence[Proof], request: requests.PreparedRequest, kwargs: dict[str, Any]
    ) -> requests.Response:
        outbound = Outbound(method=request.method or "GET", url=request.url or "")
        for proof in proofs:
            outbound = proof.apply(outbound, now=int(time.time()))
        self._proof_headers |= outbound.headers.keys()
        request.headers.update(outbound.headers)
        self._certificates[request] = outbound.certificate
        return super().send(request, **kwargs)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Let the app's adapter choose the trust store: it has read the environment already."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify in (None, True) and self.verify is True:
            settings["verify"] = True
        return settings

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Remove the proofs from a redirected request; `send` adds them again for our origin.

        It does not if the redirect, or one before it, came from another origin: that origin would
        choose what is called in the name of the person who is logged in.
        """
        for name in self._proof_headers:
            prepared_request.headers.pop(name, None)
        if not self._is_ours(response.url) or response.request in self._from_elsewhere:
            self._from_elsewhere.add(prepared_request)

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> Any:
        """Find the proxies for a redirected request; what is for them goes to no one else."""
        found = super().rebuild_proxies(prepared_request, proxies)
        if is_local(prepared_request):
            prepared_request.headers.pop("Proxy-Authorization", None)
        return found

    def close(self) -> None:
        """Do nothing: the connections belong to the app."""


class _ByCertificate(BaseAdapter):
    """Sends each request through the connections that present its certificate, or none.

    :param choose: gives the adapter of a request.
    """

    def __init__(self, choose: Callable[[requests.PreparedRequest], BaseAdapter]) -> None:
        super().__init__()
        self._choose = choose

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """See `requests.adapters.BaseAdapter.send`."""
        return self._choose(request).send(request, *args, **kwargs)

    def close(self) -> None:
        """Do nothing: the connections belong to the app."""


def _resolve(base_url: str, url: str) -> str:
    """Make an absolute URL of one that may be relative to the URL of an API.

    :raises requests.exceptions.InvalidURL: it is relative, and is not below `base_url`.

    RFC 3986 section 5.
    """
    base = base_url if base_url.endswith("/") else f"{base_url}/"
    resolved, written = urljoin(base, url or "."), urlsplit(url)
    if written.scheme and written.netloc:
        return resolved
    home, there = urlsplit(urljoin(base, ".")), urlsplit(resolved)
    once = unquote(there.path)
    if (
        there[:2] != home[:2]
        or not f"{there.path}/".startswith(home.path)
        or any(_DOTS.search(reading) for reading in (there.path, once, unquote(once)))
    ):
        raise requests.exceptions.InvalidURL(
            f"{url!r:.200} is not below {base_url}: if you mean it, write the whole URL"
        )
    return resolved


def _learn(proofs: Sequence[Proof], response: requests.Response) -> bool:
    """Let each proof look at the status and the headers; the body is left to the caller."""
    answer = Answer(status=response.status_code, headers=response.headers, body=b"", document=None)
    return any([proof.learn(answer) for proof in proofs])


def _is_repeatable(request: requests.PreparedRequest) -> bool:
    """Whether the body can be sent a second time."""
    return isinstance(request.body, str | bytes | None)


def _access_token(request: requests.PreparedRequest) -> str:
    """The access token that a request was sent with (RFC 6750 section 2.1)."""
    return str(request.headers.get("Authorization", "")).partition(" ")[2]


def origin_of(url: str) -> Origin:
    """The origin of a URL; with port -1 where that cannot be read."""
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # in a redirect; requests will refuse it
        port = -1
    return parts.scheme, parts.hostname, port
