from __future__ import annotations

from functools import partial

from flask_parjar.provider.nonces import Nonces
from tests.support.threads import at_once, switching_often


def test_each_place_has_the_nonce_that_it_gave_last() -> None:
    nonces = Nonces()
    assert nonces.get("https://op.example") is None
    nonces.put("https://op.example", "first")
    nonces.put("https://api.example", "of another")
    nonces.put("https://op.example", "second")
    assert nonces.get("https://op.example") == "second"
    assert nonces.get("https://api.example") == "of another"


def test_of_very_many_places_the_newest_are_kept() -> None:
    nonces = Nonces()
    for number in range(1_500):
        nonces.put(f"https://{number}.example", "n")
    kept = [number for number in range(1_500) if nonces.get(f"https://{number}.example")]
    assert len(kept) <= 1_000 and kept[-1] == 1_499
    assert kept == list(range(kept[0], 1_500))


def test_a_nonce_is_there_at_each_moment_while_a_newer_one_is_put() -> None:
    """Otherwise the second try of a request goes out without a nonce, and is refused."""
    nonces = Nonces()
    place, rounds = "https://op.example", 20_000
    nonces.put(place, "first")

    def put() -> list[str | None]:
        for _ in range(rounds):
            nonces.put(place, "newer")
        return []

    def get() -> list[str | None]:
        return [found for found in map(nonces.get, [place] * rounds) if found is None]

    with switching_often():
        assert at_once([partial(put), partial(get)]) == [[], []]
