"""`pager reset`: forgets everything."""

from collections.abc import Callable

from cli.console.failure import USAGE, Failure
from cli.console.output import print_json
from cli.embedded.errors import StartError
from cli.settings import Settings


def reset(settings: Settings, *, sure: bool, as_json: bool, confirm: Callable[[str], bool]) -> None:
    """Erase the home with all its data. Raises `Failure` while it is in use, or without a confirmation."""
    home = settings.home
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
    if not sure and (as_json or not confirm(f"Erase {home.path} with all alerts, incidents and people?")):
        raise Failure("nothing was erased" + ("; --json needs --yes" if as_json else ""), USAGE)
    home.erase()
    if as_json:
        print_json({"home": str(home.path), "erased": True})
