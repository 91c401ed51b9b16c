"""How a client proves to an endpoint who it is."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from .client import ClientConfig
from .keys import SigningKey
from .metadata import Agreement

ASSERTION_LIFETIME = 60
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthentication:
    """What one request carries to authenticate the client: form fields, and perhaps a header."""

    form: Mapping[str, str] = field(repr=False)
    authorization: str | None = field(default=None, repr=False)


def authenticate_client(
    client: ClientConfig,
    agreement: Agreement,
    *,
    key: SigningKey | None,
    endpoint: str,
    now: int,
) -> ClientAuthentication:
    """Make a fresh authentication for one request to one endpoint; never use one twice.

    :param key: the client's key for the agreed method, None where that has none.
    :param endpoint: the URL that will be called.

    RFC 6749 section 2.3.1, RFC 7523 section 2.2, OpenID Connect Core 9, FAPI 2.0 section 5.3.3.1.
    """
    method, client_id = agreement.client_auth, client.client_id
    if key is not None and agreement.client_assertion_alg is not None:
        audience = client.issuer if client.assertion_audience == "issuer" else endpoint
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(24),
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
        }
        assertion = key.sign(claims, alg=agreement.client_assertion_alg)
        return ClientAuthentication(
            form={
                "client_id": client_id,
                "client_assertion_type": JWT_BEARER,
                "client_assertion": assertion,
            }
        )
    secret = client.client_secret or ""
    if method == "client_secret_basic":
        # Both are form-encoded first, so that a colon in the id stays unambiguous.
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode("ascii")
        basic = "Basic " + base64.b64encode(pair).decode("ascii")
        return ClientAuthentication(form={"client_id": client_id}, authorization=basic)
    if method == "client_secret_post":
        return ClientAuthentication(form={"client_id": client_id, "client_secret": secret})
    return ClientAuthentication(form={"client_id": client_id})
