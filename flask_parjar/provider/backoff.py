"""Back-off: after a failure, no session of this process calls the endpoint for a while."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

PAUSE = 5  # seconds after a failure without Retry-After
LONGEST_PAUSE = 300  # seconds at most, even if Retry-After asks for more


class Backoff:
    """When an endpoint may be tried again after a failure.

    All sessions share it: if a provider asks us to wait for a minute, no session calls it within
    this minute. When the pause is over, one caller tries, and the others wait for the result.

    :param clock: gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._not_before: float | None = None  # None: the last try succeeded
        self._succeeded_at = float("-inf")

    def wait(self) -> int:
        """Whole seconds until the next try. 0: this caller may try now, and no other one."""
        with self._lock:
            if self._not_before is None:
                return 0
            now = self._clock()
            if now < self._not_before:
                return math.ceil(self._not_before - now)
            self._not_before = now + PAUSE
            return 0

    def failed(self, retry_after: int | None = None, *, began: float | None = None) -> None:
        """Start a pause.

        :param retry_after: seconds that the provider asked for (RFC 9110 section 10.2.3).
        :param began: when this try began, by the clock. If another one has succeeded since then,
            the endpoint works, and there is no pause.
        """
        pause = PAUSE if retry_after is None else min(max(retry_after, 1), LONGEST_PAUSE)
        with self._lock:
            if began is not None and began <= self._succeeded_at:
                return
            # Do not shorten a longer pause that another answer asked for.
            self._not_before = max(self._clock() + pause, self._not_before or 0.0)

    def succeeded(self) -> None:
        """End the pause, because the endpoint has answered."""
        with self._lock:
            self._not_before = None
            self._succeeded_at = self._clock()
