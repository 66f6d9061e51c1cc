"""`pager demo`: an alert becomes a page, escalates and is acknowledged, before your eyes."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import STOPPED, Failure
from cli.console.output import console, json_line
from cli.embedded.home import Home


def demo(
    home: Annotated[Path | None, typer.Option(help="Keep the data in this folder; else they are erased.")] = None,
    as_json: Json = False,
) -> None:
    """Show an alert become a page, escalate and be acknowledged; about twenty seconds.

    For example: pager demo
    """
    from contextlib import nullcontext

    from cli.demo.ending import APP, Ended, show
    from cli.demo.playing import demo_settings, play
    from cli.demo.view import DemoView, JsonView, PlainView, RichView
    from cli.stack.interrupt import run_until_signal

    out = console()
    view: DemoView = JsonView() if as_json else RichView(out) if out.is_terminal else PlainView()
    ended: list[Ended] = []
    with Home.temporary() if home is None else nullcontext(Home(home)) as place, view:

        async def run() -> None:
            ended.append(await play(demo_settings(place), view))

        if run_until_signal(run()):
            raise Failure("stopped", STOPPED)
    if as_json:
        json_line(
            {
                "timeline": ended[0].timeline,
                "explanation": ended[0].explanation,
                "steps": vars(ended[0].told),
                "app": APP,
            }
        )
    else:
        show(ended[0])
