"""A login without a Flask app around it; what can go wrong is in tests/test_callback.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.flows.logged_in import LoggedIn


@pytest.mark.parametrize("userinfo", [False, True])
def test_a_login(userinfo: bool) -> None:
    login = LoggedIn(log_in=False)
    login.provider = login.another_process(replace(login.provider.client, userinfo=userinfo))
    tokens = login.log_in()
    assert tokens.refresh_token is not None
    assert tokens.lives(login.clock())
    assert login.called.count("userinfo") == int(userinfo)
    assert login.called.count("pushed_authorization_request") == 1
    assert login.called.count("token") == 1
