"""What a provider says of itself, and what it and we can agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import LoginError, ProviderUnavailable
from .algorithms import ASYMMETRIC_ALGORITHMS
from .client import RESPONSE_MODES_OF_THE_BROWSER, ClientConfig
from .urls import check_endpoint

_REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_ENDPOINTS = (
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "end_session_endpoint",
    "revocation_endpoint",
)
_LISTS = (
    "request_object_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "id_token_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "response_modes_supported",
)
_FLAGS = (
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
)


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata lies: OpenID Connect Discovery 4.1, then RFC 8414 section 3."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """The members of a provider's metadata that this client reads, by their registered names.

    A list is None where the provider is silent, which is not the same as empty.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    pushed_authorization_request_endpoint: str | None
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    revocation_endpoint: str | None
    request_object_signing_alg_values_supported: tuple[str, ...] | None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] | None
    id_token_signing_alg_values_supported: tuple[str, ...] | None
    code_challenge_methods_supported: tuple[str, ...] | None
    response_modes_supported: tuple[str, ...] | None
    authorization_response_iss_parameter_supported: bool
    require_pushed_authorization_requests: bool
    require_signed_request_object: bool

    @classmethod
    def parse(
        cls, document: Mapping[str, Any], *, expected_issuer: str, allow_http: bool
    ) -> ProviderMetadata:
        """Read a metadata document.

        :raises ProviderUnavailable: ``metadata_issuer`` where it is another issuer's, character by
            character; ``metadata`` where a member is missing or wrong.

        OpenID Connect Discovery 3 and 4.3, RFC 8414 sections 2 and 3.3.
        """
        issuer = document.get("issuer")
        if issuer != expected_issuer:
            raise ProviderUnavailable(
                "metadata_issuer", f"expected {expected_issuer!r}, found {str(issuer)[:200]!r}"
            )
        members: dict[str, Any] = {"issuer": issuer}
        for name in _REQUIRED_ENDPOINTS + _OPTIONAL_ENDPOINTS:
            value = document.get(name)
            if value is None and name in _OPTIONAL_ENDPOINTS:
                members[name] = None
                continue
            try:
                members[name] = check_endpoint(value, allow_http=allow_http)
            except ValueError as exc:
                raise ProviderUnavailable("metadata", f"{name}: {exc}") from exc
        for name in _LISTS:
            members[name] = _parse_list(name, document.get(name))
        for name in _FLAGS:
            flag = document.get(name)
            if flag is not None and not isinstance(flag, bool):
                raise ProviderUnavailable("metadata", f"{name}: not true or false")
            members[name] = flag is True
        return cls(**members)


def _parse_list(name: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProviderUnavailable("metadata", f"{name}: not a list of strings")
    return tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a provider and this client will use with each other. Made before the browser leaves."""

    pushed: bool
    request_object_alg: str | None
    client_auth: str
    client_assertion_alg: str | None
    id_token_algs: tuple[str, ...]


def agree(metadata: ProviderMetadata, client: ClientConfig) -> Agreement:
    """Settle how to speak with a provider, or refuse: nothing is ever weakened in silence.

    :raises LoginError: with the code of what cannot be agreed on.
    """
    challenges = metadata.code_challenge_methods_supported
    if challenges is not None and "S256" not in challenges:
        raise LoginError("pkce_unsupported", f"listed: {list(challenges)}")
    modes = metadata.response_modes_supported
    taken = RESPONSE_MODES_OF_THE_BROWSER if modes is None else modes
    if client.response_mode is not None and client.response_mode not in taken:
        raise LoginError("response_mode_unsupported", f"listed: {list(taken)}")
    if client.userinfo and metadata.userinfo_endpoint is None:
        raise LoginError("userinfo_unsupported")
    method, assertion_alg = _agree_on_client_auth(metadata, client)
    return Agreement(
        pushed=_agree_on_push(metadata, client),
        request_object_alg=_agree_on_request_object(metadata, client),
        client_auth=method,
        client_assertion_alg=assertion_alg,
        id_token_algs=_agree_on_id_token(metadata, client),
    )


def _agree_on_push(metadata: ProviderMetadata, client: ClientConfig) -> bool:
    if client.insecure_unpushed_request:
        if metadata.require_pushed_authorization_requests:
            raise LoginError("par_required")
        return False
    if metadata.pushed_authorization_request_endpoint is None:
        raise LoginError("par_unsupported", f"issuer {metadata.issuer}")
    return True


def _agree_on_request_object(metadata: ProviderMetadata, client: ClientConfig) -> str | None:
    listed = metadata.request_object_signing_alg_values_supported
    if client.insecure_unsigned_request:
        if metadata.require_signed_request_object:
            raise LoginError("jar_required")
        return None
    key = client.signing_keys[0]
    alg = key.negotiate(listed, client.signing_alg)
    if alg is None:
        raise LoginError(
            "signing_alg_unsupported",
            f"our {key.kty} key signs {', '.join(key.algorithms)}; PARJAR_SIGNING_ALG is "
            f"{client.signing_alg}; the provider lists {list(listed or ())}",
        )
    return alg


def _agree_on_client_auth(
    metadata: ProviderMetadata, client: ClientConfig
) -> tuple[str, str | None]:
    listed = metadata.token_endpoint_auth_methods_supported
    # Absent means client_secret_basic (OpenID Connect Discovery 3); who has a key may still use it.
    taken = listed if listed is not None else client.possible_client_auths
    method = next((m for m in client.possible_client_auths if m in taken), None)
    if method is None:
        raise LoginError(
            "client_auth_unsupported",
            f"ours: {', '.join(client.possible_client_auths)}; the provider's: {list(taken)}",
        )
    key = client.assertion_key(method)
    if key is None:
        return method, None
    algs = metadata.token_endpoint_auth_signing_alg_values_supported
    pinned = client.signing_alg if client.signing_alg in key.algorithms else None
    alg = key.negotiate(algs, pinned)
    if alg is None:
        raise LoginError(
            "client_auth_unsupported",
            f"{method}: our key signs {', '.join(key.algorithms)}; the provider lists "
            f"{list(algs or ())} for client assertions",
        )
    return method, alg


def _agree_on_id_token(metadata: ProviderMetadata, client: ClientConfig) -> tuple[str, ...]:
    listed = metadata.id_token_signing_alg_values_supported
    if listed is None:  # RS256, which every OpenID provider must have (Discovery 3), or as pinned
        return client.id_token_algs or ("RS256",)
    wanted = client.id_token_algs or ASYMMETRIC_ALGORITHMS
    algs = tuple(alg for alg in wanted if alg in listed)
    if not algs:
        raise LoginError("id_token_alg_unsupported", f"listed: {list(listed)}")
    return algs
