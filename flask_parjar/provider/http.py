"""One HTTP exchange with a provider: pooled, bounded in time and size, never redirected.

`Http` is shared by all requests and threads of an app and holds nothing of any of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy

from ..errors import ProviderUnavailable
from ..protocol.challenge import StepUpChallenge
from ..protocol.encoding import parse_json_object
from .api import ApiSession
from .transport import BoundedAdapter, SharedTLSAdapter

MAX_BODY = 1024 * 1024
_CHUNK = 64 * 1024
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "Flask-ParJar",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, read to its end.

    :param document: the JSON object in the body, None where there is none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    document: Mapping[str, Any] | None = field(repr=False)


class Http:
    """The connections of one app to its providers.

    :param timeout: seconds that one whole exchange may take, from connecting to the last byte.
    :param ca_bundle: certificates to trust; else REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, certifi.
    """

    def __init__(self, *, timeout: float, ca_bundle: str | None = None) -> None:
        self.timeout = timeout
        environment = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self._ca_bundle = ca_bundle or environment
        self._open_session()

    def _open_session(self) -> None:
        session = requests.Session()
        adapter = BoundedAdapter(self._ca_bundle)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        self.session: requests.Session = session
        # For what is no provider: the answer of an API may be large, and take its time.
        self._api_adapter = SharedTLSAdapter(self._ca_bundle)
        self._routes: dict[str, _Route] = {}
        self._process = os.getpid()

    def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> Answer:
        """Send one request and read the whole answer.

        :param form: fields of an ``application/x-www-form-urlencoded`` body.
        :raises ProviderUnavailable: ``provider_unreachable``, ``provider_timeout``,
            ``provider_answer`` (the body is larger than `MAX_BODY`, or compressed).
        """
        self._in_own_process()
        headers = dict(_HEADERS)
        if authorization is not None:
            headers["Authorization"] = authorization
        content = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode("ascii")
        try:
            raw = self._exchange(method, url, headers, content)
            try:
                body = _read(raw)
            finally:
                raw.close()
        except urllib3.exceptions.NewConnectionError as exc:  # urllib3 calls this a time-out, too
            raise ProviderUnavailable("provider_unreachable", _reason(exc)) from exc
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as exc:
            raise ProviderUnavailable("provider_timeout", f"{self.timeout} s") from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise ProviderUnavailable("provider_unreachable", _reason(exc)) from exc
        return Answer(
            status=raw.status,
            headers=raw.headers,
            body=body,
            document=_parse_document(body),
        )

    def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; its answer is not read yet."""
        route = self._route_to(url)
        timeout = urllib3.Timeout(connect=self.timeout, read=self.timeout, total=self.timeout)
        if route.pool is None:
            return route.send(method, url, headers, body, timeout)
        # Nothing stands between us and the provider, so this goes straight to requests' pool: what
        # requests does on top of it (cookies, redirects, hooks) takes longer than the exchange.
        target = url[len(route.origin) :]
        raw: urllib3.BaseHTTPResponse = route.pool.urlopen(
            method,
            target if target.startswith("/") else f"/{target}",
            body=body,
            headers=headers,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        return raw

    def api(
        self,
        base_url: str,
        *,
        access_token: Callable[[], str],
        on_challenge: Callable[[StepUpChallenge], None],
    ) -> ApiSession:
        """Open a session for calls to an API; it shares the connections of this app."""
        self._in_own_process()
        return ApiSession(
            base_url,
            access_token=access_token,
            timeout=self.timeout,
            on_challenge=on_challenge,
            adapter=self._api_adapter,
        )

    def _in_own_process(self) -> None:
        """A forked worker must not write into its parent's connections."""
        if self._process != os.getpid():
            # (The coverage of a forked worker is lost with it:
            # test_a_forked_worker_opens_connections_of_its_own goes through here.)
            self._open_session()  # pragma: no cover

    def _route_to(self, url: str) -> _Route:
        """The way to a URL's origin, looked up once; anew where another adapter was mounted."""
        adapter = self.session.get_adapter(url)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        route = self._routes.get(origin)
        if route is None or route.adapter is not adapter:
            route = self._routes[origin] = self._find_route(origin, adapter)
        return route

    def _find_route(self, origin: str, adapter: BaseAdapter) -> _Route:
        merged = self.session.merge_environment_settings(origin, {}, None, None, None)
        proxies = dict(merged["proxies"])
        pool = None
        if isinstance(adapter, BoundedAdapter) and select_proxy(origin, proxies) is None:
            request = requests.PreparedRequest()
            request.url = origin
            pool = adapter.get_connection_with_tls_context(request, verify=True)
        return _Route(origin=origin, adapter=adapter, pool=pool, proxies=proxies)


class _Route(NamedTuple):
    """How to reach one origin.

    :param pool: the connections to it (urllib3's own types say no more than Any); None where a
        proxy, or an adapter that somebody else mounted, is between.
    """

    origin: str
    adapter: BaseAdapter
    pool: Any
    proxies: dict[str, str]

    def send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        timeout: Any,  # requests' stubs know no urllib3.Timeout, though its adapters take one
    ) -> urllib3.BaseHTTPResponse:
        """Send by the adapter's own ways."""
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict(headers)
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        response = self.adapter.send(request, stream=True, timeout=timeout, proxies=self.proxies)
        raw: urllib3.BaseHTTPResponse = response.raw
        return raw


def _read(raw: urllib3.BaseHTTPResponse) -> bytes:
    if raw.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProviderUnavailable("provider_answer", "compressed, though identity was asked for")
    chunks: list[bytes] = []
    length = 0
    # To the end of it, also where one read brings everything: only there a cut body shows.
    while chunk := raw.read(_CHUNK, decode_content=False):
        length += len(chunk)
        if length > MAX_BODY:
            raise ProviderUnavailable("provider_answer", f"larger than {MAX_BODY} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _parse_document(body: bytes) -> Mapping[str, Any] | None:
    try:
        return parse_json_object(body)
    except ValueError:
        return None


def _reason(exc: BaseException) -> str:
    """Name the innermost cause, without the URL (which could hold a query)."""
    while exc.__context__ is not None:
        exc = exc.__context__
    return f"{type(exc).__name__}: {exc}"[:200] if isinstance(exc, OSError) else type(exc).__name__
