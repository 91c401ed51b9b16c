"""One HTTP exchange with a provider: with pooled connections and limits, without redirects.

`Http` is shared by all requests and threads of an app, and keeps no data of any of them.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.utils import get_environ_proxies

from ..errors import ProviderUnavailable
from ..protocol.challenge import StepUpChallenge
from ..protocol.encoding import parse_json_object
from ..protocol.mutual_tls import ClientCertificate
from ..protocol.outbound import Answer, Outbound, Proof
from ..protocol.urls import without_default_port
from .adapters import MAX_BODY, WholeAnswer
from .api import ApiSession, Origin, origin_of
from .framing import MalformedAnswer, status_before
from .pools import CertificateFiles, CertifiedPools, Pools, Presented, Route

#: Codings that make a body unreadable (RFC 9110 section 8.4.1 and the IANA registry). What else
#: some servers write into Content-Encoding, such as ``utf-8`` or nothing, changes no body.
_COMPRESSIONS = frozenset(
    "aes128gcm br compress dcb dcz deflate exi gzip pack200-gzip x-compress x-gzip zstd".split()
)
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "Flask-ParJar",
}
#: How OpenSSL names the alerts of a server that does not accept our certificate (RFC 8446 6.2).
_CERTIFICATE_ALERT = re.compile(
    r".*ALERT_(?:(?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_[A-Z]+|UNKNOWN_CA|ACCESS_DENIED)"
)
_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_NO_CONNECTION = urllib3.exceptions.NewConnectionError  # urllib3 calls this a time-out, too


class Http:
    """The connections of one app to one provider, and to the APIs that its tokens are for.

    :param timeout: seconds that one whole exchange may take, from connecting to the last byte.
    :param ca_bundle: certificates to trust; else REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, certifi.
    :param tls: the client certificate, for this provider alone. A connection presents it if the
        request says so (`Outbound.certificate`).
    :raises ValueError: there is no certificate in the files that can be used now.
    :raises OSError: the files cannot be read.
    """

    def __init__(
        self,
        *,
        timeout: float,
        ca_bundle: str | None = None,
        tls: CertificateFiles | None = None,
    ) -> None:
        self.timeout = timeout
        environment = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self._ca_bundle = ca_bundle or environment
        self._certified = None if tls is None else CertifiedPools(tls, self._ca_bundle)
        self._mounted: dict[str, _Mounted] = {}
        self._mounted_apis: dict[Origin, Callable[[ClientCertificate | None], BaseAdapter]] = {}
        self._open_pools()

    def _open_pools(self) -> None:
        self._plain = Pools(self._ca_bundle)
        if self._certified is not None:
            self._certified.open_pools()
        self._process = os.getpid()

    @property
    def certificates(self) -> tuple[ClientCertificate, ...]:
        """Our certificates in use, newest first: more than one just after a renewal."""
        presented = () if self._certified is None else self._certified.in_use()
        return tuple(each.certificate for each in presented)

    def mount(
        self,
        origin: str,
        pool: urllib3.HTTPConnectionPool,
        *,
        certified: Callable[[ClientCertificate], urllib3.HTTPConnectionPool] | None = None,
    ) -> None:
        """Send the requests for one origin to a connection pool that the caller made.

        Tests mount a pool whose connections lead into a WSGI app, so that everything above the
        socket is the code that runs in production.

        :param origin: such as ``https://op.example``.
        :param certified: makes the pool of requests that present a client certificate; by default
            it is the same.
        """
        self._mounted[origin] = _Mounted(pool, certified or (lambda certificate: pool))
        certified_pools = () if self._certified is None else self._certified.in_use()
        for pools in (self._plain, *(each.pools for each in certified_pools)):
            pools.routes.pop(origin, None)

    def mount_api(
        self, origin: str, adapter: Callable[[ClientCertificate | None], BaseAdapter]
    ) -> None:
        """Send what `api` sends to one origin through an adapter that the caller made.

        Tests mount an adapter that leads into a WSGI app.

        :param origin: such as ``https://api.example``.
        :param adapter: gives it, for requests that present a client certificate, or none.
        """
        self._mounted_apis[origin_of(origin)] = adapter

    def send(self, outbound: Outbound) -> Answer:
        """Send one request and read the whole answer.

        :raises ProviderUnavailable: ``provider_unreachable``, ``provider_timeout``,
            ``provider_answer`` (the body is larger than `MAX_BODY`, or compressed; or the answer
            breaks the rules of HTTP), ``client_certificate_refused``,
            ``client_certificate_ended``.
        """
        self._in_own_process()
        presented = self._presented(outbound)
        try:
            received = self._exchange(outbound, presented)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            failure = self._failure(exc)
            if presented is not None and failure.error_code == "provider_unreachable":
                # With TLS 1.3 the alert may come when our request is on its way, and be lost.
                failure.detail += "; the server may not accept our client certificate"
            raise failure from exc
        _check_body(received)
        document, fault = _parse_document(received.body)
        return Answer(
            status=received.status,
            headers=received.headers,
            body=received.body,
            document=document,
            fault=fault,
            certificate=None if presented is None else presented.certificate.thumbprint,
        )

    def _presented(self, outbound: Outbound) -> Presented | None:
        """The certificate that a request presents.

        :raises ProviderUnavailable: ``client_certificate_ended``.
        """
        if self._certified is None or outbound.certificate is None:
            return None
        presented = self._certified.find(outbound.certificate)
        if fault := presented.certificate.fault_at(int(time.time())):
            raise ProviderUnavailable("client_certificate_ended", fault)
        return presented

    def _failure(self, exc: BaseException) -> ProviderUnavailable:
        """Make the error for an exchange that failed."""
        malformed = _malformed(exc)
        if malformed is not None:
            code, detail = "provider_answer", f"malformed: {malformed}"
        elif isinstance(exc, _TIMEOUTS) and not isinstance(exc, _NO_CONNECTION):
            code, detail = "provider_timeout", f"{self.timeout} s"
        elif (alert := _certificate_alert(exc)) is not None:
            code, detail = "client_certificate_refused", alert
        else:
            code, detail = "provider_unreachable", _reason(exc)
        return ProviderUnavailable(code, detail, received=status_before(exc))

    def _exchange(self, outbound: Outbound, presented: Presented | None) -> WholeAnswer:
        """Send one request and read its answer.

        It uses the connection pool directly: what requests adds to it (cookies, redirects, hooks)
        is not wanted here, and takes longer than the exchange itself.
        """
        url = outbound.url
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        pools = self._plain if presented is None else presented.pools
        route = pools.routes.get(origin) or self._find_route(origin, presented)
        headers = {"Host": route.host, **_HEADERS, **outbound.headers}
        body = None
        if outbound.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(outbound.form).encode("ascii")
        target = url[len(origin) :]
        if not target.startswith("/"):
            target = f"/{target}"
        received: WholeAnswer = route.pool.urlopen(
            outbound.method,
            f"{origin}{target}" if route.whole_url else target,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=self.timeout, read=self.timeout, total=self.timeout),
            retries=False,
            redirect=False,
            assert_same_host=False,  # the host of a proxy is another one
        )
        return received

    def api(
        self,
        base_url: str,
        *,
        proofs: Callable[[], Sequence[Proof]],
        renewed_proofs: Callable[[str], Sequence[Proof]],
        on_challenge: Callable[[StepUpChallenge], None],
    ) -> ApiSession:
        """Open a session for calls to an API; it shares the connections of this app.

        :param proofs: gives the proofs of each call: a live access token.
        :param renewed_proofs: called with an access token that the API does not accept any more.
        :param on_challenge: called if the API asks for a stronger login; it raises (RFC 9470).
        """
        self._in_own_process()
        return ApiSession(
            base_url,
            proofs=proofs,
            renewed_proofs=renewed_proofs,
            timeout=self.timeout,
            on_challenge=on_challenge,
            adapter=self._api_adapter,
        )

    def _api_adapter(self, url: str, certificate: str | None) -> BaseAdapter:
        """The connections for a request to an API.

        :param certificate: see `Outbound.certificate`.
        """
        presented = None
        if self._certified is not None and certificate is not None:
            presented = self._certified.find(certificate)
        mounted = self._mounted_apis.get(origin_of(url)) if self._mounted_apis else None
        if mounted is not None:
            return mounted(None if presented is None else presented.certificate)
        return (self._plain if presented is None else presented.pools).api_adapter

    def _in_own_process(self) -> None:
        """Open new pools in a forked worker, which must not use its parent's connections."""
        if self._process != os.getpid():
            self._open_pools()  # pragma: no cover - runs in forked workers only

    def _find_route(self, origin: str, presented: Presented | None) -> Route:
        """Find the connections to an origin, through the environment's proxy if it has one."""
        pools = self._plain if presented is None else presented.pools
        mounted = self._mounted.get(origin)
        scheme, _, netloc = origin.partition("://")
        host = without_default_port(scheme, netloc)
        if mounted is not None:
            certified = presented and mounted.certified(presented.certificate)
            route = Route(certified or mounted.plain, host, whole_url=False)
        else:
            request = requests.PreparedRequest()
            request.url = origin
            proxies = get_environ_proxies(origin, no_proxy=None)
            pool = pools.adapter.get_connection_with_tls_context(
                request, verify=True, proxies=proxies
            )
            whole_url = not pools.adapter.request_url(request, proxies).startswith("/")
            route = Route(pool, host, whole_url)
        pools.routes[origin] = route
        return route


