"""From a pushed request to a code: who is signed in, who must sign in, and what must be agreed to.

The pages are in ``browser_endpoints.py``; the decisions are here. The cookie has only the session's
identifier, so a session can be ended for every browser.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Literal

from flask import session as flask_session

from .answers import (
    AuthorizationAnswer,
    ConsentRequiredError,
    LoginRequiredError,
    OAuth2Error,
    refusal,
)
from .clients import Client
from .jarm import wrap
from .people import Person
from .state import (
    AuthorizationRequest,
    ClientSession,
    Grant,
    Interaction,
    ProviderState,
    ReturnAddress,
    SignIn,
    fresh_secret,
)

CODE_SECONDS = 60
INTERACTION_SECONDS = 600
_FOREVER = float("inf")
# Random, so that it cannot be guessed; short, because it is in every ID token and in many cookies.
_SID_BYTES = 16
#: What a person does for each level, the weakest first; for further levels the last (RFC 8176).
AMR = (("pwd",), ("pwd", "otp", "mfa"), ("hwk", "user"))


def begin_session(
    person: Person, *, request: AuthorizationRequest, provider: ProviderState
) -> None:
    """Sign a person in with this browser, for the first time or again."""
    before = current_sign_in(provider)
    again = before is not None and before.sub == person.sub
    session_id = before.session_id if before is not None and again else fresh_secret()
    acr, amr = _how_signed_in(person, request=request, provider=provider)
    sign_in = SignIn(
        sub=person.sub, at=int(provider.now()), acr=acr, amr=amr, session_id=session_id
    )
    provider.memory.sign_ins.put(session_id, sign_in, until=_FOREVER)
    flask_session["session_id"] = session_id


def current_sign_in(provider: ProviderState) -> SignIn | None:
    """The sign-in that this browser's cookie names, unless it was ended."""
    sign_in = provider.memory.sign_ins.get(str(flask_session.get("session_id")))
    # A person who was removed from the provider is not signed in either.
    return None if sign_in is None or provider.person(sign_in.sub) is None else sign_in


def current_person(provider: ProviderState) -> Person | None:
    """The person who is signed in with this browser."""
    sign_in = current_sign_in(provider)
    return None if sign_in is None else provider.person(sign_in.sub)


def join_session(sign_in: SignIn, *, client: Client, provider: ProviderState) -> ClientSession:
    """The session as this client knows it: always with the same ``sid``.

    OpenID Connect Back-Channel Logout section 2.3
    """
    joined = ClientSession(
        client_id=client.client_id,
        sub=sign_in.sub,
        sid=secrets.token_urlsafe(_SID_BYTES),
        session_id=sign_in.session_id,
    )
    sessions, name = provider.memory.client_sessions, f"{sign_in.session_id}\n{client.client_id}"
    sessions.add(name, joined, until=_FOREVER)
    return sessions.get(name) or joined


def end_this_session(provider: ProviderState) -> list[ClientSession]:
    """End the session of this browser; return it as each of its clients knew it."""
    session_id = flask_session.get("session_id")
    flask_session.clear()
    provider.memory.sign_ins.pop_all(lambda sign_in: sign_in.session_id == session_id)
    return provider.memory.client_sessions.pop_all(lambda joined: joined.session_id == session_id)


def end_all_sessions(sub: str, *, provider: ProviderState) -> list[ClientSession]:
    """End every session of a person, in all browsers; return each as each client knew it."""
    provider.memory.sign_ins.pop_all(lambda sign_in: sign_in.sub == sub)
    return provider.memory.client_sessions.pop_all(lambda joined: joined.sub == sub)


def next_step(
    interaction: Interaction, *, sign_in: SignIn | None, provider: ProviderState
) -> Literal["sign_in", "consent", "done"]:
    """What the person has to do next.

    :raises OAuth2Error: the request cannot be fulfilled, or ``prompt`` is ``none`` and a page
        would have to be shown

    OpenID Connect Core sections 3.1.2.1 to 3.1.2.4
    """
    request = interaction.request
    requested_acr(request, provider=provider)
    silent = "none" in request.prompt
    if sign_in is None or _must_sign_in_again(interaction, sign_in=sign_in, provider=provider):
        if silent:
            raise refusal(LoginRequiredError, "prompt is none and the person has to sign in")
        return "sign_in"
    if granted_scopes(interaction, sign_in=sign_in, provider=provider) is None:
        if silent:
            raise refusal(ConsentRequiredError, "prompt is none and the person has to agree")
        return "consent"
    return "done"


