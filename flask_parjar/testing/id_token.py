"""The ID token: drafted, spoilt where a fault says so, signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from .authorization import AMR, Grant
from .clients import Client
from .jws import encode, encode_json
from .keys import ID_TOKEN_ALGORITHMS

if TYPE_CHECKING:
    from .state import ProviderState

ID_TOKEN_SECONDS = 300


@dataclass(slots=True, kw_only=True)
class IDTokenDraft:
    """An ID token before it is signed. Everything in it may still change.

    :param key: signs, under the header's ``alg``
    :param now: the provider's time, in seconds since 1970
    :param payload: signed in place of the claims, for JSON that no library would write
    :param signer: makes the signature of the signing input, in place of the key
    :param text: the finished token, in place of all that is above
    """

    header: dict[str, object]
    claims: dict[str, object]
    key: Key
    now: int
    client: Client
    payload: bytes | None = None
    signer: Callable[[bytes], bytes] | None = None
    text: object = None

    def finished(self) -> object:
        """The compact JWS; something else where a fault says so."""
        if self.text is not None:
            return self.text
        payload = json.dumps(self.claims).encode() if self.payload is None else self.payload
        signing_input = f"{encode_json(self.header)}.{encode(payload)}"
        signature = (self.signer or self.sign)(signing_input.encode("ascii"))
        return f"{signing_input}.{encode(signature)}"

    def sign(self, signing_input: bytes) -> bytes:
        """The honest signature."""
        return JWSRegistry.algorithms[str(self.header["alg"])].sign(signing_input, self.key)


def mint_id_token(
    grant: Grant, *, access_token: str, refreshed: bool, provider: ProviderState
) -> object:
    """An ID token for the person who agreed to this grant.

    :param refreshed: whether it comes of a refresh token, not of a code

    OpenID Connect Core sections 2, 3.1.3.3 and 3.1.3.6
    """
    request, now = grant.request, int(provider.now())
    alg = id_token_alg(request.client, provider=provider)
    person = provider.person(grant.sign_in.sub)
    told = person.told(grant.scopes, asked=request.id_token_claims) if person else {}
    claims: dict[str, object] = {
        **told,
        "iss": provider.issuer,
        "sub": grant.sign_in.sub,
        "sid": grant.sid,
        "aud": request.client.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_SECONDS,
        "auth_time": grant.sign_in.at,
        "acr": grant.sign_in.acr,
        "amr": list(AMR[grant.sign_in.acr]),
        "at_hash": left_half_hash(access_token, alg=alg),
    }
    # OpenID Connect Core section 12.2: a refreshed ID token should carry no nonce.
    if request.nonce is not None and not refreshed:
        claims["nonce"] = request.nonce
    key = provider.keys.signing_key(alg)
    draft = IDTokenDraft(
        header={"typ": "JWT", "alg": alg, "kid": key.kid},
        claims=claims,
        key=key,
        now=now,
        client=request.client,
    )
    provider.faults.act("id_token", draft)
    if refreshed:
        provider.faults.act("refresh_id_token", draft)
    return draft.finished()


def left_half_hash(text: str, *, alg: str) -> str:
    """``at_hash``: half of the hash that belongs to the algorithm.

    OpenID Connect Core section 3.1.3.6
    """
    # Ed25519 is a SHA-512 scheme; the others here end in 256.
    name = "sha512" if alg in ("EdDSA", "Ed25519") else "sha256"
    digest = hashlib.new(name, text.encode("ascii")).digest()
    return encode(digest[: len(digest) // 2])


def id_token_alg(client: Client, *, provider: ProviderState) -> str:
    """The algorithm that signs for a client: the registered one, or the first that is offered.

    OpenID Connect Dynamic Client Registration section 2
    """
    if client.id_token_signed_response_alg is not None:
        return client.id_token_signed_response_alg
    offered = provider.offered("id_token_signing_alg_values_supported")
    return next((alg for alg in offered if alg in ID_TOKEN_ALGORITHMS), ID_TOKEN_ALGORITHMS[0])
