"""What real providers demand, as values: one file for each provider."""

from collections.abc import Mapping
from types import MappingProxyType

from .preset import Preset, Rule, follow, with_fresh_keys
from .singpass import SINGPASS

__all__ = ["PRESETS", "Preset", "Rule", "follow", "with_fresh_keys"]

#: The presets by the name that `DevProvider.like` takes.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "singpass": SINGPASS,
    }
)