def requested_acr(request: AuthorizationRequest, *, provider: ProviderState) -> str | None:
    """The level that the client prefers, of those that this provider has.

    :raises OAuth2Error: ``unmet_authentication_requirements``: ``acr`` is essential, and the
        provider has none of its values

    OpenID Connect Core section 5.5.1.1
    """
    known = [acr for acr in request.acr_values if acr in provider.acr_levels]
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
    """The scopes that the person agreed to, now or earlier; None if they must be asked."""
    if interaction.granted is not None:
        return interaction.granted
    request = interaction.request
    if request.authorization_details:  # each is agreed to by itself, like a payment
        return None
    name = _consent_name(request.client.client_id, sign_in.sub)
    before = provider.memory.consents.get(name) or frozenset()
    if "consent" in request.prompt or not before.issuperset(request.scopes):
        return None
    return request.scopes


def agree(
    interaction: Interaction, scopes: tuple[str, ...], *, sign_in: SignIn, provider: ProviderState
) -> None:
    """Remember that the person agreed to these scopes for this client."""
    name = _consent_name(interaction.request.client.client_id, sign_in.sub)
    before = provider.memory.consents.get(name) or frozenset()
    provider.memory.consents.put(name, before | {*scopes}, until=_FOREVER)
    interaction.granted = scopes


def forget_consents(sub: str, *, provider: ProviderState) -> None:
    """Forget all that a person agreed to, at every client."""
    for client_id in provider.clients:
        provider.memory.consents.pop(_consent_name(client_id, sub))


def grant_code(interaction: Interaction, *, sign_in: SignIn, provider: ProviderState) -> str:
    """A fresh code for what was requested and agreed to."""
    request = interaction.request
    code = fresh_secret()
    wanted = requested_acr(request, provider=provider)
    acr = sign_in.acr if wanted is None or sign_in.acr in request.acr_values else wanted
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
    address: ReturnAddress, *, outcome: dict[str, str], client: Client, provider: ProviderState
) -> AuthorizationAnswer:
    """The response with a code or an error, with ``state`` and ``iss``; active faults change it.

    RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207 section 2, JARM section 2
    """
    parameters = dict(outcome)
    if address.state is not None:
        parameters["state"] = address.state
    if provider.metadata.get("authorization_response_iss_parameter_supported") is True:
        parameters["iss"] = provider.published_issuer
    answer = AuthorizationAnswer(
        redirect_uri=address.redirect_uri,
        mode=address.mode,
        parameters=list(parameters.items()),
    )
    provider.faults.act("response", answer)
    return wrap(answer, client=client, provider=provider)


def _how_signed_in(
    person: Person, *, request: AuthorizationRequest, provider: ProviderState
) -> tuple[str, tuple[str, ...]]:
    """The ``acr`` and ``amr`` of a sign-in: the person's own, unless the client wants more."""
    own = person.acr
    if own is not None and _is_enough(own, request=request, provider=provider):
        return own, person.amr or _amr(own, provider=provider)
    acr = requested_acr(request, provider=provider) or provider.acr_levels[0]
    amr = person.amr if own is None else None
    return acr, amr or _amr(acr, provider=provider)


def _amr(acr: str, *, provider: ProviderState) -> tuple[str, ...]:
    """How a person signs in at this level."""
    levels = provider.acr_levels
    return AMR[min(levels.index(acr), len(AMR) - 1) if acr in levels else 0]


def _is_enough(acr: str, *, request: AuthorizationRequest, provider: ProviderState) -> bool:
    """Whether a sign-in is as strong as the client wants it."""
    wanted, levels = requested_acr(request, provider=provider), provider.acr_levels
    if wanted is None or acr in request.acr_values:
        return True
    return acr in levels and levels.index(acr) >= levels.index(wanted)


def _must_sign_in_again(
    interaction: Interaction, *, sign_in: SignIn, provider: ProviderState
) -> bool:
    """Whether the sign-in is too weak or too old for this request."""
    request = interaction.request
    if not _is_enough(sign_in.acr, request=request, provider=provider):
        return True
    if interaction.signed_in:
        return False
    if request.prompt & {"login", "select_account"} or request.max_age == 0:
        return True
    return request.max_age is not None and provider.now() - sign_in.at > request.max_age


def _consent_name(client_id: str, sub: str) -> str:
    return f"{client_id}\n{sub}"