class _Mounted(NamedTuple):
    """The pools that a caller made for one origin: for requests without and with a certificate."""

    plain: urllib3.HTTPConnectionPool
    certified: Callable[[ClientCertificate], urllib3.HTTPConnectionPool]


def _check_body(received: WholeAnswer) -> None:
    """Refuse a body that is compressed or too large."""
    codings = received.headers.get("Content-Encoding", "").lower().split(",")
    if not _COMPRESSIONS.isdisjoint(each.strip() for each in codings):
        fault = "compressed, though identity was asked for"
    elif len(received.body) > MAX_BODY:
        fault = f"larger than {MAX_BODY} bytes"
    else:
        return
    raise ProviderUnavailable("provider_answer", fault, received=received.status)


def _parse_document(body: bytes) -> tuple[Mapping[str, Any] | None, str]:
    """Read the JSON object of a body; or say why there is none."""
    try:
        return parse_json_object(body), ""
    except ValueError as exc:
        return None, str(exc)[:100]


def _malformed(exc: BaseException | None) -> MalformedAnswer | None:
    """Find our own error inside the exceptions that urllib3 and requests wrapped it in."""
    while exc is not None and not isinstance(exc, MalformedAnswer):
        exc = next((each for each in exc.args if isinstance(each, BaseException)), None)
    return exc


def _certificate_alert(exc: BaseException | None) -> str | None:
    """The TLS alert by which a server refused our certificate, or the lack of one; or None.

    RFC 8446 section 6.2.
    """
    while exc is not None:
        reason = getattr(exc, "reason", None)
        if isinstance(exc, ssl.SSLError) and _CERTIFICATE_ALERT.fullmatch(str(reason)):
            return str(reason)
        exc = exc.__context__
    return None


def _reason(exc: BaseException) -> str:
    """Name the innermost cause, without the URL (which could have a query)."""
    while exc.__context__ is not None:
        exc = exc.__context__
    return f"{type(exc).__name__}: {exc}"[:200] if isinstance(exc, OSError) else type(exc).__name__
