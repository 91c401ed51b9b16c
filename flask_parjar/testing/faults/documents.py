"""Faults of the published documents: the metadata and the keys."""

from __future__ import annotations

from ..answers import Answer
from ..documents import new_ec_key, public_jwk
from .table import FaultTable, oversized, page, redirect

table: FaultTable = FaultTable()


def published(answer: Answer) -> list[dict[str, object]]:
    """The keys of the correct answer."""
    keys = answer.document.get("keys")
    return [dict(key) for key in keys] if isinstance(keys, list) else []


@table.at("metadata", oidf="oidcc-client-test-discovery-issuer-mismatch")
def metadata_issuer_foreign(answer: Answer) -> None:
    """The metadata belongs to another issuer."""
    answer.put("issuer", "https://other-provider.example")


@table.at("metadata")
def metadata_issuer_slash(answer: Answer) -> None:
    """The metadata's issuer differs from the configured one by a slash at the end."""
    issuer = str(answer.document.get("issuer"))
    answer.put("issuer", issuer[:-1] if issuer.endswith("/") else issuer + "/")


@table.at("metadata")
def metadata_issuer_missing(answer: Answer) -> None:
    """The metadata names no issuer."""
    answer.drop("issuer")


@table.at("metadata")
def metadata_html(answer: Answer) -> None:
    """The metadata is an HTML page."""
    page(answer, 200)


@table.at("metadata")
def metadata_array(answer: Answer) -> None:
    """The metadata is a JSON array."""
    answer.members = [answer.members]


@table.at("metadata")
def metadata_duplicated_member(answer: Answer) -> None:
    """The metadata names two token endpoints."""
    answer.body = '{"token_endpoint":"https://other-provider.example/token",' + answer.text()[1:]


@table.at("metadata")
def metadata_oversized(answer: Answer) -> None:
    """The metadata has 50 MB."""
    oversized(answer)


@table.at("metadata")
def metadata_500(answer: Answer) -> None:
    """The metadata cannot be fetched: the provider fails."""
    page(answer, 500)


@table.at("metadata")
def metadata_404(answer: Answer) -> None:
    """The metadata is at neither of the two well-known URLs."""
    page(answer, 404)


@table.at("metadata")
def metadata_openid_404(answer: Answer) -> None:
    """The metadata is only at the URL of RFC 8414: the client finds it."""
    if answer.path.endswith("/openid-configuration"):
        page(answer, 404)


@table.at("metadata")
def metadata_redirect(answer: Answer) -> None:
    """The metadata redirects to an internal address."""
    redirect(answer)


@table.at("metadata")
def metadata_http_endpoints(answer: Answer) -> None:
    """The endpoints use plain http, and are not on this machine."""
    for name in list(answer.document):
        if name.endswith("_endpoint") or name == "jwks_uri":
            answer.put(name, f"http://op.example/{name}")


@table.at("metadata")
def metadata_endpoint_not_a_string(answer: Answer) -> None:
    """The token endpoint is a number."""
    answer.put("token_endpoint", 443)


@table.at("metadata")
def metadata_endpoint_script(answer: Answer) -> None:
    """The authorization endpoint is a `javascript:` URL."""
    answer.put("authorization_endpoint", "javascript:alert(document.domain)//")


@table.at("metadata")
def metadata_par_missing(answer: Answer) -> None:
    """The provider has no endpoint for pushed requests."""
    answer.drop("pushed_authorization_request_endpoint")


@table.at("metadata")
def metadata_par_required_not_a_flag(answer: Answer) -> None:
    """Whether requests must be pushed is written as text."""
    answer.put("require_pushed_authorization_requests", "yes")


@table.at("metadata")
def metadata_jar_required_not_a_flag(answer: Answer) -> None:
    """Whether requests must be signed is written as text."""
    answer.put("require_signed_request_object", "yes")


@table.at("metadata")
def metadata_request_parameter_false(answer: Answer) -> None:
    """The provider says that it takes no signed requests, although it requires them."""
    answer.put("request_parameter_supported", False)


@table.at("metadata")
def metadata_jwks_uri_missing(answer: Answer) -> None:
    """The provider does not say where its keys are."""
    answer.drop("jwks_uri")


