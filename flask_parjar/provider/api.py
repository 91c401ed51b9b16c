"""Calls to an API in the name of somebody: a `requests.Session` that knows where a token may go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import BaseAdapter

from ..protocol.challenge import StepUpChallenge

_TIMEOUT_POSITION = 7  # among the arguments of requests.Session.request after method and url


class ApiSession(requests.Session):
    """Sends an access token to one origin, and to no other, not even when redirected there.

    A relative URL is one below `base_url`. What requests does otherwise, it does here too. A call
    without a time-out of its own has the app's.

    :param base_url: where the API lies.
    :param access_token: gives a live token; asked before each call.
    :param timeout: seconds.
    :param on_challenge: told where the API wants a stronger login; it raises (RFC 9470).
    :param adapter: keeps the connections of the app; it outlives this session.
    """

    def __init__(
        self,
        base_url: str,
        *,
        access_token: Callable[[], str],
        timeout: float,
        on_challenge: Callable[[StepUpChallenge], None],
        adapter: BaseAdapter,
    ) -> None:
        super().__init__()
        self.base_url = base_url
        self._access_token = access_token
        self._timeout = timeout
        self._on_challenge = on_challenge
        self._origin = _origin(base_url)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """See `requests.Session.request`; `url` may be relative to `base_url`."""
        if len(args) < _TIMEOUT_POSITION:
            kwargs.setdefault("timeout", self._timeout)
        base = self.base_url if self.base_url.endswith("/") else f"{self.base_url}/"
        return super().request(method, urljoin(base, str(url)), *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request, with the token where it belongs; each redirect comes through here too.

        RFC 6750 section 2.1.
        """
        if _origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._access_token()}"
        response = super().send(request, **kwargs)
        if response.status_code == 401 and _origin(response.url) == self._origin:
            challenge = StepUpChallenge.parse(response.headers.get("WWW-Authenticate", ""))
            if challenge is not None:
                response.close()
                self._on_challenge(challenge)
        return response

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Leave whom to trust to the app's adapter, which has looked at the environment too."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify in (None, True) and self.verify is True:
            settings["verify"] = True
        return settings

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Take the token off a redirected request: `send` puts it on where it belongs."""
        prepared_request.headers.pop("Authorization", None)

    def close(self) -> None:
        """Nothing to close: the connections are the app's."""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
