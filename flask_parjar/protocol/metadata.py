"""A provider's metadata, and where it is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import ProviderUnavailable
from .issuer import PLACEHOLDER
from .urls import check_endpoint, is_loopback

_REQUIRED_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL_ENDPOINTS = (
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "end_session_endpoint",
    "revocation_endpoint",
)
_ENDPOINTS = _REQUIRED_ENDPOINTS + _OPTIONAL_ENDPOINTS
#: The endpoints that may have an alias for mutual TLS, of those that we call with a certificate.
_ALIASED = (
    "token_endpoint",
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "revocation_endpoint",
)
_ENCRYPTION_LISTS = (
    "id_token_encryption_alg_values_supported",
    "id_token_encryption_enc_values_supported",
    "userinfo_encryption_alg_values_supported",
    "userinfo_encryption_enc_values_supported",
    "request_object_encryption_alg_values_supported",
    "request_object_encryption_enc_values_supported",
    "authorization_encryption_alg_values_supported",
    "authorization_encryption_enc_values_supported",
)
#: What a login does not need. A member that is wrong counts as missing. The push endpoint is not
#: among them: without it a login would be weaker.
_NOT_NEEDED = frozenset(
    ("userinfo_endpoint", "end_session_endpoint", "revocation_endpoint", *_ENCRYPTION_LISTS)
)
_LISTS = (
    "request_object_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "authorization_signing_alg_values_supported",
    *_ENCRYPTION_LISTS,
    "code_challenge_methods_supported",
    "response_modes_supported",
    "dpop_signing_alg_values_supported",
    "authorization_details_types_supported",
)
_FLAGS = (
    "tls_client_certificate_bound_access_tokens",
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
)


def metadata_urls(issuer: str) -> tuple[str, str]:
    """The URLs of an issuer's metadata: OpenID Connect Discovery 4.1, then RFC 8414 section 3."""
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

    A list is None if the metadata does not have it. That is not the same as an empty list.

    :param acr_values_supported: empty if the metadata does not have it.
    :param prompt_values_supported: likewise.
    :param mtls_endpoint_aliases: the URLs at which an endpoint takes client certificates, by the
        name of the endpoint (RFC 8705 section 5).
    :param faulty_aliases: the names of those that cannot be used, each with the reason.
    :param request_parameter_supported: None if the metadata does not have it, as at most providers.
    :param ignored: the members that are wrong and count as missing, each with the reason.
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
    userinfo_signing_alg_values_supported: tuple[str, ...] | None
    id_token_encryption_alg_values_supported: tuple[str, ...] | None
    id_token_encryption_enc_values_supported: tuple[str, ...] | None
    userinfo_encryption_alg_values_supported: tuple[str, ...] | None
    userinfo_encryption_enc_values_supported: tuple[str, ...] | None
    request_object_encryption_alg_values_supported: tuple[str, ...] | None
    request_object_encryption_enc_values_supported: tuple[str, ...] | None
    authorization_signing_alg_values_supported: tuple[str, ...] | None
    authorization_encryption_alg_values_supported: tuple[str, ...] | None
    authorization_encryption_enc_values_supported: tuple[str, ...] | None
    code_challenge_methods_supported: tuple[str, ...] | None
    response_modes_supported: tuple[str, ...] | None
    dpop_signing_alg_values_supported: tuple[str, ...] | None
    authorization_details_types_supported: tuple[str, ...] | None
    authorization_response_iss_parameter_supported: bool
    require_pushed_authorization_requests: bool
    require_signed_request_object: bool
    tls_client_certificate_bound_access_tokens: bool
    mtls_endpoint_aliases: Mapping[str, str]
    faulty_aliases: Mapping[str, str]
    claims_parameter_supported: bool
    request_parameter_supported: bool | None
    acr_values_supported: tuple[str, ...]
    prompt_values_supported: tuple[str, ...]
    ignored: tuple[str, ...]

    @classmethod
    def parse(
        cls, document: Mapping[str, Any], *, expected_issuer: str, allow_http: bool
    ) -> ProviderMetadata:
        """Read a metadata document.

        :raises ProviderUnavailable: ``metadata_issuer`` if its ``issuer`` is not exactly the
            expected one, ``metadata_issuer_template`` if it is a template; ``metadata`` if a member
            that a login needs is missing or wrong.

        OpenID Connect Discovery 3 and 4.3, RFC 8414 sections 2 and 3.3.
        """
        issuer = document.get("issuer")
        if issuer != expected_issuer:
            template = isinstance(issuer, str) and PLACEHOLDER in issuer
            unexpected = template and PLACEHOLDER not in expected_issuer
            raise ProviderUnavailable(
                "metadata_issuer_template" if unexpected else "metadata_issuer",
                f"issuer: expected {expected_issuer!r}, found {str(issuer)[:200]!r}",
            )

        def check_url(url: object) -> str:
            # A provider elsewhere must not make us send client assertions to this machine.
            is_local = is_loopback(urlsplit(expected_issuer).hostname or "")
            return check_endpoint(url, allow_http=allow_http, allow_loopback=is_local)

        members: dict[str, Any] = {"issuer": issuer}
        faults: list[str] = []
        ignored: list[str] = []
        for name in _ENDPOINTS + _LISTS + _FLAGS:
            try:
                members[name] = _parse_member(name, document.get(name), check_url)
            except ValueError as exc:
                members[name] = None
                (ignored if name in _NOT_NEEDED else faults).append(f"{name}: {exc}")
        if faults:
            raise ProviderUnavailable("metadata", "; ".join(faults + ignored))
        # These members are less important, so a wrong type does not end the login.
        members["claims_parameter_supported"] = document.get("claims_parameter_supported") is True
        signed = document.get("request_parameter_supported")
        members["request_parameter_supported"] = signed if isinstance(signed, bool) else None
        aliases, faulty = _parse_aliases(
            document.get("mtls_endpoint_aliases"), allow_http=allow_http
        )
        members.update(mtls_endpoint_aliases=aliases, faulty_aliases=faulty)
        for name in ("acr_values_supported", "prompt_values_supported"):
            members[name] = _strings(document.get(name))
        return cls(**members, ignored=tuple(ignored))


