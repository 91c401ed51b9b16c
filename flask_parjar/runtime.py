"""The runtime of one app. Only this module reads ``app.extensions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue

from .config import Settings
from .errors import LoginError, StoreUnavailable
from .flows.replay_cache import ReplayCache
from .flows.session_registry import SessionRegistry
from .protocol.authorization import LoginOptions
from .protocol.identity import Identity
from .provider import Provider
from .stores import MemoryStore, Store

#: The key of the `Runtime` in ``app.extensions``.
EXTENSION = "parjar"


@dataclass(slots=True, eq=False)
class Hooks:
    """The functions that the app registered; set at import time, then only read."""

    user_loader: Callable[[Identity], Any] | None = None
    error_handler: Callable[[Any], ResponseReturnValue] | None = None
    login_options: Callable[[], LoginOptions | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runtime:
    """One app's settings, providers and connections: shared by all its threads, never changed.

    :param store: the store of PARJAR_STORE, if all visitors share it; else None.
    :param sessions: the registry of the sessions in that store.
    :param replays: the logout tokens that were accepted.
    :param process_cache: of this process alone: token cookies that were just written, and warnings
        that were given.
    :param given: the PARJAR_ keys as they were read at start.
    """

    settings: Settings
    providers: Mapping[str, Provider]
    hooks: Hooks
    store: Store | None
    sessions: SessionRegistry | None
    replays: ReplayCache | None
    process_cache: MemoryStore
    given: Mapping[str, Any] = field(repr=False)

    @property
    def store_kind(self) -> str | None:
        """``shared`` or ``cookie``; None where PARJAR_STORE is not set."""
        return self.settings.store if self.settings.store in (None, "cookie") else "shared"

    def provider(self, name: str | None) -> Provider:
        """A provider by name, which may be None if there is only one.

        :raises LoginError: ``provider_unknown``.
        """
        if name is None and len(self.providers) == 1:
            return next(iter(self.providers.values()))
        provider = self.providers.get(name or "")
        if provider is None:
            raise LoginError("provider_unknown", f"provider {name!r:.80}")
        return provider


def check_app(app: Flask) -> None:
    """Check that an app can have a ParJar.

    :raises RuntimeError: it has one already, or uses ``host_matching``.
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


def current_runtime() -> Runtime:
    """The runtime of the current app.

    :raises RuntimeError: ``init_app`` was not called for it.
    """
    runtime: Runtime | None = current_app.extensions.get(EXTENSION)
    if runtime is None:
        raise RuntimeError("This Flask app has no ParJar: call parjar.init_app(app) first.")
    return runtime


def sealing_secrets() -> tuple[bytes, ...]:
    """The secrets for encryption: SECRET_KEY, then its fallbacks, newest first."""
    keys = [current_app.secret_key, *reversed(current_app.config.get("SECRET_KEY_FALLBACKS") or [])]
    return tuple(key.encode("utf-8") if isinstance(key, str) else bytes(key or b"") for key in keys)


def require_shared_store(runtime: Runtime) -> None:
    """Check that all processes of the site share one store.

    :raises StoreUnavailable: ``store_unshared``: PARJAR_STORE is ``memory``, and there are several
        processes, each with its own memory.
    """
    if runtime.settings.store == "memory" and request.environ.get("wsgi.multiprocess"):
        raise StoreUnavailable("store_unshared")
