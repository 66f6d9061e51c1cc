"""`pager admin`: ways back in for whoever has lost a password, or the phone with its codes."""

from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.settings import Settings
from libs.contracts.addresses import one_address

admin = typer.Typer(name="admin", no_args_is_help=True, help="Accounts, for whoever runs this installation.")


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
    address, is_first = _whose(settings, email, "password")
    password = secrets_file.new_password()
    ended = asyncio.run(
        reset(settings, secrets_file.master_keys(settings.home, settings.environment), address, password)
    )
    secrets_file.remember_password(settings.home, address, password, is_admin=is_first)
    if as_json:
        print_json({"email": address, "password": password, "sessionsEnded": ended})
        return
    console().print(f"{address} signs in with {password}; sessions ended: {ended}")
    if is_first and settings.environment.get("PAGER_ADMIN_PASSWORD"):
        console().print("PAGER_ADMIN_PASSWORD is another one: it counted when the account was made, and never again.")


@admin.command("remove-second-factor")
def remove_second_factor(
    email: Annotated[str | None, typer.Argument(help="Whose; the first admin's by default.")] = None,
    as_json: Json = False,
) -> None:
    """Let somebody who has lost their phone and recovery codes sign in with their password alone; their sessions end.

    Works while Pager runs, and while it does not.

    For example: pager admin remove-second-factor ana@example.org
    """
    import asyncio

    from cli.reach.accounts import take_second_factor
    from cli.stack import secrets_file

    settings = Settings.from_environment()
    address, _ = _whose(settings, email, "second factor")
    ended = asyncio.run(
        take_second_factor(settings, secrets_file.master_keys(settings.home, settings.environment), address)
    )
    if as_json:
        print_json({"email": address, "sessionsEnded": ended})
        return
    console().print(f"{address} signs in with their password alone; sessions ended: {ended}")


def _whose(settings: Settings, email: str | None, what: str) -> tuple[str, bool]:
    """An address, and whether it is the first admin's, whose it is where none is given. Raises `Failure`."""
    from cli.stack import secrets_file

    first = one_address(secrets_file.admin_email(settings.home, settings.environment))
    if email is not None and not email.strip():
        raise Failure(f"whose {what}? the address is empty", USAGE)
    address = first if email is None else one_address(email)
    return address, address == first
