"""A frame of the stream as a line for people: `pager tail --incidents` on a terminal."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.console.output import PRIORITY_STYLE
from libs.chassis.printable import printable

if TYPE_CHECKING:
    from rich.text import Text


def line_of(frame: Mapping[str, Any]) -> "Text":
    """When (UTC), what became of which incident, and how it stands."""
    from rich.text import Text

    incident = frame["incident"]
    line = Text(f"{_time(incident.get('updatedAt'))}  ")
    line.append(f"{printable(str(frame['type'])):<24} ", "bold")
    if "number" not in incident:
        return line.append(f"{printable(str(incident.get('id')))}: you do not see it any more", "dim")
    priority = printable(str(incident["priority"]))
    line.append(f"#{incident['number']} ", "dim").append(f"{priority:<8} ", PRIORITY_STYLE.get(priority, ""))
    return line.append(f"{printable(str(incident['status'])):<12} ").append(printable(str(incident["title"])))


def notice_of(frame: Mapping[str, Any]) -> str | None:
    """What is said of the stream itself; None: nothing."""
    match frame["type"]:
        case "ready":
            return "listening to incidents; Ctrl-C ends"
        case "reset":
            return f"what was missed cannot be told ({frame.get('reason')}): list incidents to see how they stand"
        case "interrupted":
            return f"{frame.get('reason')}; again in {frame.get('retryAfter', 0):g} s"
        case _:
            return None


def _time(at: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(at))
    except ValueError:
        return "-" * 13
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
