"""The provider over the network: HTTP, its endpoints, its cached documents. No Flask here."""

from .api import ApiSession
from .endpoint import OnCall, ProviderCall
from .http import Http
from .provider import Provider

__all__ = ["ApiSession", "Http", "OnCall", "Provider", "ProviderCall"]
