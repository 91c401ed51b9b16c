"""What is encrypted for a client, as it registered (OpenID Connect Core 10.2)."""

from __future__ import annotations

from .answers import InvalidRequestError, refusal
from .clients import Client, Encryption
from .jwe import EncryptedDraft
from .state import ProviderState


def encrypt_for_client(
    text: str, encryption: Encryption | None, *, kind: str, client: Client, provider: ProviderState
) -> str:
    """Encrypt a signed token for a client; active faults change it.

    :param encryption: as the client registered it; None leaves the token clear
    :param kind: ``id_token``, ``userinfo``, ``logout_token`` or ``response``
    :raises OAuth2Error: ``invalid_request``: the client has no key for it

    RFC 7519 section 5.2 for ``cty``
    """
    if encryption is None:
        return text
    key = client.keys.encryption_key(encryption.alg)
    if key is None:
        raise refusal(
            InvalidRequestError, f"the client has no key with use enc and alg {encryption.alg}"
        )
    draft = EncryptedDraft(
        kind=kind,
        header={"alg": encryption.alg, "enc": encryption.enc, "cty": "JWT", "kid": key.kid},
        content=text,
        key=key,
    )
    provider.faults.act("jwe", draft)
    return draft.finished()
