"""For each rule of each preset, a login that breaks this rule and no other."""

from tests.support.breaches import singpass
from tests.support.breaches.breach import Breach

BREACHES: dict[str, dict[str, Breach]] = {
    "singpass": singpass.BREACHES,
}
