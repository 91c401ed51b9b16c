"""One HTTP exchange with a provider: pooled, bounded in time and size, never redirected.

`Http` is shared by all requests and threads of an app and holds nothing of any of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from ..errors import ProviderUnavailable
from ..protocol.challenge import StepUpChallenge
from ..protocol.encoding import parse_json_object
from .api import ApiSession
from .transport import BoundedAdapter, SharedTLSAdapter

MAX_BODY = 1024 * 1024
_CHUNK = 64 * 1024


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
        self.session: requests.Session = requests.Session()
        adapter = BoundedAdapter(self._ca_bundle)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        # For what is no provider: the answer of an API may be large, and take its time.
        self._api_adapter = SharedTLSAdapter(self._ca_bundle)
        self._proxies: dict[str, dict[str, str]] = {}
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
        request = _prepare(method, url, form, authorization)
        # requests' own stubs know no Timeout object, though its adapter takes one.
        timeout: Any = urllib3.Timeout(connect=self.timeout, read=self.timeout, total=self.timeout)
        try:
            response = self.session.get_adapter(url).send(
                request,
                stream=True,
                timeout=timeout,
                proxies=self._proxies_for(url),
            )
            try:
                body = _read(response.raw)
            finally:
                response.close()
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as exc:
            raise ProviderUnavailable("provider_timeout", f"{self.timeout} s") from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise ProviderUnavailable("provider_unreachable", _reason(exc)) from exc
        return Answer(
            status=response.status_code,
            headers=response.headers,
            body=body,
            document=_parse_document(body),
        )

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

    def _proxies_for(self, url: str) -> dict[str, str]:
        """The environment's proxies for a URL, looked up once (requests does it at each call)."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        proxies = self._proxies.get(origin)
        if proxies is None:
            merged = self.session.merge_environment_settings(origin, {}, None, None, None)
            proxies = self._proxies[origin] = dict(merged["proxies"])
        return proxies


def _prepare(
    method: str, url: str, form: Mapping[str, str] | None, authorization: str | None
) -> requests.PreparedRequest:
    """Make the request by hand: every part is ours already, so there is nothing to work out."""
    request = requests.PreparedRequest()
    request.method, request.url = method, url
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "Flask-ParJar",
    }
    if form is not None:
        request.body = urlencode(form).encode("ascii")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Content-Length"] = str(len(request.body))
    if authorization is not None:
        headers["Authorization"] = authorization
    request.headers = CaseInsensitiveDict(headers)
    return request


def _read(raw: Any) -> bytes:
    if raw.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProviderUnavailable("provider_answer", "compressed, though identity was asked for")
    chunks: list[bytes] = []
    length = 0
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
