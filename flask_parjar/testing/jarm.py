"""JARM: the authorization response as a signed JWT."""

from __future__ import annotations

from .answers import AuthorizationAnswer, IDTokenDraft
from .clients import Client
from .documents import SIGNED_MODES
from .encryption import encrypt_for_client
from .state import ProviderState

RESPONSE_SECONDS = 120


def wrap(
    answer: AuthorizationAnswer, *, client: Client, provider: ProviderState
) -> AuthorizationAnswer:
    """Sign the parameters of a response where its mode says so; active faults change it.

    :raises OAuth2Error: ``invalid_request``: the client has no key for the encryption that it
        registered

    JARM sections 2.1 and 2.2
    """
    if answer.mode not in SIGNED_MODES:
        return answer
    alg = client.authorization_signed_response_alg
    key, now = provider.keys.signing_key(alg), int(provider.now())
    draft = IDTokenDraft(
        header={"alg": alg, "kid": key.kid},
        claims={
            **dict(answer.parameters),
            "iss": provider.issuer,
            "aud": client.client_id,
            "exp": now + RESPONSE_SECONDS,
        },
        key=key,
        now=now,
        client=client,
    )
    provider.faults.act("jarm", draft)
    text = encrypt_for_client(
        str(draft.finished()),
        client.authorization_encryption,
        kind="response",
        client=client,
        provider=provider,
    )
    signed = AuthorizationAnswer(
        redirect_uri=answer.redirect_uri, mode=answer.mode, parameters=[("response", text)]
    )
    provider.faults.act("jarm_answer", signed)
    return signed
