"""What stands in a JWT, for tests that look at one: nothing is verified."""

from __future__ import annotations

import base64
import json
from typing import Any


def read_jwt(jwt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its header and its claims."""
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in jwt.split(".")[:2]
    )
    return header, claims
