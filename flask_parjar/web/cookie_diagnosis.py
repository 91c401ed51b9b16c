"""Explain to the operator why a login was lost. Nothing is decided here.

A browser does not report a cookie that it did not keep. So the configuration, and the cookies that
came, are compared with the rules for cookies (RFC 6265; SameSite as browsers implement it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from ..protocol.urls import is_loopback

_LARGEST_COOKIE = 4093  # bytes with name and attributes; browsers drop a larger one
_LARGEST_NAME_AND_VALUE = 4096  # bytes; the limit of browsers without the attributes
_FAR_FROM_THE_LIMIT = 2000  # characters of our entries: encoded, they are far from 4,096 bytes
_ROOM_FOR_A_LOGIN = 400  # bytes that one more login under way, and the attributes, may take


def cookie_faults(config: Mapping[str, Any], *, callback_url: str, provider_url: str) -> list[str]:
    """Find what in the configuration keeps the session cookie from reaching the callback.

    :param config: ``app.config``.
    :param callback_url: as the browser sees it: the ``redirect_uri``.
    :param provider_url: any URL at the host that the browser comes back from.
    """
    callback, faults = urlsplit(callback_url), []
    host = callback.hostname or ""
    secure, same_site = config["SESSION_COOKIE_SECURE"], same_site_of(config)
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


def same_site_of(config: Mapping[str, Any]) -> str | None:
    """SESSION_COOKIE_SAMESITE as browsers get it: Flask accepts it in any case."""
    given = config["SESSION_COOKIE_SAMESITE"]
    return None if given is None else str(given).title()


def is_sent_in_clear_text(config: Mapping[str, Any], *, callback_url: str) -> bool:
    """Whether the session cookie of a site on https would also be sent over plain http.

    :param config: ``app.config``. None for SESSION_COOKIE_SECURE means that it is meant so.
    :param callback_url: as the browser sees it: the ``redirect_uri``.
    """
    return config["SESSION_COOKIE_SECURE"] is False and callback_url.startswith("https:")


def why_dropped(app: Flask, session: SessionMixin) -> str | None:
    """Say why browsers would drop the cookie of this session; None if they keep it.

    It costs one signature, so it is not made for our own entries alone, if they are short. The
    scopes that a provider grants may make them long.

    RFC 6265bis section 5.6.
    """
    interface = app.session_interface
    if not isinstance(interface, SecureCookieSessionInterface):
        return None
    sizes = {name: len(repr(value)) for name, value in session.items()}
    is_ours = all(name.startswith("_parjar_") for name in sizes)
    if is_ours and sum(sizes.values()) < _FAR_FROM_THE_LIMIT:
        return None
    if type(interface).save_session is not SecureCookieSessionInterface.save_session:
        return None  # it may write several cookies, or none
    serializer: Any = interface.get_signing_serializer(app)
    size = len(interface.get_cookie_name(app)) + len(serializer.dumps(dict(session)))
    if size <= _LARGEST_NAME_AND_VALUE:
        return None
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    return f"it takes {size} bytes, and the largest of its entries are {largest!r:.200}"


def probable_cause(
    config: Mapping[str, Any],
    request: Request,
    session: SessionMixin,
    *,
    callback_url: str,
    provider_url: str,
) -> str:
    """Say why the session that came with a callback probably does not have its login.

    :param config: ``app.config``.
    """
    name = config["SESSION_COOKIE_NAME"]
    cookies = request.cookies.getlist(name)
    if not cookies:
        faults = cookie_faults(config, callback_url=callback_url, provider_url=provider_url)
        if config["SESSION_COOKIE_SECURE"] and urlsplit(callback_url).scheme == "http":
            # Not among the faults that are known before: some browsers keep it on this machine.
            faults = faults or [f"SESSION_COOKIE_SECURE is on, and {callback_url} is plain http"]
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
    """Whether two hosts are certainly of different sites: their last two labels differ."""
    return one.split(".")[-2:] != other.split(".")[-2:]
