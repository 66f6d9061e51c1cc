"""The draft of a review: what a timeline says, as Markdown that a person goes on from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final

from libs.contracts.durations import lasted
from libs.contracts.incidents import IncidentView

_SHOWN_FIRST, _SHOWN_LAST = 60, 60
_MOST_NAMED: Final = 50
_LONGEST: Final = 500
"""Characters of one entry."""
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#|~!])")
_PASSED_OVER: Final = frozenset(
    {
        *("EscalationStarted", "EscalationCancelled", "IncidentEscalated", "AlertsGrouped", "NotificationIntended"),
        *("NotificationAccepted", "NotificationReplaced", "NotificationWithdrawn", "ReceiptRecorded"),
        *("ReviewDrafted", "ReviewChanged", "ReviewPublished", "ReviewWithdrawn", "ReviewDeleted"),
    }
)
"""Kinds of entries that say in detail what others say as a whole."""
_ANSWERS: Final = ("IncidentAcknowledged", "IncidentSnoozed", "IncidentResolved")
_LEVELS: Final = ("EscalationDue", "EscalationExhausted")


def draft(incident: IncidentView, rows: Sequence[Mapping[str, Any]]) -> str:
    """`rows`: its timeline in causal order. People stand in it by their ids: names are for whoever may see them."""
    sections = (
        f"# Review of incident #{incident.number}: {plain(incident.title)}",
        "## In short\n\n" + "\n".join(f"- {line}" for line in _in_short(incident, rows)),
        "## What happened\n\n" + "\n".join(f"- {line}" for line in _story(rows)),
        "## Why it happened\n\n_To be written._",
        "## What went well, and what did not\n\n_To be written._",
        "## What is to be done\n\n_The action items stand beside this text._",
    )
    return "\n\n".join(sections) + "\n"


def plain(text: str) -> str:
    """A text of somebody else's in one line, of which nothing is taken for Markdown or HTML."""
    line = " ".join(text.split())
    shown = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return escape(_SPECIAL.sub(r"\\\1", shown), quote=False)


def _in_short(incident: IncidentView, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    opened = incident.created_at
    yield f"Opened {_moment(opened)}, priority {incident.priority}."
    yield f"{incident.alert_count} alert{'s' if incident.alert_count != 1 else ''}."
    paged = list(
        dict.fromkeys(str(u) for row in rows if row["type"] == "NotificationAccepted" for u in row["user_ids"])
    )
    yield f"Paged: {_named(paged)}."
    levels = sum(row["type"] in _LEVELS for row in rows)
    yield f"{levels} level{'s' if levels != 1 else ''} fired."
    answers = [row for row in rows if row["type"] in _ANSWERS and _actor(row, "kind") in ("user", "key")]
    if answers:
        first = answers[0]
        people = list(dict.fromkeys(str(_actor(row, "id")) for row in answers))
        yield f"First answered after {_after(opened, first['at'])} by {_actor(first, 'id')}."
        yield f"Answered: {_named(people)}."
    else:
        yield "Nobody answered."
    if incident.resolved_at is not None:
        yield f"Resolved after {_after(opened, incident.resolved_at)}, {_moment(incident.resolved_at)}."


def _named(people: Sequence[str]) -> str:
    left = len(people) - _MOST_NAMED
    return ", ".join(people[:_MOST_NAMED]) + (f" and {left} more" if left > 0 else "") or "nobody"


def _story(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    told = [row for row in rows if row["type"] not in _PASSED_OVER]
    left = len(told) - _SHOWN_FIRST - _SHOWN_LAST
    yield from _entries(told if left <= 0 else told[:_SHOWN_FIRST])
    if left > 0:
        yield f"_{left} more, which the timeline has_"
        yield from _entries(told[-_SHOWN_LAST:])


def _entries(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        who = f" ({_actor(row, 'id')})" if _actor(row, "kind") in ("user", "key") else ""
        yield f"{_moment(row['at'])}: {plain(row['summary'])}{who}"


def _actor(row: Mapping[str, Any], field: str) -> Any:
    actor = row["actor"]
    return actor[field] if isinstance(actor, Mapping) else getattr(actor, field)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _after(since: datetime, at: datetime) -> str:
    return lasted((at - since) / timedelta(seconds=1))
