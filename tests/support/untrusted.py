"""Untrusted values where a value of the protocol is expected, for hypothesis."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: A parser that needs this long for a few hundred characters hangs.
bounded = settings(max_examples=100, deadline=2000, suppress_health_check=[HealthCheck.too_slow])

_words = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**15, -(10**15), 10**300, 2**63])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    )


#: Any JSON value, as `parse_json_object` gives it.
json_values = _nested(_words)

#: Also values that it never gives, but a caller of a parser might.
_odd_values = _nested(
    _words | st.sampled_from(["\ud800", "a\udfffb", 10**4000, math.inf, -math.inf, math.nan])
)


def documents(members: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A correct document of which some members are missing, and some have any value."""

    def spoil(spoilt: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in members.items() if spoilt.get(name) != "gone"}
        return kept | {name: value for name, value in spoilt.items() if value != "gone"}

    names = st.sampled_from(sorted(members)) | st.text(max_size=5)
    return st.dictionaries(names, st.just("gone") | _odd_values, max_size=4).map(spoil)
