"""Which URLs are good enough: a provider's endpoints, and the paths we send a visitor back to."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit

MAX_URL_LENGTH = 2048
MAX_RETURN_PATH = 1024

_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_endpoint(url: object, *, allow_http: bool) -> str:
    """Accept a provider's URL: https, or http on this machine's loopback; no user, no fragment.

    :param allow_http: whether plain http is accepted everywhere (PARJAR_INSECURE_HTTP).
    :raises ValueError: with what is wrong.

    RFC 8414 section 2, FAPI 2.0 section 5.2.1.
    """
    if not isinstance(url, str) or not url or len(url) > MAX_URL_LENGTH:
        raise ValueError("not a URL")
    if _NOT_IN_A_URL.search(url):
        raise ValueError("it holds a character that no URL has")
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError("its host or port cannot be read") from exc
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("not an https:// URL")
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise ValueError("plain http is accepted on loopback only")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or a password")
    if "#" in url:
        raise ValueError("it holds a fragment")
    return url


def is_loopback(host: str) -> bool:
    """Say whether a host name means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_return_path(value: object) -> str | None:
    """Read where to send a visitor back to: a path of this site, or None for anything else.

    Whatever a browser, a proxy or another parser might take for another site is refused rather
    than repaired: schemes, hosts, ``//``, backslashes, control characters, and any of these behind
    one or two layers of percent-encoding (OWASP, *Unvalidated Redirects and Forwards*).
    """
    if not isinstance(value, str) or not value.startswith("/") or len(value) > MAX_RETURN_PATH:
        return None
    if _NOT_IN_A_URL.search(value):
        return None
    # Not by urlsplit: it reads "///evil.example" as a path, where browsers read a host.
    path = re.split("[?#]", value, maxsplit=1)[0]
    once = unquote(path)
    for reading in (path, once, unquote(once)):
        if "//" in reading or "\\" in reading or _CONTROL.search(reading):
            return None
        if any(segment in (".", "..") for segment in reading.split("/")):
            return None
    return value
