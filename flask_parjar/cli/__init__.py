"""The commands of ``flask parjar …``, for operators and developers. Each one has its own file."""

from __future__ import annotations

from importlib import import_module

import click
from flask.cli import AppGroup

#: Where each command is: its file, and its name there.
_COMMANDS = {
    "dev-provider": ("dev_provider", "dev_provider"),
    "doctor": ("doctor", "doctor"),
    "jwks": ("keys", "jwks"),
    "keys": ("keys", "keys"),
    "register": ("register", "register"),
    "sessions": ("sessions", "list_sessions"),
}


class _Commands(AppGroup):
    """Imports a command when it is called: a site that serves pages needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        file, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{file}", __package__), name)
        return command


parjar_cli: AppGroup = _Commands(
    "parjar", help="Log in with signed and pushed OpenID Connect requests."
)
