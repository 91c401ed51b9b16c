"""An OpenID provider in this process: for development, and for the tests of apps that log in.

Nothing else in the package imports this one, apart from one command of the command line.
"""

from .browser import Browser, Stopped
from .clients import Client, ClientMetadata, KeyCache
from .connect import mount_api
from .demands import Demands
from .faults import FAULTS, REFRESH_FAULTS, ActiveFault, Fault
from .log_in import LogInAs
from .mutual_tls import ServerTLS
from .people import PEOPLE, Person
from .presets import PRESETS, Preset, Rule
from .provider import DevProvider
from .resource_server import ResourceServer
from .serving import WSGIAdapter
from .state import Call
from .unguarded import assert_no_unguarded_routes

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
    "LogInAs",
    "Person",
    "Preset",
    "ResourceServer",
    "Rule",
    "ServerTLS",
    "Stopped",
    "WSGIAdapter",
    "assert_no_unguarded_routes",
    "mount_api",
]
