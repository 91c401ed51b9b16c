"""Everybody who takes part, and the proof that they log people in and keep the others out."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass, field

from flask import Flask

from tests.benchmark.contract import Competitor, Registration
from tests.benchmark.drive import Visitor
from tests.benchmark.floor import FLOOR
from tests.benchmark.ours import OURS
from tests.benchmark.stub import SUBJECT

_PEERS = {
    "flask_pyoidc": "FLASK_PYOIDC",
    "requests_oauth2client": "REQUESTS_OAUTH2CLIENT",
    "authlib_flask": "AUTHLIB",
    "authlib_glued": "AUTHLIB_GLUED",
}


def competitors() -> tuple[list[Competitor], list[str]]:
    """Those that can be imported, the floor first; and a sentence for each that cannot."""
    found, missing = [FLOOR, OURS], []
    for module, name in _PEERS.items():
        try:
            peer = getattr(importlib.import_module(f"tests.benchmark.peers.{module}"), name)
        except ImportError as exc:
            missing.append(f"{module} takes no part: {type(exc).__name__}: {exc}")
        else:
            found.append(peer)
    return found, missing


@dataclass(kw_only=True)
class Entrant:
    """A competitor with the app that it made, checked.

    :param failure: why it takes no part; empty where it does.
    :param accepts: the faults that it let through.
    """

    competitor: Competitor
    app: Flask
    failure: str = ""
    accepts: list[str] = field(default_factory=list)

    @property
    def does_less(self) -> str:
        """What it leaves out of our login, and what it lets through."""
        said = [self.competitor.does_less] if self.competitor.does_less else []
        return ", ".join(said + [f"ACCEPTS A BAD {fault.upper()}" for fault in self.accepts])


def enter(competitor: Competitor, registration: Registration) -> Entrant:
    """Make a competitor's app, and see it log somebody in and refuse what it must."""
    logging.disable(logging.CRITICAL)  # each refusal is an error to somebody, with a traceback
    try:
        entrant = Entrant(competitor=competitor, app=competitor.make_app(registration))
        entrant.failure = _fault_of_a_good_login(entrant.app)
        if not entrant.failure:
            entrant.accepts = [fault for fault in CHECKS if not _refuses(entrant.app, fault)]
        return entrant
    except Exception as exc:  # a peer may fail in any way: the table says how
        return Entrant(
            competitor=competitor, app=Flask("none"), failure=f"{type(exc).__name__}: {exc}"
        )
    finally:
        logging.disable(logging.NOTSET)


#: What everybody must refuse. ``state``: an answer to a login that another browser began.
CHECKS = ("nonce", "signature", "state")


def _fault_of_a_good_login(app: Flask) -> str:
    for _ in range(2):  # the second one has nothing left to fetch
        visitor = Visitor(app)
        answer = visitor.log_in()
        if not (who := visitor.get("/who").body).startswith(SUBJECT.encode()):
            return f"no login: {answer.status}, {who!r:.80}"
    return ""


def _refuses(app: Flask, fault: str) -> bool:
    visitor = Visitor(app)
    if fault == "state":
        visitor.leave()  # a login of its own is under way
        visitor.get("/callback", Visitor(app).way_back())
    else:
        visitor.log_in(fault)
    return not visitor.get("/who").body.startswith(SUBJECT.encode())
