"""What a provider and this client use with each other: negotiated once for all logins.

No file below this one reads the configuration of the client or the metadata of the provider: what a
login needs of them is a field here. A new standard adds a field and a function that negotiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

from .algorithms import ASYMMETRIC_ALGORITHMS
from .binding import BeginBinding, begin_bearer
from .client import SIGNED_RESPONSE_MODES, ClientConfig
from .client_auth import (
    ClientAssertion,
    FormerKey,
    GivenAssertion,
    PublicClient,
    SecretInBody,
    SecretInHeader,
)
from .dpop import DPOP_ALGORITHMS, BeginDPoP
from .issuer import AcceptedIssuer
from .jwe import (
    CONTENT_ALGORITHMS,
    DEFAULT_ENC,
    Decryption,
    Encryption,
    RequestEncryption,
)
from .keys import SigningKey
from .metadata import ProviderMetadata
from .mutual_tls import CERTIFICATE_AUTHS, CertificateAuth, begin_certificate
from .outbound import Proof
from .profiles import Profile
from .request_level import RequestLevel

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The provider's URLs. None where it has none, or where we do not use it."""

    authorization: str
    token: str
    push: str | None
    userinfo: str | None
    revocation: str | None
    end_session: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSigning:
    """How request objects are signed (RFC 9101).

    :param announced: whether the provider's metadata says that it takes them.
    :param audience: their ``aud``.
    :param lifetime: seconds from ``nbf`` to ``exp``.
    :param beside: the names of parameters that are also sent beside them.
    """

    key: SigningKey = field(repr=False)
    alg: str
    announced: bool
    audience: str
    lifetime: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What this client and a provider use with each other.

    :param tenants: those that may log in, where the issuer is a template; else empty.
    :param request_signing: None if requests are not signed.
    :param request_encryption: None if request objects are not encrypted.
    :param client_auth: authenticates the client at each endpoint.
    :param pkce: whether a request has a code challenge, and the token request its verifier.
    :param begin_binding: makes what the tokens of one login are bound to.
    :param userinfo_algs: accepted on userinfo that is signed; empty if none is.
    :param id_token_decryption: for ID tokens, which must then be encrypted; None if they must not.
    :param userinfo_decryption: the same for userinfo.
    :param response_algs: accepted on authorization responses that are signed; empty if none is.
    :param response_decryption: the same as for ID tokens, for signed authorization responses.
    :param iss_required: whether an authorization response must have ``iss`` (RFC 9207).
    :param https_redirect_uri: whether the ``redirect_uri`` must be https, or on loopback.
    :param claims_parameter: whether the provider reads ``claims`` (OpenID Connect Core 5.5).
    :param acr_values: the levels of authentication that the provider lists; empty if it lists none.
    :param other_account_prompt: the ``prompt`` with which a person who is signed in at the provider
        can choose another account there.
    :param details_types: the types of ``authorization_details`` that the provider lists; None if it
        has no such list.
    :param authorization_params: further parameters of every authorization request.
    :param clock_skew: seconds that clocks may differ.
    """

    issuer: str
    client_id: str
    endpoints: Endpoints
    request_signing: RequestSigning | None
    request_encryption: RequestEncryption | None
    client_auth: Proof = field(repr=False)
    begin_binding: BeginBinding
    pkce: bool
    id_token_algs: tuple[str, ...]
    userinfo_algs: tuple[str, ...]
    id_token_decryption: Decryption | None
    userinfo_decryption: Decryption | None
    response_mode: str | None
    response_algs: tuple[str, ...]
    response_decryption: Decryption | None
    iss_required: bool
    https_redirect_uri: bool
    claims_parameter: bool
    acr_values: tuple[str, ...]
    other_account_prompt: str
    details_types: tuple[str, ...] | None
    authorization_params: Mapping[str, Any]
    trusted_audiences: tuple[str, ...]
    fetch_userinfo: bool
    clock_skew: int
    tenants: frozenset[str] = frozenset()

    @property
    def accepted_issuer(self) -> AcceptedIssuer:
        """Whose tokens and responses are accepted."""
        return AcceptedIssuer(self.issuer, self.tenants)


class Disagreement(NamedTuple):
    """One field on which this client and a provider cannot agree.

    :param code: one of the table in ``error_codes.py``.
    :param detail: what each side wants.
    """

    code: str
    detail: str = ""


class _Fields:
    """Collects the disagreements while the fields of an agreement are negotiated one by one."""

    def __init__(self) -> None:
        self.disagreements: list[Disagreement] = []

    def take(self, negotiated: T | Disagreement) -> T:
        if isinstance(negotiated, Disagreement):
            self.disagreements.append(negotiated)
            return cast(T, None)  # never read: the agreement is not given out
        return negotiated


def agree(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> Agreement | tuple[Disagreement, ...]:
    """Negotiate every field. Nothing is ever weakened silently.

    :returns: the agreement, or all disagreements.
    """
    fields = _Fields()
    agreement = Agreement(
        issuer=client.issuer,
        tenants=client.tenants,
        client_id=client.client_id,
        pkce=fields.take(negotiate_pkce(client, metadata)),
        response_mode=fields.take(negotiate_response_mode(client, metadata)),
        fetch_userinfo=fields.take(negotiate_userinfo(client, metadata)),
        client_auth=fields.take(negotiate_client_auth(client, metadata, profile)),
        endpoints=fields.take(negotiate_endpoints(client, metadata)),
        request_signing=fields.take(negotiate_request_signing(client, metadata, profile)),
        request_encryption=fields.take(negotiate_request_encryption(client, metadata)),
        id_token_algs=fields.take(negotiate_id_token_algs(client, metadata, profile)),
        userinfo_algs=negotiate_userinfo_algs(client, metadata, profile),
        id_token_decryption=fields.take(negotiate_decryption(client, metadata, of=_ID_TOKEN)),
        userinfo_decryption=fields.take(negotiate_decryption(client, metadata, of=_USERINFO)),
        response_algs=fields.take(negotiate_response_algs(client, metadata, profile)),
        response_decryption=fields.take(negotiate_decryption(client, metadata, of=_RESPONSE)),
        begin_binding=fields.take(negotiate_binding(client, metadata, profile)),
        iss_required=metadata.authorization_response_iss_parameter_supported
        or profile.iss_required,
        https_redirect_uri=profile.https_redirect_uri,
        claims_parameter=metadata.claims_parameter_supported,
        acr_values=metadata.acr_values_supported,
        other_account_prompt=_other_account_prompt(metadata),
        details_types=metadata.authorization_details_types_supported,
        authorization_params=client.authorization_params,
        trusted_audiences=client.trusted_audiences,
        clock_skew=client.clock_skew,
    )
    return tuple(fields.disagreements) or agreement


def negotiate_pkce(client: ClientConfig, metadata: ProviderMetadata) -> bool | Disagreement:
    """Whether a login has a code challenge, which is then S256 (RFC 7636 section 4.2).

    Metadata never switches it off: only the configuration does.
    """
    challenges = metadata.code_challenge_methods_supported
    if client.pkce and challenges is not None and "S256" not in challenges:
        return Disagreement(code="pkce_unsupported", detail=f"listed: {list(challenges)}")
    return client.pkce


def _other_account_prompt(metadata: ProviderMetadata) -> str:
    """``select_account`` if the provider lists it; every provider must know ``login``.

    OpenID Connect Core 15.1, Initiating User Registration via OpenID Connect 1.0 section 4.2.
    """
    return "select_account" if "select_account" in metadata.prompt_values_supported else "login"


#: What the metadata can have against a request level: it demands more, or offers less.
_LEVEL_RULES: Mapping[str, Callable[[RequestLevel, ProviderMetadata], bool]] = {
    "par_unsupported": lambda level, metadata: (
        level.pushed and metadata.pushed_authorization_request_endpoint is None
    ),
    "par_required": lambda level, metadata: (
        not level.pushed and metadata.require_pushed_authorization_requests
    ),
    "jar_unsupported": lambda level, metadata: (
        level.signed and not _may_take_signed_requests(level, metadata)
    ),
    "jar_required": lambda level, metadata: (
        not level.signed and metadata.require_signed_request_object
    ),
}


def _compare_level(
    client: ClientConfig, metadata: ProviderMetadata, *codes: str
) -> Disagreement | None:
    """Compare the request level with the metadata. The level is never changed.

    RFC 9126 section 5, RFC 9101 section 10.5, OpenID Connect Discovery 3.
    """
    for code in codes:
        if _LEVEL_RULES[code](client.request_level, metadata):
            detail = f"PARJAR_REQUEST is {client.request}; issuer {metadata.issuer}"
            return Disagreement(code=code, detail=detail)
    return None


def _may_take_signed_requests(level: RequestLevel, metadata: ProviderMetadata) -> bool:
    """Whether to try: without ``request_parameter_supported`` the standard says that it is false.

    Many providers leave it out and take signed requests. A pushed one is tried, because our server
    sees how the provider refuses it. Else the browser would end at an error page there, so another
    member has to speak of signed requests.
    """
    if metadata.request_parameter_supported is False:
        return False
    return level.pushed or _announces_signed_requests(metadata)


def negotiate_response_mode(
    client: ClientConfig, metadata: ProviderMetadata
) -> str | None | Disagreement:
    """How the browser returns the response (``response_mode``); None for the default, ``query``."""
    listed = metadata.response_modes_supported
    # A provider without a list has query and fragment (OpenID Connect Discovery 3).
    possible = ("query", "fragment") if listed is None else listed
    wanted = client.response_mode or "query"
    if wanted not in possible:
        return Disagreement(
            code="response_mode_unsupported", detail=f"wanted: {wanted}; listed: {list(possible)}"
        )
    return client.response_mode


def negotiate_userinfo(client: ClientConfig, metadata: ProviderMetadata) -> bool | Disagreement:
    """Whether the userinfo endpoint is called at each login."""
    if client.userinfo and metadata.userinfo_endpoint is None:
        return Disagreement(code="userinfo_unsupported")
    return client.userinfo


def negotiate_endpoints(
    client: ClientConfig, metadata: ProviderMetadata
) -> Endpoints | Disagreement:
    """The provider's URLs; without a push endpoint, requests are not pushed."""
    if different := _compare_level(client, metadata, "par_unsupported", "par_required"):
        return different
    found = _with_aliases(client, metadata)
    if isinstance(found, Disagreement):
        return found
    push = found["pushed_authorization_request_endpoint"]
    return Endpoints(
        authorization=metadata.authorization_endpoint,
        token=found["token_endpoint"] or metadata.token_endpoint,
        push=push if client.request_level.pushed else None,
        userinfo=found["userinfo_endpoint"],
        revocation=found["revocation_endpoint"],
        end_session=_end_session_url(client, metadata),
    )


