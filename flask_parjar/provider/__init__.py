"""The provider over the network: HTTP, its endpoints, its cached documents. No Flask here."""

from .api import ApiSession
from .endpoint import OnCall, ProviderCall
from .http import Http
from .pools import CertificateFiles
from .provider import Provider

__all__ = ["ApiSession", "CertificateFiles", "Http", "OnCall", "Provider", "ProviderCall"]
