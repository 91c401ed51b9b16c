"""Read the PARJAR_* keys into frozen settings.

`keys` has a row for each key, `values` reads single values, `faults` looks at keys beside each
other, `settings` puts them together, and `following` reads keys again that are replaced.
"""

from .following import FollowedSettings, key_paths
from .keys import KEYS
from .settings import Settings, read_settings

__all__ = ["KEYS", "FollowedSettings", "Settings", "key_paths", "read_settings"]
