"""What a FAPI 2.0 profile demands of our configuration: a row for each rule.

What it demands of the provider is in ``protocol/profiles.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from ..protocol.client import ClientConfig
from ..protocol.keys import SigningKey
from ..protocol.profiles import FAPI2
from ..protocol.urls import check_endpoint

_CLIENT_AUTHS = (None, "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")

Broken = Callable[[ClientConfig], str | None]


class Rule(NamedTuple):
    """One rule of a profile.

    :param section: of the standard.
    :param key: the configuration key that can break it.
    :param broken: says what is wrong, and what to write; None if the rule holds.
    """

    section: str
    key: str
    broken: Broken


def _unless(
    holds: Callable[[ClientConfig], bool], advice: str
) -> Callable[[ClientConfig], str | None]:
    """A rule with one sentence."""
    return lambda client: None if holds(client) else advice


def _keys_without_algorithm(keys: Iterable[SigningKey]) -> str | None:
    unfit = [key for key in keys if not FAPI2.algs.intersection(key.algorithms)]
    if not unfit:
        return None
    return (
        f"the key with the kid {unfit[0].kid!r:.80} signs {', '.join(unfit[0].algorithms)} only: "
        "take an RSA key (PS256), a P-256 key (ES256) or an Ed25519 key"
    )


def _wrong_algs(algs: Iterable[str | None]) -> str | None:
    wrong = [alg for alg in algs if alg is not None and alg not in FAPI2.algs]
    return f"leave out {', '.join(wrong)}: write PS256, ES256 or EdDSA" if wrong else None


def _redirect_uri(client: ClientConfig) -> str | None:
    try:
        check_endpoint(client.redirect_uri or "https://not.set", allow_http=False)
    except ValueError as exc:
        return f"{exc}: write an https URL"
    return None


def _asserts_to_the_issuer(client: ClientConfig) -> bool:
    return client.assertion_audience in ("issuer", client.issuer)


#: FAPI 2.0 Security Profile.
_SECURITY = (
    Rule(
        "5.2.1",
        "INSECURE_HTTP",
        _unless(lambda client: not client.insecure_http, "leave it out: every URL must be https"),
    ),
    Rule(
        "5.3.2.1 (13)",
        "CLOCK_SKEW",
        _unless(lambda client: 10 <= client.clock_skew <= 60, "write 10 to 60 seconds"),
    ),
    Rule("5.3.2.2 (8)", "REDIRECT_URI", _redirect_uri),
    Rule(
        "5.3.3.1 (1)",
        "DPOP",
        _unless(
            lambda client: client.dpop or client.bound_tokens,
            "write True, or BOUND_TOKENS with a CLIENT_CERT: tokens must be bound to a key",
        ),
    ),
    Rule(
        "5.3.3.1 (2)",
        "CLIENT_AUTH",
        _unless(
            lambda client: client.client_auth in _CLIENT_AUTHS,
            "write private_key_jwt, tls_client_auth or self_signed_tls_client_auth",
        ),
    ),
    Rule(
        "5.3.3.1 (2)",
        "CLIENT_SECRET",
        _unless(
            lambda client: client.client_secret is None,
            "leave it out: the client authenticates with a key or a certificate",
        ),
    ),
    Rule(
        "5.3.3.1 (5)",
        "ASSERTION_AUDIENCE",
        _unless(_asserts_to_the_issuer, "write issuer, or leave it out"),
    ),
    Rule(
        "5.3.3.1 (5)",
        "CLIENT_ASSERTION",
        _unless(
            lambda client: client.client_assertion is None,
            "leave it out: the audience and the algorithm of an assertion that is made elsewhere "
            "cannot be held to the profile",
        ),
    ),
    Rule(
        "5.3.3.1 (9)",
        "METADATA",
        _unless(
            lambda client: client.metadata is None,
            "leave it out: the metadata must come from the provider",
        ),
    ),
    Rule(
        "5.3.3.2 (2)",
        "REQUEST",
        _unless(
            lambda client: client.request_level.pushed,
            "write pushed+signed or pushed: requests must be pushed",
        ),
    ),
    Rule("5.3.3.2 (3)", "PKCE", _unless(lambda client: client.pkce, "write True, or leave it out")),
    Rule(
        "RFC 9126 section 3",
        "REQUEST_BESIDE",
        _unless(lambda client: not client.request_beside, "leave it out"),
    ),
    Rule(
        "5.4.1 (1)", "SIGNING_KEY", lambda client: _keys_without_algorithm(client.signing_keys[:1])
    ),
    Rule(
        "5.4.1 (1)",
        "ASSERTION_KEY",
        lambda client: _keys_without_algorithm(client.assertion_keys[:1]),
    ),
    Rule("5.4.1 (1)", "SIGNING_ALG", lambda client: _wrong_algs([client.signing_alg])),
    Rule("5.4.1 (1)", "ID_TOKEN_ALGS", lambda client: _wrong_algs(client.id_token_algs or ())),
)

#: FAPI 2.0 Message Signing. The lifetime of request objects (section 5.3.2) is held by the bounds
#: of PARJAR_REQUEST_LIFETIME.
_MESSAGE_SIGNING = (
    *_SECURITY,
    Rule(
        "Message Signing 5.3.2 (1)",
        "REQUEST",
        _unless(
            lambda client: client.request == "pushed+signed",
            "write pushed+signed, or leave it out",
        ),
    ),
    Rule(
        "Message Signing 5.3.2 (2)",
        "REQUEST_AUDIENCE",
        _unless(
            lambda client: client.request_audience in ("issuer", client.issuer),
            "write issuer, or leave it out",
        ),
    ),
    Rule(
        "Message Signing 5.4.2 (1)",
        "RESPONSE_MODE",
        _unless(
            lambda client: client.response_mode not in ("query.jwt", "form_post.jwt"),
            "write jwt for signed responses",
        ),
    ),
)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "fapi2-security": _SECURITY,
    "fapi2-message-signing": _MESSAGE_SIGNING,
}


def faults_of_profile(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """What breaks the profile of a provider, each with the section of the rule."""
    for client in providers.values():
        told: set[str] = set()
        for rule in RULES.get(client.profile or "", ()):
            fault = rule.broken(client)
            if fault and rule.key not in told:
                told.add(rule.key)
                yield (
                    f"PARJAR_{rule.key} of provider {client.name!r} breaks the profile "
                    f"{client.profile} (section {rule.section}): {fault}"
                )
