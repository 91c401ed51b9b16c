"""``flask parjar doctor``: what will work, what will fail, and what to write."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import click
from flask import Flask
from flask.cli import ScriptInfo

from ..errors import ConfigError
from ..provider import Provider
from .app_checks import check_app_wide, check_site_of_provider
from .findings import FAULT, Finding, as_json, as_table, has_faults
from .provider_checks import check_provider
from .push_check import check_push
from .second_load import check_second_load
from .site import check_site, chosen_providers, load_app


@click.command("doctor")
@click.option(
    "--site",
    callback=check_site,
    help="Where this app is opened in a browser, if PARJAR_REDIRECT_URI is not set.",
)
@click.option("--provider", "name", help="This provider alone, by its name in PARJAR_PROVIDERS.")
@click.option("--push", is_flag=True, help="Sign a real request and push it to the provider.")
@click.option("--json", "for_program", is_flag=True, help="Write JSON, for a program.")
@click.pass_context
def doctor(
    context: click.Context, *, site: str | None, name: str | None, push: bool, for_program: bool
) -> None:
    """Say what will work, what will fail and why, and what to write.

    It reads the configuration, the keys, the routes of the app, and the metadata and the keys of
    each provider. The exit code is 0 if all is well, also with warnings; 1 if something will fail;
    2 if the command is used wrongly.
    """
    try:
        app = load_app(context)
    except ConfigError as error:
        findings = list(_of_configuration(error))
    else:
        findings = [*check_app_wide(app), *check_second_load(context.find_object(ScriptInfo), app)]
        for provider in chosen_providers(name):
            findings.extend(_check(app, provider, site=site, push=push))
    if for_program:
        click.echo(json.dumps(as_json(findings), indent=2))
    else:
        for line in as_table(findings):
            click.echo(line)
    context.exit(1 if has_faults(findings) else 0)


def _of_configuration(error: ConfigError) -> Iterator[Finding]:
    for fault in error.faults:
        yield Finding(severity=FAULT, about="app", subject="configuration", found=fault)


def _check(app: Flask, provider: Provider, *, site: str | None, push: bool) -> Iterator[Finding]:
    now = int(time.time())
    found = list(check_provider(provider, now=now))
    yield from found
    yield from check_site_of_provider(app, provider.client, site=site)
    if push and not has_faults(found):  # else it would only fail in the same way
        yield check_push(app, provider, site=site, now=now)
