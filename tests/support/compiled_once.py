"""What Flask compiles for each app, compiled once in this process.

A test has an app of its own, often two, and each has the same URLs and the same templates. To
compile those anew took half of the time of all tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule

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


def compile_once() -> None:
    """Let every Flask app of this process use them, by the attributes that Flask has for it."""
    Flask.url_rule_class = RuleCompiledOnce
    options: dict[str, Any] = {**Flask.jinja_options, "bytecode_cache": TemplatesCompiledOnce()}
    Flask.jinja_options = options
