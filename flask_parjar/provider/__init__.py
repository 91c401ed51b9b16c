"""The one door out: everything that waits on the network, and nothing that knows Flask."""

from .calls import OnCall, ProviderCall
from .http import Http
from .provider import OutgoingRequest, Provider

__all__ = ["Http", "OnCall", "OutgoingRequest", "Provider", "ProviderCall"]
