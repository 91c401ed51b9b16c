"""Faults of mutual TLS: aliases, and tokens that are bound to another certificate."""

from __future__ import annotations

from ..answers import Answer, CertificateBindingDraft
from .table import FaultTable

ALIASES = "mtls_endpoint_aliases"
table: FaultTable = FaultTable()


@table.at("metadata")
def metadata_mtls_bound_missing(answer: Answer) -> None:
    """The metadata does not say that access tokens are bound to certificates."""
    answer.drop("tls_client_certificate_bound_access_tokens")


@table.at("metadata")
def metadata_mtls_bound_false(answer: Answer) -> None:
    """The metadata says that access tokens are not bound to certificates."""
    answer.put("tls_client_certificate_bound_access_tokens", False)


@table.at("metadata")
def metadata_mtls_bound_not_a_flag(answer: Answer) -> None:
    """Whether access tokens are bound to certificates is not said by true or false."""
    answer.put("tls_client_certificate_bound_access_tokens", "true")


@table.at("metadata")
def metadata_mtls_aliases_missing(answer: Answer) -> None:
    """The metadata has no aliases, and only they take certificates."""
    answer.drop(ALIASES)


@table.at("metadata")
def metadata_mtls_aliases_not_an_object(answer: Answer) -> None:
    """The aliases are a list."""
    answer.put(ALIASES, ["https://mtls.op.example/token"])


@table.at("metadata")
def metadata_mtls_aliases_unknown(answer: Answer) -> None:
    """There are also aliases of endpoints that the standards do not know: they are ignored."""
    answer.put(ALIASES, {**_aliases(answer), "x_endpoint": 7, "issuer": "https://evil.example"})


@table.at("metadata")
def metadata_mtls_alias_http(answer: Answer) -> None:
    """The alias of the token endpoint is plain http."""
    answer.put(ALIASES, {**_aliases(answer), "token_endpoint": "http://mtls.op.example/token"})


@table.at("metadata")
def metadata_mtls_alias_not_a_string(answer: Answer) -> None:
    """The alias of the push endpoint is a number."""
    answer.put(ALIASES, {**_aliases(answer), "pushed_authorization_request_endpoint": 7})


@table.at("metadata")
def metadata_mtls_alias_of_another_endpoint(answer: Answer) -> None:
    """The alias of the token endpoint leads to the push endpoint."""
    aliases = _aliases(answer)
    push = aliases.get("pushed_authorization_request_endpoint")
    answer.put(ALIASES, {**aliases, "token_endpoint": push})


@table.at("certificate_binding")
def certificate_binding_foreign(draft: CertificateBindingDraft) -> None:
    """The access token is bound to another certificate than that of the connection."""
    draft.x5t = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"  # of RFC 8705 section 3.1


def _aliases(answer: Answer) -> dict[str, object]:
    aliases = answer.document.get(ALIASES)
    return dict(aliases) if isinstance(aliases, dict) else {}
