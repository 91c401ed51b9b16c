"""The challenges of an API: it asks for a stronger login, or does not accept the token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .claims_parameter import check_claims
from .encoding import b64decode, parse_json_object

_MAX_HEADER = 4096
_MAX_VALUES = 10
_MAX_CLAIMS = 1024  # bytes of JSON: they travel in a URL of ours, and to the provider
# A quoted string, also one that is not closed: nothing in it is read as a part of the header.
_QUOTED = r'"(?:[^"\\]|\\.?)*"?'
_ELEMENT = re.compile(rf'(?:[^,"]|{_QUOTED})+', re.DOTALL)
# The first word of an element, unless it is the name of a parameter.
_SCHEME = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)(?:\s+(?![\s=])|\s*$)", re.ASCII)
_PARAMETER = re.compile(
    rf'(?<![\w-])([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))|{_QUOTED}', re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpChallenge:
    """The stronger or more recent login that an API asks for.

    :param acr_values: any of these will do, best first; empty if only the age counts.
    :param max_age: seconds since the person signed in, at most; None for any age.
    :param claims: a ``claims`` parameter for the login; empty for none.

    RFC 9470 section 3. For `claims` OpenID Connect Core 5.5; the challenge is Microsoft's own:
    "Claims challenges, claims requests and client capabilities", in the documentation of Entra ID.
    """

    acr_values: tuple[str, ...]
    max_age: int | None
    claims: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, header: str) -> StepUpChallenge | None:
        """Read a ``WWW-Authenticate`` header; None if it asks for no other login."""
        for parameters in _challenges(header):
            error = parameters.get("error")
            if error == "insufficient_claims":
                claims = _parse_claims(parameters.get("claims", ""))
                if claims:
                    return cls(acr_values=(), max_age=None, claims=claims)
            if error != "insufficient_user_authentication":
                continue
            max_age = parameters.get("max_age", "")
            return cls(
                acr_values=tuple(parameters.get("acr_values", "").split()[:_MAX_VALUES]),
                max_age=int(max_age) if re.fullmatch(r"[0-9]{1,9}", max_age) else None,
            )
        return None


def is_invalid_token(header: str) -> bool:
    """Whether a ``WWW-Authenticate`` header says that the token has expired, or was revoked.

    RFC 6750 section 3.1.
    """
    return any(each.get("error") == "invalid_token" for each in _challenges(header))


def is_use_dpop_nonce(header: str) -> bool:
    """Whether a ``WWW-Authenticate`` header asks for a proof with the nonce that came with it.

    RFC 9449 section 9.
    """
    return any(each.get("error") == "use_dpop_nonce" for each in _challenges(header))


def _parse_claims(text: str) -> Mapping[str, Any]:
    """Read the ``claims`` of a challenge: JSON in base64, of either alphabet.

    :returns: nothing where it is anything else, is too long, or asks for nothing.
    """
    unpadded = re.sub(r"={1,2}\Z", "", text).translate(str.maketrans("+/", "-_"))
    try:
        content = b64decode(unpadded)
        claims = parse_json_object(content)
        check_claims(claims)
    except ValueError:
        return {}
    asked = [each for each in claims.values() if each is not None]
    is_request = any(asked) and all(isinstance(each, dict) for each in asked)
    return claims if is_request and len(content) <= _MAX_CLAIMS else {}


def _challenges(header: str) -> list[dict[str, str]]:
    """The parameters of each challenge for a token, by their names in lower case.

    Commas separate challenges, and also the parameters of each. So an element that begins with a
    word of its own begins a challenge, and any other element belongs to the one before it.

    RFC 9110 section 11.6.1.
    """
    challenges: list[dict[str, str]] = []
    current: dict[str, str] = {}  # before the first scheme, and for other schemes: not kept
    for element in _ELEMENT.findall(header[:_MAX_HEADER]):
        scheme = _SCHEME.match(element)
        if scheme is not None:
            current = {}
            if scheme[1].lower() in ("bearer", "dpop"):
                challenges.append(current)
        current.update(
            (name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)
            for name, quoted, plain in _PARAMETER.findall(element)
            if name
        )
    return challenges
