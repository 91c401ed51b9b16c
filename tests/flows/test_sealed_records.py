"""Records in a store that somebody else may write into, and that other processes change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.sealed_records import SealedRecords
from flask_parjar.stores import MemoryStore, Store
from tests.support.clock import Clock
from tests.support.logged_in import SECRETS
from tests.support.threads import switching_often

KEY = "a:key"


def records_in(store: Store) -> SealedRecords:
    return SealedRecords(store, secrets=lambda: SECRETS)


def read(store: Store, key: str = KEY) -> dict[str, Any]:
    (text,) = store.get(key)
    assert text is not None
    return records_in(store).read(key, text)


def add(number: int) -> Callable[[Mapping[str, Any] | None], Mapping[str, Any]]:
    """Add a number to those of a record."""
    return lambda record: {
        "numbers": [*({} if record is None else record).get("numbers", []), number]
    }


def test_a_record_is_read_under_its_own_key_alone(store: MemoryStore) -> None:
    records_in(store).put(KEY, {"a": 1}, ttl=60)
    assert read(store) == {"a": 1}
    (text,) = store.get(KEY)
    assert text is not None
    with pytest.raises(ValueError):
        records_in(store).read("another:key", text)
    with pytest.raises(ValueError):
        SealedRecords(store, secrets=lambda: (b"another secret",)).read(KEY, text)


def test_a_change_begins_with_what_is_there(store: MemoryStore) -> None:
    for number in (1, 2, 3):
        (found,) = store.get(KEY)
        records_in(store).update(KEY, found, add(number), ttl=60)
    assert read(store) == {"numbers": [1, 2, 3]}


def test_a_change_that_changes_nothing_writes_nothing() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    records_in(store).update(KEY, None, lambda record: None, ttl=60)
    assert store.get(KEY) == [None]
    records_in(store).put(KEY, {}, ttl=60)
    records_in(store).update(KEY, store.get(KEY)[0], lambda record: None, ttl=600)
    clock.now += 60
    assert store.get(KEY) == [None]


def test_an_empty_record_is_a_record(store: MemoryStore) -> None:
    """Another process that has changed it meanwhile is not overwritten."""
    records_in(store).put(KEY, {}, ttl=60)
    (found,) = store.get(KEY)
    records_in(store).put(KEY, {"numbers": [1]}, ttl=60)
    records_in(store).update(KEY, found, add(2), ttl=60)
    assert read(store) == {"numbers": [1, 2]}


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c.d.e", "{}", "\udcff\udcfe"])
def test_what_cannot_be_read_is_an_empty_record(store: MemoryStore, rubbish: str) -> None:
    """It is another matter than none: something was there."""
    store.put(KEY, rubbish, ttl=60)
    found: list[Mapping[str, Any] | None] = []

    def note(record: Mapping[str, Any] | None) -> Mapping[str, Any]:
        found.append(record)
        return {"numbers": [1]}

    records_in(store).update(KEY, rubbish, note, ttl=60)
    records_in(store).update("another:key", None, note, ttl=60)
    assert found == [{}, None]
    assert read(store) == {"numbers": [1]}


def test_what_was_not_there_a_moment_ago_is_read(store: MemoryStore) -> None:
    records_in(store).put(KEY, {"numbers": [1]}, ttl=60)
    records_in(store).update(KEY, None, add(2), ttl=60)
    assert read(store) == {"numbers": [1, 2]}


def test_changes_at_once_are_all_kept(store: MemoryStore) -> None:
    with switching_often(), ThreadPoolExecutor(4) as threads:
        changes = [
            threads.submit(records_in(store).update, KEY, None, add(number), ttl=60)
            for number in range(12)
        ]
        for change in changes:
            change.result()
    assert sorted(read(store)["numbers"]) == list(range(12))


class Restless(MemoryStore):
    """A store in which somebody is always quicker."""

    def get(self, *keys: str) -> Sequence[str | None]:
        found = super().get(*keys)
        records_in(self).put(KEY, {}, ttl=60)
        return found


def test_a_record_that_never_rests_is_given_up() -> None:
    store = Restless()
    with pytest.raises(StoreUnavailable) as caught:
        records_in(store).update(KEY, store.get(KEY)[0], add(1), ttl=60)
    assert caught.value.error_code == "store_busy"
