"""The one door out: everything that waits on the network, and nothing that knows Flask."""

from .api import ApiSession
from .calls import OnCall, ProviderCall
from .http import Http
from .provider import OutgoingRequest, Provider

__all__ = ["ApiSession", "Http", "OnCall", "OutgoingRequest", "Provider", "ProviderCall"]
