"""Which routes of an app no guard protects, and which guards are never called.

A decorator above ``@app.get`` gets the view after Flask has registered it: the guard that it makes
is never called, and nothing else shows it. So a guard leaves a mark on itself and on its view.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from .own_urls import OWN_ENDPOINTS

_IS_GUARD = "_parjar_is_guard"
_NEEDS_STORE = "_parjar_needs_store"
_GUARDS = "_parjar_guards"  # on a view: the guards that were made of it

AnyView = Callable[..., Any]


def mark_guard(guard: AnyView, view: AnyView, *, needs_store: bool = False) -> None:
    """Mark a guard, and the view that it was made of.

    :param needs_store: whether the guard reads the tokens, and so needs PARJAR_STORE.
    """
    setattr(guard, _IS_GUARD, True)
    setattr(guard, _NEEDS_STORE, needs_store)
    with contextlib.suppress(AttributeError):  # a bound method can have no mark
        setattr(view, _GUARDS, [*_attributes(view).get(_GUARDS, ()), guard])


def unguarded_routes(app: Flask) -> list[Rule]:
    """The routes of an app that no guard protects, without our own."""
    return [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in OWN_ENDPOINTS
        and not any(_is_guarded(each) for each in _called_for(app, rule.endpoint))
    ]


def uncalled_guards(app: Flask) -> Iterator[str]:
    """Describe each route that has a guard which is never called, because it is above the route."""
    called = {
        id(each)
        for endpoint in app.view_functions
        for first in _called_for(app, endpoint)
        for each in _unwrapped(first)
    }
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        marked = [_attributes(each) for each in _unwrapped(view)]
        guards = [guard for each in marked for guard in each.get(_GUARDS, ())]
        if guards and not any(id(guard) in called for guard in guards):
            yield (
                f"{rule.rule} ({rule.endpoint}) is not protected: its guard is above the decorator "
                "of the route, so it is never called. Write the guard below, next to the function"
            )


def guards_that_need_a_store(app: Flask) -> Iterator[str]:
    """Describe each route with a guard that reads the tokens, for an app that stores none."""
    for rule in app.url_map.iter_rules():
        called = _called_for(app, rule.endpoint)
        if any(_attributes(each).get(_NEEDS_STORE) for first in called for each in _views(first)):
            yield (
                f"{rule.rule} ({rule.endpoint}) has a guard that reads the tokens "
                "(@authorization_details_required), and PARJAR_STORE is not set: each request "
                "there ends with an error. Set it to redis://… or cookie"
            )


def _views(called: AnyView) -> Iterator[AnyView]:
    """A function and what it wraps, and the methods of a MethodView."""
    yield from _unwrapped(called)
    view_class = _attributes(called).get("view_class")
    methods: Iterable[str] = getattr(view_class, "methods", None) or ()
    for name in methods:
        yield from _unwrapped(getattr(view_class, name.lower(), None))


def _called_for(app: Flask, endpoint: str) -> Iterator[AnyView]:
    """What Flask calls for a route: the view, and the functions before it."""
    yield from app.before_request_funcs.get(None, ())
    blueprint, _, _ = endpoint.rpartition(".")
    while blueprint:  # a nested blueprint is within its parents
        yield from app.before_request_funcs.get(blueprint, ())
        blueprint = blueprint.rpartition(".")[0]
    view = app.view_functions.get(endpoint)
    if view is not None:
        yield view


def _is_guarded(called: AnyView) -> bool:
    if any(_IS_GUARD in _attributes(each) for each in _unwrapped(called)):
        return True
    # The methods of a MethodView may each have their own guard.
    view_class = _attributes(called).get("view_class")
    methods: Iterable[str] = getattr(view_class, "methods", None) or ()
    views = [getattr(view_class, name.lower(), None) for name in methods]
    return bool(views) and all(view is not None and _is_guarded(view) for view in views)


def _unwrapped(called: AnyView | None) -> Iterator[AnyView]:
    """A function, and what it wraps as `functools.wraps` records it."""
    while called is not None:
        yield called
        called = _attributes(called).get("__wrapped__")


def _attributes(called: AnyView) -> Mapping[str, Any]:
    """The attributes of a function itself; a proxy or a mock could make up any other."""
    attributes: Mapping[str, Any] = getattr(called, "__dict__", {})
    return attributes
