"""`pager epoch [begin]`: the epochs of the logs (promise 6)."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.options import Json, Yes
from cli.console.asking import agree
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.settings import Settings

if TYPE_CHECKING:
    from cli.reach.epochs import LogEnd

epochs = typer.Typer(
    name="epoch", invoke_without_command=True, help="Epochs of the logs: one begins where a restore has cut a log."
)
_REASON = 1000


@epochs.callback()
def show_epochs(context: typer.Context, as_json: Json = False) -> None:
    """Show each log's epochs: after which position each began, when and why."""
    if context.invoked_subcommand is not None:
        return
    import asyncio

    from cli.reach.epochs import logs

    found = asyncio.run(logs(Settings.from_environment()))
    if as_json:
        print_json({"logs": [_document(log) for log in found]})
        return
    rows = [
        (log.service, e.number, e.after, f"{e.begun_at:%Y-%m-%d %H:%M:%S}Z", e.reason)
        for log in found
        for e in log.epochs.all
    ]
    console().print(table(None, ("service", "epoch", "after position", "begun", "why"), rows))


@epochs.command("begin")
def begin_epoch(
    service: Annotated[str, typer.Argument(help="Whose log.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    after: Annotated[
        int | None, typer.Option(help="The last position that is as it always was; the log's end by default.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Begin a new epoch of a log: whoever has read further goes back to where it begins.

    For example: pager epoch begin incidents --after 4711 --reason "restored from the 02:00 backup"
    """
    import asyncio

    from cli.reach.epochs import begin, logs
    from libs.contracts.subjects import SERVICES

    settings = Settings.from_environment()
    if service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    if not 1 <= len(reason.strip()) <= _REASON:
        raise Failure(f"--reason: say why, in at most {_REASON} characters", USAGE)
    (log,) = asyncio.run(logs(settings, (service,)))
    place = log.end if after is None else after
    if not 0 <= place <= log.end:
        raise Failure(f"--after: {place} is no position of {service}: its log ends at {log.end}", USAGE)
    if not (yes or as_json):
        _show(log, place)
    question = f"Begin epoch {log.next_number} of {service} after position {place}?"
    agree(question, yes=yes, as_json=as_json, otherwise="no epoch was begun")
    asyncio.run(begin(settings, log, place, reason.strip()))
    (log,) = asyncio.run(logs(settings, (service,)))
    if as_json:
        print_json(_document(log))
    else:
        console().print(f"epoch {log.epochs.current.number} of {service} has begun after position {place}")


def _show(log: "LogEnd", place: int) -> None:
    """What the question is about: who has read how far, and who goes back."""
    rows = [
        (r.service, r.lane, r.epoch, r.position, "goes back" if r.position > place else "goes on") for r in log.readers
    ]
    title = f"{log.service}: the log ends at {log.end}, in epoch {log.epochs.current.number}"
    console().print(table(title, ("reader", "lane", "epoch", "position", "then"), rows))


def _document(log: "LogEnd") -> dict[str, Any]:
    return {
        "service": log.service,
        "end": log.end,
        "epochs": [
            {"epoch": e.number, "afterPosition": e.after, "begunAt": e.begun_at, "reason": e.reason}
            for e in log.epochs.all
        ],
        "readers": [vars(reader) for reader in log.readers],
    }
