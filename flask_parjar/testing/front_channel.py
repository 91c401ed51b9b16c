"""The endpoints that a person's browser visits: authorization, signing in, agreeing.

What comes next is decided in ``authorization.py``; here it is shown, and answers are taken.
Signing out is in ``sign_out.py``.
"""

from __future__ import annotations

from flask import Blueprint, Response, request, session

from .answers import with_query
from .authorization import (
    INTERACTION_SECONDS,
    Interaction,
    acr_to_reach,
    agree,
    authorization_answer,
    grant_code,
    next_step,
)
from .metadata import ACR_LEVELS, PATHS, path_prefix
from .pages import answer_page, asked_once, error_page, page, see_other
from .refusals import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidRequestUriError,
    OAuth2Error,
    refusal,
)
from .sessions import begin_session, current_person, current_sign_in
from .state import ProviderState, fresh_secret

_ID = "/interaction/<interaction_id>"


class FrontChannel:
    """Views over the state of one provider."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider
        self._prefix = path_prefix(provider.issuer)

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("front_channel", __name__)
        for path, name, view, methods in (
            ("/", "home", self.home, ["GET"]),
            (PATHS["authorization_endpoint"], "authorization", self.authorize, ["GET", "POST"]),
            (_ID, "interaction", self.interaction, ["GET"]),
            (f"{_ID}/sign-in", "sign_in", self.sign_in, ["POST"]),
            (f"{_ID}/consent", "consent", self.consent, ["POST"]),
        ):
            routes.add_url_rule(
                self._prefix + path, name, view, methods=methods, strict_slashes=False
            )
        routes.register_error_handler(OAuth2Error, error_page)
        return routes

    def home(self) -> Response:
        """What this is, for somebody who came by."""
        return page(
            "home.html",
            provider=self.provider,
            discovery=self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration",
            signed_in=current_person(self.provider),
        )

    def authorize(self) -> Response:
        """Take a browser that a client sent with its pushed request.

        RFC 9126 section 4, RFC 9101 section 5
        """
        if request.method == "POST":
            # A cross-site POST comes without our cookie: once more, as a GET.
            return see_other(with_query(request.base_url, request.form.items(multi=True)))
        if request.method == "HEAD":
            # A look must not use the request up.
            return Response(status=405, headers={"Allow": "GET, POST"})
        parameters = asked_once()
        if "request" in parameters or "request_uri" not in parameters:
            raise refusal(InvalidRequestError, "a request must be pushed; send its request_uri")
        # Parameters beside the two are ignored, as RFC 9101 section 5 demands.
        asked = self.provider.memory.pushed.pop(parameters["request_uri"])
        if asked is None:
            raise refusal(InvalidRequestUriError, "request_uri is not known, used, or too old")
        if parameters.get("client_id") != asked.client.client_id:
            raise refusal(InvalidRequestError, "client_id is not the one that pushed the request")
        interaction_id = fresh_secret()
        self.provider.memory.interactions.put(
            interaction_id,
            Interaction(request=asked, browser=self._browser()),
            until=self.provider.now() + INTERACTION_SECONDS,
        )
        return see_other(self._url(interaction_id))

    def interaction(self, interaction_id: str) -> Response:
        """Show what has to be done next, or send the browser back to the client."""
        interaction = self._known(interaction_id)
        sign_in = current_sign_in(self.provider)
        try:
            step = next_step(interaction, sign_in=sign_in, provider=self.provider)
        except OAuth2Error as error:
            return self._finish(interaction_id, interaction, _outcome(error))
        if step == "sign_in" or sign_in is None:
            hint = interaction.request.login_hint
            return page(
                "sign_in.html",
                client=interaction.request.client,
                people=sorted([*self.provider.people.values()], key=lambda p: not p.known_as(hint)),
                hint=hint,
                acr=acr_to_reach(interaction.request),
                action=self._url(interaction_id, "/sign-in"),
            )
        if step == "consent":
            return page(
                "consent.html",
                client=interaction.request.client,
                person=current_person(self.provider),
                scopes=interaction.request.scopes,
                action=self._url(interaction_id, "/consent"),
            )
        code = grant_code(interaction, sign_in=sign_in, provider=self.provider)
        return self._finish(interaction_id, interaction, {"code": code})

    def sign_in(self, interaction_id: str) -> Response:
        """Take the choice of a person. There are no passwords here."""
        interaction = self._known(interaction_id)
        if request.form.get("decision") == "deny":
            return self._deny(interaction_id, interaction)
        person = self.provider.people.get(request.form.get("person", ""))
        if person is None:
            raise refusal(InvalidRequestError, "nobody of that name lives here")
        acr = acr_to_reach(interaction.request) or ACR_LEVELS[0]
        begin_session(person, acr=acr, provider=self.provider)
        interaction.signed_in = True
        return see_other(self._url(interaction_id))

    def consent(self, interaction_id: str) -> Response:
        """Take the person's yes or no, and to which scopes."""
        interaction, sign_in = self._known(interaction_id), current_sign_in(self.provider)
        if sign_in is None or request.form.get("decision") != "approve":
            return self._deny(interaction_id, interaction)
        ticked = {"openid", *request.form.getlist("scope")}
        scopes = tuple(scope for scope in interaction.request.scopes if scope in ticked)
        agree(interaction, scopes, sign_in=sign_in, provider=self.provider)
        return see_other(self._url(interaction_id))

    def _deny(self, interaction_id: str, interaction: Interaction) -> Response:
        error = refusal(AccessDeniedError, "The person said no.")
        return self._finish(interaction_id, interaction, _outcome(error))

    def _finish(
        self, interaction_id: str, interaction: Interaction, outcome: dict[str, str]
    ) -> Response:
        self.provider.memory.interactions.pop(interaction_id)
        return answer_page(
            authorization_answer(interaction.request, outcome=outcome, provider=self.provider)
        )

    def _known(self, interaction_id: str) -> Interaction:
        interaction = self.provider.memory.interactions.get(interaction_id)
        if interaction is None or interaction.browser != session.get("browser"):
            raise refusal(
                InvalidRequestError,
                "this login is over, or was begun in another browser, or the cookie was lost: "
                "go back to the site and begin again",
            )
        return interaction

    def _browser(self) -> str:
        return str(session.setdefault("browser", fresh_secret()))

    def _url(self, interaction_id: str, step: str = "") -> str:
        return f"{self._prefix}/interaction/{interaction_id}{step}"


def _outcome(error: OAuth2Error) -> dict[str, str]:
    """An error as parameters of the authorization response (RFC 6749 section 4.1.2.1)."""
    return {name: str(value) for name, value in error.get_body()}
