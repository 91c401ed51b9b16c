"""A login that breaks one rule of a preset, and the values that such logins have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.support.altered_requests import Alteration

RSA = RSAKey.generate_key(2048).as_dict(private=True)
EC = ECKey.generate_key("P-256").as_dict(private=True)
P384 = ECKey.generate_key("P-384").as_dict(private=True)
ED25519 = OKPKey.generate_key("Ed25519").as_dict(private=True)
SECRET = "a client secret that is long enough for HS256"
BY_SECRET = {"PARJAR_CLIENT_SECRET": SECRET, "PARJAR_CLIENT_AUTH": "client_secret_basic"}
#: Without a profile, which would refuse at start what the provider refuses.
NO_PROFILE = {"PARJAR_PROFILE": None}
#: The code where the provider shows an error, and does not send the browser back.
STOPPED = "the provider shows an error"


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A login that breaks one rule.

    :param code: the error that it ends with
    :param error: the error that the provider sends the browser back with, if it does
    :param config: settings that differ from those of the preset
    :param sends: what the site does not do by itself
    """

    code: str
    error: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    sends: Alteration = field(default_factory=Alteration)


def valid_for(seconds: int) -> dict[str, Any]:
    """Claims of a JWT that is valid for so long."""
    return {"exp": lambda claims: claims["iat"] + seconds}
