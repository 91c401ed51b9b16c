"""What real providers demand, as values: one file for each provider."""

from collections.abc import Mapping
from types import MappingProxyType

from .auth0 import AUTH0
from .authlete import AUTHLETE
from .curity import CURITY
from .duende import DUENDE
from .entra import ENTRA
from .franceconnect import FRANCECONNECT, FRANCECONNECT_PLUS
from .helseid import HELSEID
from .idporten import IDPORTEN
from .itsme import ITSME
from .okta import OKTA, OKTA_DPOP
from .onelogin import ONE_LOGIN
from .pingfederate import PINGFEDERATE
from .preset import Preset, Rule, follow, with_fresh_keys
from .singpass import SINGPASS

__all__ = ["PRESETS", "Preset", "Rule", "follow", "with_fresh_keys"]

#: The presets by the name that `DevProvider.like` takes.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "singpass": SINGPASS,
        "helseid": HELSEID,
        "idporten": IDPORTEN,
        "onelogin": ONE_LOGIN,
        "auth0": AUTH0,
        "okta": OKTA,
        "okta-dpop": OKTA_DPOP,
        "entra": ENTRA,
        "itsme": ITSME,
        "franceconnect": FRANCECONNECT,
        "franceconnect-plus": FRANCECONNECT_PLUS,
        "curity": CURITY,
        "pingfederate": PINGFEDERATE,
        "duende": DUENDE,
        "authlete": AUTHLETE,
    }
)
