"""The ways in which the development provider can misbehave, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from . import (
    authorization,
    authorization_details,
    documents,
    dpop,
    encryption,
    id_token,
    jarm,
    mutual_tls,
    signature,
    tenants,
    tokens,
)
from .table import ActiveFault, ActiveFaults, Fault, Hook

__all__ = ["FAULTS", "REFRESH_FAULTS", "ActiveFault", "ActiveFaults", "Fault", "Hook"]

_MODULES = (
    *(documents, authorization, authorization_details, tokens, dpop, mutual_tls),
    *(signature, id_token, encryption, jarm, tenants),
)

#: Every fault of a login. Names begin with the hook: ``metadata_``, ``jwks_``, ``par_``,
#: ``response_``, ``token_``, ``id_token_``, ``userinfo_``, ``dpop_nonce_``, ``dpop_binding_``,
#: ``dpop_challenge_``, ``jwe_``, ``jarm_``, ``certificate_binding_``.
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {name: fault for module in _MODULES for name, fault in module.table.faults.items()}
)

#: Every fault after a login. Names begin with ``refresh_`` or ``revocation_``.
REFRESH_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        name: fault
        for module in (tokens, dpop, authorization_details, tenants)
        for name, fault in module.refresh_table.faults.items()
    }
)
