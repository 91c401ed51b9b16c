"""An OpenID provider in this process: for development, and for the tests of apps that log in.

Nothing of the rest of the package imports this one but the command line, when it is asked to.
"""

from .adapter import WSGIAdapter
from .browser import Browser, Stopped
from .clients import Client
from .faults import FAULTS, REFRESH_FAULTS, ActiveFault, Fault
from .people import PEOPLE, Person
from .provider import DevProvider
from .state import Call

__all__ = [
    "FAULTS",
    "PEOPLE",
    "REFRESH_FAULTS",
    "ActiveFault",
    "Browser",
    "Call",
    "Client",
    "DevProvider",
    "Fault",
    "Person",
    "Stopped",
    "WSGIAdapter",
]
