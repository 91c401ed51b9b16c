"""Keys that are replaced while the site runs: their files are read again when they change.

Only files with a JWK Set are followed: they have the next key beside the one that signs, so that a
provider knows it before it is used. Another PEM in the same place would be used at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..protocol.client import ClientConfig
from .settings import Settings, read_settings

log: logging.Logger = logging.getLogger("flask_parjar")

_KEYS_IN_FILES = ("SIGNING_KEY", "ASSERTION_KEY", "ENCRYPTION_KEY")
_LOOK_EVERY = 1  # seconds: looking costs some microseconds for each file

#: What shows that a file is another one: its time, its size and its place on the disk.
_Stamp = tuple[int, int, int]


def key_paths(config: Mapping[str, Any]) -> list[Path]:
    """The files that the configuration names for our keys, each once.

    :param config: ``app.config``.
    """
    paths = dict.fromkeys(Path(path) for value in _key_values(config) for path in _paths_in(value))
    return list(paths)


def _key_values(config: Mapping[str, Any]) -> Iterator[Any]:
    for key in _KEYS_IN_FILES:
        yield config.get(f"PARJAR_{key}")
    sections = config.get("PARJAR_PROVIDERS")
    for section in sections.values() if isinstance(sections, Mapping) else ():
        for name, value in section.items() if isinstance(section, Mapping) else ():
            if str(name).upper() in _KEYS_IN_FILES:
                yield value


def _paths_in(value: Any) -> Iterator[str | Path]:
    for each in value if isinstance(value, list | tuple) else [value]:
        text = each.strip() if isinstance(each, str) else each
        if isinstance(text, Path) or (isinstance(text, str) and _is_a_path(text)):
            yield text


def _is_a_path(text: str) -> bool:
    return bool(text) and not text.startswith(("-----BEGIN", "{"))


class FollowedSettings:
    """The settings of an app, with the newest keys: shared by all its threads.

    If the keys cannot be read, those before stay: a login must not end because of a file that is
    wrong or away for a moment.

    :param config: ``app.config``, as it is at start.
    :param secret_key: ``app.secret_key``.
    :param clock: gives seconds that never go back.
    :raises ConfigError: with every fault of the configuration at start.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        secret_key: object,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = dict(config)
        self._secret_key = secret_key
        self._clock = clock
        self._files = [path for path in key_paths(config) if _is_a_set(path)]
        # Both at once, because several threads may write them, and without a lock, which a worker
        # that is forked could inherit locked. Two threads may read the same files: that is no harm.
        self._current = (self._stamps(), self._read())
        self._look_at = clock() + _LOOK_EVERY

    def settings(self) -> Settings:
        """The settings as they are now."""
        if self._files and self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_EVERY
            self._look()
        return self._current[1]

    def client(self, name: str) -> ClientConfig:
        """The client of one provider as it is now."""
        return self.settings().providers[name]

    def _look(self) -> None:
        before, settings = self._current
        stamps = self._stamps()  # before the files are read: a later change is seen next time
        if stamps == before:
            return
        try:
            settings = self._read()
        except ConfigError as error:
            log.error("the keys changed and cannot be used, those before stay: %s", error.detail)
        except Exception as error:  # of an object in the configuration that signs: any
            log.error("the keys changed and cannot be read: %s", type(error).__name__)
        else:
            log.info("the keys were read again")
        self._current = (stamps, settings)

    def _read(self) -> Settings:
        return read_settings(self._config, secret_key=self._secret_key)

    def _stamps(self) -> list[_Stamp | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_a_set(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(100).lstrip().startswith("{")
    except (OSError, ValueError):
        return False  # what is wrong with it is told when it is read
