"""Read the PARJAR_* keys into frozen settings.

`keys` has a row for each key, `values` reads single values, `faults` looks at keys beside each
other, and `settings` puts them together.
"""

from .keys import KEYS
from .settings import Settings, read_settings

__all__ = ["KEYS", "Settings", "read_settings"]
