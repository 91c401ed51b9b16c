"""The ways in which the development provider can misbehave on demand, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from . import documents, id_token, par, refresh, response, signature, tokens
from .table import ActiveFault, ActiveFaults, Fault, Seam

__all__ = ["FAULTS", "REFRESH_FAULTS", "ActiveFault", "ActiveFaults", "Fault", "Seam"]

#: Every fault of a login. Names begin with the place: ``metadata_``, ``jwks_``, ``par_``,
#: ``response_``, ``token_``, ``id_token_``, ``userinfo_``.
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        name: fault
        for module in (documents, par, response, tokens, signature, id_token)
        for name, fault in module.table.faults.items()
    }
)

#: Every fault of what comes after a login. Names begin with ``refresh_`` or ``revocation_``.
REFRESH_FAULTS: Mapping[str, Fault] = MappingProxyType(refresh.table.faults)
