"""`pager explain INCIDENT`: why each person was paged or not, from the running service or from the logs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.naming import ids_in, with_names
from cli.console.output import console, print_json, table
from cli.reach.running import operator_url
from cli.settings import Settings

if TYPE_CHECKING:
    from libs.contracts.incidents import IncidentExplained

_STYLE: Final = {"paged": "green", "not_paged": "yellow", "suppressed": "cyan", "unreachable": "bold red"}


class WhereName(StrEnum):
    """Who explains: the service when it runs, else its logic on the logs."""

    AUTO = "auto"
    SERVICE = "service"
    LOG = "log"


def explain(
    incident: Annotated[str, typer.Argument(help="Its number, its id, or the beginning of its id.")],
    user: Annotated[str | None, typer.Option("--user", help="Only this person's id.")] = None,
    source: Annotated[WhereName, typer.Option(help="The running service, or the logs.")] = WhereName.AUTO,
    as_json: Json = False,
) -> None:
    """Why each person was paged or not, with the chain of events that led to it.

    For example: pager explain 17
    """
    settings = Settings.from_environment()
    found = _explained(settings, incident, _person(user), source)
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
    else:
        _show(found, _names(settings, found))


def _person(user: str | None) -> UUID | None:
    try:
        return UUID(user) if user is not None else None
    except ValueError:
        raise Failure(f"--user: {user!r} is no id", USAGE) from None


def _explained(settings: Settings, incident: str, person: UUID | None, source: WhereName) -> "IncidentExplained":
    if source is not WhereName.LOG:
        try:
            url = operator_url(settings)
        except Failure:
            if source is WhereName.SERVICE:
                raise
        else:
            return _asked(url, incident, person)
    from cli.replay.explanation import from_logs
    from cli.replay.logs import as_auditor

    return as_auditor(settings, lambda url: from_logs(url, incident, person))


def _asked(url: str, incident: str, person: UUID | None) -> "IncidentExplained":
    import asyncio

    from cli.reach import bus
    from libs.contracts.incidents import IncidentExplained

    body = {"key": incident} | ({"userId": str(person)} if person is not None else {})

    async def ask() -> IncidentExplained:
        async with bus.connected(url) as client:
            return IncidentExplained.model_validate(await bus.ask(client, "incidents", "explanation", body))

    return asyncio.run(ask())


def _names(settings: Settings, found: "IncidentExplained") -> Mapping[UUID, str]:
    """Of everybody who stands in it, from auth's log, where it can be read."""
    import psycopg

    from cli.replay.logs import as_auditor
    from cli.replay.names import names_of

    texts = [text for person in found.people for text in (person.reason, *(link.summary for link in person.chain))]
    ids = {person.user_id for person in found.people} | ids_in(texts)
    try:
        return as_auditor(settings, lambda url: names_of(url, ids))
    except (Failure, psycopg.Error):
        return {}


def _show(found: "IncidentExplained", names: Mapping[UUID, str]) -> None:
    from rich.padding import Padding

    out = console()
    out.print(f"#{found.number} {found.title}  ({found.incident_id})", style="bold")
    for person in found.people:
        who = names.get(person.user_id) or str(person.user_id)
        outcome = person.outcome.replace("_", " ")
        out.print()
        out.print(f"{who}: {outcome}", style=_STYLE.get(str(person.outcome), ""))
        out.print(Padding(with_names(person.reason, names.get), (0, 0, 0, 2)))
        rows = [
            (f"{link.at:%Y-%m-%d %H:%M:%S}", link.type, with_names(link.summary, names.get)) for link in person.chain
        ]
        out.print(table(None, ("UTC", "event", "what"), rows))
    if not found.people:
        out.print("no level of an escalation has named anybody yet")
