"""What an API asks for when a token is good, and the login behind it is not good enough."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_HEADER = 4096
_MAX_VALUES = 10
_PARAMETER = re.compile(
    r'(?<![\w-])([A-Za-z_]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.){0,1024})"|([^\s,"]{1,1024}))'
)
_NEXT_SCHEME = re.compile(r"(?:^|,)\s*(?:Bearer|DPoP)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpChallenge:
    """The stronger, or fresher, login that an API wants.

    :param acr_values: one of these, best first; empty where only the age counts.
    :param max_age: seconds that the sign-in may be old.

    RFC 9470 section 3.
    """

    acr_values: tuple[str, ...]
    max_age: int | None

    @classmethod
    def parse(cls, header: str) -> StepUpChallenge | None:
        """Read a ``WWW-Authenticate`` header; None where it asks for no stronger login."""
        for challenge in _NEXT_SCHEME.split(header[:_MAX_HEADER])[1:]:
            parameters = {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
                for name, quoted, plain in _PARAMETER.findall(challenge)
            }
            if parameters.get("error") != "insufficient_user_authentication":
                continue
            max_age = parameters.get("max_age", "")
            return cls(
                acr_values=tuple(parameters.get("acr_values", "").split()[:_MAX_VALUES]),
                max_age=int(max_age) if re.fullmatch(r"[0-9]{1,9}", max_age) else None,
            )
        return None
