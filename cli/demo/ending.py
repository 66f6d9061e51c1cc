"""What the demo shows after its story: the incident's timeline, and who was paged and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cli.console.naming import with_names
from cli.console.output import console, table
from cli.demo.story import Told
from cli.settings import DEFAULT_PORT
from pager_client.types import PersonExplained, TimelineEntry

APP: Final = f"http://127.0.0.1:{DEFAULT_PORT}/app"
"""Where the app is once everything runs and goes on; what the demo started has stopped by then."""


@dataclass(frozen=True)
class Ended:
    """What is shown after the story."""

    timeline: list[TimelineEntry]
    explanation: list[PersonExplained]
    told: Told
    names: dict[str, str]


def show(ended: Ended) -> None:
    """Timeline and explanation, as tables."""
    out = console()
    first = datetime.fromisoformat(ended.timeline[0]["at"]) if ended.timeline else None
    rows = [
        (
            f"{(datetime.fromisoformat(entry['at']) - first).total_seconds():+.3f} s" if first else "",
            entry["type"].split(".")[2] if entry["type"].count(".") == 3 else entry["type"],
            ended.names.get(entry["actor"]["id"], entry["actor"]["id"]),
            _named(entry["summary"], ended.names),
        )
        for entry in ended.timeline
    ]
    out.print(table("Timeline", ("when", "what", "by", "summary"), rows))
    people = [
        (
            ended.names.get(person["userId"], person["userId"]),
            person["outcome"],
            _named(person["reason"], ended.names),
            [_named(link["summary"], ended.names) for link in person["chain"]],
        )
        for person in ended.explanation
    ]
    out.print(table("Who was paged, and why", ("person", "outcome", "reason", "because"), people))
    out.print(f"See it in the app: make up, then {APP}")


def _named(text: str, names: dict[str, str]) -> str:
    return with_names(text, lambda found: names.get(str(found)))
