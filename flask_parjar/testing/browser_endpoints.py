"""The endpoints for the browser: the authorization endpoint, and the pages that follow it.

The decisions are in ``authorization.py``. The end-session endpoint is in ``logout.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flask import Blueprint, Response, request
from flask import session as flask_session

from .answers import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidRequestUriError,
    OAuth2Error,
    refusal,
    with_query,
)
from .app import (
    INTERACTION,
    answer_page,
    error_page,
    page,
    query_parameters,
    remember_home,
    resources,
    see_other,
)
from .authorization import (
    INTERACTION_SECONDS,
    agree,
    authorization_answer,
    begin_session,
    current_person,
    current_sign_in,
    grant_code,
    next_step,
    requested_acr,
)
from .clients import home_of
from .documents import PATHS, path_prefix
from .received_request import accept, find_return_address, must_push, receive
from .state import AuthorizationRequest, Interaction, ProviderState, fresh_secret

_ID = f"/interaction/<{INTERACTION}>"


class BrowserEndpoints:
    """The views for the browser, with the state of one provider."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider
        self._prefix = path_prefix(provider.issuer)

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("browser_endpoints", __name__)
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
        routes.register_error_handler(OAuth2Error, partial(error_page, provider=self.provider))
        return routes

    def home(self) -> Response:
        """A page about the provider."""
        return page(
            "home.html",
            {
                "provider": self.provider,
                "discovery": self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration",
                "signed_in": current_person(self.provider),
                "homes": {each: home_of(client) for each, client in self.provider.clients.items()},
            },
        )

    def authorize(self) -> Response:
        """Start the interaction for a request: pushed before, or brought by the browser.

        RFC 9126 section 4, RFC 9101 section 5
        """
        if request.method == "POST":
            # A cross-site POST has no cookie of ours: send the browser here again, by GET.
            return see_other(with_query(request.base_url, request.form.items(multi=True)))
        if request.method == "HEAD":
            # HEAD must not use up the pushed request.
            return Response(status=405, headers={"Allow": "GET, POST"})
        parameters = query_parameters()
        if "request" in parameters or "request_uri" not in parameters:
            return self._begin_unpushed(parameters)
        # Parameters beside the two are ignored, as RFC 9101 section 5 demands.
        pushed = self.provider.memory.pushed.pop(parameters["request_uri"])
        if pushed is None:
            raise refusal(InvalidRequestUriError, "request_uri is not known, used, or too old")
        if parameters.get("client_id") != pushed.client.client_id:
            raise refusal(InvalidRequestError, "client_id is not the one that pushed the request")
        return self._begin(pushed)

    def _begin_unpushed(self, parameters: Mapping[str, str]) -> Response:
        """Start the interaction for a request that the browser brought.

        An error is sent to the client as soon as it is known where to.

        RFC 6749 section 4.1.2.1, RFC 9101 sections 5 and 6
        """
        client = self.provider.clients.get(parameters.get("client_id", ""))
        if client is None:
            raise refusal(InvalidRequestError, "no client is registered with this client_id")
        if must_push(client, provider=self.provider):
            raise refusal(InvalidRequestError, "a request must be pushed; send its request_uri")
        if "request_uri" in parameters:
            raise refusal(InvalidRequestError, "send request or request_uri, not both")
        if unknown := [name for name in parameters if not self.provider.demands.takes(name)]:
            raise refusal(InvalidRequestError, f"not known here: {', '.join(sorted(unknown))}")
        received = receive(parameters, resources=resources(), client=client, provider=self.provider)
        address = find_return_address(received, provider=self.provider)
        try:
            if received.signed:
                _check_beside(parameters)
            asked = accept(received, provider=self.provider)
        except OAuth2Error as error:
            return answer_page(
                authorization_answer(
                    address, outcome=_outcome(error), client=client, provider=self.provider
                )
            )
        return self._begin(asked)

    def _begin(self, asked: AuthorizationRequest) -> Response:
        interaction_id = fresh_secret()
        remember_home(home_of(asked.client, near=asked.address.redirect_uri))
        self.provider.memory.interactions.put(
            interaction_id,
            Interaction(request=asked, browser=self._browser()),
            until=self.provider.now() + INTERACTION_SECONDS,
        )
        return see_other(self._url(interaction_id))

    def interaction(self, interaction_id: str) -> Response:
        """Show the next page, or send the browser back to the client."""
        interaction = self._known(interaction_id)
        sign_in = current_sign_in(self.provider)
        try:
            step = next_step(interaction, sign_in=sign_in, provider=self.provider)
        except OAuth2Error as error:
            return self._finish(interaction_id, interaction, _outcome(error))
        if step == "sign_in" or sign_in is None:
            return self._sign_in_page(interaction_id, interaction.request)
        if step == "consent":
            return self._consent_page(interaction_id, interaction.request)
        code = grant_code(interaction, sign_in=sign_in, provider=self.provider)
        return self._finish(interaction_id, interaction, {"code": code})

    def sign_in(self, interaction_id: str) -> Response:
        """Sign the chosen person in. There are no passwords."""
        interaction = self._known(interaction_id)
        if request.form.get("decision") == "deny":
            return self._deny(interaction_id, interaction)
        person = self.provider.people.get(request.form.get("person", ""))
        if person is None:
            raise refusal(InvalidRequestError, "no person has that username")
        begin_session(person, request=interaction.request, provider=self.provider)
        interaction.signed_in = True
        return see_other(self._url(interaction_id))

    def consent(self, interaction_id: str) -> Response:
        """Accept the person's yes or no, and the scopes."""
        interaction, sign_in = self._known(interaction_id), current_sign_in(self.provider)
        if sign_in is None or request.form.get("decision") != "approve":
            return self._deny(interaction_id, interaction)
        ticked = {"openid", *request.form.getlist("scope")}
        scopes = tuple(scope for scope in interaction.request.scopes if scope in ticked)
        agree(interaction, scopes, sign_in=sign_in, provider=self.provider)
        return see_other(self._url(interaction_id))

    def _sign_in_page(self, interaction_id: str, asked: AuthorizationRequest) -> Response:
        people, hint = [*self.provider.people.values()], asked.login_hint
        return page(
            "sign_in.html",
            {
                "client": asked.client,
                "people": sorted(people, key=lambda person: not person.known_as(hint)),
                "hint": hint,
                "acr": requested_acr(asked, provider=self.provider),
                "action": self._url(interaction_id, "/sign-in"),
            },
        )

    def _consent_page(self, interaction_id: str, asked: AuthorizationRequest) -> Response:
        return page(
            "consent.html",
            {
                "client": asked.client,
                "person": current_person(self.provider),
                "scopes": asked.scopes,
                "details": asked.authorization_details,
                "action": self._url(interaction_id, "/consent"),
            },
        )

    def _deny(self, interaction_id: str, interaction: Interaction) -> Response:
        error = refusal(AccessDeniedError, "The person said no.")
        return self._finish(interaction_id, interaction, _outcome(error))

    def _finish(
        self, interaction_id: str, interaction: Interaction, outcome: dict[str, str]
    ) -> Response:
        self.provider.memory.interactions.pop(interaction_id)
        return answer_page(
            authorization_answer(
                interaction.request.address,
                outcome=outcome,
                client=interaction.request.client,
                provider=self.provider,
            )
        )

    def _known(self, interaction_id: str) -> Interaction:
        interaction = self.provider.memory.interactions.get(interaction_id)
        if interaction is None or interaction.browser != flask_session.get("browser"):
            raise refusal(
                InvalidRequestError,
                "this login is over, or was begun in another browser, or the cookie was lost: "
                "go back to the site and begin again",
            )
        return interaction

    def _browser(self) -> str:
        return str(flask_session.setdefault("browser", fresh_secret()))

    def _url(self, interaction_id: str, step: str = "") -> str:
        return f"{self._prefix}/interaction/{interaction_id}{step}"


def _check_beside(parameters: Mapping[str, str]) -> None:
    """Check the parameters that OpenID Connect wants beside a request object; others are ignored.

    :raises OAuth2Error: ``invalid_request``

    OpenID Connect Core section 6.1
    """
    if parameters.get("response_type") != "code":
        raise refusal(InvalidRequestError, "response_type=code is missing beside the request")
    if "openid" not in parameters.get("scope", "").split():
        raise refusal(InvalidRequestError, "scope with openid is missing beside the request")


def _outcome(error: OAuth2Error) -> dict[str, str]:
    """An error as parameters of the authorization response (RFC 6749 section 4.1.2.1)."""
    return {name: str(value) for name, value in error.get_body()}
