"""Ending the provider's own session when a client sends the browser for it.

OpenID Connect RP-Initiated Logout 1.0
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request, session

from .answers import with_query
from .clients import Client
from .jws import Unproven, parse, verify
from .keys import ID_TOKEN_ALGORITHMS
from .logout_notices import logout_frames, notify_session
from .metadata import PATHS, path_prefix
from .pages import asked_once, error_page, page, see_other
from .refusals import InvalidRequestError, OAuth2Error, refusal
from .sessions import current_person, end_this_session
from .state import ProviderState, fresh_secret

SIGN_OUT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    """A wish to sign out, until the person says yes or no.

    :param browser: the mark of the browser that brought it
    """

    browser: str = field(repr=False)
    client: Client | None
    redirect_uri: str | None
    state: str | None = field(repr=False)


class SignOutChannel:
    """Views over the state of one provider."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider
        self._prefix = path_prefix(provider.issuer)

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("sign_out", __name__)
        path = self._prefix + PATHS["end_session_endpoint"]
        routes.add_url_rule(path, "end_session", self.end_session, methods=["GET", "POST"])
        routes.add_url_rule(f"{path}/<wish_id>", "sign_out", self.decide, methods=["POST"])
        routes.register_error_handler(OAuth2Error, error_page)
        return routes

    def end_session(self) -> Response:
        """Ask the person whether to sign out here too.

        RP-Initiated Logout section 2
        """
        if request.method == "POST":
            # A cross-site POST comes without our cookie: once more, as a GET.
            return see_other(with_query(request.base_url, request.form.items(multi=True)))
        wish = self._wish(asked_once())
        person = current_person(self.provider)
        if person is None:
            return _goodbye(wish)
        wish_id = fresh_secret()
        self.provider.memory.sign_outs.put(
            wish_id, wish, until=self.provider.now() + SIGN_OUT_SECONDS
        )
        action = f"{self._prefix}{PATHS['end_session_endpoint']}/{wish_id}"
        return page("sign_out.html", person=person, client=wish.client, action=action)

    def decide(self, wish_id: str) -> Response:
        """Take the person's yes or no."""
        wish = self.provider.memory.sign_outs.pop(wish_id)
        if wish is None or wish.browser != session.get("browser"):
            raise refusal(InvalidRequestError, "this was decided before, or in another browser")
        if request.form.get("decision") != "approve":
            return page("signed_out.html", person=current_person(self.provider))
        ended = end_this_session(self.provider)
        notify_session(ended, provider=self.provider)
        return _goodbye(wish, frames=logout_frames(ended, provider=self.provider))

    def _wish(self, parameters: dict[str, str]) -> SignOut:
        client = self._client(parameters)
        redirect_uri = parameters.get("post_logout_redirect_uri")
        if redirect_uri is not None:
            if client is None:
                raise refusal(
                    InvalidRequestError,
                    "post_logout_redirect_uri needs a client_id or an id_token_hint",
                )
            if redirect_uri not in client.post_logout_redirect_uris:
                raise refusal(
                    InvalidRequestError,
                    f"post_logout_redirect_uri {redirect_uri!r} is not registered",
                )
        return SignOut(
            browser=str(session.get("browser", "")),
            client=client,
            redirect_uri=redirect_uri,
            state=parameters.get("state"),
        )

    def _client(self, parameters: dict[str, str]) -> Client | None:
        client_id = parameters.get("client_id")
        if "id_token_hint" in parameters:
            audience = self._audience(parameters["id_token_hint"])
            if client_id not in (None, audience):
                raise refusal(InvalidRequestError, "id_token_hint was issued to another client")
            client_id = audience
        if client_id is None:
            return None
        if client_id not in self.provider.clients:
            raise refusal(InvalidRequestError, f"no client is registered as {client_id!r}")
        return self.provider.clients[client_id]

    def _audience(self, hint: str) -> str:
        """The client that an ID token of ours was issued to; that it expired does not matter."""
        try:
            claims = verify(
                parse(hint), find_key=self.provider.keys.find, algorithms=ID_TOKEN_ALGORITHMS
            )
        except Unproven as exc:
            raise refusal(InvalidRequestError, f"id_token_hint: {exc}") from exc
        return str(claims.get("aud"))


def _goodbye(wish: SignOut, *, frames: Collection[str] = ()) -> Response:
    """Back to the client, or stay; but where there are frames, they must be loaded before.

    RP-Initiated Logout section 3, OpenID Connect Front-Channel Logout section 3
    """
    if wish.redirect_uri is None:
        return page("signed_out.html", person=None, frames=frames)
    state = [] if wish.state is None else [("state", wish.state)]
    if not frames:
        return see_other(with_query(wish.redirect_uri, state))
    # A form that is sent by GET loses the query of its action: it comes back from the fields.
    action, _, query = wish.redirect_uri.partition("?")
    parameters = [*parse_qsl(query, keep_blank_values=True), *state]
    return page("signed_out.html", person=None, frames=frames, action=action, parameters=parameters)
