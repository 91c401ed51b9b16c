"""DPoP in several processes: the key of a session lies with its tokens, and is found by all."""

from __future__ import annotations

import pytest
from joserfc.jwk import import_key

from flask_parjar.testing import Call, DevProvider
from tests.distributed.conftest import NewVisitor, StartSite, log_in_until_the_token_expires
from tests.support.jwt import read_jwt
from tests.support.redis_process import RedisProcess

pytestmark = pytest.mark.distributed


def key_of(call: Call) -> str:
    """The thumbprint of the key of the proof that came with a call."""
    return str(import_key(read_jwt(call.headers["DPoP"])[0]["jwk"]).thumbprint())


@pytest.mark.parametrize("nonces", [False, True])
def test_each_process_uses_the_key_of_the_session(
    start_site: StartSite,
    new_visitor: NewVisitor,
    provider: DevProvider,
    redis: RedisProcess,
    nonces: bool,
) -> None:
    provider.dpop_nonces = nonces
    one, other = (start_site(PARJAR_DPOP=True) for _ in "12")
    visitor = new_visitor(one)
    first = log_in_until_the_token_expires(provider, visitor)
    at_other = visitor.get("/token", at=other).json
    assert at_other["token"] != first
    assert at_other["process"] != visitor.get("/token").json["process"]
    calls = [call for call in provider.calls if "DPoP" in call.headers]
    assert [call.form.get("grant_type") for call in calls][-1] == "refresh_token"
    assert len({key_of(call) for call in calls}) == 1
    with redis.client() as client:
        stored = " ".join(str(client.get(name)) for name in client.keys("*tokens*"))
    assert stored and "dpop" not in stored.lower()
