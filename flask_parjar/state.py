"""What one app holds; the only reader of ``app.extensions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue

from .config import Settings
from .errors import LoginError, ParJarError, StoreUnavailable
from .flows.open_sessions import OpenSessions
from .protocol.authorization import LoginOptions
from .protocol.identity import Identity
from .provider import Http, Provider
from .stores import MemoryStore, Store

#: Where an `AppState` lies in ``app.extensions``.
EXTENSION = "parjar"


@dataclass(slots=True)
class Hooks:
    """What the app gave in place of the library's own ways; set at import time, then only read."""

    user_loader: Callable[[Identity], Any] | None = None
    error_handler: Callable[[ParJarError], ResponseReturnValue] | None = None
    login_options: Callable[[], LoginOptions | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """One app's settings, providers and connections: shared by all its threads, never changed.

    :param store: what PARJAR_STORE names, where that is shared by all visitors; else None.
    :param sessions: the open sessions in that store.
    :param process: what the requests of this process tell each other.
    """

    settings: Settings
    providers: Mapping[str, Provider]
    http: Http
    hooks: Hooks
    store: Store | None
    sessions: OpenSessions | None
    process: MemoryStore

    @property
    def watches_sessions(self) -> bool:
        """Whether a session may end before its time: by a notice, or because nobody used it."""
        return self.sessions is not None or self.settings.idle_timeout is not None

    def provider(self, name: str | None) -> Provider:
        """A provider by name; None is fine where there is only one.

        :raises LoginError: ``provider_unknown``.
        """
        if name is None and len(self.providers) == 1:
            return next(iter(self.providers.values()))
        provider = self.providers.get(name or "")
        if provider is None:
            raise LoginError("provider_unknown", f"provider {name!r:.80}")
        return provider


def check_app(app: Flask) -> None:
    """See whether an app can have a ParJar.

    :raises RuntimeError: it has one already, or routes in a way that ours cannot follow.
    """
    if EXTENSION in app.extensions:
        raise RuntimeError(
            "This Flask app has a ParJar already: call init_app once for each app, "
            "or pass the app to ParJar(app), not both."
        )
    if app.url_map.host_matching:
        raise RuntimeError(
            "Flask-ParJar's routes belong to no host, so they cannot be reached in an app with "
            "host_matching=True."
        )


def current_state() -> AppState:
    """The state of the app that this request is for.

    :raises RuntimeError: where ``init_app`` was not called for it.
    """
    state: AppState | None = current_app.extensions.get(EXTENSION)
    if state is None:
        raise RuntimeError("This Flask app has no ParJar: call parjar.init_app(app) first.")
    return state


def sealing_secrets() -> tuple[bytes, ...]:
    """The secrets that seal what we keep: SECRET_KEY, then its fallbacks, newest first."""
    keys = [current_app.secret_key, *reversed(current_app.config.get("SECRET_KEY_FALLBACKS") or [])]
    return tuple(key.encode("utf-8") if isinstance(key, str) else bytes(key or b"") for key in keys)


def check_shared(state: AppState) -> None:
    """See that all who should know of a session do.

    :raises StoreUnavailable: ``store_unshared``, where several processes have a memory each.
    """
    if state.settings.store == "memory" and request.environ.get("wsgi.multiprocess"):
        raise StoreUnavailable("store_unshared")