def _with_aliases(
    client: ClientConfig, metadata: ProviderMetadata
) -> Mapping[str, str | None] | Disagreement:
    """The URLs of the endpoints that take client certificates, by their names.

    An alias is used where there is one, if the certificate authenticates or binds. One that cannot
    be used ends the login: at the other URL the provider may not ask for a certificate.

    RFC 8705 section 5.
    """
    found = {
        "token_endpoint": metadata.token_endpoint,
        "pushed_authorization_request_endpoint": metadata.pushed_authorization_request_endpoint,
        "userinfo_endpoint": metadata.userinfo_endpoint,
        "revocation_endpoint": metadata.revocation_endpoint,
    }
    if not client.mutual_tls:
        return found
    if metadata.faulty_aliases:
        reasons = "; ".join(f"{name}: {why}" for name, why in metadata.faulty_aliases.items())
        return Disagreement(code="mtls_alias_unusable", detail=reasons)
    return {**found, **metadata.mtls_endpoint_aliases}


def _end_session_url(client: ClientConfig, metadata: ProviderMetadata) -> str | None:
    if not client.provider_logout:
        return None
    return client.end_session_url or metadata.end_session_endpoint


def negotiate_request_signing(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> RequestSigning | None | Disagreement:
    """How request objects are signed; None if they are not."""
    if different := _compare_level(client, metadata, "jar_unsupported", "jar_required"):
        return different
    if not client.request_level.signed:
        return None
    listed = metadata.request_object_signing_alg_values_supported
    key, pinned = client.signing_keys[0], client.signing_alg
    if listed is None and pinned is None:
        # A provider that lists algorithms only for client assertions verifies the same ones here.
        assertion_algs = metadata.token_endpoint_auth_signing_alg_values_supported or ()
        pinned = next((alg for alg in key.algorithms if alg in assertion_algs), None)
    alg = _choose_alg(key, profile, listed=listed, pinned=pinned)
    if alg is None:
        return Disagreement(
            code="signing_alg_unsupported",
            detail=f"our {key.kty} key signs {', '.join(key.algorithms)}; PARJAR_SIGNING_ALG is "
            f"{client.signing_alg}; the provider lists {list(listed or ())}",
        )
    named = {
        "issuer": client.issuer,
        "authorization_endpoint": metadata.authorization_endpoint,
    }
    return RequestSigning(
        key=key,
        alg=alg,
        announced=_announces_signed_requests(metadata),
        audience=named.get(client.request_audience, client.request_audience),
        lifetime=client.request_lifetime,
        beside=client.request_beside,
    )


def _choose_alg(
    key: SigningKey, profile: Profile, *, listed: tuple[str, ...] | None, pinned: str | None
) -> str | None:
    """The algorithm of one of our keys; None if we have none in common, or the profile has not."""
    alg = key.negotiate(profile.permitted(listed), pinned, unlisted=profile.unlisted_algs)
    return alg if alg in profile.algs else None


def _announces_signed_requests(metadata: ProviderMetadata) -> bool:
    return (
        metadata.request_parameter_supported is True
        or metadata.require_signed_request_object
        or metadata.request_object_signing_alg_values_supported is not None
    )


def negotiate_client_auth(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> Proof | Disagreement:
    """How the client authenticates (OpenID Connect Core 9)."""
    listed = metadata.token_endpoint_auth_methods_supported
    # An absent list means client_secret_basic (OpenID Connect Discovery 3). A client with a key may
    # still use the key.
    possible = listed if listed is not None else client.possible_client_auths
    # Many providers serve public clients and do not list ``none``; it is used only if it is named.
    possible = (*possible, "none") if client.client_auth == "none" else possible
    method = next((m for m in client.possible_client_auths if m in possible), None)
    if method is None:
        return Disagreement(
            code="client_auth_unsupported",
            detail=f"ours: {', '.join(client.possible_client_auths)}; the provider's: "
            f"{list(possible)}",
        )
    key = client.assertion_key(method)
    if key is not None:
        return _negotiate_assertion(client, metadata, profile, method, key)
    secret = client.client_secret or ""
    if method == "private_key_jwt" and client.client_assertion is not None:
        return GivenAssertion(client_id=client.client_id, read=client.client_assertion)
    if method == "client_secret_basic":
        return SecretInHeader(client_id=client.client_id, client_secret=secret)
    if method == "client_secret_post":
        return SecretInBody(client_id=client.client_id, client_secret=secret)
    if method in CERTIFICATE_AUTHS:
        return CertificateAuth(client_id=client.client_id)
    return PublicClient(client_id=client.client_id)


def _negotiate_assertion(
    client: ClientConfig,
    metadata: ProviderMetadata,
    profile: Profile,
    method: str,
    key: SigningKey,
) -> ClientAssertion | Disagreement:
    alg = _assertion_alg(client, metadata, profile, key)
    if alg is None:
        listed = metadata.token_endpoint_auth_signing_alg_values_supported
        return Disagreement(
            code="client_auth_unsupported",
            detail=f"{method}: our key signs {', '.join(key.algorithms)}; the provider lists "
            f"{list(listed or ())} for client assertions",
        )
    named = {
        "issuer": client.issuer,
        "endpoint": None,
        "token_endpoint": metadata.token_endpoint,
    }
    audience = named.get(client.assertion_audience, client.assertion_audience)
    return ClientAssertion(
        client_id=client.client_id,
        key=key,
        alg=alg,
        audience=audience,
        typ=client.assertion_typ,
        further_claims=client.assertion_claims,
        former={
            mark: FormerKey(each, its_alg)
            for each in client.former_assertion_keys
            if (mark := each.mark) and (its_alg := _assertion_alg(client, metadata, profile, each))
        },
    )


def _assertion_alg(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile, key: SigningKey
) -> str | None:
    """The algorithm of client assertions that one of our keys signs; None if there is none."""
    listed = metadata.token_endpoint_auth_signing_alg_values_supported
    # PARJAR_SIGNING_ALG is about request objects. Assertions have the same algorithm if it fits.
    pinned = client.signing_alg
    if pinned not in key.algorithms or (listed is not None and pinned not in listed):
        pinned = None
    return _choose_alg(key, profile, listed=listed, pinned=pinned)


def negotiate_binding(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> BeginBinding | Disagreement:
    """What the tokens of a login are bound to (RFC 9449 section 5.1, RFC 8705 section 3.3).

    A provider that lists no algorithms may still support DPoP. If it does not, its tokens are
    bearer tokens, and they are refused. Tokens that are bound to a certificate have the type of
    bearer tokens, so here the metadata must say that the provider binds them.
    """
    if client.bound_tokens:
        if not metadata.tls_client_certificate_bound_access_tokens:
            return Disagreement(code="bound_tokens_unsupported", detail=f"of {metadata.issuer}")
        return begin_certificate
    if not client.dpop:
        return begin_bearer
    listed = metadata.dpop_signing_alg_values_supported
    possible = DPOP_ALGORITHMS[:1] if listed is None else listed
    ours = [alg for alg in DPOP_ALGORITHMS if alg in profile.algs]
    alg = next((alg for alg in ours if alg in possible), None)
    if alg is None:
        return Disagreement(
            code="dpop_alg_unsupported",
            detail=f"ours: {', '.join(ours)}; the provider lists {list(possible)}",
        )
    return BeginDPoP(alg=alg, at_par=client.dpop_at_par)


def negotiate_id_token_algs(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> tuple[str, ...] | Disagreement:
    """The algorithms that we accept on ID tokens and logout tokens."""
    listed = metadata.id_token_signing_alg_values_supported
    if listed is None:  # without a profile RS256, which every provider has (Discovery 3)
        return client.id_token_algs or profile.unlisted_id_token_algs
    algs = _accepted(client, listed, profile)
    if not algs:
        return Disagreement(code="id_token_alg_unsupported", detail=f"listed: {list(listed)}")
    return algs


def negotiate_userinfo_algs(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> tuple[str, ...]:
    """The algorithms that we accept on signed userinfo; those of ID tokens if none are listed.

    There may be none in common: most userinfo is not signed.
    """
    listed = metadata.userinfo_signing_alg_values_supported
    if listed is not None:
        return _accepted(client, listed, profile)
    algs = negotiate_id_token_algs(client, metadata, profile)
    return () if isinstance(algs, Disagreement) else algs


def negotiate_response_algs(
    client: ClientConfig, metadata: ProviderMetadata, profile: Profile
) -> tuple[str, ...] | Disagreement:
    """The algorithms that we accept on signed authorization responses.

    A provider that lists none signs with RS256 (JARM sections 3 and 4).
    """
    if client.response_mode not in SIGNED_RESPONSE_MODES:
        return ()
    listed = metadata.authorization_signing_alg_values_supported
    if listed is None:
        listed = ("RS256",)
    algs = _accepted(client, listed, profile)
    if not algs:
        return Disagreement(code="response_alg_unsupported", detail=f"listed: {list(listed)}")
    return algs


def _accepted(client: ClientConfig, listed: tuple[str, ...], profile: Profile) -> tuple[str, ...]:
    wanted = client.id_token_algs or ASYMMETRIC_ALGORITHMS
    return tuple(alg for alg in wanted if alg in listed and alg in profile.algs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encryptable:
    """Where it stands whether something that the provider sends is encrypted.

    :param registered: the key of the configuration.
    :param algs: the provider's list of ``alg``; None if it has none.
    :param encs: the same of ``enc``.
    :param code: of the disagreement.
    """

    registered: Callable[[ClientConfig], Encryption | None]
    algs: Callable[[ProviderMetadata], tuple[str, ...] | None]
    encs: Callable[[ProviderMetadata], tuple[str, ...] | None]
    code: str


_ID_TOKEN = _Encryptable(  # and perhaps logout tokens
    registered=lambda client: client.id_token_encryption,
    algs=lambda metadata: metadata.id_token_encryption_alg_values_supported,
    encs=lambda metadata: metadata.id_token_encryption_enc_values_supported,
    code="id_token_encryption_unsupported",
)
_USERINFO = _Encryptable(
    registered=lambda client: client.userinfo_encryption,
    algs=lambda metadata: metadata.userinfo_encryption_alg_values_supported,
    encs=lambda metadata: metadata.userinfo_encryption_enc_values_supported,
    code="userinfo_encryption_unsupported",
)
_RESPONSE = _Encryptable(  # signed authorization responses
    registered=lambda client: client.response_encryption,
    algs=lambda metadata: metadata.authorization_encryption_alg_values_supported,
    encs=lambda metadata: metadata.authorization_encryption_enc_values_supported,
    code="response_encryption_unsupported",
)


def negotiate_decryption(
    client: ClientConfig, metadata: ProviderMetadata, *, of: _Encryptable
) -> Decryption | None | Disagreement:
    """How it comes encrypted; None if it is clear.

    What was registered is compared with the provider's lists, where it has them. One ``enc`` in
    common is enough, and the others are accepted too: MockPass, for one, uses an ``enc`` that it
    does not list.
    """
    registered, algs, encs = of.registered(client), of.algs(metadata), of.encs(metadata)
    if registered is None:
        return None
    alg_listed = algs is None or registered.alg in algs
    enc_listed = encs is None or bool(set(encs).intersection(registered.encs))
    if not alg_listed or not enc_listed:
        detail = f"registered: {registered}; listed: {list(algs or ())}, {list(encs or ())}"
        return Disagreement(code=of.code, detail=detail)
    return Decryption(encryption=registered, keys=client.encryption_keys)


def negotiate_request_encryption(
    client: ClientConfig, metadata: ProviderMetadata
) -> RequestEncryption | None | Disagreement:
    """How request objects are encrypted; None if they are not.

    An algorithm that the provider does not list is never used, and its encryption is never left
    out: a request would be readable that should not be (OpenID Connect Discovery 3).
    """
    alg, pinned = client.request_encryption_alg, client.request_encryption_enc
    if alg is None:
        return None
    algs = metadata.request_object_encryption_alg_values_supported or ()
    listed = metadata.request_object_encryption_enc_values_supported
    encs = (DEFAULT_ENC,) if listed is None else listed
    wanted = CONTENT_ALGORITHMS if pinned is None else (pinned,)
    enc = next((each for each in wanted if each in encs), None)
    if alg not in algs or enc is None:
        return Disagreement(
            code="request_encryption_unsupported",
            detail=f"wanted: {alg} {pinned or ''}; listed: {list(algs)}, {list(encs)}",
        )
    return RequestEncryption(alg=alg, enc=enc)
