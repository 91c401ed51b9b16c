"""Why a login is lost on its way: words for the operator, and no decision.

A browser says nothing of a cookie that it did not keep. All that can be done is to hold the
configuration, and what came, against the rules of cookies (RFC 6265; SameSite as browsers do it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Request
from flask.sessions import SessionMixin

from .protocol.urls import is_loopback

_LARGEST_COOKIE = 4093  # bytes, name and attributes and all: more, and browsers drop it
_ROOM_FOR_A_LOGIN = 400  # what one more login under way, and the attributes, may take of it


def cookie_faults(config: Mapping[str, Any], *, callback_url: str, provider_url: str) -> list[str]:
    """What in the configuration keeps the session cookie from ever reaching the callback.

    :param config: ``app.config``.
    :param callback_url: as the browser sees it: the ``redirect_uri``.
    :param provider_url: any URL at the host that the browser comes back from.
    """
    callback, faults = urlsplit(callback_url), []
    host = callback.hostname or ""
    secure, same_site = config["SESSION_COOKIE_SECURE"], config["SESSION_COOKIE_SAMESITE"]
    if secure and callback.scheme == "http" and not is_loopback(host):
        faults.append(
            f"SESSION_COOKIE_SECURE is on, and the callback is plain http ({callback_url}), where "
            "browsers send no such cookie; behind a proxy that ends TLS, tell Flask so (ProxyFix) "
            "or set PARJAR_REDIRECT_URI"
        )
    if same_site == "Strict" and _are_two_sites(host, urlsplit(provider_url).hostname or ""):
        faults.append(
            "SESSION_COOKIE_SAMESITE is Strict, and a browser that comes back from the provider's "
            "site sends no such cookie: use Lax"
        )
    if same_site == "None" and not secure:
        faults.append(
            "SESSION_COOKIE_SAMESITE is None without SESSION_COOKIE_SECURE: most browsers keep no "
            "such cookie"
        )
    domain = str(config["SESSION_COOKIE_DOMAIN"] or "").lstrip(".").lower()
    if domain and host != domain and not host.endswith(f".{domain}"):
        faults.append(f"SESSION_COOKIE_DOMAIN is {domain}, and the callback's host is {host}")
    path = str(config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"])
    if not f"{callback.path}/".startswith(f"{path.rstrip('/')}/"):
        faults.append(f"the cookie's path is {path}, and the callback's is {callback.path}")
    return faults


def probable_cause(
    config: Mapping[str, Any],
    request: Request,
    session: SessionMixin,
    *,
    callback_url: str,
    provider_url: str,
) -> str:
    """Say why the session that came with a callback does not have its login.

    :param config: ``app.config``.
    """
    name = config["SESSION_COOKIE_NAME"]
    cookies = request.cookies.getlist(name)
    if not cookies:
        faults = cookie_faults(config, callback_url=callback_url, provider_url=provider_url)
        return "no session cookie came: " + ("; ".join(faults) or _unexplained(callback_url))
    if len(cookies) > 1:
        return (
            f"{len(cookies)} cookies named {name} came, and Flask reads one: an old one, of "
            "another domain or path, hides it (was SESSION_COOKIE_DOMAIN or _PATH changed?)"
        )
    if not session:
        return (
            f"the cookie {name} came, and this app cannot read it: it is too old, or signed with "
            "another SECRET_KEY; does another app on this host use the same SESSION_COOKIE_NAME?"
        )
    size = len(name) + len(cookies[0])
    if size > _LARGEST_COOKIE - _ROOM_FOR_A_LOGIN:
        return (
            f"the session cookie takes {size} bytes, and with a login in it more than the "
            f"{_LARGEST_COOKIE} that browsers keep: put less into flask.session, or keep sessions "
            "on the server"
        )
    return (
        "the session came without it: finished before, pushed out by newer ones, or another tab's "
        "answer overwrote the cookie"
    )


def _unexplained(callback_url: str) -> str:
    return (
        "nothing in the configuration explains it; does the browser refuse cookies, or did the "
        f"login begin under another host name than that of {callback_url}?"
    )


def _are_two_sites(one: str, other: str) -> bool:
    """Whether two hosts are of different sites for certain: their last two labels differ."""
    return one.split(".")[-2:] != other.split(".")[-2:]
