"""Faults of a provider of several tenants: a token that does not say which, or says two."""

from __future__ import annotations

from ...protocol.issuer import PLACEHOLDER
from ..answers import Answer, AuthorizationAnswer, IDTokenDraft
from .documents import published
from .table import FaultTable

table: FaultTable = FaultTable()
#: The faults after a login.
refresh_table: FaultTable = FaultTable()

#: The tenant of the person who logs in, another one that the site allows, and one that it does not.
PERSONS_TENANT = "a1a1a1a1-0000-4000-8000-00000000000a"
OTHER_TENANT = "0b6f5d1e-0000-4000-8000-00000000000b"
FOREIGN_TENANT = "66666666-0000-4000-8000-000000000006"


def of_tenant(issuer: object, tenant: str) -> str:
    """The issuer of another tenant, made from that of one."""
    head, _, tail = str(issuer).rpartition("/")
    return f"{head.rpartition('/')[0]}/{tenant}/{tail}"


@table.at("metadata")
def metadata_issuer_template(answer: Answer) -> None:
    """The issuer is a template for many tenants, and the site has no list of them."""
    answer.put("issuer", f"{answer.document['issuer']}/{PLACEHOLDER}/v2.0")


@table.at("metadata")
def metadata_tenant_template_missing(answer: Answer) -> None:
    """The issuer is that of one tenant, where a template is expected."""
    issuer = str(answer.document["issuer"])
    answer.put("issuer", issuer.replace(PLACEHOLDER, OTHER_TENANT))


def _keys_of(answer: Answer, tenant: str) -> None:
    issuer = f"https://login.example/{tenant}/v2.0"
    answer.put("keys", [{**key, "issuer": issuer} for key in published(answer)])


@table.at("jwks")
def jwks_tenant_only(answer: Answer) -> None:
    """The keys sign for the person's tenant only: they are accepted for it."""
    _keys_of(answer, PERSONS_TENANT)


@table.at("jwks")
def jwks_tenant_other(answer: Answer) -> None:
    """The keys sign for another tenant only, which is allowed too."""
    _keys_of(answer, OTHER_TENANT)


@table.at("id_token")
def id_token_tenant_missing(draft: IDTokenDraft) -> None:
    """There is no `tid`."""
    del draft.claims["tid"]


@table.at("id_token")
def id_token_tenant_not_a_string(draft: IDTokenDraft) -> None:
    """`tid` is an array with the right tenant in it."""
    draft.claims["tid"] = [draft.claims["tid"]]


@table.at("id_token")
def id_token_tenant_odd(draft: IDTokenDraft) -> None:
    """`tid` has a slash, and `iss` is made with it."""
    tenant = f"{draft.claims['tid']}/v2.0/.."
    draft.claims["iss"] = str(draft.claims["iss"]).replace(str(draft.claims["tid"]), tenant)
    draft.claims["tid"] = tenant


@table.at("id_token")
def id_token_tenant_capitals(draft: IDTokenDraft) -> None:
    """`tid` and `iss` have the right tenant in capital letters."""
    tenant = str(draft.claims["tid"]).upper()
    draft.claims["iss"] = str(draft.claims["iss"]).replace(str(draft.claims["tid"]), tenant)
    draft.claims["tid"] = tenant


@table.at("id_token")
def id_token_tenant_foreign(draft: IDTokenDraft) -> None:
    """The person is of a tenant that is not allowed."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], FOREIGN_TENANT)
    draft.claims["tid"] = FOREIGN_TENANT


@table.at("id_token")
def id_token_tenant_foreign_iss(draft: IDTokenDraft) -> None:
    """`tid` is allowed, and `iss` is that of a tenant that is not."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], FOREIGN_TENANT)


@table.at("id_token")
def id_token_tenant_other_iss(draft: IDTokenDraft) -> None:
    """`iss` is that of another tenant than `tid`; both are allowed."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], OTHER_TENANT)


@table.at("id_token")
def id_token_tenant_other_tid(draft: IDTokenDraft) -> None:
    """`tid` is another tenant than that of `iss`; both are allowed."""
    draft.claims["tid"] = OTHER_TENANT


@table.at("id_token")
def id_token_tenant_template_iss(draft: IDTokenDraft) -> None:
    """`iss` is the template itself."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], PLACEHOLDER)


@table.at("id_token")
def id_token_tenant_organizations_iss(draft: IDTokenDraft) -> None:
    """`iss` is the issuer with `organizations`, as the site writes it."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], "organizations")


@table.at("response")
def response_tenant_iss(answer: AuthorizationAnswer) -> None:
    """The response has the issuer of the person's tenant, not the template: it is accepted."""
    answer.put("iss", of_tenant(answer.parameters[-1][1], PERSONS_TENANT))


@table.at("response")
def response_tenant_iss_other(answer: AuthorizationAnswer) -> None:
    """The response has the issuer of another allowed tenant than that of the ID token."""
    answer.put("iss", of_tenant(answer.parameters[-1][1], OTHER_TENANT))


@table.at("response")
def response_tenant_iss_foreign(answer: AuthorizationAnswer) -> None:
    """The response has the issuer of a tenant that is not allowed."""
    answer.put("iss", of_tenant(answer.parameters[-1][1], FOREIGN_TENANT))


@table.at("response")
def response_tenant_iss_organizations(answer: AuthorizationAnswer) -> None:
    """The response has the issuer with `organizations`, which no metadata has."""
    answer.put("iss", of_tenant(answer.parameters[-1][1], "organizations"))


@refresh_table.at("refresh_id_token")
def refresh_tenant_other(draft: IDTokenDraft) -> None:
    """The renewed ID token is of another tenant, which is allowed too."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], OTHER_TENANT)
    draft.claims["tid"] = OTHER_TENANT


@refresh_table.at("refresh_id_token")
def refresh_tenant_foreign(draft: IDTokenDraft) -> None:
    """The renewed ID token is of a tenant that is not allowed."""
    draft.claims["iss"] = of_tenant(draft.claims["iss"], FOREIGN_TENANT)
    draft.claims["tid"] = FOREIGN_TENANT


@refresh_table.at("refresh_id_token")
def refresh_tenant_missing(draft: IDTokenDraft) -> None:
    """The renewed ID token does not say which tenant it is of."""
    del draft.claims["tid"]
