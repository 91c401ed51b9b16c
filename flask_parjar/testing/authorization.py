"""The decisions between a pushed request and a code: who must sign in, what must be agreed to.

Pages and cookies are in ``front_channel.py``; here are the questions and their answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from .answers import AuthorizationAnswer
from .metadata import ACR_LEVELS
from .refusals import ConsentRequiredError, LoginRequiredError, OAuth2Error, refusal
from .request_object import AuthorizationRequest
from .sessions import SignIn, join_session
from .state import ProviderState, fresh_secret

CODE_SECONDS = 60
INTERACTION_SECONDS = 600
AMR: dict[str, tuple[str, ...]] = {
    "pwd": ("pwd",),
    "mfa": ("pwd", "otp", "mfa"),
    "phr": ("hwk", "user"),
}


@dataclass(slots=True, kw_only=True)
class Interaction:
    """One authorization request on its way through the pages.

    :param browser: the mark of the browser that brought it; no other may go on with it
    :param signed_in: whether the person signed in on the way, so that ``prompt=login`` is satisfied
    :param granted: the scopes agreed to on the way
    """

    request: AuthorizationRequest
    browser: str = field(repr=False)
    signed_in: bool = False
    granted: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code stands for, and the tokens that come of it.

    :param sid: the client's name for the person's session at the provider
    """

    id: str = field(repr=False)
    request: AuthorizationRequest
    sign_in: SignIn
    sid: str
    scopes: tuple[str, ...]


def next_step(
    interaction: Interaction, *, sign_in: SignIn | None, provider: ProviderState
) -> Literal["sign_in", "consent", "done"]:
    """What the person at the browser has to do next.

    :raises OAuth2Error: the wish cannot be met, or only by showing what may not be shown

    OpenID Connect Core sections 3.1.2.1 to 3.1.2.4
    """
    request = interaction.request
    acr_to_reach(request)
    silent = "none" in request.prompt
    if sign_in is None or _too_weak(interaction, sign_in=sign_in, now=provider.now()):
        if silent:
            raise refusal(LoginRequiredError, "prompt is none and the person has to sign in")
        return "sign_in"
    if granted_scopes(interaction, sign_in=sign_in, provider=provider) is None:
        if silent:
            raise refusal(ConsentRequiredError, "prompt is none and the person has to agree")
        return "consent"
    return "done"


def acr_to_reach(request: AuthorizationRequest) -> str | None:
    """The level that the client wishes, of those we know.

    :raises OAuth2Error: ``unmet_authentication_requirements``: essential, and we know none

    OpenID Connect Core section 5.5.1.1
    """
    known = [acr for acr in request.acr_values if acr in ACR_LEVELS]
    if known:
        return known[0]
    if request.acr_is_essential:
        raise refusal(
            OAuth2Error,
            f"acr is essential, and of {list(request.acr_values)} none is known here",
            code="unmet_authentication_requirements",
        )
    return None


def granted_scopes(
    interaction: Interaction, *, sign_in: SignIn, provider: ProviderState
) -> tuple[str, ...] | None:
    """The scopes that the person agreed to, now or earlier; nothing if they must be asked."""
    if interaction.granted is not None:
        return interaction.granted
    request = interaction.request
    before = provider.memory.consents.get(_consent_name(request, sign_in)) or frozenset()
    if "consent" in request.prompt or not before.issuperset(request.scopes):
        return None
    return request.scopes


def agree(
    interaction: Interaction, scopes: tuple[str, ...], *, sign_in: SignIn, provider: ProviderState
) -> None:
    """Write down that the person agreed to these scopes for this client."""
    name = _consent_name(interaction.request, sign_in)
    before = provider.memory.consents.get(name) or frozenset()
    provider.memory.consents.put(name, before | {*scopes}, until=float("inf"))
    interaction.granted = scopes


def grant_code(interaction: Interaction, *, sign_in: SignIn, provider: ProviderState) -> str:
    """A fresh code for what was asked and agreed to."""
    request = interaction.request
    code = fresh_secret()
    acr = acr_to_reach(request) or sign_in.acr
    grant = Grant(
        id=fresh_secret(),
        request=request,
        sign_in=replace(sign_in, acr=acr),
        sid=join_session(sign_in, client=request.client, provider=provider).sid,
        scopes=granted_scopes(interaction, sign_in=sign_in, provider=provider) or (),
    )
    provider.memory.codes.put(code, grant, until=provider.now() + CODE_SECONDS)
    return code


def authorization_answer(
    request: AuthorizationRequest, *, outcome: dict[str, str], provider: ProviderState
) -> AuthorizationAnswer:
    """The response with a code or an error, with ``state`` and ``iss``, and spoilt where asked.

    RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207 section 2
    """
    parameters = dict(outcome)
    if request.state is not None:
        parameters["state"] = request.state
    if provider.metadata.get("authorization_response_iss_parameter_supported") is True:
        parameters["iss"] = provider.issuer
    answer = AuthorizationAnswer(
        redirect_uri=request.redirect_uri,
        mode=request.response_mode,
        parameters=list(parameters.items()),
    )
    provider.faults.act("response", answer)
    return answer


def _too_weak(interaction: Interaction, *, sign_in: SignIn, now: float) -> bool:
    """Whether a login that is there does not do for this request."""
    request = interaction.request
    acr = acr_to_reach(request) or ACR_LEVELS[0]
    if ACR_LEVELS.index(sign_in.acr) < ACR_LEVELS.index(acr):
        return True
    if interaction.signed_in:
        return False
    if request.prompt & {"login", "select_account"} or request.max_age == 0:
        return True
    return request.max_age is not None and now - sign_in.at > request.max_age


def _consent_name(request: AuthorizationRequest, sign_in: SignIn) -> str:
    return f"{request.client.client_id}\n{sign_in.sub}"
