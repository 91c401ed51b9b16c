"""The commands of ``flask parjar …``, for operators and developers. Each one has its own file."""

from __future__ import annotations

from flask.cli import AppGroup

from .dev_provider import dev_provider
from .doctor import doctor
from .keys import jwks, keys
from .register import register
from .sessions import list_sessions

parjar_cli: AppGroup = AppGroup(
    "parjar", help="Log in with signed and pushed OpenID Connect requests."
)
parjar_cli.add_command(dev_provider)
parjar_cli.add_command(doctor)
parjar_cli.add_command(jwks)
parjar_cli.add_command(keys)
parjar_cli.add_command(register)
parjar_cli.add_command(list_sessions)
