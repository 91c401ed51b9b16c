from __future__ import annotations

from flask_parjar.protocol.algorithms import ALGORITHMS
from flask_parjar.protocol.profiles import OPENID_CONNECT


def test_every_key_of_ours_has_an_algorithm_where_nothing_is_listed() -> None:
    """By its curve, and by its type where the type has no curves."""
    needed = {needs.crv or needs.kty for name, needs in ALGORITHMS.items()}
    assert set(OPENID_CONNECT.unlisted_algs) == needed
    for key, alg in OPENID_CONNECT.unlisted_algs.items():
        assert key in (ALGORITHMS[alg].crv, ALGORITHMS[alg].kty)
