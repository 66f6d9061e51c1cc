"""`pager keys list|rotate|rotate-master|rotate-sealing`: the keys that sign access tokens, and those that seal."""

from typing import Annotated, Any

import typer

from cli.commands.options import Json, Yes
from cli.console.asking import agree
from cli.console.output import console, print_json, table
from cli.settings import Settings

keys = typer.Typer(
    name="keys", no_args_is_help=True, help="Keys that sign access tokens, and the master key that seals secrets."
)
_COMPROMISED = (
    "Believe nothing that was signed before: all access tokens end now, no session does. Is the key compromised?"
)


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show which key signs, which verify, and since when; never a key itself.

    For example: pager keys list
    """
    found = _asked("signing_keys", {})
    if as_json:
        print_json(found)
    else:
        _show(found)


@keys.command("rotate")
def rotate_keys(
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody else has the key: end it now, with all access tokens.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make the next signing key before its time. It signs once everybody has heard of it; nobody is signed out.

    For example: pager keys rotate
    """
    if compromised:
        agree(_COMPROMISED, yes=yes, as_json=as_json, otherwise="no key was replaced")
    found = _asked("rotate_keys", {"compromised": compromised})
    if as_json:
        print_json(found)
        return
    _show(found)
    if not found["rotated"]:
        console().print("the next key is on its way already: none was made")


@keys.command("rotate-master")
def rotate_master(as_json: Json = False) -> None:
    """Replace the home's master key while Pager runs; called again, it goes on where it was interrupted.

    For example: pager keys rotate-master
    """
    import asyncio

    from cli.stack.master_key import replace_master_key

    done = asyncio.run(replace_master_key(Settings.from_environment()))
    if as_json:
        print_json({"made": done.made, "finished": done.finished})
    elif done.finished:
        console().print("everything is sealed by the new master key; the one before is needed for older backups only")
    else:
        console().print("a new master key is kept beside the one before; the next start seals everything by it")
        console().print("call this again then: it takes the one before away")


@keys.command("rotate-sealing")
def rotate_sealing(
    finish: Annotated[
        bool, typer.Option("--finish", help="Every replica has run with both for a minute: forget those before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replace the secrets under which the services other than auth keep keys of persons; they take it when they start.

    For example: pager keys rotate-sealing
    """
    from cli.stack.secrets_file import forget_previous_sealing_keys, replace_sealing_keys

    home = Settings.from_environment().home
    done = forget_previous_sealing_keys(home) if finish else replace_sealing_keys(home)
    if as_json:
        print_json({"made": done and not finish, "finished": done and finish})
    elif finish:
        console().print("those before are forgotten" if done else "there are none from before")
    elif done:
        console().print(
            "new ones are kept beside those before: start the services again, then: … rotate-sealing --finish"
        )
    else:
        console().print("they were replaced already: … rotate-sealing --finish, once every replica has both")


def _asked(operation: str, body: dict[str, Any]) -> Any:
    import asyncio

    from cli.reach.bus import ask, connected
    from cli.reach.running import operator_url

    async def answer() -> Any:
        async with connected(operator_url(Settings.from_environment())) as client:
            return await ask(client, "auth", operation, body, timeout=30.0)

    return asyncio.run(answer())


def _show(found: dict[str, Any]) -> None:
    rows = [(key["use"], key["kid"], _moment(key["notBefore"]), _moment(key.get("notAfter"))) for key in found["keys"]]
    console().print(table(None, ("use", "key", "signs from", "verifies until"), rows))
    console().print(f"next rotation: {_moment(found['nextRotation'])}")
    master = found["masterKey"]
    if others := master["sealedByOthers"]:
        console().print(f"secrets that another master key than {master['name']} has sealed: {others}")
    if waits_for := master.get("waitsFor"):
        console().print(f"they are sealed anew when these have it too: {', '.join(waits_for)}")


def _moment(text: str | None) -> str:
    return f"{text[:10]} {text[11:19]}Z" if text else ""
