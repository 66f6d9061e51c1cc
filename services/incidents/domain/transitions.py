"""What may be done to an incident in which state, and what state follows: one table, by which every act is judged.

Its lines are printed in docs/decision-tables.md. A cell holds the states that may follow, or the refusal. What is there
already is no refusal: an act that comes twice, or late, finds what it wanted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from libs.contracts.envelope import ActorKind
from libs.contracts.incidents import Status
from libs.contracts.requests import Rejected
from services.incidents.domain.commands import (
    Acknowledge,
    Act,
    AddNote,
    AddResponders,
    AskLevel,
    Close,
    Edit,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Suppress,
)
from services.incidents.domain.incident import Incident


class Phase(StrEnum):
    """A state as people know it: its status, or what keeps it quiet."""

    CREATED = "created"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    SUPPRESSED = "suppressed"
    RESOLVED = "resolved"
    CLOSED = "closed"


def phase_of(state: Incident) -> Phase:
    """Of an incident that exists."""
    if state.is_open and state.suppressed and state.status is not Status.ACKNOWLEDGED:
        return Phase.SUPPRESSED
    if state.is_open and state.snoozed_until is not None:
        return Phase.SNOOZED
    return Phase(str(state.status))


class Illegal(Rejected):
    """This cannot be done to an incident in this state."""

    def __init__(self, state: Incident, *, field: str | None = None) -> None:
        """Says which state that is, what can be done, and whose doing it was; names are no affair of ours."""
        phase = phase_of(state)
        details: dict[str, Any] = {"state": str(phase), "allowed": list(allowed(phase))}
        end = state.closed or state.resolved
        if end is not None:
            details["at"] = _shown(end.at)
            details |= {"by": end.by.id} if end.by.kind is ActorKind.USER else {}
        reason = (self.__doc__ or "").strip().splitlines()[0]
        super().__init__(f"the incident is {phase}: {reason}", field=field, details=details)


class AlreadyOver(Illegal):
    """it is over; reopen it, or wait for a new alert, which opens a new one"""


class NotResolvedYet(Illegal):
    """resolve it first"""


class SomebodyHasIt(Illegal):
    """it pages nobody while somebody has it; snooze it to be paged later"""


class TooLongAgo(Rejected):
    """It was resolved too long ago: open a new one."""


class Overtaken(Rejected):
    """Paging has started again since then: look at it again."""

    def __init__(self, began_at: datetime) -> None:
        when = f"{began_at:%Y-%m-%d %H:%M} UTC"
        super().__init__(
            f"paging started again at {when}, after you did this: look at it again, and decide then",
            details={"at": _shown(began_at)},
        )


C, E, A, N, S, R, X = Phase
Cell = tuple[Phase, ...] | type[Illegal]
_OVER: Final = AlreadyOver
_STAYS: Final[Mapping[Phase, Cell]] = {phase: (phase,) for phase in Phase}

TRANSITIONS: Final[Mapping[str, Mapping[Phase, Cell]]] = {
    "acknowledge": {C: (A,), E: (A,), A: (A,), N: (A,), S: (A,), R: _OVER, X: _OVER},
    "resolve": {C: (R,), E: (R,), A: (R,), N: (R,), S: (R,), R: (R,), X: (X,)},
    "close": {**dict.fromkeys((C, E, A, N, S), NotResolvedYet), R: (X,), X: (X,)},
    # Within a time; people are paged again.
    "reopen": {**_STAYS, R: (C,), X: (C,)},
    # The new one is paged, unless they took it themselves.
    "reassign": {C: (C,), E: (E,), A: (E, A), N: (C, E, N), S: (S,), R: _OVER, X: _OVER},
    "snooze": {C: (N,), E: (N,), A: (N,), N: (N,), S: (S,), R: _OVER, X: _OVER},
    # A level of the policy is paged, or the leads.
    "escalate": {C: (E,), E: (E,), A: (E,), N: (E,), S: (E,), R: _OVER, X: _OVER},
    "suppress": {C: (S,), E: (S,), A: SomebodyHasIt, N: SomebodyHasIt, S: (S,), R: _OVER, X: _OVER},
    # They are paged; whoever has it keeps it.
    "responders": {**_STAYS, R: _OVER, X: _OVER},
    "notes": _STAYS,
    # A higher priority pages its people again; of what is over only the words are changed.
    "edit": {**_STAYS, A: (A, E), N: (N, C, E)},
}
"""By what people do, in the words of the API's paths, and the state that it is done in."""

TIMES: Final[Mapping[str, Mapping[Phase, Cell]]] = {
    "the snooze ends": {**_STAYS, N: (C, E)},
    "the suppression ends": {**_STAYS, S: (C, E, N)},
    "the acknowledgement times out": {**_STAYS, A: (E, S)},
    "nothing has happened for long": {**_STAYS, A: (R,)},
    "a worse alert comes": {**_STAYS, A: (E,), N: (C, E)},
    "a level fires": {**_STAYS, C: (E,)},
}
"""The same of what nobody does. Nothing of it is refused: what comes too late changes nothing."""

_ACTS: Final[Mapping[type[Any], str]] = {
    Acknowledge: "acknowledge",
    Resolve: "resolve",
    Close: "close",
    Reopen: "reopen",
    Reassign: "reassign",
    Snooze: "snooze",
    AskLevel: "escalate",
    Suppress: "suppress",
    AddResponders: "responders",
    AddNote: "notes",
    Edit: "edit",
}


def allowed(phase: Phase) -> tuple[str, ...]:
    """What people may do in this state."""
    return tuple(act for act, cells in TRANSITIONS.items() if isinstance(cells[phase], tuple))


def check(command: Act, state: Incident) -> None:
    """Raises Illegal: the table refuses it."""
    cell = TRANSITIONS[_ACTS[type(command)]][phase_of(state)]
    if not isinstance(cell, tuple):
        raise cell(state)


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
