"""What the provider remembers: timed, bounded, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask_parjar.testing.shelf import Shelf
from tests.testing.conftest import Clock


def test_values_fall_off_in_time(clock: Clock) -> None:
    shelf: Shelf[str] = Shelf(now=clock)
    shelf.put("a", "1", until=clock.now + 10)
    assert shelf.get("a") == "1"
    clock.now += 10
    assert shelf.get("a") is None
    assert shelf.pop("a") is None
    assert len(shelf) == 0


def test_a_value_is_taken_once_and_replaced_by_name(clock: Clock) -> None:
    shelf: Shelf[str] = Shelf(now=clock)
    shelf.put("a", "1", until=clock.now + 10)
    shelf.put("a", "2", until=clock.now + 10)
    assert len(shelf) == 1
    assert (shelf.pop("a"), shelf.pop("a"), shelf.pop("b")) == ("2", None, None)


def test_adding_what_is_there(clock: Clock) -> None:
    shelf: Shelf[str] = Shelf(now=clock)
    assert shelf.add("a", "1", until=clock.now + 10)
    assert not shelf.add("a", "2", until=clock.now + 99)
    assert shelf.get("a") == "1"
    clock.now += 10
    assert shelf.add("a", "3", until=clock.now + 10)


def test_a_full_shelf_drops_what_is_over_then_the_oldest(clock: Clock) -> None:
    shelf: Shelf[int] = Shelf(now=clock, at_most=20)
    for n in range(20):
        shelf.put(str(n), n, until=clock.now + (5 if n < 10 else 100))
    clock.now += 6
    shelf.put("late", 1, until=clock.now + 100)
    assert len(shelf) == 11
    assert shelf.get("10") == 10
    for n in range(100, 112):
        shelf.put(str(n), n, until=clock.now + 100)
    assert len(shelf) <= 20
    assert shelf.get("10") is None
    assert shelf.get("111") == 111


def test_taking_all_that_is_wanted(clock: Clock) -> None:
    shelf: Shelf[int] = Shelf(now=clock)
    for n in range(6):
        shelf.put(str(n), n, until=clock.now + (1 if n == 4 else 9))
    clock.now += 1
    assert shelf.take(lambda value: value % 2 == 0) == [0, 2], "what is over is not there"
    assert [shelf.get(str(n)) for n in range(6)] == [None, 1, None, 3, None, 5]
    assert shelf.take(lambda value: value % 2 == 0) == []


def test_of_many_threads_one_takes_it(clock: Clock) -> None:
    shelf: Shelf[int] = Shelf(now=clock)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: shelf.add("a", n, until=clock.now + 1), range(64)))
        assert added.count(True) == 1
        taken = list(pool.map(lambda _: shelf.pop("a"), range(64)))
    assert len([value for value in taken if value is not None]) == 1
