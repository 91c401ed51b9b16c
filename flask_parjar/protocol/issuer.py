"""Whose tokens and responses are accepted: one issuer, or the tenants of a template.

A provider with many tenants may have one metadata document for all of them. Its ``issuer`` is then
a template, ``https://login.microsoftonline.com/{tenantid}/v2.0``, and each tenant has an issuer of
its own: the template with its identifier. A token says in ``tid`` which tenant it is of. A template
stands for every tenant there is, so without a list of ours anybody could make a tenant and log in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import TokenRejected

PLACEHOLDER = "{tenantid}"
#: The segments of an issuer that stand for many tenants.
OF_MANY_TENANTS = ("common", "organizations")
#: The identifier of a tenant. It becomes a part of an issuer, so it has no character that is
#: special in a URL. Issuers are compared character by character, so it has no capital letters.
TENANT_ID = re.compile(r"[a-z0-9-]{1,64}")
_SHOWN = 200


def find_template(issuer: str) -> str | None:
    """The template of an issuer with one segment of `OF_MANY_TENANTS`; None for any other."""
    segments = issuer.split("/")
    places = [place for place, each in enumerate(segments) if each in OF_MANY_TENANTS]
    if len(places) != 1:
        return None
    segments[places[0]] = PLACEHOLDER
    return "/".join(segments)


class AcceptedIssuer(NamedTuple):
    """The issuer of a provider; or several, where it is a template.

    :param configured: PARJAR_ISSUER.
    :param tenants: those that are allowed; empty where the issuer is no template.
    """

    configured: str
    tenants: frozenset[str] = frozenset()

    @property
    def published(self) -> str:
        """The ``issuer`` that the metadata must have (OpenID Connect Discovery 4.3)."""
        template = find_template(self.configured) if self.tenants else None
        return self.configured if template is None else template

    @property
    def issuers(self) -> tuple[str, ...]:
        """The issuers that people can be of: each with accounts of its own."""
        if not self.tenants:
            return (self.configured,)
        return tuple(self._of_tenant(tenant) for tenant in sorted(self.tenants))

    def includes(self, issuer: object) -> bool:
        """Whether people of this issuer can log in."""
        if not self.tenants or not isinstance(issuer, str):
            return issuer == self.configured
        before, _, after = self.published.partition(PLACEHOLDER)
        tenant = issuer.removeprefix(before).removesuffix(after)
        return tenant in self.tenants and issuer == self._of_tenant(tenant)

    def may_answer(self, iss: str) -> bool:
        """Whether an authorization response may have this ``iss``: the published, or a tenant's.

        RFC 9207 section 2.4.
        """
        return iss == self.published or self.includes(iss)

    def verify(
        self, claims: Mapping[str, Any], *, tenant_named: bool, key_issuer: str | None = None
    ) -> None:
        """Verify the ``iss`` of a token, and where it is that of a tenant, that its ``tid`` is too.

        :param claims: of a token whose signature is verified.
        :param tenant_named: whether a token of a tenant must have ``tid``.
        :param key_issuer: the ``issuer`` of the key that verified the signature, if it has one. It
            is the template, or the issuer of the only tenant that the key signs for.
        :raises TokenRejected: ``token_issuer``; ``tenant_refused``: the tenant is not allowed.

        OpenID Connect Core 3.1.3.7 (2); "Validate the signing key issuer" in the documentation of
        Microsoft Entra ID.
        """
        iss = claims.get("iss")
        if not self.tenants:
            if iss != self.configured:
                raise _other_issuer(self.configured, iss)
            return
        if key_issuer not in (None, self.published, iss):
            raise _other_issuer(f"{key_issuer}, for which the key signs", iss)
        tenant = claims.get("tid")
        if tenant is None and not tenant_named:
            if not self.includes(iss):
                raise _other_issuer(f"{self.published} with a tenant of PARJAR_TENANTS", iss)
            return
        if not isinstance(tenant, str) or not TENANT_ID.fullmatch(tenant):
            raise TokenRejected("token_issuer", f"tid={str(tenant)[:80]!r} is no tenant")
        if iss != self._of_tenant(tenant):
            raise _other_issuer(self._of_tenant(tenant), iss)
        if tenant not in self.tenants:
            raise TokenRejected("tenant_refused", f"tid={tenant!r}")

    def _of_tenant(self, tenant: str) -> str:
        return self.published.replace(PLACEHOLDER, tenant)


def _other_issuer(expected: str, found: object) -> TokenRejected:
    detail = f"expected {expected!r}, found {str(found)[:_SHOWN]!r}"
    return TokenRejected("token_issuer", detail)
