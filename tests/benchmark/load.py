"""Many browsers at once, in a process of their own: ``python -m tests.benchmark.load``.

Each visitor logs in again and again, with no cookies left from the last time, over HTTP on a UNIX
socket, with a connection for each request, as from most proxies: one worker of gunicorn's would
keep the connections that it has once accepted. The result is one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import NamedTuple

from tests.benchmark.stub import new_event_loop
from tests.benchmark.stub_process import Departure

_HEAD = "GET {target} HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-Proto: https\r\n{cookie}\r\n"


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class _Browser:
    """One connection: to a UNIX socket by its path, or to a port of this machine."""

    def __init__(self, address: str | int) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str, cookie: str = "") -> _Answer:
        if self._streams is None:
            if isinstance(self._address, int):
                self._streams = await asyncio.open_connection("127.0.0.1", self._address)
            else:
                self._streams = await asyncio.open_unix_connection(self._address)
        reader, writer = self._streams
        line = f"Cookie: {cookie}\r\n" if cookie else ""
        writer.write(_HEAD.format(target=target, cookie=line).encode())
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return _Answer(int(first.split(" ")[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _keep_logging_in(address: str, until: float, taken: list[float]) -> None:
    site, provider = _Browser(address), None
    while time.perf_counter() < until:
        began = time.perf_counter()
        out = await site.get("/login")
        there = time.perf_counter()
        cookie = out.headers["set-cookie"].partition(";")[0]
        away = Departure.parse(out.headers["location"])
        provider = provider or _Browser(away.plain_port)
        nonce, state = json.loads((await provider.get(f"/pushed/{away.handle}")).body)
        again = time.perf_counter()
        site.close()
        back = await site.get(f"/callback?{away.way_back(nonce, state)}", cookie)
        site.close()
        if back.status != 302 or "set-cookie" not in back.headers:
            raise RuntimeError(f"a login failed: {back}")
        taken.append(there - began + time.perf_counter() - again)
    if provider is not None:
        provider.close()


async def _crowd(address: str, visitors: int, seconds: float) -> dict[str, float]:
    taken: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(_keep_logging_in(address, until, taken) for _ in range(visitors)))
    whole = time.perf_counter() - began
    hundredths = statistics.quantiles(taken, n=100, method="inclusive")
    return {
        "logins": len(taken),
        "seconds": whole,
        "p50": hundredths[49] * 1000,
        "p99": hundredths[98] * 1000,
    }


def main(address: str, visitors: str, seconds: str) -> None:
    """Log in for some seconds; tell how often, and how long it took."""
    loop = new_event_loop()
    result = loop.run_until_complete(_crowd(address, int(visitors), float(seconds)))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
