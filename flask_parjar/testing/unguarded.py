"""A check for tests: each page of an app has a guard, or was meant to be public."""

from __future__ import annotations

from collections.abc import Collection

from flask import Flask

from ..web.unguarded import uncalled_guards, unguarded_routes


def assert_no_unguarded_routes(app: Flask, *, public: Collection[str] = ()) -> None:
    """Check that every route of an app has a guard, but for those that are meant to be public.

    A guard counts where ``parjar.unguarded_routes()`` counts it. Our own routes need none. Call it
    when all routes are registered.

    :param public: the endpoints of the public routes, such as ``"static"``
    :raises AssertionError: a route has no guard; or an endpoint of `public` has one, or does not
        exist. The message lists them all
    """
    unguarded = unguarded_routes(app)
    faults = [
        f"{rule.rule} ({rule.endpoint}) has no guard: write one below the decorator of the route, "
        f"such as @login_required; or write {rule.endpoint!r} into public="
        for rule in unguarded
        if rule.endpoint not in public
    ]
    faults += uncalled_guards(app)
    faults += [
        f"leave {endpoint!r} out of public=: it "
        + ("has a guard, or needs none" if endpoint in app.view_functions else "does not exist")
        for endpoint in sorted({*public} - {rule.endpoint for rule in unguarded})
    ]
    if faults:
        raise AssertionError("\n".join([f"the routes of {app.name!r}:", *faults]))
