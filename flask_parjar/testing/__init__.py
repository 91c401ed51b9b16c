"""An OpenID provider in this process: for development, and for the tests of apps that log in.

Nothing else in the package imports this one, apart from one command of the command line.
"""

from .browser import Browser, Stopped
from .clients import Client, ClientMetadata, KeyCache
from .demands import Demands
from .faults import FAULTS, REFRESH_FAULTS, ActiveFault, Fault
from .mutual_tls import ServerTLS
from .people import PEOPLE, Person
from .presets import PRESETS, Preset, Rule
from .provider import DevProvider
from .serving import WSGIAdapter
from .state import Call

__all__ = [
    "FAULTS",
    "PEOPLE",
    "PRESETS",
    "REFRESH_FAULTS",
    "ActiveFault",
    "Browser",
    "Call",
    "Client",
    "ClientMetadata",
    "Demands",
    "DevProvider",
    "Fault",
    "KeyCache",
    "Person",
    "Preset",
    "Rule",
    "ServerTLS",
    "Stopped",
    "WSGIAdapter",
]