def _parse_member(name: str, value: object, check_url: Callable[[object], str]) -> object:
    if name in _ENDPOINTS:
        if value is None and name in _REQUIRED_ENDPOINTS:
            raise ValueError("it is missing")
        return None if value is None else check_url(value)
    if name in _FLAGS:
        if not isinstance(value, bool | None):
            raise ValueError("not true or false")
        return value is True
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str | None) for item in value):
        raise ValueError("not a list of strings")
    return tuple(item for item in value if item is not None)  # some servers write null


def _parse_aliases(value: object, *, allow_http: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Read ``mtls_endpoint_aliases``; what it has of endpoints that we do not use is ignored.

    An alias may be at another host. It is https, also on loopback: a certificate is presented by
    TLS alone.

    :returns: the aliases, and why others cannot be used, by the names of their endpoints.

    RFC 8705 section 5.
    """
    aliases: dict[str, str] = {}
    faulty: dict[str, str] = {}
    members = {} if value is None else value
    for name in _ALIASED:
        if not isinstance(members, Mapping):
            faulty[name] = "mtls_endpoint_aliases is no object"
        elif members.get(name) is not None:
            try:
                url = check_endpoint(members[name], allow_http=allow_http, allow_loopback=False)
                aliases[name] = url
            except ValueError as exc:
                faulty[name] = str(exc)
    return aliases, faulty


def _strings(value: object) -> tuple[str, ...]:
    """The strings of a list; empty for anything else."""
    listed = value if isinstance(value, list) else []
    return tuple(item for item in listed if isinstance(item, str))
