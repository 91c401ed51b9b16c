"""Logins at Authlete that break one rule."""

from tests.support.breaches.breach import BY_SECRET, NO_PROFILE, P384, Breach

BREACHES = {
    "pushed": Breach(code="par_required", config={**NO_PROFILE, "PARJAR_REQUEST": "signed"}),
    "signed": Breach(code="jar_required", config={**NO_PROFILE, "PARJAR_REQUEST": "pushed"}),
    "private_key_jwt": Breach(code="client_auth_unsupported", config={**NO_PROFILE, **BY_SECRET}),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={**NO_PROFILE, "PARJAR_ASSERTION_KEY": P384}
    ),
    "dpop": Breach(code="dpop_refused", config={**NO_PROFILE, "PARJAR_DPOP": False}),
}
