"""`pager admin reset-password [EMAIL]`: a way back in for whoever has lost a password."""

from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.settings import Settings
from libs.contracts.addresses import one_address

admin = typer.Typer(name="admin", no_args_is_help=True, help="Accounts, for whoever runs this installation.")


@admin.callback()
def _group() -> None:
    """With one command alone, its name would not be needed."""


@admin.command("reset-password")
def reset_password(
    email: Annotated[str | None, typer.Argument(help="Whose; the first admin's by default.")] = None,
    as_json: Json = False,
) -> None:
    """Give somebody a new password and show it; all their sessions end, and their devices are paged as before.

    Works while Pager runs, and while it does not.

    For example: pager admin reset-password ana@example.org
    """
    import asyncio

    from cli.reach.accounts import reset_password as reset
    from cli.stack import secrets_file

    settings = Settings.from_environment()
    known = secrets_file.admin_email(settings.home, settings.environment)
    if email is not None and not email.strip():
        raise Failure("whose password? the address is empty", USAGE)
    address, password = one_address(known if email is None else email), secrets_file.new_password()
    is_first = address == one_address(known)
    ended = asyncio.run(reset(settings, address, password))
    secrets_file.remember_password(settings.home, address, password, is_admin=is_first)
    if as_json:
        print_json({"email": address, "password": password, "sessionsEnded": ended})
        return
    console().print(f"{address} signs in with {password}; sessions ended: {ended}")
    if is_first and settings.environment.get("PAGER_ADMIN_PASSWORD"):
        console().print("PAGER_ADMIN_PASSWORD is another one: it counted when the account was made, and never again.")
