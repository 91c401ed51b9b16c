"""Flask-ParJar: log people in with signed (JAR) and pushed (PAR) OpenID Connect requests."""

from .errors import (
    ConfigError,
    LoginError,
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    ResponseRejected,
    StoreUnavailable,
    TokenRejected,
    TokensEnded,
)
from .extension import ParJar
from .protocol.authorization import LoginOptions
from .protocol.identity import Identity
from .signals import (
    access_refused,
    logged_in,
    logged_out,
    login_failed,
    login_started,
    logout_token_refused,
    provider_called,
    refresh_failed,
    tokens_refreshed,
)
from .web.administration import SessionInfo
from .web.errors import AccessDenied, LoginRequired
from .web.guards import (
    authorization_details_required,
    claims_required,
    login_required,
    scopes_required,
    step_up_required,
)
from .web.session import current_user
from .web.tokens import Tokens

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
    "SessionInfo",
    "StoreUnavailable",
    "TokenRejected",
    "Tokens",
    "TokensEnded",
    "access_refused",
    "authorization_details_required",
    "claims_required",
    "current_user",
    "logged_in",
    "logged_out",
    "login_failed",
    "login_required",
    "login_started",
    "logout_token_refused",
    "provider_called",
    "refresh_failed",
    "scopes_required",
    "step_up_required",
    "tokens_refreshed",
]
