"""For each rule of each preset, a login that breaks this rule and no other."""

from tests.support.breaches import (
    auth0,
    authlete,
    curity,
    duende,
    entra,
    franceconnect,
    helseid,
    idporten,
    itsme,
    okta,
    onelogin,
    pingfederate,
    singpass,
)
from tests.support.breaches.breach import Breach

BREACHES: dict[str, dict[str, Breach]] = {
    "singpass": singpass.BREACHES,
    "helseid": helseid.BREACHES,
    "idporten": idporten.BREACHES,
    "onelogin": onelogin.BREACHES,
    "auth0": auth0.BREACHES,
    "okta": okta.BREACHES,
    "okta-dpop": okta.WITH_DPOP,
    "entra": entra.BREACHES,
    "itsme": itsme.BREACHES,
    "franceconnect": franceconnect.BREACHES,
    "franceconnect-plus": franceconnect.BREACHES_OF_PLUS,
    "curity": curity.BREACHES,
    "pingfederate": pingfederate.BREACHES,
    "duende": duende.BREACHES,
    "authlete": authlete.BREACHES,
}
