"""How the provider shows something to a person: a page, a redirect, a form that posts itself."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Response, render_template, request

from .answers import AuthorizationAnswer
from .refusals import InvalidRequestError, OAuth2Error, refusal


def page(
    template: str, *, status: int = 200, frames: Collection[str] = (), **values: object
) -> Response:
    """A page from the ``dev_provider`` folder, which may run and load nothing but what is in it.

    :param frames: URLs that it may load in frames all the same
    """
    nonce = secrets.token_urlsafe(16)
    body = render_template(f"dev_provider/{template}", nonce=nonce, frames=frames, **values)
    origins = dict.fromkeys("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in frames)
    frame_src = f"frame-src {' '.join(origins)}; " if origins else ""
    response = Response(body, status=status, content_type="text/html; charset=utf-8")
    # No form-action: browsers apply it to the redirect after the form, which leads to the client.
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        f"{frame_src}base-uri 'none'; frame-ancestors 'none'"
    )
    return response


def see_other(url: str) -> Response:
    """Go there with GET (RFC 9110 section 15.4.4; RFC 9700 section 4.12 wants 303, not 307)."""
    return Response(status=303, headers={"Location": url})


def answer_page(answer: AuthorizationAnswer) -> Response:
    """The authorization response on its way through the browser.

    RFC 6749 section 4.1.2, OAuth 2.0 Form Post Response Mode section 2
    """
    if answer.mode == "form_post":
        return page("form_post.html", action=answer.redirect_uri, parameters=answer.parameters)
    return see_other(answer.url())


def error_page(error: OAuth2Error) -> Response:
    """The provider's own page for an error that cannot go back to a client."""
    _, body, _ = error()
    return page("error.html", status=400, error=body)


def asked_once() -> dict[str, str]:
    """The parameters of the URL, each once.

    :raises OAuth2Error: ``invalid_request``

    RFC 6749 section 3.1
    """
    if twice := sorted(name for name, values in request.args.lists() if len(values) > 1):
        raise refusal(InvalidRequestError, f"given more than once: {', '.join(twice)}")
    return {name: value for name, value in request.args.items() if value}
