"""What an app can listen to, with blinker. The sender of each is the Flask app.

No signal carries a secret whole: tokens, codes, states, nonces and keys arrive cut short, so that a
receiver may log or show everything it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from blinker import NamedSignal, Namespace

log: logging.Logger = logging.getLogger("flask_parjar")

_signals: Namespace = Namespace()

#: A request was signed and pushed, and the browser is about to leave.
#: ``provider``, ``request_object`` (``header``, ``claims``; None where it is not signed),
#: ``redirect`` (``url``, ``parameters``).
login_started: NamedSignal = _signals.signal("login-started")

#: Somebody is logged in and the new session exists. ``identity``, ``response`` (the callback's
#: parameters), ``id_token`` (``header``, ``claims``), ``checks`` (a sentence for each proof).
logged_in: NamedSignal = _signals.signal("logged-in")

#: A login ended in an error, perhaps much later: when its tokens could not be renewed.
#: ``provider`` (a name or None), ``error`` (a `ParJarError`), ``response`` (the callback's
#: parameters; empty where it did not come to them).
login_failed: NamedSignal = _signals.signal("login-failed")

#: Somebody logged out of this site. ``identity``.
logged_out: NamedSignal = _signals.signal("logged-out")

#: Tokens were renewed without a login. ``identity``.
tokens_refreshed: NamedSignal = _signals.signal("tokens-refreshed")

#: The provider was called. ``provider``, ``endpoint``, ``url`` (without query), ``status`` (or
#: None), ``milliseconds``, ``sent``, ``received``, ``error`` (a code or None).
provider_called: NamedSignal = _signals.signal("provider-called")


def tell(signal: NamedSignal, sender: Any, said: Mapping[str, Any]) -> None:
    """Send a signal that only observes: a receiver that fails is logged, and stops nobody."""
    try:
        signal.send(sender, **said)
    except Exception:
        log.exception("a receiver of the signal %s failed", signal.name)
