"""Who is signed in at the provider with this browser, and which clients know of it.

The cookie holds the name of the session alone: what is ended here is ended in every browser.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from flask import session

from .clients import Client
from .people import Person
from .state import ProviderState, fresh_secret

_ALWAYS = float("inf")
# Not a secret, and yet not to be guessed: it lies in every ID token, and so in many a cookie.
_SID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person signed in at the provider with this browser.

    :param at: when, in seconds since 1970
    :param acr: how sure it was, one of ``ACR_LEVELS``
    :param session_id: stays the same when the same person signs in once more
    """

    sub: str
    at: int
    acr: str
    session_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSession:
    """A person's session at the provider, as one client knows it.

    :param sid: its name between the provider and this client; another client knows another

    OpenID Connect Back-Channel Logout section 2.1
    """

    client_id: str
    sub: str
    sid: str
    session_id: str = field(repr=False)


def begin_session(person: Person, *, acr: str, provider: ProviderState) -> None:
    """Write down that this person signed in with this browser, for the first time or once more."""
    before = current_sign_in(provider)
    again = before is not None and before.sub == person.sub
    session_id = before.session_id if before is not None and again else fresh_secret()
    sign_in = SignIn(sub=person.sub, at=int(provider.now()), acr=acr, session_id=session_id)
    provider.memory.sign_ins.put(session_id, sign_in, until=_ALWAYS)
    session["session_id"] = session_id


def current_sign_in(provider: ProviderState) -> SignIn | None:
    """The sign-in that this browser's cookie stands for, if it still holds."""
    sign_in = provider.memory.sign_ins.get(str(session.get("session_id")))
    # Whoever no longer lives here is not signed in either.
    return None if sign_in is None or provider.person(sign_in.sub) is None else sign_in


def current_person(provider: ProviderState) -> Person | None:
    """The person who is signed in with this browser."""
    sign_in = current_sign_in(provider)
    return None if sign_in is None else provider.person(sign_in.sub)


def join_session(sign_in: SignIn, *, client: Client, provider: ProviderState) -> ClientSession:
    """Let a client know of a session; once it does, it is given the same ``sid`` each time.

    OpenID Connect Back-Channel Logout section 2.3
    """
    shelf, name = provider.memory.client_sessions, f"{sign_in.session_id}\n{client.client_id}"
    joined = ClientSession(
        client_id=client.client_id,
        sub=sign_in.sub,
        sid=secrets.token_urlsafe(_SID_BYTES),
        session_id=sign_in.session_id,
    )
    shelf.add(name, joined, until=_ALWAYS)
    return shelf.get(name) or joined


def end_this_session(provider: ProviderState) -> list[ClientSession]:
    """End the session of this browser; gives the clients that knew of it."""
    session_id = session.get("session_id")
    session.clear()
    provider.memory.sign_ins.take(lambda sign_in: sign_in.session_id == session_id)
    return provider.memory.client_sessions.take(lambda joined: joined.session_id == session_id)


def end_all_sessions(sub: str, *, provider: ProviderState) -> list[ClientSession]:
    """End every session of a person, in whichever browser; gives the clients that knew of one."""
    provider.memory.sign_ins.take(lambda sign_in: sign_in.sub == sub)
    return provider.memory.client_sessions.take(lambda joined: joined.sub == sub)
