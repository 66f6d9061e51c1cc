"""`pager reset`: forgets everything."""

from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import print_json
from cli.embedded.errors import StartError
from cli.settings import Settings


def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, as_json: Json = False) -> None:
    """Erase PAGER_HOME with everything in it."""
    home = Settings.from_environment().home
    if not home.path.is_dir():
        if as_json:
            print_json({"home": str(home.path), "erased": False})
        return
    if not (home.lock_file.exists() or home.credentials_file.exists()):
        raise Failure(f"PAGER_HOME: {home.path} is not a folder that Pager made; nothing was erased", USAGE)
    try:
        with home.hold():  # before the question: who runs here must be stopped first
            pass
    except StartError as error:
        raise Failure(str(error)) from None
    if not yes and (as_json or not typer.confirm(f"Erase {home.path} with all alerts, incidents and people?")):
        raise Failure("nothing was erased" + ("; --json needs --yes" if as_json else ""), USAGE)
    home.erase()
    if as_json:
        print_json({"home": str(home.path), "erased": True})
