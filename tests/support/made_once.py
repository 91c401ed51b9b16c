"""What each app needs and takes long to make, made once in this process.

A test has an app of its own, often two, and each has the same URLs, the same templates, and often
the same RSA key. To make those anew took more than half of the time of all tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from joserfc.jwk import RSAKey
from werkzeug.routing import Rule

_MEMBERS = ("n", "e", "d", "p", "q", "dp", "dq", "qi", "oth")  # of an RSA JWK (RFC 7518, 6.3)
_BUILDERS: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


class RuleCompiledOnce(Rule):
    """A rule that shares the function that builds its URLs with all rules that read the same."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if self.defaults:  # their values are in the function
            return super()._compile_builder(append_unknown)
        key = (self.rule, tuple(self._trace), append_unknown)
        if key not in _BUILDERS:
            _BUILDERS[key] = super()._compile_builder(append_unknown)
        return _BUILDERS[key]


class TemplatesCompiledOnce(BytecodeCache):
    """The code of templates, by name and path. It counts only as long as the source is the same."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


class RSAKeysReadOnce(RSAKey.binding):
    """Reads each RSA key once. OpenSSL checks the primes of a private one, which takes up to 70 ms.

    What cryptography makes of it does not change. The keys of joserfc are made anew.
    """

    _keys: ClassVar[dict[object, Any]] = {}

    @classmethod
    def import_private_key(cls, obj: Any) -> Any:
        # As text, so that a member of any type, and one that is missing, is told apart.
        members = json.dumps([(name, obj[name]) for name in _MEMBERS if name in obj])
        if members not in cls._keys:
            cls._keys[members] = super().import_private_key(obj)
        return cls._keys[members]

    @classmethod
    def import_from_bytes(cls, value: bytes, password: str | bytes | None = None) -> Any:
        if (value, password) not in cls._keys:
            cls._keys[value, password] = super().import_from_bytes(value, password)
        return cls._keys[value, password]


def make_once() -> None:
    """Let every app of this process use them, by the attributes that Flask and joserfc have."""
    RSAKey.binding = RSAKeysReadOnce
    Flask.url_rule_class = RuleCompiledOnce
    options: dict[str, Any] = {**Flask.jinja_options, "bytecode_cache": TemplatesCompiledOnce()}
    Flask.jinja_options = options
