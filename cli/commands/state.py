"""`pager replay --at T`: the state of one thing as of a moment."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cli.commands.replay import documents
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.replay.asked import moment_of
from cli.replay.incident import find_incident
from cli.replay.logs import open_logs
from cli.replay.states import STATES, AsOf
from cli.settings import Settings


def state_at(
    settings: Settings, at: str, *, incident: str | None, schedule: str | None, policy: str | None, as_json: bool
) -> None:
    """Exactly one of the three. Raises `Failure`."""
    wanted = {k: v for k, v in (("incident", incident), ("schedule", schedule), ("policy", policy)) if v is not None}
    if len(wanted) != 1:
        raise Failure("--at: name one --incident, --schedule or --policy", USAGE)
    ((kind, key),) = wanted.items()
    moment = moment_of(at, "--at", datetime.now(UTC))
    found: AsOf = documents(settings, lambda url: _read(url, kind, key, moment))
    if as_json:
        print_json(found.document())
        return
    last = found.last
    title = f"{kind} {found.id} as of {moment.isoformat()}: version {found.version}, {last.name} at {last.time}"
    rows = [(name, _shown(value)) for name, value in found.state.items()]
    console().print(table(title, ("what", "value"), rows))


def _read(url: str, kind: str, key: str, moment: datetime) -> AsOf:
    histories = {history.service: history for history in open_logs(url)}
    try:
        entity = find_incident(histories["incidents"], key) if kind == "incident" else key
        return STATES[kind](histories, _uuid(entity, kind), moment)
    finally:
        for history in histories.values():
            history.connection.close()


def _uuid(text: str, kind: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Failure(f"--{kind}: {text!r} is no id", USAGE) from None


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