@table.at("metadata")
def metadata_no_common_algorithm(answer: Answer) -> None:
    """The provider accepts request objects only with an unknown algorithm."""
    answer.put("request_object_signing_alg_values_supported", ["RS999"])


@table.at("metadata")
def metadata_request_alg_none(answer: Answer) -> None:
    """The provider accepts only unsigned request objects."""
    answer.put("request_object_signing_alg_values_supported", ["none"])


@table.at("metadata")
def metadata_no_common_auth_method(answer: Answer) -> None:
    """The provider authenticates clients only with an unknown method."""
    answer.put("token_endpoint_auth_methods_supported", ["carrier_pigeon"])


@table.at("metadata")
def metadata_id_token_algs_symmetric(answer: Answer) -> None:
    """The provider says that it signs ID tokens only with shared secrets, or not at all."""
    answer.put("id_token_signing_alg_values_supported", ["none", "HS256"])


@table.at("metadata")
def metadata_pkce_plain(answer: Answer) -> None:
    """The provider supports PKCE only without a hash."""
    answer.put("code_challenge_methods_supported", ["plain"])


@table.at("jwks")
def jwks_html(answer: Answer) -> None:
    """The keys are an HTML page."""
    page(answer, 200)


@table.at("jwks")
def jwks_empty(answer: Answer) -> None:
    """There are no keys."""
    answer.put("keys", [])


@table.at("jwks")
def jwks_not_a_list(answer: Answer) -> None:
    """The member `keys` is an object."""
    answer.put("keys", {"first": published(answer)[0]})


@table.at("jwks")
def jwks_500(answer: Answer) -> None:
    """The keys cannot be fetched: the provider fails."""
    page(answer, 500)


@table.at("jwks")
def jwks_redirect(answer: Answer) -> None:
    """The keys redirect to an internal address."""
    redirect(answer)


@table.at("jwks")
def jwks_oversized(answer: Answer) -> None:
    """The keys have 50 MB."""
    oversized(answer)


@table.at("jwks")
def jwks_many_keys(answer: Answer) -> None:
    """There are 5,000 keys that sign nothing, then the good ones."""
    key = public_jwk(new_ec_key())
    answer.put("keys", [{**key, "kid": f"key-{n}"} for n in range(5_000)] + published(answer))


@table.at("jwks")
def jwks_foreign_keys(answer: Answer) -> None:
    """The published keys are other keys than those that sign, with another `kid`."""
    answer.put("keys", [public_jwk(new_ec_key())])


@table.at("jwks")
def jwks_same_kid_other_key(answer: Answer) -> None:
    """The published keys have the right `kid`, but are other keys."""
    keys = [{**public_jwk(new_ec_key()), "kid": key["kid"]} for key in published(answer)]
    answer.put("keys", keys)


@table.at("jwks")
def jwks_kid_duplicated(answer: Answer) -> None:
    """Each `kid` belongs to two keys, of which the first is wrong."""
    wrong = [{**public_jwk(new_ec_key()), "kid": key["kid"]} for key in published(answer)]
    answer.put("keys", wrong + published(answer))


@table.at("jwks")
def jwks_garbage_key(answer: Answer) -> None:
    """There are unreadable keys beside the good ones: they are skipped."""
    garbage: list[object] = [
        {"kty": "EC", "crv": "P-256", "x": "not base64!", "y": "AA", "kid": "garbage"},
        {"kty": "LATTICE", "kid": "of-the-future"},
        {"kid": 7},
        "not a key",
        None,
    ]
    answer.put("keys", [*garbage, *published(answer)])


@table.at("jwks")
def jwks_use_enc(answer: Answer) -> None:
    """The keys are for encryption, but they sign."""
    answer.put("keys", [{**key, "use": "enc"} for key in published(answer)])


@table.at("jwks")
def jwks_key_ops_encrypt(answer: Answer) -> None:
    """The keys may only wrap other keys, but they sign."""
    keys = [{k: v for k, v in key.items() if k != "use"} for key in published(answer)]
    answer.put("keys", [{**key, "key_ops": ["wrapKey"]} for key in keys])


@table.at("jwks")
def jwks_alg_other(answer: Answer) -> None:
    """The keys are for another algorithm than the one that signs."""
    answer.put("keys", [{**key, "alg": "ES512"} for key in published(answer)])
