"""Which URLs are accepted: a provider's endpoints, and the paths that a login may return to."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit

DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_URL_LENGTH = 2048
MAX_RETURN_PATH = 1024
MAX_LABEL_LENGTH = 63  # RFC 1035 section 2.3.4; getaddrinfo raises a UnicodeError for other labels

_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_endpoint(url: object, *, allow_http: bool, allow_loopback: bool = True) -> str:
    """Check a provider's URL: https, or http on loopback; without user name and fragment.

    :param allow_http: whether plain http is accepted everywhere (PARJAR_INSECURE_HTTP).
    :param allow_loopback: whether plain http is accepted on loopback.
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
    if not all(0 < len(label) <= MAX_LABEL_LENGTH for label in host.removesuffix(".").split(".")):
        raise ValueError("its host is not a valid name")
    if parts.scheme == "http" and not (allow_http or (allow_loopback and is_loopback(host))):
        there_too = "" if allow_loopback else ", and only if the issuer is there too"
        raise ValueError(f"plain http is accepted on loopback only{there_too}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or a password")
    if "#" in url:
        raise ValueError("it holds a fragment")
    return url


def without_default_port(scheme: str, netloc: str) -> str:
    """A host with its port, unless that is the default one, as in ``Host`` and in an origin.

    RFC 9110 section 7.2, RFC 6454 section 4.
    """
    return netloc.removesuffix(f":{DEFAULT_PORTS[scheme]}") if scheme in DEFAULT_PORTS else netloc


def is_loopback(host: str) -> bool:
    """Say whether a host name means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_return_path(value: object) -> str | None:
    """Read a path of this site that a login or logout may return to; None for anything else.

    What a browser, a proxy or another parser could take for another site is refused and not
    repaired: schemes, hosts, ``//``, backslashes, control characters, and any of these behind one
    or two layers of percent-encoding.

    OWASP, *Unvalidated Redirects and Forwards*.
    """
    if not isinstance(value, str) or not value.startswith("/") or len(value) > MAX_RETURN_PATH:
        return None
    if _NOT_IN_A_URL.search(value):
        return None
    # Without urlsplit: it reads "///evil.example" as a path, but browsers read a host.
    path = re.split("[?#]", value, maxsplit=1)[0]
    once = unquote(path)
    for reading in (path, once, unquote(once)):
        if "//" in reading or "\\" in reading or _CONTROL.search(reading):
            return None
        if any(segment in (".", "..") for segment in reading.split("/")):
            return None
    return value
