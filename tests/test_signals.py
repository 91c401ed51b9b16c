"""The signals: what their receivers can stop, and what they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort

from flask_parjar import logged_in, login_started, provider_called
from tests.support.site import Visitor


def test_a_receiver_of_logged_in_may_refuse_the_login(site: Flask, visitor: Visitor) -> None:
    def refuse(sender: Any, **said: Any) -> None:
        abort(403)

    with logged_in.connected_to(refuse):
        assert visitor.log_in().status_code == 403
    assert visitor.get("/me").status_code == 302


def test_a_receiver_that_fails_does_not_stop_a_login(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: Any, **said: Any) -> None:
        raise OSError("the metrics are full")

    with provider_called.connected_to(fail), login_started.connected_to(fail):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert "provider-called" in caplog.text and "login-started" in caplog.text
