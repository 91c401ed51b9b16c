"""A login that another site begins, such as the start page of a provider (third-party-initiated).

The other site sends the browser to ``/login`` with the issuer in ``iss``. It can only choose among
the providers of the configuration and the pages of this site, and the login is one that this site
begins: with a ``state`` of this browser. So nothing here must be secret or signed.

OpenID Connect Core section 4.
"""

from __future__ import annotations

from typing import NamedTuple

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from ..errors import LoginError
from ..protocol.client import ClientConfig
from ..protocol.urls import MAX_URL_LENGTH
from ..runtime import current_runtime
from ..signals import reporting_failures
from .request_kind import decline_prefetch, is_small_form, is_speculative

_LONGEST_URL = 4000  # characters; gunicorn accepts 4,094 in the first line of a request


class InitiatedLogin(NamedTuple):
    """What another site asks for.

    :param login_hint: who will probably log in; empty if it does not say.
    :param target_link_uri: where to go afterwards, not checked; empty if it does not say.
    """

    iss: str
    login_hint: str
    target_link_uri: str

    @classmethod
    def parse(cls, parameters: MultiDict[str, str]) -> InitiatedLogin:
        """Read the three parameters. Others are ignored, as the standard says.

        :raises LoginError: ``initiation_malformed``.
        """
        for name in cls._fields:
            values = parameters.getlist(name)
            if len(values) > 1:
                raise LoginError("initiation_malformed", f"{name} came {len(values)} times")
            if values and len(values[0]) > MAX_URL_LENGTH:
                found = f"{name} has {len(values[0])} characters"
                raise LoginError("initiation_malformed", found)
        if "iss" not in parameters:
            raise LoginError("initiation_malformed", "iss is missing")
        return cls(*(parameters.get(name, "") for name in cls._fields))

    def find_providers(self, name: str | None) -> list[str]:
        """The providers of this issuer, by their names.

        :param name: of the provider in the URL, if there is one.
        :raises LoginError: ``issuer_unknown``; ``provider_unknown``.
        """
        runtime = current_runtime()
        among = [*runtime.providers] if name is None else [runtime.provider(name).name]
        found = [each for each in among if _is_of(self.iss, runtime.provider(each).client)]
        if not found:
            at = "" if name is None else f" at the login of provider {name!r}"
            raise LoginError("issuer_unknown", f"iss={self.iss!r:.200}{at}")
        return found

    def url_at(self, provider: str | None) -> str:
        """The URL that asks for the same, by GET, at one provider."""
        said = {name: value for name, value in self._asdict().items() if value}
        return url_for("parjar.login", provider=provider, **said)


def _is_of(iss: str, client: ClientConfig) -> bool:
    """Whether a provider has this issuer, or one of several tenants has."""
    return iss == client.issuer or client.accepted_issuer.may_answer(iss)


def ask_again_by_get(provider: str | None) -> ResponseReturnValue:
    """Answer the form of another site: the browser asks the same by GET.

    A browser sends no SameSite=Lax cookie with a form of another site. A login that began here
    would have an empty session, and its cookie would replace the visitor's: they would be logged
    out. With the GET that follows, the cookie comes.

    :raises LoginError: ``initiation_malformed``, ``issuer_unknown``, ``provider_unknown``.
    """
    if is_speculative():
        return decline_prefetch()
    with reporting_failures(provider):
        if not is_small_form():
            raise LoginError("initiation_malformed", f"{request.content_length} bytes of form")
        asked = InitiatedLogin.parse(request.form)
        asked.find_providers(provider)
        url = asked.url_at(provider)
        if len(url) > _LONGEST_URL:
            raise LoginError("initiation_malformed", f"its URL would have {len(url)} characters")
    return redirect(url, 303)
