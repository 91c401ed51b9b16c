"""The app that a command is about, and where its site is."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import click
from flask import Flask, current_app, has_app_context
from flask.cli import ScriptInfo

from ..errors import ConfigError, LoginError
from ..protocol.client import ClientConfig
from ..protocol.urls import check_endpoint, is_loopback
from ..provider import Provider
from ..runtime import EXTENSION, Runtime, current_runtime
from ..web.own_urls import url_at

P = ParamSpec("P")
R = TypeVar("R")

NO_PARJAR = "This Flask app has no ParJar: call parjar.init_app(app) in it"

#: The names of this machine under which a site on it is opened.
_NAMES_OF_THIS_MACHINE = ("127.0.0.1", "localhost")


def load_app(context: click.Context) -> Flask:
    """Load the app of the command, and enter its context until the command ends.

    :raises ConfigError: the app cannot be made, because its configuration has faults.
    :raises click.UsageError: there is no app, or it has no ParJar.
    """
    if not has_app_context():
        loaded = context.ensure_object(ScriptInfo).load_app()
        context.with_resource(loaded.app_context())
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if EXTENSION not in app.extensions:
        raise click.UsageError(NO_PARJAR)
    return app


def with_app(command: Callable[P, R]) -> Callable[P, R]:
    """Run a command in the context of the app; faults of its configuration are shown as they are.

    Flask's own ``with_appcontext`` would show them below a traceback.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            load_app(click.get_current_context())
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
        return command(*args, **kwargs)

    return run


def check_site(context: click.Context, option: click.Parameter, site: str | None) -> str | None:
    """Check the option ``--site``.

    :raises click.BadParameter: it is no URL.
    """
    if site is None:
        return None
    try:
        return check_endpoint(site, allow_http=True).rstrip("/")
    except ValueError as exc:
        raise click.BadParameter(
            f"it is {site}, {exc}: write a whole URL, such as http://127.0.0.1:5000"
        ) from exc


def site_on_this_machine() -> str:
    """Where ``flask run`` serves the site."""
    return f"http://127.0.0.1:{os.environ.get('FLASK_RUN_PORT') or 5000}"


def with_both_names(site: str) -> list[str]:
    """The URLs at which a site is opened: on this machine, also under the other name of it."""
    parts = urlsplit(site)
    if parts.hostname not in _NAMES_OF_THIS_MACHINE:
        return [site]
    others = [name for name in _NAMES_OF_THIS_MACHINE if name != parts.hostname]
    port = "" if parts.port is None else f":{parts.port}"
    return [site, *(parts._replace(netloc=f"{name}{port}").geturl() for name in others)]


def site_of(app: Flask, client: ClientConfig, *, site: str | None) -> str:
    """Where a site is: as the option says, or PARJAR_REDIRECT_URI, or on this machine.

    :param site: the value of the option ``--site``.
    """
    if site is not None:
        return site
    if client.redirect_uri is None:
        return site_on_this_machine()
    at_the_root = url_at(app, "parjar.callback", client.name, site="http://root")
    return client.redirect_uri.removesuffix(at_the_root.removeprefix("http://root"))


def is_site_known(client: ClientConfig, site: str | None) -> bool:
    """Whether the address of a site is written somewhere, or it is assumed to be this machine."""
    return site is not None or client.redirect_uri is not None


def runtime_of(app: Flask) -> Runtime:
    """The runtime of an app that has a ParJar."""
    runtime: Runtime = app.extensions[EXTENSION]
    return runtime


def is_on_this_machine(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def chosen_providers(name: str | None) -> list[Provider]:
    """The provider of the option ``--provider``, or all.

    :raises click.UsageError: there is none of that name.
    """
    runtime = current_runtime()
    if name is None:
        return list(runtime.providers.values())
    try:
        return [runtime.provider(name)]
    except LoginError as error:
        raise click.UsageError(
            f"there is no provider {name!r}; there are: {', '.join(runtime.providers)}"
        ) from error
