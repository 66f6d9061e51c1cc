"""`pager reset`: forgets everything."""

from cli.commands.options import Json, Yes
from cli.console.asking import agree
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.embedded.belongings import is_ours
from cli.embedded.errors import StartError
from cli.settings import Settings


def reset(yes: Yes = False, as_json: Json = False) -> None:
    """Erase what Pager keeps in PAGER_HOME; what somebody else has put there stays.

    Servers elsewhere are left alone.

    For example: pager reset --yes
    """
    settings = Settings.from_environment()
    home = settings.home
    if not home.path.is_dir():
        if as_json:
            print_json({"home": str(home.path), "erased": False, "left": []})
        else:
            console().print(f"nothing here: there is no {home.path}")
        return
    if not is_ours(home.path):
        raise Failure(f"PAGER_HOME: {home.path} is not a folder that Pager made; nothing was erased", USAGE)
    try:
        with home.hold():  # before the question: who runs here must be stopped first
            pass
    except StartError as error:
        raise Failure(str(error)) from None
    what = "all alerts, incidents and people"
    if settings.database_url is not None:
        what = "its keys and passwords, without which the database at PAGER_DATABASE_URL cannot be used again"
    agree(f"Erase Pager's home {home.path}: {what}?", yes=yes, as_json=as_json, otherwise="nothing was erased")
    left = home.erase()
    if as_json:
        print_json({"home": str(home.path), "erased": True, "left": left})
    elif left:
        console().print(f"left in {home.path}, as Pager has not made it: {', '.join(left)}")
