"""Flask-ParJar: log people in with signed (JAR) and pushed (PAR) OpenID Connect requests."""

from .errors import (
    AccessDenied,
    ConfigError,
    LoginError,
    LoginRequired,
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    ResponseRejected,
    StoreUnavailable,
    TokenRejected,
)
from .extension import ParJar
from .guards import claims_required, login_required, scopes_required, step_up_required
from .protocol.authorization import LoginOptions
from .protocol.identity import Identity
from .session import current_user
from .signals import (
    logged_in,
    logged_out,
    login_failed,
    login_started,
    provider_called,
    tokens_refreshed,
)

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "ConfigError",
    "Identity",
    "LoginError",
    "LoginOptions",
    "LoginRequired",
    "ParJar",
    "ParJarError",
    "ProviderRefused",
    "ProviderUnavailable",
    "ResponseRejected",
    "StoreUnavailable",
    "TokenRejected",
    "claims_required",
    "current_user",
    "logged_in",
    "logged_out",
    "login_failed",
    "login_required",
    "login_started",
    "provider_called",
    "scopes_required",
    "step_up_required",
    "tokens_refreshed",
]
