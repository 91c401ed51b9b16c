"""What a test asks of a page, of a visitor and of a provider, in one word."""

from __future__ import annotations

from werkzeug.test import TestResponse

from flask_parjar.testing import DevProvider
from tests.support.site import Visitor


def code_of(page: TestResponse) -> str | None:
    """The code of an error page, where there is one."""
    _, _, after = page.text.partition("Code: <code>")
    return after.partition("</code>")[0] or None


def is_logged_in(visitor: Visitor) -> bool:
    """Whether a guarded page is shown, and no login asked for."""
    status = visitor.get("/me").status_code
    assert status in (200, 302)
    return status == 200


def endpoints(provider: DevProvider) -> list[str]:
    """The endpoints of a provider that were called, in order."""
    return [call.endpoint for call in provider.calls]


def is_logged_out_page(response: TestResponse) -> bool:
    """Whether this is our page after a logout, which leads to the first page of the site."""
    return (response.status_code, response.location) == (200, None) and 'href="/"' in response.text
