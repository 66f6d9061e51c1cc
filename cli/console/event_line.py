"""An event as a line for people: `pager tail` and `pager replay` on a terminal."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cli.console.output import PRIORITY_STYLE
from libs.chassis.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOURS: Final = {"auth": "blue", "oncall": "magenta", "incidents": "red", "escalation": "yellow", "notifier": "green"}
_TELLING: Final = (
    "title",
    "name",
    "level",
    "round",
    "reason",
    "state",
    "provider",
    "kind",
    "priority",
    "summary",
    "roles",
)
_SEALED: Final = "[sealed]"
"""Of what belongs to a person, and is a box in an event."""
_BESIDE: Final = 40
"""Columns that words need beside their head; with fewer they begin below it."""


def head_of(event: dict[str, Any], when: str = "%H:%M:%S") -> "Text":
    """Time (UTC), service, event and the beginning of its entity's id. `event`: an envelope."""
    from rich.text import Text

    parts = str(event["type"]).split(".")
    service, name = (parts[1], parts[2]) if len(parts) == 4 else ("", str(event["type"]))
    at = datetime.fromisoformat(event["time"])
    line = Text(f"{at:{when}}.{at.microsecond // 1000:03d}Z  ")
    line.append(f"{printable(service):<11}", _COLOURS.get(service, ""))
    line.append(f"{printable(name):<24} ", "bold")
    return line.append(f"{printable(str(event['entity'])[:8])}  ", "dim")


def words_of(event: dict[str, Any]) -> "Text":
    """What tells most of its data."""
    from rich.text import Text

    line = Text()
    data = event["data"]
    brief = data.get("brief") or {}
    for key in _TELLING:
        value = data.get(key, brief.get(key))
        if value not in (None, "", []):
            style = PRIORITY_STYLE.get(str(value), "") if key == "priority" else ""
            told = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            told = _SEALED if isinstance(value, dict) else told
            line.append(f"{key}=", "dim").append(f"{printable(told)} ", style)
    return line


def print_event(out: "Console", head: "Text", words: "Text") -> None:
    """One line; where a terminal is too narrow for it the words go on below, and end between two of them."""
    from rich.text import Text

    room = out.width - head.cell_len
    if not out.is_terminal or words.cell_len <= room:
        out.print(head + words, soft_wrap=True)
        return
    indent = head.cell_len if room >= _BESIDE else 4
    parts = [Text.assemble(" " * indent, part) for part in words.wrap(out, out.width - indent)]
    if indent == head.cell_len:
        parts[0] = head + parts[0][indent:]
    else:
        head.rstrip()
        parts.insert(0, head)
    for part in parts:
        out.print(part, soft_wrap=True)
