"""The one door out: everything that waits on the network, and nothing that knows Flask."""

from .calls import ProviderCall
from .http import Http
from .provider import OutgoingRequest, Provider

__all__ = ["Http", "OutgoingRequest", "Provider", "ProviderCall"]
