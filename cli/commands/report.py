"""`pager report`: how alerts, incidents and people have fared in a month, as tables, CSV, JSON or a page."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.reach.running import operator_url, run_of
from cli.settings import Settings

if TYPE_CHECKING:
    from libs.contracts.analytics import Report

_KEY_SETTING: Final = "PAGER_API_KEY"
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_WAIT: Final = 15.0
"""Seconds: it is some questions after another."""


def report(
    month: Annotated[str | None, typer.Option(help="Such as 2026-11; without it the last 30 days.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="A day or a moment, such as 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day or moment, without it.")] = None,
    team: Annotated[str | None, typer.Option(help="Only what belongs to the team with this id.")] = None,
    timezone: Annotated[str, typer.Option(help="Of months, days and hours.")] = "UTC",
    html: Annotated[Path | None, typer.Option(help="Write one page that needs nothing else.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """How soon incidents were answered and resolved, by whom, who was paged at night, and what is noisy.

    People are named where PAGER_API_KEY is an API key with the scope people.read.

    For example: pager report --month 2026-11 --html november.html
    """
    settings = Settings.from_environment()
    asked = _asked(month, since, until, team, timezone)
    found = _found(operator_url(settings), asked)
    if html is not None:
        _write(html, found, _names(settings, found))
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
    elif as_csv:
        _print_csv(found)
    elif html is None:
        from cli.figures.terminal import show

        show(found, _names(settings, found))
    else:
        console().print(f"written: {html}")


def _print_csv(found: "Report") -> None:
    """As it is for a file; what a person looks at holds nothing that their terminal obeys."""
    import sys

    from libs.chassis.printable import printable_lines
    from libs.contracts import csv_tables

    table = csv_tables.of(found)
    sys.stdout.write(printable_lines(table.replace("\r\n", "\n")) if sys.stdout.isatty() else table)


def _asked(month: str | None, since: str | None, until: str | None, team: str | None, timezone: str) -> dict[str, Any]:
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(timezone)
    except (ValueError, OSError, LookupError):
        raise Failure(f"--timezone: there is no zone {timezone[:80]!r}", USAGE) from None
    if month is not None and (since is not None or until is not None):
        raise Failure("--month: not together with --from or --to", USAGE)
    asked: dict[str, Any] = {"timezone": timezone}
    if month is not None:
        asked["from"], asked["to"] = _month(month, zone)
    for name, text in (("from", since), ("to", until)):
        if text is not None:
            asked[name] = _moment(f"--{name}", text, zone)
    if team is not None:
        try:
            asked["teamId"] = str(UUID(team))
        except ValueError:
            raise Failure(f"--team: {team[:80]!r} is no id", USAGE) from None
    return asked


def _month(month: str, zone: Any) -> tuple[str, str]:
    found = _MONTH.fullmatch(month)
    year, number = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 2 <= year < 9999:
        raise Failure(f"--month: {month[:80]!r} is no month, such as 2026-11", USAGE)
    begins = datetime(year, number, 1, tzinfo=zone)
    ends = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return begins.astimezone(UTC).isoformat(), ends.astimezone(UTC).isoformat()


def _moment(option: str, text: str, zone: Any) -> str:
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise Failure(f"{option}: {text[:80]!r} is no day and no moment, such as 2026-11-01", USAGE) from None


def _found(url: str, asked: Mapping[str, Any]) -> "Report":
    import asyncio

    from cli.reach import bus
    from libs.contracts.analytics import Report

    async def ask() -> Report:
        async with bus.connected(url) as client:
            return Report.model_validate(await bus.ask(client, "incidents", "report", asked, _WAIT))

    return asyncio.run(ask())


def _names(settings: Settings, found: "Report") -> Mapping[UUID, str]:
    """Of everybody who stands in it: by the API where a key is given, else as the logs tell people apart."""
    ids = {one.user_id for one in found.load.people if not one.erased}
    ids |= {one.user_id for one in found.response.responders if not one.erased}
    if not ids:
        return {}
    key = settings.environment.get(_KEY_SETTING)
    return _by_api(settings, key) if key else _by_log(settings, ids)


def _by_api(settings: Settings, key: str) -> Mapping[UUID, str]:
    import asyncio

    from cli.reach.api import api_of

    async def ask() -> Mapping[UUID, str]:
        async with api_of(str(run_of(settings)["gateway"]), key) as api:
            return {UUID(one["id"]): f"{one['firstName']} {one['lastName']}".strip() async for one in api.iter_users()}

    return asyncio.run(ask())


def _by_log(settings: Settings, ids: set[UUID]) -> Mapping[UUID, str]:
    import psycopg

    from cli.replay.logs import as_auditor
    from cli.replay.names import names_of

    try:
        return as_auditor(settings, lambda url: names_of(url, ids))
    except (Failure, psycopg.Error):
        return {}


def _write(path: Path, found: "Report", names: Mapping[UUID, str]) -> None:
    from cli.figures.page import page

    made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    try:
        path.write_text(page(found, names, made_at), encoding="utf-8")
    except OSError as error:
        raise Failure(f"--html: {error}") from None
