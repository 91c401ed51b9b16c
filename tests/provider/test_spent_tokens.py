from __future__ import annotations

from flask_parjar.provider.spent_tokens import SpentTokens


def test_a_token_is_remembered_until_it_is_given_again() -> None:
    spent = SpentTokens()
    assert "a" not in spent
    spent.add("a")
    assert "a" in spent and "b" not in spent
    spent.discard("a")
    spent.discard("never there")
    assert "a" not in spent


def test_no_token_is_kept_in_clear_text() -> None:
    spent = SpentTokens()
    spent.add("a-refresh-token")
    assert "a-refresh-token" not in str(vars(spent))


def test_of_very_many_the_newest_are_remembered() -> None:
    spent = SpentTokens()
    for number in range(20_000):
        spent.add(str(number))
    assert "0" not in spent
    assert all(str(number) in spent for number in range(19_000, 20_000))
