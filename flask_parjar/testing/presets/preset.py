"""What a preset is: the rules of one provider, each with its source, as values.

A rule has no code of its own. It sets members of the metadata, and demands of `Demands`.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from joserfc.jwk import RSAKey

from ...protocol.rotation import ENCRYPTION, SIGNATURES, new_key
from ..demands import Demands, all_of
from ..state import ProviderState

#: The key files that settings name: the kind of the key in each, and its use.
KEY_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "key.pem": ("P-256", SIGNATURES),
        "rsa-key.pem": ("RSA", SIGNATURES),
        "jar-key.json": ("RSA", SIGNATURES),
        "assertion-key.json": ("RSA", SIGNATURES),
        "decryption-key.pem": ("P-256", ENCRYPTION),
        "rsa-decryption-key.pem": ("RSA", ENCRYPTION),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that a provider demands of its clients, or does not offer them.

    :param name: identifies it among the rules of its preset
    :param demand: one sentence, for the documentation
    :param source: where the provider says so: a URL, or a repository and a path in it
    :param read: the day on which the source was read, such as ``2026-11-30``
    :param metadata: the members of the discovery document that follow from it; None removes one
    :param demands: what is checked because of it, and is not in the discovery document
    """

    name: str
    demand: str
    source: str
    read: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    demands: Demands = field(default_factory=Demands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The rules of a provider, for `DevProvider.like`.

    :param title: its name in the documentation
    :param settings: the ``PARJAR_`` settings of a site that logs in there, as the documentation
        shows them. Its key files are among ``KEY_FILES``
    :param rules: what it demands
    """

    title: str
    settings: Mapping[str, Any]
    rules: tuple[Rule, ...]


def follow(preset: Preset, *, provider: ProviderState) -> None:
    """Make a provider demand what the rules of a preset demand, and no more."""
    members = provider.metadata
    members["require_pushed_authorization_requests"] = False
    members["require_signed_request_object"] = False
    for rule in preset.rules:
        members.update(copy.deepcopy(dict(rule.metadata)))  # a test may change the lists
    for name in [name for name, value in members.items() if value is None]:
        del members[name]
    provider.demands = all_of(rule.demands for rule in preset.rules)


def with_fresh_keys(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, with a fresh key in place of each key file."""
    return {
        name: _fresh_key(*KEY_FILES[value]) if value in (*KEY_FILES,) else value
        for name, value in settings.items()
    }


def _fresh_key(kind: str, use: str) -> dict[str, Any]:
    return _rsa_key(next(_turns), use) if kind == "RSA" else new_key(kind, use)


# An RSA key takes a tenth of a second to make. So a process has four, which are used in turn.
_turns = itertools.cycle(range(4))


@functools.cache
def _rsa_key(number: int, use: str) -> dict[str, Any]:
    key: RSAKey = RSAKey.generate_key(2048, {"use": use}, auto_kid=True)
    return dict(key.as_dict(private=True))
