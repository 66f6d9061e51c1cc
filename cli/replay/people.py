"""Replayed events for a person at a terminal: a line each, in words, with names."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from cli.console.event_line import head_of, print_event, words_of
from cli.console.naming import NameOf, with_names
from cli.console.output import console
from cli.replay.lines import Lines
from cli.replay.merge import Entry
from libs.chassis.printable import printable
from libs.contracts.codec import CODEC, UnknownEvent
from services.incidents.words import summary_of

if TYPE_CHECKING:
    from rich.text import Text

_WHEN: Final = "%Y-%m-%d %H:%M:%S"
_IN_WORDS: Final = ("incidents", "escalation", "notifier")


def lines_for_people(services: Sequence[str], name_of: NameOf) -> Lines:
    """When (UTC), who, what, and for what belongs to an incident the sentence of its timeline."""
    out = console()

    def lines(entries: Sequence[Entry]) -> bytes:
        with out.capture() as captured:
            for entry in entries:
                event = json.loads(entry.row.raw)
                print_event(out, head_of(event, _WHEN), _words(entry, event, services[entry.rank], name_of))
        return captured.get().encode(out.encoding, "replace")

    return lines


def _words(entry: Entry, event: dict[str, Any], service: str, name_of: NameOf) -> "Text":
    from rich.text import Text

    try:
        fact = CODEC.decode(entry.row.type, entry.row.raw).data
    except UnknownEvent:
        return words_of(event)
    sentence = summary_of(fact) if service in _IN_WORDS else type(fact).__name__
    if sentence == type(fact).__name__:
        return words_of(event)
    line = Text(printable(with_names(sentence, name_of)))
    person = _person(event, name_of)
    return line.append(f"  ({printable(person)})", "dim") if person else line


def _person(event: dict[str, Any], name_of: NameOf) -> str | None:
    """Whom it is about, or who did it."""
    told = event["data"].get("userId") or (event["actor"]["id"] if event["actor"]["kind"] == "user" else None)
    return (name_of(UUID(told)) or told) if told else None
