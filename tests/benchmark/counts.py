"""What is counted and not timed: the same on every machine, and the same in every run."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from flask import Flask

from tests.benchmark.competitors import Entrant
from tests.benchmark.drive import Visitor
from tests.benchmark.stub_process import StubProcess

_KEY_IMPORTS = (
    "load_pem_private_key",
    "load_der_private_key",
    "load_pem_public_key",
    "load_der_public_key",
    "private_key",  # of the numbers of a JWK
    "public_key",
)


class Work(NamedTuple):
    """The dear parts of one login after warm-up.

    (What is done inside pycryptodome, which Flask-pyoidc uses, cannot be seen from here.)
    """

    requests: int
    signatures: int
    verifications: int
    key_imports: int
    trust_stores: int


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        owner = getattr(called, "__self__", None)
        module = type(owner).__module__ if owner is not None else ""
        home = f"{module} {getattr(called, '__module__', '')} {getattr(owner, '__name__', '')}"
        if "cryptography." in home or "rust" in home:
            if called.__name__ in ("sign", "verify"):
                counts[called.__name__] += 1
            elif called.__name__ in _KEY_IMPORTS and not type(owner).__name__.endswith("Key"):
                counts["key import"] += 1
        if called.__name__ in ("load_verify_locations", "set_default_verify_paths"):
            counts["trust store"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


def count_work(entrant: Entrant, stub: StubProcess) -> Work:
    """Count what one login does, the others having fetched whatever is kept."""
    Visitor(entrant.app).log_in()
    before = stub.counts()
    with _counted() as counts:
        Visitor(entrant.app).log_in()
    asked = Counter(stub.counts()) - Counter(before)
    return Work(
        requests=asked.total(),
        signatures=counts["sign"],
        verifications=counts["verify"],
        key_imports=counts["key import"],
        trust_stores=counts["trust store"],
    )


class Cookies(NamedTuple):
    """Bytes of `Set-Cookie`: of a first login, the most of twelve abandoned ones, at the end."""

    one: int
    many: int
    logged_in: int


def measure_cookies(app: Flask) -> Cookies:
    """See what a browser is asked to keep."""
    one = Visitor(app).leave().cookie_bytes
    restless = Visitor(app)
    many = max(restless.leave().cookie_bytes for _ in range(12))
    return Cookies(one, many, Visitor(app).log_in().cookie_bytes)


class Fetches(NamedTuple):
    """How often a provider's documents were fetched."""

    discovery: int
    jwks: int


def fetches_under_floods(
    make_app: Callable[[], Flask], stub: StubProcess, *, threads: int
) -> tuple[Fetches, Fetches]:
    """Have many people log in at once, twice, and count.

    :returns: of an app from its start on; and then with ID tokens that name an unknown key.
    """
    logging.disable(logging.CRITICAL)  # each refusal is an error to somebody, with a traceback
    try:
        start = stub.counts()
        app = make_app()
        _log_in_at_once(app, threads, "good")
        middle = stub.counts()
        _log_in_at_once(app, threads, "kid")
        end = stub.counts()
    finally:
        logging.disable(logging.NOTSET)
    return _between(start, middle), _between(middle, end)


def _log_in_at_once(app: Flask, threads: int, fault: str) -> None:
    ready = threading.Barrier(threads)

    def log_in() -> None:
        ready.wait()
        Visitor(app).log_in(fault)

    crowd = [threading.Thread(target=log_in) for _ in range(threads)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()


def _between(before: Mapping[str, int], after: Mapping[str, int]) -> Fetches:
    asked = Counter(after) - Counter(before)
    return Fetches(asked[".well-known/openid-configuration"], asked["jwks"])
