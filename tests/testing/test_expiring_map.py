"""What the provider remembers: timed, bounded, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flask_parjar.testing.state import ExpiringMap
from tests.testing.conftest import Clock


def test_values_fall_off_in_time(clock: Clock) -> None:
    values: ExpiringMap[str] = ExpiringMap(now=clock)
    values.put("a", "1", until=clock.now + 10)
    assert values.get("a") == "1"
    clock.now += 10
    assert values.get("a") is None
    assert values.pop("a") is None
    assert len(values) == 0


def test_a_value_is_popped_once_and_replaced_by_name(clock: Clock) -> None:
    values: ExpiringMap[str] = ExpiringMap(now=clock)
    values.put("a", "1", until=clock.now + 10)
    values.put("a", "2", until=clock.now + 10)
    assert len(values) == 1
    assert (values.pop("a"), values.pop("a"), values.pop("b")) == ("2", None, None)


def test_adding_what_is_there(clock: Clock) -> None:
    values: ExpiringMap[str] = ExpiringMap(now=clock)
    assert values.add("a", "1", until=clock.now + 10)
    assert not values.add("a", "2", until=clock.now + 99)
    assert values.get("a") == "1"
    clock.now += 10
    assert values.add("a", "3", until=clock.now + 10)


def test_a_full_map_drops_what_is_over_then_the_oldest(clock: Clock) -> None:
    values: ExpiringMap[int] = ExpiringMap(now=clock, at_most=20)
    for n in range(20):
        values.put(str(n), n, until=clock.now + (5 if n < 10 else 100))
    clock.now += 6
    values.put("late", 1, until=clock.now + 100)
    assert len(values) == 11
    assert values.get("10") == 10
    for n in range(100, 112):
        values.put(str(n), n, until=clock.now + 100)
    assert len(values) <= 20
    assert values.get("10") is None
    assert values.get("111") == 111


def test_taking_all_that_is_wanted(clock: Clock) -> None:
    values: ExpiringMap[int] = ExpiringMap(now=clock)
    for n in range(6):
        values.put(str(n), n, until=clock.now + (1 if n == 4 else 9))
    clock.now += 1
    assert values.pop_all(lambda value: value % 2 == 0) == [0, 2], "what is over is not there"
    assert [values.get(str(n)) for n in range(6)] == [None, 1, None, 3, None, 5]
    assert values.pop_all(lambda value: value % 2 == 0) == []


def test_of_many_threads_one_pops_a_value(clock: Clock) -> None:
    values: ExpiringMap[int] = ExpiringMap(now=clock)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: values.add("a", n, until=clock.now + 1), range(64)))
        assert added.count(True) == 1
        taken = list(pool.map(lambda _: values.pop("a"), range(64)))
    assert len([value for value in taken if value is not None]) == 1
