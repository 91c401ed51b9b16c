"""``flask parjar keys``: our keys on disk. Each one is published before it is used, and after."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ParamSpec

import click

from ..protocol import rotation
from ..web.views import public_jwks
from .key_file import KeyFileError, change_key_file, create_key_file, read_key_file
from .site import with_app

P = ParamSpec("P")

_A_DAY = 86400
_PATH = click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
_ALL_KINDS = tuple(dict.fromkeys(kind for kinds in rotation.KINDS.values() for kind in kinds))
_KIND = click.option(
    "--type",
    "kind",
    type=click.Choice(_ALL_KINDS, case_sensitive=False),
    help="RSA signs PS256 or RS256, P-256 signs ES256, Ed25519 signs EdDSA; X25519 decrypts.",
)


def _in_plain_words(command: Callable[P, None]) -> Callable[P, None]:
    """Show what is wrong with a file as one sentence."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyFileError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group("keys")
def keys() -> None:
    """Make keys and replace them, in a file that PARJAR_SIGNING_KEY or PARJAR_ENCRYPTION_KEY names.

    These commands need no app: a site that has no key yet cannot start.
    """


@keys.command("new")
@_PATH
@_KIND
@click.option(
    "--use",
    type=click.Choice(list(rotation.KINDS)),
    default=rotation.SIGNATURES,
    show_default=True,
    help="sig for keys that sign, enc for keys that decrypt.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Use the key of this file (PEM or JWK) as the active one, and do not make another.",
)
@click.option("--kid", help="The kid that the provider gave to the key, in place of a digest.")
@_in_plain_words
def new(path: Path, *, kind: str | None, use: str, source: Path | None, kid: str | None) -> None:
    """Write a new key to PATH, for its owner alone; never over another file.

    The file is a JWK Set with an active key and the next one, which can be rotated. If its name
    ends with .pem, it is one key as PEM, which cannot.
    """
    kind = kind or rotation.KINDS[use][0]
    if kind not in rotation.KINDS[use]:
        raise click.UsageError(f"--use {use} takes --type {', '.join(rotation.KINDS[use])}")
    if source is None:
        active = rotation.new_key(kind, use)
    else:
        active = _read(source, lambda text: rotation.imported_key(text, use))
    if kid is not None:
        active["kid"] = kid
    if path.suffix.lower() == ".pem":
        if kid is not None:
            raise click.UsageError("a PEM has no kid: choose another name, such as keys.json")
        create_key_file(path, rotation.private_pem(active))
        click.echo(f"{path}: {kind}, kid {active['kid']}")
        return
    jwks = rotation.new_set(active, kind=kind, now=int(time.time()))
    create_key_file(path, _text(jwks))
    _show(jwks)


@keys.command("list")
@_PATH
@_in_plain_words
def list_keys(path: Path) -> None:
    """List the keys of a file, with their states and since when they have them (UTC)."""
    _show(_read(path, rotation.parse_set))


@keys.command("public")
@_PATH
@click.option("--pem", is_flag=True, help="The key that is used, as PEM.")
@_in_plain_words
def public(path: Path, *, pem: bool) -> None:
    """Write the public halves of the keys of a file: what a provider may see.

    PATH may also be a PEM or a JWK that was made elsewhere.
    """
    if pem:
        click.echo(_read(path, rotation.public_pem), nl=False)
    else:
        click.echo(_text(_read(path, rotation.public_set)), nl=False)


@keys.command("rotate")
@_PATH
@_KIND
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=_A_DAY,
    show_default=True,
    help="Seconds for which the next key must have been published: as long as the provider keeps "
    "our keys before it fetches them again.",
)
@_in_plain_words
def rotate(path: Path, *, kind: str | None, after: int) -> None:
    """Use the next key from now on, and publish a new next one.

    Processes that run follow within seconds, without a restart.
    """
    _change(path, lambda jwks, now: rotation.rotate(jwks, kind=kind, after=after, now=now))


@keys.command("prune")
@_PATH
@click.option(
    "--older-than",
    type=click.IntRange(min=0),
    default=7 * _A_DAY,
    show_default=True,
    help="Seconds since they were retired.",
)
@_in_plain_words
def prune(path: Path, *, older_than: int) -> None:
    """Remove keys that were retired some time ago: they are not published any more."""
    _change(path, lambda jwks, now: rotation.prune(jwks, older_than=older_than, now=now))


@click.command("jwks")
@with_app
def jwks() -> None:
    """Write the JWK Set that this app publishes: for a provider that does not fetch it."""
    click.echo(_text(public_jwks()), nl=False)


def _change(path: Path, change: Callable[[dict[str, Any], int], dict[str, Any]]) -> None:
    changed: dict[str, Any] = {}

    def new_text(text: str) -> str:
        changed.update(_parsed(path, text, lambda old: change(_set(old), int(time.time()))))
        return _text(changed)

    change_key_file(path, new_text)
    _show(changed)


def _set(text: str) -> dict[str, Any]:
    try:
        return rotation.parse_set(text)
    except ValueError as exc:
        raise ValueError(
            f"{exc}; make a file that can be rotated from it: flask parjar keys new keys.json "
            "--from THIS-FILE"
        ) from exc


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    return _parsed(path, read_key_file(path), parse)


def _parsed(path: Path, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as exc:
        raise KeyFileError(f"{path}: {exc}") from exc


def _text(jwks: dict[str, Any]) -> str:
    return json.dumps(jwks, indent=2) + "\n"


def _show(jwks: dict[str, Any]) -> None:
    for key in rotation.states(jwks):
        since = datetime.fromtimestamp(key.since, timezone.utc)
        click.echo(f"{key.state:<8} {since:%Y-%m-%d %H:%M:%S}  {key.use}  {key.kind:<7}  {key.kid}")
