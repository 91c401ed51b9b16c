"""Request headers as browsers send them."""

from __future__ import annotations

#: A URL that was typed, or opened from a bookmark.
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
}
#: A link or a form of another site, for example of the provider.
FROM_ANOTHER_SITE = NAVIGATION | {"Sec-Fetch-Site": "cross-site"}
#: A link or a form of the site's own.
FROM_THE_SITE = NAVIGATION | {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
#: The same with the two headers that matter.
FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
#: A request of a script, which wants JSON.
SCRIPT = {"Accept": "application/json"}
